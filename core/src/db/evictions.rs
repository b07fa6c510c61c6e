//! Between processes: a process that wants an upload asks its writer to stop, and a notification makes the writer check
//! at once.
//! Invariant: the epoch in the row is what counts. A notification is a hint that may be lost, as behind a transaction
//! pooler; a writer that misses one checks within a second by itself.

use super::{ACQUIRE_TIMEOUT, Db};
use crate::error::Result;
use crate::ids::{UploadId, UserId};
use sqlx::PgConnection;
use sqlx::postgres::{PgListener, PgPoolOptions};

/// Where the hints are sent; the payload is the upload's id.
const CHANNEL: &str = "jam_upload_wanted";

/// Asks an upload's writer to stop, in whatever process it is: at its next check it finds that it is no longer the
/// latest one.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn ask(conn: &mut PgConnection, user: &UserId, id: UploadId) -> Result<()> {
    sqlx::query!(
        "WITH asked AS (
             UPDATE upload_sessions SET writer_epoch = writer_epoch + 1 WHERE user_id = $1 AND id = $2 RETURNING id)
         SELECT pg_notify($3, id::text) FROM asked",
        user.as_str(),
        id as UploadId,
        CHANNEL,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What other processes ask for, as they ask. Holds a connection of its own until it is dropped.
pub struct Evictions(PgListener);

impl Evictions {
    /// Begins to listen.
    ///
    /// # Errors
    /// When Postgres does not answer.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn listen(db: &Db) -> Result<Self> {
        // Not one of the pool's: it is held for as long as anybody writes.
        let options = PgPoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE_TIMEOUT);
        let own = options.max_lifetime(None).idle_timeout(None);
        let own = own.connect_lazy_with((*db.pool.connect_options()).clone());
        let mut listener = PgListener::connect_with(&own).await?;
        listener.listen(CHANNEL).await?;
        Ok(Self(listener))
    }

    /// The next upload that is wanted. `None` when the connection was lost and opened again: any may have been missed.
    ///
    /// # Errors
    /// When Postgres does not answer any more.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn next(&mut self) -> Result<Option<UploadId>> {
        loop {
            let Some(hint) = self.0.try_recv().await? else { return Ok(None) };
            if let Some(id) = UploadId::parse(hint.payload()) {
                return Ok(Some(id));
            }
        }
    }
}
