//! Who may read a file: its owner, and an administrator, whose look at somebody's file is written down.
//! Never lets anybody change a file: that is its owner's alone.

use super::extract::PathFile;
use crate::app::App;
use crate::auth::Caller;
use crate::db;
use crate::error::Result;
use crate::ids::{FileId, UserId};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;

/// The file of a path that the caller may read. It may not exist, which the rows of its owner tell.
#[derive(Debug, Clone)]
pub struct ReadableFile {
    /// Whose it is: the caller's, unless an administrator asks for another's.
    pub owner: UserId,
    /// The file.
    pub id: FileId,
}

impl FromRequestParts<App> for ReadableFile {
    type Rejection = crate::Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let caller = Caller::from_request_parts(parts, app).await?;
        let PathFile(id) = PathFile::from_request_parts(parts, app).await?;
        if caller.require_admin().is_err() {
            return Ok(Self { owner: caller.user, id });
        }
        let found = db::files::owner(&mut *app.db.conn().await?, id, &caller.user).await?;
        let owner = found.unwrap_or_else(|| caller.user.clone());
        if owner != caller.user {
            tracing::info!(admin = %caller.user, session = %caller.session, user.id = %owner, file.id = %id,
                method = %parts.method, path = parts.uri.path(), "an administrator reads a user's file");
        }
        Ok(Self { owner, id })
    }
}
