//! The generated files: `.sqlx` (what PostgreSQL says about each query), `migrations/schema.sql`, `.env.example`,
//! `docs/{openapi.json,errors.md,configuration.md}`, the client's types, and the contract's routes in nginx's configuration,
//! the AWS template, Prometheus's configuration and README's table.
//! Invariant: each is a function of the tree alone, so that CI can compare what is committed with what is generated.
//! Never runs against a database that keeps data.
#![expect(clippy::disallowed_methods, reason = "this module writes the generated files, with cargo's help")]

use crate::contract::Contract;
use crate::layout::Layout;
use crate::output::say;
use crate::postgres::{Cluster, Purpose, Started, run};
use crate::{nginx, route_lists};
use anyhow::{Context as _, Result, bail, ensure};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// The scratch database that the migrations are applied to.
const DATABASE: &str = "jam_sync";

/// Where the client's types are.
const CLIENT_TYPES: &str = "client/sdk/src/openapi.ts";

/// Writes the contract's routes into a file that people wrote.
type Renewal = fn(&str, &Contract) -> Result<String>;

/// Generated files by their path from the repository's root.
type Generated = BTreeMap<PathBuf, Vec<u8>>;

/// Writes the generated files, or with `check` only compares them.
///
/// # Errors
/// With `check`: names the files that are out of date.
pub(crate) fn sync(layout: &Layout, check: bool) -> Result<()> {
    let cluster = Cluster::open(layout, Purpose::Test)?;
    let started = cluster.start()?;
    let generated = generate(layout, &cluster);
    if started == Started::Now {
        cluster.stop()?;
    }
    let generated = generated?;
    let stale = stale_files(layout.root(), &generated)?;
    if stale.is_empty() {
        say("The generated files are up to date.");
        return Ok(());
    }
    let names: Vec<_> = stale.keys().map(|path| path.display().to_string()).collect();
    if check {
        bail!("out of date, run `cargo dev sync`:\n{}", names.join("\n"));
    }
    for (path, content) in &stale {
        let path = layout.root().join(path);
        match content {
            Some(content) => write(&path, content)?,
            None => fs::remove_file(&path).with_context(|| format!("failed to remove {}", path.display()))?,
        }
    }
    say(format!("Written:\n{}", names.join("\n")));
    Ok(())
}

fn generate(layout: &Layout, cluster: &Cluster) -> Result<Generated> {
    cluster.recreate_database(DATABASE)?;
    apply_migrations(layout.root(), cluster)?;
    let mut generated = record_queries(layout, cluster)?;
    generated.insert("migrations/schema.sql".into(), dump_schema(cluster)?);
    let service = build_service(layout.root(), cluster)?;
    generated.insert(".env.example".into(), printed(&service, "env-example")?);
    generated.insert("docs/configuration.md".into(), printed(&service, "configuration")?);
    generated.insert("docs/errors.md".into(), printed(&service, "errors")?);
    let document = printed(&service, "openapi")?;
    let contract = Contract::parse(std::str::from_utf8(&document).context("the contract is not UTF-8")?)?;
    generated.insert("infra/hetzner/nginx/routes.conf".into(), nginx::routes(&contract).into_bytes());
    let within: [(&str, Renewal); 3] = [
        ("README.md", route_lists::in_readme),
        ("infra/aws/template.yaml", route_lists::in_template),
        ("infra/monitoring/prometheus.yml", route_lists::in_scrape_config),
    ];
    for (path, renew) in within {
        let text =
            fs::read_to_string(layout.root().join(path)).with_context(|| format!("failed to read {path}"))?;
        generated.insert(path.into(), renew(&text, &contract)?.into_bytes());
    }
    if let Some(types) = client_types(layout, &document)? {
        generated.insert(CLIENT_TYPES.into(), types);
    }
    generated.insert("docs/openapi.json".into(), document);
    Ok(generated)
}

/// The client's types, by the generator among the client's own packages. `None` while those are not installed.
fn client_types(layout: &Layout, contract: &[u8]) -> Result<Option<Vec<u8>>> {
    let generator = layout.root().join("client/node_modules/.bin/openapi-typescript");
    if !generator.exists() {
        say(format!("{CLIENT_TYPES} is left as it is: run npm ci in client first."));
        return Ok(None);
    }
    let [document, types] = ["sync-openapi.json", "sync-openapi.ts"].map(|name| layout.state(name));
    write(&document, contract)?;
    let mut command = Command::new(generator);
    command.arg(&document).args(["--empty-objects-unknown", "--output"]).arg(&types);
    run(&mut command)?;
    fs::read(&types).map(Some).context("failed to read the client's types")
}

/// By psql and not by the service, which does not build while `.sqlx` is out of date.
fn apply_migrations(root: &Path, cluster: &Cluster) -> Result<()> {
    for path in files_in(&root.join("migrations"), "sql")? {
        let name = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
        if !name.starts_with(|first: char| first.is_ascii_digit()) {
            continue;
        }
        let sql = fs::read_to_string(&path).with_context(|| format!("failed to read {name}"))?;
        let mut psql = cluster.program("psql");
        psql.args(["-Xq", "-v", "ON_ERROR_STOP=1", "-d", &cluster.url(DATABASE), "-f"]).arg(&path);
        if !sql.starts_with("-- no-transaction") {
            psql.arg("--single-transaction");
        }
        run(&mut psql).with_context(|| format!("failed to apply {name}"))?;
    }
    Ok(())
}

