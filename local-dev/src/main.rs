//! `cargo dev`: the developer's verbs.
//! Invariant: every verb works on the checkout that the working directory is in.
//! Never part of the service: it starts the service's binaries and talks to them as anybody would.

mod contract;
mod dashboard;
mod issuer;
mod lambda;
mod layout;
mod nginx;
mod output;
mod own_pages;
mod postgres;
mod route_lists;
mod router;
mod routes;
mod samples;
mod seed;
mod services;
mod sync;
mod system;
mod token;
mod up;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use layout::Layout;
use output::say;
use postgres::{Cluster, Purpose, Started};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::ExitCode;
use token::{SigningKey, TokenRequest};

/// The developer's tool of Jam Storage.
#[derive(Parser)]
#[command(name = "cargo dev", bin_name = "cargo dev", arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
    /// Where to keep files, from the checkout's root: another directory is another installation
    #[arg(long, global = true, value_name = "DIRECTORY", default_value = ".jam")]
    state: PathBuf,
}

#[derive(Subcommand)]
enum Verb {
    /// Run the service with its own PostgreSQL, token issuer and router (./local-dev/up builds it first)
    Up(up::Options),
    /// The same as `up --functions lambda`: the functions under `cargo lambda watch`
    Lambda,
    /// Stop what runs of this checkout: `up` and both PostgreSQL clusters
    Down,
    /// Run every check that CI runs (the same as ./local-dev/test)
    Test,
    /// Fill a user's storage with sample media, while `up` runs
    Seed {
        /// The user's id
        #[arg(default_value = "user_local")]
        user: String,
    },
    /// Print a session token of the local issuer
    Token(TokenRequest),
    /// Regenerate .sqlx, migrations/schema.sql and .env.example
    Sync {
        /// Only compare, and fail when a file is out of date
        #[arg(long)]
        check: bool,
    },
    /// Open psql on the database of `up`
    Psql,
    /// Start the test PostgreSQL and print its DATABASE_URL
    Db {
        #[command(subcommand)]
        verb: Option<DbVerb>,
    },
}

#[derive(Subcommand)]
enum DbVerb {
    /// Stop the test PostgreSQL
    Stop,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(Arguments { verb, state }: Arguments) -> Result<()> {
    let layout = Layout::find(&state)?;
    system::make_shared_directory(&layout.state(""))?;
    match verb {
        Verb::Up(options) => up::up(&layout, &options),
        Verb::Lambda => up::up(&layout, &up::Options::lambda()),
        Verb::Down => up::down(&layout),
        Verb::Test => test(&layout),
        Verb::Seed { user } => {
            let url = up::running_url(&layout)?;
            let request = TokenRequest { user, admin: false, ttl: 600, azp: None };
            let count = seed::ask(&url, &SigningKey::load_or_make(&layout)?.sign(&request)?)?;
            say(format!("{count} files of sample media are in the storage of {}: {url}", request.user));
            Ok(())
        }
        Verb::Token(request) => {
            say(SigningKey::load_or_make(&layout)?.sign(&request)?);
            Ok(())
        }
        Verb::Sync { check } => sync::sync(&layout, check),
        Verb::Psql => psql(&layout),
        Verb::Db { verb: Some(DbVerb::Stop) } => Cluster::open(&layout, Purpose::Test)?.stop(),
        Verb::Db { verb: None } => {
            let cluster = Cluster::open(&layout, Purpose::Test)?;
            cluster.start()?;
            cluster.create_database("jam")?;
            say(cluster.url("jam"));
            Ok(())
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "hands over to the script of the same name")]
fn test(layout: &Layout) -> Result<()> {
    let script = layout.root().join("local-dev/test");
    let error = std::process::Command::new(&script).exec();
    Err(error).with_context(|| format!("failed to run {}", script.display()))
}

fn psql(layout: &Layout) -> Result<()> {
    let cluster = Cluster::open(layout, Purpose::Development)?;
    let started = cluster.start()?;
    cluster.create_database("jam")?;
    let ended = cluster.program("psql").arg(cluster.url("jam")).status().context("failed to start psql");
    if started == Started::Now {
        cluster.stop()?;
    }
    ended.map(drop)
}
