//! Bytes in their store. [`Blobs`] is the contract; the volume is a store, and owns every path under the storage root.
//! Invariant: what `publish` and `put` returned for is complete and survives a power cut.
//! Never knows a user, a quota or a database row.
#![expect(clippy::disallowed_methods, reason = "this module owns the volume")]

#[cfg(feature = "crash-points")]
mod faulty;
mod store;
#[cfg(test)]
mod suite;
mod volume;

#[cfg(feature = "crash-points")]
pub use faulty::{Failure, Faults, Faulty};
pub use store::{Blobs, Lock, Locked, Recovered, Writer};
pub use volume::{
    Adopted, ByteStream, Draft, Entry, Head, Listing, Look, Place, Source, Space, Staged, Stat, Volume,
};