/// Checks the workspace against the database; sqlx's macros then write down what it answers about each query.
fn record_queries(layout: &Layout, cluster: &Cluster) -> Result<Generated> {
    let recorded = layout.state("sqlx-recorded");
    if recorded.exists() {
        fs::remove_dir_all(&recorded).context("failed to remove old records")?;
    }
    fs::create_dir_all(&recorded).context("failed to make room for new records")?;
    // All SQL is in jam-core. Cargo expands its macros again only if a file of it looks newer; afterwards the
    // old time is put back, so that nothing else is rebuilt.
    let library = File::options().write(true).open(layout.root().join("core/src/lib.rs"));
    let library = library.context("failed to open core/src/lib.rs")?;
    let modified =
        library.metadata().and_then(|found| found.modified()).context("failed to read its time")?;
    library.set_modified(SystemTime::now()).context("failed to touch core/src/lib.rs")?;
    let mut check = cargo(layout.root(), cluster);
    // The features of local-dev/test, so that both share what is built.
    check.args(["check", "--workspace", "--features", "jam-admin/aws", "--all-targets"]);
    check.env("SQLX_OFFLINE_DIR", &recorded);
    let status = check.status().context("failed to start cargo")?;
    library.set_modified(modified).context("failed to put the time of core/src/lib.rs back")?;
    ensure!(status.success(), "cargo check failed");
    let mut generated = Generated::new();
    for path in files_in(&recorded, "json")? {
        let content = fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?;
        generated.insert(Path::new(".sqlx").join(path.file_name().unwrap_or_default()), content);
    }
    Ok(generated)
}

fn dump_schema(cluster: &Cluster) -> Result<Vec<u8>> {
    let mut dump = cluster.program("pg_dump");
    let output = run(dump.args(["--schema-only", "--no-owner", "--no-privileges", &cluster.url(DATABASE)]))?;
    let text = String::from_utf8(output.stdout).context("the schema is not UTF-8")?;
    Ok(format!(
        "-- Generated by `cargo dev sync`: what the migrations add up to.\n\n{}\n",
        schema_proper(&text)
    )
    .into_bytes())
}

/// pg_dump's text without its preamble and end, which differ from version to version and from run to run.
fn schema_proper(dump: &str) -> &str {
    let start = dump.find("--\n-- Name: ").unwrap_or(0);
    let end = dump.find("--\n-- PostgreSQL database dump complete").unwrap_or(dump.len());
    dump.get(start..end).unwrap_or_default().trim_end()
}

/// Builds the service, as local-dev/test does: with other features, all dependencies would be compiled once more.
fn build_service(root: &Path, cluster: &Cluster) -> Result<PathBuf> {
    let status = cargo(root, cluster)
        .args(["build", "--quiet", "--workspace", "--features", "jam-admin/aws", "--all-targets"])
        .status()
        .context("failed to start cargo")?;
    ensure!(status.success(), "cargo build failed");
    let program = std::env::current_exe().context("failed to find this program")?;
    Ok(program.with_file_name("jam-all"))
}

/// A document that the service knows by itself.
fn printed(service: &Path, document: &str) -> Result<Vec<u8>> {
    Ok(run(Command::new(service).args(["--print", document]))?.stdout)
}

/// Cargo, with sqlx's macros asking the database instead of `.sqlx`.
fn cargo(root: &Path, cluster: &Cluster) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root).env("SQLX_OFFLINE", "false").env("DATABASE_URL", cluster.url(DATABASE));
    // `cargo run` sets them for this program; ring's build script would run again, and all that depends on ring with it.
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_this_program(name)) {
        cargo.env_remove(name);
    }
    cargo
}

fn is_of_this_program(name: &OsStr) -> bool {
    ["CARGO_MANIFEST_", "CARGO_PKG_"]
        .iter()
        .any(|prefix| name.as_encoded_bytes().starts_with(prefix.as_bytes()))
}

/// What differs from the tree: the new content, or `None` for a file that must go.
fn stale_files<'a>(root: &Path, generated: &'a Generated) -> Result<BTreeMap<PathBuf, Option<&'a [u8]>>> {
    let mut stale = BTreeMap::new();
    for (path, content) in generated {
        if fs::read(root.join(path)).ok().as_ref() != Some(content) {
            stale.insert(path.clone(), Some(content.as_slice()));
        }
    }
    for found in files_in(&root.join(".sqlx"), "json")? {
        let path = Path::new(".sqlx").join(found.file_name().unwrap_or_default());
        if !generated.contains_key(&path) {
            stale.insert(path, None);
        }
    }
    Ok(stale)
}

/// A directory's files of one kind, in order of their names; none if it does not exist.
fn files_in(directory: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    if !directory.exists() {
        return Ok(Vec::new());
    }
    let entries =
        fs::read_dir(directory).with_context(|| format!("failed to list {}", directory.display()))?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>();
    let mut paths = paths.with_context(|| format!("failed to list {}", directory.display()))?;
    paths.retain(|path| path.extension() == Some(OsStr::new(extension)));
    paths.sort();
    Ok(paths)
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| format!("failed to make {}", parent.display()))?;
    }
    fs::write(path, content).with_context(|| format!("failed to write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::schema_proper;

    #[test]
    fn what_varies_between_dumps_is_not_part_of_the_schema() {
        let dump = "--\n-- PostgreSQL database dump\n--\n\n\\restrict x\n\nSET a = 0;\n\n--\n-- Name: t; Type: TABLE\n--\n\nCREATE TABLE t ();\n\n\n--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict x\n";
        assert_eq!(schema_proper(dump), "--\n-- Name: t; Type: TABLE\n--\n\nCREATE TABLE t ();");
    }
}
