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
pub mod upkeep;
pub mod writers;

pub use error::{Error, Result};

/// Gives the large buffers of uploads and downloads back, which glibc's allocator keeps or maps anew for each.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
