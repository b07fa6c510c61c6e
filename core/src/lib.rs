//! The core of Jam Storage: everything that is true without knowing which endpoint is calling.
//! Directions: `ids, model, error, clock, config` <- `db | blob | media | auth` <- `app` <- `ops` <- `edge`.

pub mod app;
pub mod auth;
pub mod blob;
pub mod clock;
pub mod config;
pub mod crash;
pub mod db;
pub mod edge;
pub mod error;
pub mod ids;
pub mod media;
pub mod model;
pub mod ops;
pub mod rates;
mod scanner;
pub mod upkeep;
pub mod writers;

pub use error::{Error, Result};

/// Returns the large buffers of uploads and downloads to the system; glibc's allocator keeps them or maps one for each.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
