//! The order of locks: the user's row in the ledger first, then files, then what is made from them, then jobs.
//! Invariant: every statement that changes files or derivatives takes a [`Ledger`], and the only way to one locks the
//! user's row before anything else. So two transactions about one user come one after the other and never wait for each
//! other in a circle.

use super::{Db, storage};
use crate::error::{Error, Result, chain};
use crate::ids::UserId;
use crate::model::ByteSize;
use sqlx::{PgConnection, Postgres, Transaction};
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

/// A transaction that holds a user's row in the ledger; rolled back unless committed. Holds SQL only, like every
/// transaction. A user without a row has no files, so there is nothing to hold.
#[derive(Debug)]
pub struct Ledger {
    tx: Transaction<'static, Postgres>,
    user: UserId,
    has_row: bool,
}

impl Db {
    /// A transaction about what one user has: their row is locked on return.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`] when no connection is free, or the row is not, in time.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn ledger(&self, user: &UserId) -> Result<Ledger> {
        let mut tx = self.begin().await?;
        let has_row = storage::lock(&mut tx, user).await?;
        Ok(Ledger { tx, user: user.clone(), has_row })
    }
}

impl Ledger {
    /// Whose row it is.
    #[must_use]
    pub const fn user(&self) -> &UserId {
        &self.user
    }

    /// Whether the user has a row.
    #[must_use]
    pub const fn has_row(&self) -> bool {
        self.has_row
    }

    /// Makes the user's row if there is none, and holds it.
    ///
    /// # Errors
    /// When Postgres does not answer.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn ensure(&mut self, max: ByteSize) -> Result<()> {
        if !self.has_row {
            storage::ensure(&mut self.tx, &self.user, max).await?;
            self.has_row = storage::lock(&mut self.tx, &self.user).await?;
        }
        Ok(())
    }

    /// Ends the transaction and keeps what it did.
    ///
    /// # Errors
    /// When Postgres does not answer: whether it was kept is then unknown.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn commit(self) -> Result<()> {
        Ok(self.tx.commit().await?)
    }
}

impl Deref for Ledger {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.tx
    }
}

impl DerefMut for Ledger {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}

/// How often a transaction is tried that loses against others.
const ATTEMPTS: u32 = 4;
/// Longest pause before the first further attempt; twice as long before each one after it.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Longer than every limit of the server's own, so that only one that stands still meets it.
const STANDSTILL: Duration = Duration::from_secs(60);

/// Runs a transaction, and a few times more while Postgres ends it in favour of others (a deadlock, or a serialization
/// failure): nothing of it has happened then. An older release beside this one may still lock in another order. Only for
/// transactions that hold nothing but SQL.
///
/// # Errors
/// What the last attempt ends with; [`Error::Unavailable`] when it lost each time.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn retrying<T, F>(attempt: impl Fn() -> F + Send) -> Result<T>
where
    F: Future<Output = Result<T>> + Send,
{
    let mut pause = FIRST_PAUSE;
    let mut attempts = 0;
    loop {
        attempts += 1;
        match within(attempt()).await {
            Err(error) if error.is_lost_race() && attempts < ATTEMPTS => {
                tracing::debug!("a transaction lost against another one and is tried again");
                // Two that met must not meet again.
                let part = f64::from(uuid::Uuid::new_v4().as_bytes()[0]) / 256.0;
                tokio::time::sleep(pause.mul_f64(part)).await;
                pause *= 2;
            }
            Err(error) if error.is_lost_race() => {
                tracing::warn!(error = %chain(&error), "a transaction lost against others each time");
                return Err(Error::Unavailable { part: "database" });
            }
            ended => return ended,
        }
    }
}

/// Statements, ended when Postgres stands still: nobody else ends those of the worker.
///
/// # Errors
/// What they end with; [`Error::Unavailable`] when Postgres does not answer within a minute.
pub fn within<'a, T: 'a>(
    statements: impl Future<Output = Result<T>> + Send + 'a,
) -> impl Future<Output = Result<T>> + Send + 'a {
    // On the heap: whoever waits for it would carry its size a second time.
    let statements = Box::pin(statements);
    async move {
        match tokio::time::timeout(STANDSTILL, statements).await {
            Ok(ended) => ended,
            Err(_) => Err(Error::Unavailable { part: "database" }),
        }
    }
}
