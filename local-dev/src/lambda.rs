//! `cargo lambda watch` with the service's functions, on the database and the volume of `up`.
//! Invariant: which path belongs to which function is what the contract says (docs/openapi.json, kept by `sync`).
//! Never needs AWS: cargo-lambda comes from PyPI into `.jam/cargo-lambda`.
#![expect(clippy::disallowed_methods, reason = "this module starts the emulator and reads the contract")]

use crate::contract::{Contract, programs};
use crate::layout::Layout;
use crate::postgres::run;
use crate::router::Upstream;
use crate::services::{Places, Service, open_log};
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;
use tokio::process::Command;

/// Seconds that the emulator waits for a function.
const TIMEOUT_SECONDS: &str = "300";

/// Starts the emulator, which starts a function when it is first asked for; answers it and its functions.
pub(crate) fn start(
    layout: &Layout,
    places: &Places,
    settings: &BTreeMap<&'static str, String>,
) -> Result<(Service, Vec<Upstream>)> {
    let installed =
        run(&mut std::process::Command::new(layout.root().join("local-dev/install-cargo-lambda")))
            .context("failed to install cargo-lambda")?;
    let program = PathBuf::from(String::from_utf8_lossy(&installed.stdout).trim()).join("cargo-lambda");
    let address = free_address()?;
    let log = places.logs.join("cargo-lambda.log");
    let output = open_log(&log)?;
    let mut command = Command::new(program);
    command.args(["lambda", "watch", "--disable-cors", "--timeout", TIMEOUT_SECONDS]);
    command.args([
        "--invoke-address",
        &address.ip().to_string(),
        "--invoke-port",
        &address.port().to_string(),
    ]);
    if !cfg!(debug_assertions) {
        // The functions are built in the mode of this program.
        command.arg("--release");
    }
    let child = command
        .current_dir(layout.root())
        .envs(settings)
        .env("JAM_LAMBDA_ANSWERS", "stream")
        // The emulator says that every client is this machine; the router in front of it knows better.
        .env("JAM_TRUSTED_PROXIES", "127.0.0.1")
        .stdin(Stdio::null())
        .stdout(output.try_clone().context("failed to share a log file")?)
        .stderr(output)
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .context("failed to start cargo lambda watch")?;
    let functions: Vec<Upstream> = programs().map(|name| Upstream::emulated(name, address)).collect();
    let first = functions.first().context("there is a first function")?.clone();
    Ok((Service::of_emulator(child, log, first), functions))
}

/// A port that nobody listens on; the emulator takes it a moment later.
fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("failed to find a port for the emulator")?;
    listener.local_addr().context("failed to read the emulator's address")
}

/// The contract of the whole service as it is in the tree.
pub(crate) fn contract(layout: &Layout) -> Result<Contract> {
    let path = layout.root().join("docs/openapi.json");
    let text =
        std::fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    Contract::parse(&text).with_context(|| format!("failed to read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::{contract, programs};
    use crate::layout::Layout;
    use crate::router::Upstream;
    use crate::routes::Routes;

    #[test]
    fn every_operation_of_the_contract_belongs_to_a_function_that_lambda_runs() {
        let contract = contract(&Layout::find(std::path::Path::new(".jam")).unwrap()).unwrap();
        let upstream = |name| Upstream::emulated(name, ([127, 0, 0, 1], 9).into());
        let routes = Routes::of_functions(programs().map(upstream).collect(), &contract).unwrap();
        let owner = |method: &str, path| routes.find(&method.parse().unwrap(), path).name();
        assert_eq!(owner("POST", "/api/files/upload"), "jam-upload");
        assert_eq!(owner("DELETE", "/api/files/7"), "jam-organize");
    }
}
