//! `jam-admin`: what an operator asks of Jam Storage, and what they change, from a terminal or a script.
//! Invariant: a verb that is interrupted leaves a consistent state; standard output holds the answer and nothing else.
//! Never holds SQL, a path or a rule of its own: those are the core's.

mod adopt;
mod arguments;
mod jobs;
mod output;
mod purge;
mod rebuild;
mod reconcile;
mod setup;
mod usage;

use anyhow::Result;
use clap::{ArgAction, Parser, Subcommand};
use jam_core::app::App;
use jam_core::config::{Config, ConfigError};
use jam_core::db::Db;
use jam_core::ids::UserId;
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
    /// Show the configuration as the environment leaves it, secrets hidden, and what is wrong with it
    Config,
    /// Compare rows, files, sizes, modes and counters; changes nothing
    Check(reconcile::CheckOptions),
    /// Check, and set right what can be; what no row names is moved to the quarantine, nothing is removed
    Repair(reconcile::RepairOptions),
    /// Count the rows of a user, or of all, into the ledger
    Recount {
        #[arg(value_parser = arguments::user)]
        user: Option<UserId>,
    },
    /// Set or show a user's quota
    #[command(subcommand)]
    Quota(usage::QuotaVerb),
    /// Show who uses how much
    Usage(usage::UsageOptions),
    /// Show the largest files of all users
    Largest {
        /// So many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
    },
    /// Show the worker's jobs
    Jobs(jobs::JobsOptions),
    /// Let dead jobs run again
    Retry(jobs::RetryOptions),
    /// Let the worker make thumbnails and videos for browsers again, or those that are missing
    RebuildDerivatives(rebuild::RebuildOptions),
    /// Remove a user's files for good
    Purge(purge::PurgeOptions),
    /// Take over an installation of the legacy service, whose database JAM_ADOPT_DATABASE_URL names
    Adopt(adopt::AdoptOptions),
    /// One pass of the janitor now: abandoned uploads, files whose time in the trash is over
    Janitor,
    /// Let the janitor remove what is due in the trash now, which it asks about when it is more than a tenth of all trash
    AllowPurge,
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
    match run(arguments.verb, &Output::new(arguments.json)) {
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
async fn run(verb: Verb, output: &Output) -> Result<Ended> {
    if let Verb::Config = verb {
        return setup::config(output);
    }
    let config = Config::from_env()?;
    let quota = config.limits.default_quota;
    match verb {
        Verb::Migrate => setup::migrate(output, &Db::connect_lazy(&config)?).await,
        Verb::InitVolume => setup::init_volume(output, &config).await,
        Verb::Recount { user } => reconcile::recount(output, &Db::connect_lazy(&config)?, user).await,
        Verb::Quota(verb) => usage::quota(output, &Db::connect_lazy(&config)?, quota, verb).await,
        Verb::Usage(options) => usage::usage(output, &Db::connect_lazy(&config)?, quota, options).await,
        Verb::Largest { limit } => usage::largest(output, &Db::connect_lazy(&config)?, limit).await,
        Verb::Jobs(options) => jobs::jobs(output, &Db::connect_lazy(&config)?, options).await,
        Verb::Retry(options) => jobs::retry(output, &Db::connect_lazy(&config)?, options).await,
        Verb::RebuildDerivatives(options) => {
            rebuild::rebuild(output, &Db::connect_lazy(&config)?, options).await
        }
        Verb::Check(options) => reconcile::check(output, &App::open(config)?, options).await,
        Verb::Repair(options) => reconcile::repair(output, &App::open(config)?, options).await,
        Verb::Purge(options) => purge::purge(output, &App::open(config)?, options).await,
        Verb::Adopt(options) => adopt::adopt(output, &App::open(config)?, options).await,
        Verb::Janitor => jobs::janitor(output, &App::open(config)?).await,
        Verb::AllowPurge => jobs::allow_purge(output, &App::open(config)?).await,
        Verb::Config => setup::config(output),
    }
}
