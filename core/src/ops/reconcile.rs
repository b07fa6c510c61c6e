//! Whether rows, bytes and counters agree, and setting right what can be, while the service runs.
//! Invariant: what is under way is never reported or moved: a suspicion is looked at again, on the disk and in the rows.
//! Never removes a byte: what no row names goes to the quarantine.

mod finding;
mod walk;

pub use finding::{Finding, Remedy};

use crate::app::App;
use crate::db::audit::{self, Drift};
use crate::db::{self, Db};
use crate::error::{Error, Result};
use crate::ids::UserId;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use walk::Walk;

/// What to look at.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// One user; `None`: everybody.
    pub user: Option<UserId>,
    /// Files that are read whole and compared with their digests; `None`: no file is read.
    pub read: Option<Share>,
}

/// A share of all files, always the same ones: the `part`th of `of` shares that together are all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    part: u64,
    of: u64,
}

/// How far a check is, and in the end what it saw.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// Owners looked at.
    pub owners: u64,
    /// Owners to look at, as far as their rows tell.
    #[serde(skip)]
    pub owners_expected: u64,
    /// Files whose row was compared with the volume.
    pub files: u64,
    /// Files that were read whole.
    pub files_read: u64,
    /// Bytes of those.
    pub bytes_read: u64,
}

/// What a check says while it runs.
#[derive(Debug)]
pub enum Event {
    /// It came further.
    Progress(Tally),
    /// Something does not agree.
    Found(Finding, Outcome),
}

/// What became of a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is as it was.
    Reported,
    /// It is set right.
    Mended,
    /// It is in the quarantine, there.
    MovedTo(String),
}

/// Takes the events of a check.
pub type Watch<'a> = &'a mut (dyn FnMut(Event) + Send);

impl Share {
    /// Everything.
    pub const ALL: Self = Self { part: 1, of: 1 };

    /// The `part`th of `of` shares, counted from 1. `None` for a share that does not exist.
    #[must_use]
    pub fn new(part: u64, of: u64) -> Option<Self> {
        (1..=of).contains(&part).then_some(Self { part, of })
    }

    fn holds(self, path: &str) -> bool {
        let digest = Sha256::digest(path.as_bytes());
        let number = digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
        number % self.of == self.part - 1
    }
}

/// Compares rows, files, sizes, permissions, counters and, if asked for, digests. Changes nothing.
///
/// # Errors
/// [`Error::NotFound`] for a user who has neither a row nor a directory; when Postgres or the volume does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn check(app: &App, scope: &Scope, watch: Watch<'_>) -> Result<Tally> {
    run(Walk::new(app, scope, false, watch)).await
}

/// Checks, and sets right what can be: what no row names goes to the quarantine, permissions and counters are set,
/// lost derivatives are made again. Lost or damaged files are only reported: their bytes are in a backup or nowhere.
///
/// # Crash
/// At any point: each step is whole or has not happened, and the next repair does the rest.
///
/// # Errors
/// As [`check`].
#[tracing::instrument(level = "debug", skip_all)]
pub async fn repair(app: &App, scope: &Scope, watch: Watch<'_>) -> Result<Tally> {
    run(Walk::new(app, scope, true, watch)).await
}

async fn run(mut walk: Walk<'_>) -> Result<Tally> {
    match &walk.scope.user {
        Some(user) => walk.one(user).await?,
        None => walk.everybody().await?,
    }
    Ok(walk.tally)
}

/// Counts a user's rows again if the ledger does not agree with them. Answers which counters did not.
///
/// # Errors
/// [`Error::NotFound`] for a user without a row; when Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn recount(db: &Db, user: &UserId) -> Result<Vec<Drift>> {
    let mut ledger = db.ledger(user).await?;
    if !ledger.has_row() {
        return Err(Error::NotFound);
    }
    let drift = audit::drift(&mut ledger, user).await?;
    if !drift.is_empty() {
        db::storage::recount(&mut ledger).await?;
    }
    ledger.commit().await?;
    Ok(drift)
}

#[cfg(test)]
mod tests {
    use super::Share;

    #[test]
    fn the_shares_of_a_whole_hold_every_file_once() {
        let shares: Vec<Share> = (1..=7).map(|part| Share::new(part, 7).unwrap()).collect();
        for number in 0..100 {
            let path = format!("user/images/{number}.jpg");
            assert_eq!(shares.iter().filter(|share| share.holds(&path)).count(), 1, "{path}");
            assert!(Share::ALL.holds(&path));
        }
    }

    #[test]
    fn a_share_that_does_not_exist_is_refused() {
        assert!(Share::new(0, 3).is_none() && Share::new(4, 3).is_none() && Share::new(1, 0).is_none());
    }
}
