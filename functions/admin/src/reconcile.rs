//! Whether everything agrees, and setting right what does not.

use crate::Ended;
use crate::arguments;
use crate::output::{Output, progress, table};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use jam_core::Error;
use jam_core::app::App;
use jam_core::db::{self, Db};
use jam_core::ids::UserId;
use jam_core::ops::reconcile::{self, Event, Finding, Outcome, Remedy, Scope, Share, Tally};
use serde::Serialize;

/// Users in one query.
const PAGE: i64 = 1000;

#[derive(Args)]
pub(crate) struct CheckOptions {
    /// Read every file whole and compare it with its SHA-256
    #[arg(long)]
    read_data: bool,
    /// Read only the nth of t shares of all files: 1/7 today, 2/7 tomorrow
    #[arg(long, value_name = "N/T", value_parser = arguments::share, requires = "read_data")]
    subset: Option<Share>,
    /// Look at one user only
    #[arg(long, value_parser = arguments::user)]
    user: Option<UserId>,
}

#[derive(Args)]
pub(crate) struct RepairOptions {
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    clean: bool,
    #[serde(flatten)]
    tally: Tally,
    findings: Vec<Line>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    #[serde(flatten)]
    finding: Finding,
    remedy: Remedy,
    mended: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    moved_to: Option<String>,
}

/// Compares everything; changes nothing.
pub(crate) async fn check(output: &Output, app: &App, options: CheckOptions) -> Result<Ended> {
    let read = options.read_data.then(|| options.subset.unwrap_or(Share::ALL));
    let scope = Scope { user: options.user, read };
    let report = run(app, &scope, false).await?;
    output.answer(&report, text)?;
    Ok(if report.clean { Ended::Done } else { Ended::Findings })
}

/// Sets right what can be.
pub(crate) async fn repair(output: &Output, app: &App, options: RepairOptions) -> Result<Ended> {
    let report = run(app, &Scope::default(), !options.dry_run).await?;
    output.answer(&report, text)?;
    let is_left = report.findings.iter().any(|line| !line.mended);
    Ok(if is_left { Ended::Findings } else { Ended::Done })
}

async fn run(app: &App, scope: &Scope, mend: bool) -> Result<Report> {
    let bar = progress("owners")?;
    let mut findings = Vec::new();
    let mut watch = |event| match event {
        Event::Progress(tally) => {
            bar.set_length(tally.owners_expected.max(tally.owners));
            bar.set_position(tally.owners);
            bar.set_message(format!("{} files", tally.files));
        }
        Event::Found(finding, outcome) => findings.push(Line::new(finding, outcome)),
    };
    let done = match mend {
        true => reconcile::repair(app, scope, &mut watch).await,
        false => reconcile::check(app, scope, &mut watch).await,
    };
    bar.finish_and_clear();
    let tally = match (done, &scope.user) {
        (Err(Error::NotFound), Some(user)) => bail!("{user} has neither a row nor a directory"),
        (done, _) => done.context("not everything was looked at")?,
    };
    Ok(Report { clean: findings.is_empty(), tally, findings })
}

impl Line {
    fn new(finding: Finding, outcome: Outcome) -> Self {
        let remedy = finding.remedy();
        let (mended, moved_to) = match outcome {
            Outcome::Reported => (false, None),
            Outcome::Mended => (true, None),
            Outcome::MovedTo(place) => (true, Some(place)),
        };
        Self { finding, remedy, mended, moved_to }
    }

    fn remedy(&self) -> String {
        let remedy = match (self.mended, self.remedy) {
            (_, Remedy::Restore) => "restore it from a backup",
            (false, Remedy::Quarantine) => "repair moves it to the quarantine",
            (false, Remedy::Restrict) => "repair sets the mode",
            (false, Remedy::Recount) => "repair counts again",
            (false, Remedy::MakeAgain) => "repair lets it be made again",
            (false, Remedy::Cancel) => "repair cancels it",
            (false, Remedy::Agree) => "repair makes its row agree with its files",
            (true, Remedy::Quarantine) => "moved to",
            (true, Remedy::Restrict) => "set",
            (true, Remedy::Recount) => "counted again",
            (true, Remedy::MakeAgain) => "will be made again",
            (true, Remedy::Cancel) => "cancelled",
            (true, Remedy::Agree) => "agrees with its files now",
        };
        match &self.moved_to {
            Some(place) => format!("{remedy} {place}"),
            None => remedy.to_owned(),
        }
    }
}

fn text(report: &Report) -> String {
    let Tally { owners, files, files_read, .. } = report.tally;
    let looked_at = format!("Owners: {owners}. Files: {files}, read whole: {files_read}");
    if report.clean {
        return format!("Everything agrees. {looked_at}.");
    }
    let rows = report.findings.iter();
    let rows = rows.map(|line| [line.finding.kind().to_owned(), line.finding.to_string(), line.remedy()]);
    let shown = table(["FOUND", "WHERE", "REMEDY"], rows);
    format!("{shown}\n\nFindings: {}. {looked_at}.", report.findings.len())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Recounted {
    users: u64,
    drifted: Vec<Drifted>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Drifted {
    user_id: UserId,
    counter: String,
    expected: i64,
    found: i64,
}

/// Counts the rows of one user, or of all, into the ledger.
pub(crate) async fn recount(output: &Output, db: &Db, user: Option<UserId>) -> Result<Ended> {
    let mut recounted = Recounted { users: 0, drifted: Vec::new() };
    if let Some(user) = user {
        recounted.add(db, user).await?;
    } else {
        recount_all(db, &mut recounted).await?;
    }
    output.answer(&recounted, |recounted| {
        let rows = recounted.drifted.iter().map(|drifted| {
            let counts = (drifted.found.to_string(), drifted.expected.to_string());
            [drifted.user_id.to_string(), drifted.counter.clone(), counts.0, counts.1]
        });
        let shown = table(["USER", "COUNTER", "WAS", "IS"], rows);
        let summary = format!("Users: {}. Counters set: {}.", recounted.users, recounted.drifted.len());
        if recounted.drifted.is_empty() { summary } else { format!("{shown}\n\n{summary}") }
    })?;
    Ok(Ended::Done)
}

async fn recount_all(db: &Db, recounted: &mut Recounted) -> Result<()> {
    let bar = progress("users")?;
    bar.set_length(db::storage::totals(&mut *db.conn().await?).await?.users.unsigned_abs());
    let mut after: Option<UserId> = None;
    loop {
        let page = db::storage::list(&mut *db.conn().await?, after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.user_id.clone());
        for line in page {
            recounted.add(db, line.user_id).await?;
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    Ok(())
}

impl Recounted {
    async fn add(&mut self, db: &Db, user: UserId) -> Result<()> {
        let drifts = match reconcile::recount(db, &user).await {
            Err(Error::NotFound) => bail!("{user} has no storage"),
            drifts => drifts.with_context(|| format!("failed to recount {user}"))?,
        };
        self.users += 1;
        self.drifted.extend(drifts.into_iter().map(|drift| Drifted {
            user_id: user.clone(),
            counter: drift.counter,
            expected: drift.rows,
            found: drift.ledger,
        }));
        Ok(())
    }
}
