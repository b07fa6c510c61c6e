//! Work that keeps a thread busy, off the threads that serve requests.

use super::ffmpeg::DAMAGED;
use super::limits::MediaError;
use tokio::task::spawn_blocking;

/// Runs `work` to its end on a thread that may block. Nobody can stop it: a dropped future only stops waiting.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, MediaError> + Send + 'static,
) -> Result<T, MediaError> {
    spawn_blocking(work).await.unwrap_or_else(|error| {
        // A decoder that panics says something about the file, not about this process.
        Err(if error.is_panic() {
            MediaError::permanent(DAMAGED)
        } else {
            MediaError::temporary("the decoder stopped")
        })
    })
}
