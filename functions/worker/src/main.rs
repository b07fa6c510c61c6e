//! The worker function as its own process.

use std::process::ExitCode;

fn main() -> ExitCode {
    jam_core::edge::run_with("jam-worker", jam_worker::routes(), Some(jam_worker::background))
}
