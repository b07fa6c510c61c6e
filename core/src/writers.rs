//! The writers of this process by upload, so that a newer request can ask an older one to stop.
//! Only a shortcut: the lock on the staging file keeps two writers apart, and the epoch stops the older one.

use crate::ids::UploadId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The writers of a process.
#[derive(Debug, Default)]
pub struct Writers(Arc<Mutex<Open>>);

#[derive(Debug, Default)]
struct Open {
    by_upload: HashMap<UploadId, Entry>,
    entered: u64,
    /// Whether a listener runs, which receives the uploads that other processes want.
    has_listener: bool,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    stop: CancellationToken,
    look: Arc<Notify>,
}

/// A writer's entry, removed when dropped.
#[derive(Debug)]
pub struct Writing {
    open: Arc<Mutex<Open>>,
    id: UploadId,
    number: u64,
    /// Cancelled when the writer is to stop.
    pub stop: CancellationToken,
    /// Notified when the writer should check whether it is still the latest one.
    pub look: Arc<Notify>,
}

impl Writers {
    /// Registers a writer. The caller holds the upload's lock.
    #[must_use]
    pub fn enter(&self, id: UploadId) -> Writing {
        let (stop, look) = (CancellationToken::new(), Arc::new(Notify::new()));
        let mut open = lock(&self.0);
        open.entered += 1;
        let number = open.entered;
        open.by_upload.insert(id, Entry { number, stop: stop.clone(), look: Arc::clone(&look) });
        Writing { open: Arc::clone(&self.0), id, number, stop, look }
    }

    /// Asks an upload's writer to stop. `false` when this process has none.
    pub fn evict(&self, id: UploadId) -> bool {
        let open = lock(&self.0);
        let writer = open.by_upload.get(&id);
        writer.inspect(|writer| writer.stop.cancel()).is_some()
    }

    /// Makes an upload's writer check whether it is still the latest one, if this process has one.
    pub fn hint(&self, id: UploadId) {
        if let Some(writer) = lock(&self.0).by_upload.get(&id) {
            writer.look.notify_one();
        }
    }

    /// The same for every writer.
    pub fn hint_all(&self) {
        lock(&self.0).by_upload.values().for_each(|writer| writer.look.notify_one());
    }

    /// Whether the caller has to start a listener, because none runs yet.
    #[must_use]
    pub fn begin_listening(&self) -> bool {
        !std::mem::replace(&mut lock(&self.0).has_listener, true)
    }

    /// Whether the listener may end, because nobody writes. The next writer starts another.
    #[must_use]
    pub fn end_listening(&self) -> bool {
        let mut open = lock(&self.0);
        open.has_listener = !open.by_upload.is_empty();
        !open.has_listener
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let mut open = lock(&self.open);
        if open.by_upload.get(&self.id).is_some_and(|writer| writer.number == self.number) {
            open.by_upload.remove(&self.id);
        }
    }
}

fn lock(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::Writers;
    use crate::ids::UploadId;

    #[test]
    fn one_listener_runs_as_long_as_there_are_writers() {
        let writers = Writers::default();
        let first = writers.enter(UploadId::new());
        assert!(writers.begin_listening());
        let second = writers.enter(UploadId::new());
        assert!(!writers.begin_listening(), "one listener for all");
        drop(first);
        assert!(!writers.end_listening(), "the second still writes");
        drop(second);
        assert!(writers.end_listening());
        assert!(writers.begin_listening(), "the next writer starts another");
    }
}
