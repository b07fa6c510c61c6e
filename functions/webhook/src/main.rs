//! The webhook function as its own process.

use std::process::ExitCode;

fn main() -> ExitCode {
    jam_core::edge::run("jam-webhook", jam_webhook::routes())
}
