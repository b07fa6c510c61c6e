//! Why an upload is refused for what its user has. Never decides whether it is.

use crate::app::App;
use crate::db;
use crate::error::{Error, Result};
use crate::ids::UserId;
use crate::model::Usage;
use sqlx::PgConnection;

/// Why an upload of this user cannot grow.
#[tracing::instrument(level = "debug", skip_all)]
pub(super) async fn quota_exceeded(app: &App, user: &UserId) -> Result<Error> {
    let usage = db::storage::get(&mut *app.db.conn().await?, user).await?;
    Ok(usage.as_ref().map_or(Error::NotFound, over_quota))
}

/// Why an upload of this user cannot be reserved. The caller holds their row.
#[tracing::instrument(level = "debug", skip_all)]
pub(super) async fn no_room(app: &App, conn: &mut PgConnection, user: &UserId) -> Result<Error> {
    let Some(usage) = db::storage::get(conn, user).await? else { return Ok(Error::NotFound) };
    let open = db::uploads::count_files(conn, user).await?;
    Ok(over_file_limit(app, &usage, open).unwrap_or_else(|| over_quota(&usage)))
}

/// With `open` uploads that become files as well.
pub(super) fn over_file_limit(app: &App, usage: &Usage, open: i64) -> Option<Error> {
    let max_files = app.config.limits.max_files_per_user;
    let file_count = usage.file_count + usage.trash_count + open;
    (file_count >= max_files).then_some(Error::TooManyStoredFiles { file_count, max_files })
}

pub(super) fn over_quota(usage: &Usage) -> Error {
    Error::QuotaExceeded {
        total_bytes: usage.total_bytes,
        reserved_bytes: usage.reserved_bytes,
        max_bytes: usage.max_bytes,
    }
}
