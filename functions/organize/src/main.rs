//! The organize function as its own process.

use std::process::ExitCode;

fn main() -> ExitCode {
    jam_core::edge::run("jam-organize", jam_organize::routes())
}
