//! Use cases: every decision that touches two of database, volume and media.
//! Order of truth: intent row, durable bytes, commit row, answer. No transaction spans file I/O or a child process.
//! Never knows HTTP, never holds SQL or a path of its own.

pub mod adopt;
pub mod browse;
mod content;
pub mod derivative;
pub mod janitor;
pub mod organize;
pub mod playback;
pub mod reconcile;
mod scan;
pub mod thumbnail;
pub mod trash;
pub mod upload;
pub mod user;
pub mod work;
