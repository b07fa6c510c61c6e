//! The current time. Everything that reads a clock in Rust reads this one, so that tests can move it.
//! Rows expire by SQL `now()`; that clock is Postgres' own and is not moved.
#![expect(clippy::disallowed_methods, reason = "this module owns the clock")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use time::{Duration, OffsetDateTime};

/// Where the time comes from.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// The machine's clock plus an offset that a test moves, in seconds.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that starts at the machine's time and can be moved by [`Clock::advance`].
    #[must_use]
    pub fn manual() -> Self {
        Self::Manual(Arc::new(AtomicI64::new(0)))
    }

    /// The time now, in UTC.
    #[must_use]
    pub fn now(&self) -> OffsetDateTime {
        match self {
            Self::System => OffsetDateTime::now_utc(),
            Self::Manual(offset) => {
                OffsetDateTime::now_utc() + Duration::seconds(offset.load(Ordering::Relaxed))
            }
        }
    }

    /// Seconds since 1970-01-01T00:00:00Z, as tokens and signed URLs count them.
    #[must_use]
    pub fn unix_seconds(&self) -> i64 {
        self.now().unix_timestamp()
    }

    /// Moves a manual clock; the system clock stays where it is.
    pub fn advance(&self, by: Duration) {
        if let Self::Manual(offset) = self {
            offset.fetch_add(by.whole_seconds(), Ordering::Relaxed);
        }
    }
}
