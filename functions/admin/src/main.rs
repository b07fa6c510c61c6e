//! `jam-admin`: what an operator asks of Jam Storage, and what they change, from a terminal or a script.
//! Invariant: a verb that is interrupted leaves a consistent state; standard output holds the answer and nothing else.
//! Never holds SQL, a path or a rule of its own: those are the core's.

mod jobs;
mod output;
mod setup;

use anyhow::Result;
use clap::{ArgAction, Parser, Subcommand};
use jam_core::app::App;
use jam_core::config::{Config, ConfigError};
use jam_core::db::Db;
use nix::sys::stat::{Mode, umask};
use output::Output;
use std::process::ExitCode;
use tracing_subscriber::filter::LevelFilter;

/// The operator's command line of Jam Storage.
#[derive(Parser)]
#[command(name = "jam-admin", version, after_help = AFTER_HELP)]
struct Arguments {
    /// Answer with a JSON document instead of text
    #[arg(long, global = true)]
    json: bool,
    /// Show what the service logs, on standard error; twice: more of it
    #[arg(short, global = true, action = ArgAction::Count)]
    verbose: u8,
    #[command(subcommand)]
    verb: Verb,
}

const AFTER_HELP: &str = "\
Reads the service's own environment; `jam-admin config` shows it.
Run it as the user that the service runs as: what it writes must be the service's.
Exit codes: 0 done, 1 something was found, 2 wrong usage or configuration, 3 failure.";

#[derive(Subcommand)]
enum Verb {
    /// Bring the database's schema up to date
    Migrate,
    /// Make USER_STORAGE_ROOT a volume of this service
    InitVolume,
    /// One pass of the janitor now: abandoned uploads, files whose time in the trash is over
    Janitor,
}

/// How a verb ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Done,
    /// A check found something, or a repair left something.
    Findings,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // What it writes is nobody else's, whatever the caller's umask was.
    umask(Mode::from_bits_truncate(0o077));
    start_logging(arguments.verbose);
    match run(arguments.verb, Output::new(arguments.json)) {
        Ok(Ended::Done) => ExitCode::SUCCESS,
        Ok(Ended::Findings) => ExitCode::from(1),
        Err(error) => {
            output::complain(&error);
            ExitCode::from(if error.is::<ConfigError>() { 2 } else { 3 })
        }
    }
}

fn start_logging(verbose: u8) {
    let level = match verbose {
        0 => LevelFilter::OFF,
        1 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_target(false).init();
}

#[tokio::main]
async fn run(verb: Verb, output: Output) -> Result<Ended> {
    let config = Config::from_env()?;
    match verb {
        Verb::Migrate => setup::migrate(&output, &Db::connect_lazy(&config)?).await,
        Verb::InitVolume => setup::init_volume(&output, &config).await,
        Verb::Janitor => jobs::janitor(&output, &App::open(config)?).await,
    }
}
