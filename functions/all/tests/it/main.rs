//! What the service promises, seen from outside: requests over real sockets, Postgres and a volume of its own for every
//! test. One file a topic; `app` starts the service and checks at the end of each test that nothing was left behind.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod admin;
mod app;
mod audio;
mod auth;
mod batch;
mod bodies;
mod clients;
mod contract;
mod crash_points;
mod disks;
mod download;
mod events;
mod explain;
mod fairness;
mod faults;
mod forms;
mod free_storage;
mod hostile;
mod instances;
mod isolation;
mod kill;
mod ledger;
mod limits;
mod list;
mod live_front_end;
mod nginx;
mod organize;
mod playback;
mod processes;
mod quota;
mod resumable;
mod resumable_crashes;
mod resumable_faults;
mod resumable_limits;
mod resumable_model;
mod resumable_protocol;
mod running;
mod slow;
mod sockets;
mod thumbnail;
mod upload;
mod urls;
mod webhooks;
mod worker;
