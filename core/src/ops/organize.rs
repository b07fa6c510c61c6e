//! Changes to files that leave their bytes alone: one file's metadata, or one action on many files.

use crate::app::App;
use crate::db;
use crate::error::{Error, Result};
use crate::ids::{FileId, UserId};
use crate::model::{File, Tags};
use crate::ops::trash;

/// Changes one file outside the trash: the row is locked, `change` decides, the row is written back.
///
/// # Errors
/// [`Error::NotFound`], or whatever `change` refuses.
pub async fn edit(
    app: &App,
    user: &UserId,
    id: FileId,
    change: impl FnOnce(&mut File) -> Result<()>,
) -> Result<File> {
    let mut tx = app.db.begin().await?;
    if !db::files::lock(&mut tx, user, id).await? {
        return Err(Error::NotFound);
    }
    let mut file = db::files::get(&mut tx, user, id).await?.ok_or(Error::NotFound)?;
    change(&mut file)?;
    db::files::update(&mut tx, &file).await?;
    let changed = db::files::get(&mut tx, user, id).await?.ok_or(Error::NotFound)?;
    tx.commit().await?;
    Ok(changed)
}

/// Moves one file to the trash, or removes it for good, if `check` lets it. Answers the file as it was.
///
/// # Errors
/// [`Error::NotFound`]; a file in the trash can only be removed for good. Whatever `check` refuses.
pub async fn delete(
    app: &App,
    user: &UserId,
    id: FileId,
    permanent: bool,
    check: impl Fn(&File) -> Result<()> + Send + Sync,
) -> Result<File> {
    let mut tx = app.db.begin().await?;
    // What is checked stays as it is until it is gone.
    db::storage::lock(&mut tx, user).await?;
    let mut file = db::files::get(&mut tx, user, id).await?.ok_or(Error::NotFound)?;
    check(&file)?;
    let gone = if permanent {
        trash::purge(&mut tx, user, &[id]).await?
    } else {
        db::files::trash(&mut tx, user, &[id]).await?
    };
    if gone.is_empty() {
        return Err(Error::NotFound);
    }
    if !permanent {
        file = db::files::get(&mut tx, user, id).await?.ok_or(Error::NotFound)?;
    }
    tx.commit().await?;
    Ok(file)
}

/// Takes one file out of the trash.
///
/// # Errors
/// [`Error::NotFound`] when it is not in the trash.
pub async fn restore(app: &App, user: &UserId, id: FileId) -> Result<File> {
    let mut tx = app.db.begin().await?;
    if db::files::restore(&mut tx, user, &[id]).await?.is_empty() {
        return Err(Error::NotFound);
    }
    let file = db::files::get(&mut tx, user, id).await?.ok_or(Error::NotFound)?;
    tx.commit().await?;
    Ok(file)
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

/// Does one action to many files of a user, in one transaction. Answers for each id, in order, whether it was done.
///
/// # Errors
/// When Postgres does not answer: then nothing was done.
pub async fn batch(
    app: &App,
    user: &UserId,
    action: &Action,
    ids: &[FileId],
) -> Result<Vec<(FileId, Option<Skipped>)>> {
    let mut tx = app.db.begin().await?;
    // Two batches that touch the same files in different orders would otherwise wait for each other for ever.
    db::storage::lock(&mut tx, user).await?;
    let done = match action {
        Action::Delete => db::files::trash(&mut tx, user, ids).await?,
        Action::Restore => db::files::restore(&mut tx, user, ids).await?,
        Action::Purge => trash::purge(&mut tx, user, ids).await?,
        Action::SetFavorite(favorite) => db::files::set_favorite(&mut tx, user, ids, *favorite).await?,
        Action::Tag(tags) => db::files::add_tags(&mut tx, user, ids, tags).await?,
        Action::Untag(tags) => db::files::remove_tags(&mut tx, user, ids, tags).await?,
        Action::Move(package) => db::files::set_package(&mut tx, user, ids, package.as_deref()).await?,
    };
    let there = match action {
        Action::Tag(_) => db::files::existing(&mut tx, user, ids, false).await?,
        _ => Vec::new(),
    };
    tx.commit().await?;
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
