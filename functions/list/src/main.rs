//! The list function as its own process.

use std::process::ExitCode;

fn main() -> ExitCode {
    jam_core::edge::run("jam-list", jam_list::routes())
}
