//! The worker function as its own process.

use std::process::ExitCode;

fn main() -> ExitCode {
    jam_core::edge::run("jam-worker", jam_worker::routes())
}
