//! Changes to files that leave their bytes alone: one file's metadata, or one action on many files.

use crate::app::App;
use crate::db::files::Removable;
use crate::db::{self, Ledger, retrying};
use crate::error::{Error, Result};
use crate::ids::{FileId, UserId};
use crate::model::{File, Tags};
use crate::ops::trash;

/// Changes one file outside the trash: the row is locked, `change` decides, the row is written back. When the
/// transaction has to be done again, `change` decides again.
///
/// # Errors
/// [`Error::NotFound`], or whatever `change` refuses.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn edit(
    app: &App,
    user: &UserId,
    id: FileId,
    change: impl Fn(&mut File) -> Result<()> + Send + Sync,
) -> Result<File> {
    retrying(|| async {
        let mut ledger = app.db.ledger(user).await?;
        if !db::files::lock(&mut ledger, id).await? {
            return Err(Error::NotFound);
        }
        let before = db::files::get(&mut ledger, user, id).await?.ok_or(Error::NotFound)?;
        let mut after = before.clone();
        change(&mut after)?;
        db::files::update(&mut ledger, &before, &after).await?;
        let changed = db::files::get(&mut ledger, user, id).await?.ok_or(Error::NotFound)?;
        ledger.commit().await?;
        Ok(changed)
    })
    .await
}

/// Moves one file to the trash, or removes it for good, if `check` lets it. Answers the file as it was.
///
/// # Errors
/// [`Error::NotFound`]; a file in the trash can only be removed for good. Whatever `check` refuses.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn delete(
    app: &App,
    user: &UserId,
    id: FileId,
    permanent: bool,
    check: impl Fn(&File) -> Result<()> + Send + Sync,
) -> Result<File> {
    retrying(|| async {
        let mut ledger = app.db.ledger(user).await?;
        // What is checked stays as it is until it is gone.
        let mut file = db::files::get(&mut ledger, user, id).await?.ok_or(Error::NotFound)?;
        check(&file)?;
        let gone = if permanent {
            trash::purge(&mut ledger, &[id], Removable::Any).await?
        } else {
            db::files::trash(&mut ledger, &[id]).await?
        };
        if gone.is_empty() {
            return Err(Error::NotFound);
        }
        if !permanent {
            file = db::files::get(&mut ledger, user, id).await?.ok_or(Error::NotFound)?;
        }
        ledger.commit().await?;
        Ok(file)
    })
    .await
}

/// Takes one file out of the trash.
///
/// # Errors
/// [`Error::NotFound`] when it is not in the trash.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn restore(app: &App, user: &UserId, id: FileId) -> Result<File> {
    retrying(|| async {
        let mut ledger = app.db.ledger(user).await?;
        if db::files::restore(&mut ledger, &[id]).await?.is_empty() {
            return Err(Error::NotFound);
        }
        let file = db::files::get(&mut ledger, user, id).await?.ok_or(Error::NotFound)?;
        ledger.commit().await?;
        Ok(file)
    })
    .await
}

/// Revokes every signed URL given out for a file.
///
/// # Errors
/// [`Error::NotFound`].
#[tracing::instrument(level = "debug", skip_all)]
pub async fn revoke_urls(app: &App, user: &UserId, id: FileId) -> Result<()> {
    retrying(|| async {
        let mut ledger = app.db.ledger(user).await?;
        let is_there = db::files::revoke_urls(&mut ledger, id).await?;
        ledger.commit().await?;
        if is_there { Ok(()) } else { Err(Error::NotFound) }
    })
    .await
}

/// What a batch does to each of its files.
#[derive(Debug, Clone)]
pub enum Action {
    /// To the trash.
    Delete,
    /// Out of the trash.
    Restore,
    /// Removed for good.
    Purge,
    /// Marked, or unmarked.
    SetFavorite(bool),
    /// These labels added.
    Tag(Tags),
    /// These labels taken off.
    Untag(Tags),
    /// Into this package, or into none.
    Move(Option<String>),
}

/// Why a batch left a file as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skipped {
    /// There is no such file where the action looks.
    NotFound,
    /// The file would have too many labels.
    TooManyTags,
}

/// Does one action to many files of a user, in one transaction, also when the client hangs up. Answers for each id, in
/// order, whether it was done.
///
/// # Errors
/// When Postgres does not answer: then nothing was done.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn batch(
    app: &App,
    user: &UserId,
    action: &Action,
    ids: &[FileId],
) -> Result<Vec<(FileId, Option<Skipped>)>> {
    let (owned, user, action, ids) = (app.clone(), user.clone(), action.clone(), ids.to_vec());
    app.outlive(async move {
        let app = owned;
        retrying(|| async {
            let mut ledger = app.db.ledger(&user).await?;
            let outcomes = act(&mut ledger, &user, &action, &ids).await?;
            ledger.commit().await?;
            Ok(outcomes)
        })
        .await
    })
    .await
}

async fn act(
    ledger: &mut Ledger,
    user: &UserId,
    action: &Action,
    ids: &[FileId],
) -> Result<Vec<(FileId, Option<Skipped>)>> {
    let done = match action {
        Action::Delete => db::files::trash(ledger, ids).await?,
        Action::Restore => db::files::restore(ledger, ids).await?,
        Action::Purge => trash::purge(ledger, ids, Removable::Any).await?,
        Action::SetFavorite(favorite) => db::files::set_favorite(ledger, ids, *favorite).await?,
        Action::Tag(tags) => db::files::add_tags(ledger, ids, tags).await?,
        Action::Untag(tags) => db::files::remove_tags(ledger, ids, tags).await?,
        Action::Move(package) => db::files::set_package(ledger, ids, package.as_deref()).await?,
    };
    let there = match action {
        Action::Tag(_) => db::files::existing(ledger, user, ids).await?,
        _ => Vec::new(),
    };
    let outcome = |id: &FileId| {
        let skipped = match (done.contains(id), there.contains(id)) {
            (true, _) => None,
            (false, true) => Some(Skipped::TooManyTags),
            (false, false) => Some(Skipped::NotFound),
        };
        (*id, skipped)
    };
    Ok(ids.iter().map(outcome).collect())
}
