//! The thumbnail function as its own process.

use std::process::ExitCode;

fn main() -> ExitCode {
    jam_core::edge::run("jam-thumbnail", jam_thumbnail::routes())
}
