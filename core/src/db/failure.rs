//! What a failure of Postgres means to a caller, and what it says about the connections to it.
//! Invariant: a connection to a server that went away, or became one that only reads, is never used again.

use super::Db;
use crate::error::{Error, chain};
use sqlx::error::DatabaseError;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The process's own clock for the age of connections.
static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);
/// Connections that were made before are not used any more; milliseconds of [`STARTED`].
static RETIRED_MILLIS: AtomicU64 = AtomicU64::new(0);

/// Lets every connection that exists now be replaced before its next use. A process has one database, so one mark for
/// all of its pools is enough.
pub(super) fn retire_connections() {
    RETIRED_MILLIS.fetch_max(millis(STARTED.elapsed()) + 1, Ordering::Relaxed);
}

/// Whether a connection of this age may be used.
pub(super) fn is_current(age: Duration) -> bool {
    let made_millis = millis(STARTED.elapsed().saturating_sub(age));
    made_millis >= RETIRED_MILLIS.load(Ordering::Relaxed)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Db {
    /// Whether Postgres answers and takes changes: a primary that was demoted reads only.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when it does not.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn check(&self) -> Result<(), Error> {
        let mut conn = self.conn().await?;
        let reads_only = sqlx::query_scalar!(
            r#"SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean AS "reads_only!""#
        )
        .fetch_one(&mut *conn)
        .await?;
        if reads_only {
            retire_connections();
            tracing::warn!("database only reads");
            return Err(Error::Unavailable { part: "database" });
        }
        Ok(())
    }
}

/// What a code of Postgres means (PostgreSQL documentation, appendix A).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// The connection, or the server behind it, is of no use any more.
    Lost,
    /// The statement was cancelled, which only its time limit does.
    Slow,
    /// The server has no room for us right now, or somebody holds a lock for too long.
    Busy,
    /// What a row names went away meanwhile.
    Vanished,
    /// A fault of ours.
    Fault,
}

fn meaning(code: &str) -> Meaning {
    match code {
        // A statement that took too long ends alone; its connection is fine.
        "57014" => Meaning::Slow,
        "55P03" => Meaning::Busy,
        "25006" => Meaning::Lost,
        "23503" => Meaning::Vanished,
        _ if code.starts_with("08") || code.starts_with("57") => Meaning::Lost,
        _ if code.starts_with("53") => Meaning::Busy,
        _ => Meaning::Fault,
    }
}

impl From<sqlx::Error> for Error {
    /// Postgres that cannot be reached, is shutting down, only reads or has no room is a 503; the rest is our fault.
    fn from(cause: sqlx::Error) -> Self {
        let code = cause.as_database_error().and_then(DatabaseError::code);
        let meaning = match &cause {
            sqlx::Error::Io(_) => Meaning::Lost,
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Tls(_) => Meaning::Busy,
            _ => code.as_deref().map_or(Meaning::Fault, meaning),
        };
        match meaning {
            Meaning::Lost | Meaning::Busy => {
                tracing::warn!(error = %chain(&cause), "database does not answer");
                if meaning == Meaning::Lost {
                    retire_connections();
                }
                Self::Unavailable { part: "database" }
            }
            Meaning::Slow => {
                tracing::warn!(error = %chain(&cause), "a statement took too long");
                Self::TooSlow
            }
            Meaning::Vanished => Self::NotFound,
            Meaning::Fault => Self::Internal(anyhow::Error::new(cause).context("database")),
        }
    }
}

impl Error {
    /// Whether Postgres ended a transaction in favour of another one.
    pub(super) fn is_lost_race(&self) -> bool {
        let code = self.of_statement().and_then(DatabaseError::code);
        code.is_some_and(|code| matches!(code.as_ref(), "40P01" | "40001"))
    }

    /// Whether Postgres refused a statement for what it says: nothing of it has happened.
    pub(super) fn is_of_statement(&self) -> bool {
        self.of_statement().is_some()
    }

    fn of_statement(&self) -> Option<&dyn DatabaseError> {
        let Self::Internal(cause) = self else { return None };
        cause.downcast_ref::<sqlx::Error>().and_then(sqlx::Error::as_database_error)
    }
}

#[cfg(test)]
mod tests {
    use super::{Meaning, is_current, meaning, retire_connections};
    use std::time::Duration;

    #[test]
    fn a_server_that_only_reads_or_ends_is_left() {
        let meanings = ["25006", "57P01", "08006", "55P03", "53300", "23503", "23505", "42P01"].map(meaning);
        let expected = [
            Meaning::Lost,
            Meaning::Lost,
            Meaning::Lost,
            Meaning::Busy,
            Meaning::Busy,
            Meaning::Vanished,
            Meaning::Fault,
            Meaning::Fault,
        ];
        assert_eq!(meanings, expected);
    }

    #[test]
    fn a_connection_from_before_is_not_used_again() {
        retire_connections();
        assert!(!is_current(Duration::from_secs(1)));
        std::thread::sleep(Duration::from_millis(3));
        assert!(is_current(Duration::ZERO));
    }
}
