//! The upload function as its own process.

use std::process::ExitCode;

fn main() -> ExitCode {
    jam_core::edge::run("jam-upload", jam_upload::routes())
}
