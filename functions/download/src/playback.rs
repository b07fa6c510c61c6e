//! The video that was made of a file for browsers.

use axum::http::{HeaderMap, Method};
use axum::response::Response;
use jam_core::app::App;
use jam_core::edge::{BlobResponse, Validators, disposition};
use jam_core::ids::{ContentId, FileId, UserId};
use jam_core::model::{BlobKey, ByteSize, DerivativeState, FileName, UrlEpochs};
use jam_core::ops;
use jam_core::{Error, Result};
use time::OffsetDateTime;

/// A video on the volume.
pub(crate) struct Playback {
    owner: UserId,
    content: ContentId,
    key: BlobKey,
    size: ByteSize,
    made_at: OffsetDateTime,
    /// Epochs that a signed URL must carry.
    pub(crate) url_epochs: UrlEpochs,
}

impl Playback {
    /// The video of a file outside the trash, once it is made.
    pub(crate) async fn find(app: &App, user: &UserId, id: FileId) -> Result<Self> {
        let found = ops::playback::find(app, user, id).await?;
        let found = found.filter(|found| !found.is_trashed).ok_or(Error::NotFound)?;
        match (found.state, found.path, found.size, found.updated_at) {
            (Some(DerivativeState::Ready), Some(path), Some(size), Some(made_at)) => {
                let (owner, content, url_epochs) = (user.clone(), found.content, found.url_epochs);
                Ok(Self { owner, content, key: BlobKey::parse(&path)?, size, made_at, url_epochs })
            }
            _ => Err(Error::NotFound),
        }
    }

    pub(crate) async fn send(
        self,
        app: &App,
        cache_control: String,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Response> {
        // No two videos have the same name.
        let name = self.key.as_str().rsplit('/').next().unwrap_or_default();
        let response = BlobResponse {
            validators: Validators { etag: format!("\"{name}\""), last_modified: self.made_at },
            key: self.key.clone(),
            size: self.size,
            mime_type: ops::playback::MIME_TYPE.to_owned(),
            disposition: disposition::inline(&FileName::sanitize("playback.mp4")),
            cache_control,
        };
        let sent = response.send(app, method, headers).await;
        if let Err(Error::Internal(_)) = &sent {
            // The next request finds it being made, and the original meanwhile.
            ops::derivative::renew_if_lost(app, &self.owner, self.content, (&self.key, self.size)).await?;
        }
        sent
    }
}
