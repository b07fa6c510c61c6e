//! Having derivatives made again, or those that are missing, of one user or of all: for an operator.
//! Invariant: each page of contents is whole or has not happened; with the same scope another run goes on where one
//! stopped.

use super::{can_have, give_up, mime_type, name, request};
use crate::db::derivatives::Candidate;
use crate::db::jobs::Task;
use crate::db::{self, Db, Ledger, retrying};
use crate::error::{Error, Result};
use crate::ids::UserId;
use crate::model::{DerivativeKind, DerivativeState};
use serde::Serialize;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

/// Contents looked at in one transaction.
const CONTENTS: i64 = 200;
/// Users looked at in one query.
const USERS: i64 = 1000;

/// What to make again.
#[derive(Debug, Clone)]
pub struct Scope {
    /// One user; `None`: everybody.
    pub user: Option<UserId>,
    /// Which derivatives.
    pub kinds: Vec<DerivativeKind>,
    /// Only what is not there: never asked for, failed, or made before there were thumbhashes.
    pub only_missing: bool,
    /// Only what was made before. What waits to be made is left alone in any case.
    pub made_before: OffsetDateTime,
}

/// How far it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// Files to look at, as far as the ledger tells.
    #[serde(skip)]
    pub files_expected: u64,
    /// Files looked at, once for each kind; those of one content count once.
    pub files: u64,
    /// Jobs given to the worker.
    pub queued: u64,
}

/// Gives the worker the jobs that `scope` asks for, until `stop`. `watch` is called with the progress.
///
/// # Errors
/// [`Error::NotFound`] for a user without storage; when Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn rebuild(
    db: &Db,
    scope: &Scope,
    stop: &CancellationToken,
    watch: &mut (dyn FnMut(Tally) + Send),
) -> Result<Tally> {
    let mut tally = Tally { files_expected: files_expected(db, scope).await?, ..Tally::default() };
    let mut after = None;
    loop {
        let users = match &scope.user {
            Some(user) => vec![user.clone()],
            None => {
                let page = db::storage::list(&mut *db.conn().await?, after.as_ref(), USERS).await?;
                page.into_iter().map(|line| line.user_id).collect()
            }
        };
        for user in &users {
            for kind in &scope.kinds {
                of_user(db, scope, user, *kind, stop, &mut |files, queued| {
                    tally.files += files;
                    tally.queued += queued;
                    watch(tally);
                })
                .await?;
            }
        }
        match users.last() {
            Some(last) if scope.user.is_none() && users.len() as i64 == USERS => after = Some(last.clone()),
            _ => return Ok(tally),
        }
    }
}

async fn files_expected(db: &Db, scope: &Scope) -> Result<u64> {
    let mut conn = db.conn().await?;
    let files = match &scope.user {
        Some(user) => db::storage::get(&mut conn, user).await?.ok_or(Error::NotFound)?.file_count,
        None => db::storage::totals(&mut conn).await?.files,
    };
    Ok(files.unsigned_abs() * scope.kinds.len() as u64)
}

async fn of_user(
    db: &Db,
    scope: &Scope,
    user: &UserId,
    kind: DerivativeKind,
    stop: &CancellationToken,
    count: &mut (dyn FnMut(u64, u64) + Send),
) -> Result<()> {
    let mut after = None;
    while !stop.is_cancelled() {
        let which = (kind, mime_type(kind));
        let (page, queued) = retrying(|| async {
            let mut ledger = db.ledger(user).await?;
            let page = db::derivatives::candidates(&mut ledger, user, which, after, CONTENTS).await?;
            let mut queued = 0;
            for candidate in page.iter().filter(|candidate| is_due(candidate, scope, kind)) {
                make_again(&mut ledger, user, candidate, kind).await?;
                queued += 1;
            }
            ledger.commit().await?;
            Ok((page, queued))
        })
        .await?;
        count(page.len() as u64, queued);
        match page.last() {
            Some(last) if page.len() as i64 == CONTENTS => after = Some(last.content),
            _ => return Ok(()),
        }
    }
    Ok(())
}

fn is_due(candidate: &Candidate, scope: &Scope, kind: DerivativeKind) -> bool {
    let is_whole = kind != DerivativeKind::Default || candidate.has_thumbhash;
    let is_old = candidate.updated_at.is_none_or(|at| at < scope.made_before);
    let is_wanted = match candidate.state {
        Some(DerivativeState::Pending) => false,
        Some(DerivativeState::Ready) => is_old && (!scope.only_missing || !is_whole),
        Some(DerivativeState::Failed) => is_old,
        None => true,
    };
    is_wanted && can_have(&candidate.mime_type, candidate.needs_playback, kind)
}

async fn make_again(
    ledger: &mut Ledger,
    user: &UserId,
    candidate: &Candidate,
    kind: DerivativeKind,
) -> Result<()> {
    let content = candidate.content;
    match (kind.thumbnail(), candidate.state) {
        (_, None) => request(ledger, content, kind).await,
        // A thumbnail is replaced in its place.
        (Some(_), Some(_)) => {
            db::derivatives::reset(ledger, &name(user, content, kind)).await?;
            db::jobs::cancel_derive(ledger, content, kind).await?;
            db::jobs::enqueue(ledger, user, &Task::Derive { content, kind }).await
        }
        (None, Some(_)) => {
            give_up(ledger, content, kind).await?;
            request(ledger, content, kind).await
        }
    }
}
