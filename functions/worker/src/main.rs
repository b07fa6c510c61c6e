//! The worker function as its own process.

use std::process::ExitCode;

fn main() -> ExitCode {
    let routes = jam_worker::routes();
    jam_core::edge::run_scheduled("jam-worker", routes, jam_worker::background, jam_worker::scheduled)
}
