//! What the janitor of this process found out about its own surroundings, for `/health` and the metrics.
//! Never decides anything.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

/// See the module.
#[derive(Debug, Default)]
pub struct Upkeep {
    clock_skew_seconds: AtomicI64,
    is_clock_wrong: AtomicBool,
    files_waiting: AtomicU64,
}

impl Upkeep {
    /// How far this machine's clock is before the database's, in seconds, and whether that is too far.
    pub fn set_clock(&self, skew_seconds: i64, is_wrong: bool) {
        self.clock_skew_seconds.store(skew_seconds, Ordering::Relaxed);
        self.is_clock_wrong.store(is_wrong, Ordering::Relaxed);
    }

    /// How many files of the trash are due and wait for an operator's word.
    pub fn set_files_waiting(&self, files: u64) {
        self.files_waiting.store(files, Ordering::Relaxed);
    }

    /// How far this machine's clock was before the database's in the last pass, in seconds.
    #[must_use]
    pub fn clock_skew_seconds(&self) -> i64 {
        self.clock_skew_seconds.load(Ordering::Relaxed)
    }

    /// Whether the last pass did nothing because of the clock.
    #[must_use]
    pub fn is_clock_wrong(&self) -> bool {
        self.is_clock_wrong.load(Ordering::Relaxed)
    }

    /// Files of the trash that were due in the last pass and wait for an operator's word.
    #[must_use]
    pub fn files_waiting(&self) -> u64 {
        self.files_waiting.load(Ordering::Relaxed)
    }
}
