//! Every function as one process. With `--print` it writes a generated document instead and exits.
#![expect(clippy::disallowed_macros, reason = "--print is a command line")]

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => jam_core::edge::run_with("jam-all", jam_all::routes(), jam_worker::background),
        ["--print", "openapi"] => match jam_all::openapi() {
            Ok(document) => print(&document),
            Err(error) => {
                eprintln!("the contract cannot be written: {error}");
                ExitCode::FAILURE
            }
        },
        ["--print", "errors"] => print(&jam_core::edge::catalogue()),
        ["--print", "configuration"] => print(&jam_core::config::configuration()),
        ["--print", "env-example"] => print(&jam_core::config::env_example()),
        _ => {
            eprintln!("usage: jam-all [--print openapi|errors|configuration|env-example]");
            ExitCode::from(2)
        }
    }
}

fn print(document: &str) -> ExitCode {
    print!("{document}");
    ExitCode::SUCCESS
}
