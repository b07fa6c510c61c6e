//! Every function as one process. `jam-all --openapi` prints the contract and exits.
#![expect(clippy::disallowed_macros, reason = "--openapi prints the contract")]

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("--openapi") {
        return match jam_all::openapi() {
            Ok(document) => {
                print!("{document}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("the contract cannot be written: {error}");
                ExitCode::FAILURE
            }
        };
    }
    jam_core::edge::run_with("jam-all", jam_all::routes(), Some(jam_worker::background))
}
