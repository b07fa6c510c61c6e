//! Who in this process is writing to which upload, so that a newer request can ask an older one to stop.
//! Only a shortcut: what keeps two writers apart is the lock on the staging file.

use crate::ids::UploadId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// The writers of a process.
#[derive(Debug, Default)]
pub struct Writers(Arc<Mutex<Open>>);

#[derive(Debug, Default)]
struct Open {
    by_upload: HashMap<UploadId, (u64, CancellationToken)>,
    entered: u64,
}

/// A writer's entry, removed when dropped.
#[derive(Debug)]
pub struct Writing {
    open: Arc<Mutex<Open>>,
    id: UploadId,
    number: u64,
    /// Cancelled when the writer is to stop.
    pub stop: CancellationToken,
}

impl Writers {
    /// Enters a writer, who holds the upload's lock.
    #[must_use]
    pub fn enter(&self, id: UploadId) -> Writing {
        let stop = CancellationToken::new();
        let mut open = lock(&self.0);
        open.entered += 1;
        let number = open.entered;
        open.by_upload.insert(id, (number, stop.clone()));
        Writing { open: Arc::clone(&self.0), id, number, stop }
    }

    /// Asks an upload's writer to stop, if this process has one.
    pub fn evict(&self, id: UploadId) {
        if let Some((_, stop)) = lock(&self.0).by_upload.get(&id) {
            stop.cancel();
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let mut open = lock(&self.open);
        if open.by_upload.get(&self.id).is_some_and(|(number, _)| *number == self.number) {
            open.by_upload.remove(&self.id);
        }
    }
}

fn lock(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}
