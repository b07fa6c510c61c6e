//! The quota function as its own process.

use std::process::ExitCode;

fn main() -> ExitCode {
    jam_core::edge::run("jam-quota", jam_quota::routes())
}
