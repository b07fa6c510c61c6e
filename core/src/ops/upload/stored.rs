//! What is stored of a session: its rows, and the bytes that they promise.

use crate::app::App;
use crate::db;
use crate::db::sessions::Session;
use crate::error::{Error, Result};
use crate::ids::UploadId;

/// The session as its rows say.
///
/// # Errors
/// [`Error::NotFound`].
#[tracing::instrument(level = "debug", skip_all)]
pub(super) async fn load(app: &App, id: UploadId) -> Result<Session> {
    db::sessions::get(&mut *app.db.conn().await?, id).await?.ok_or(Error::NotFound)
}

/// Bytes that were acknowledged are not there.
pub(super) fn lost(session: &Session) -> Error {
    if session.durable.offset().bytes() > 0 {
        tracing::error!(user.id = %session.user_id, upload.id = %session.id, "the bytes of an upload are gone from the volume");
    }
    Error::Gone
}
