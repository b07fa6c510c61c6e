//! Taking over an installation of the legacy service.

use crate::Ended;
use crate::output::{Output, progress, table};
use anyhow::{Context as _, Result};
use clap::Args;
use jam_core::app::App;
use jam_core::blob::Source;
use jam_core::db::legacy::Legacy;
use jam_core::ops::adopt::{self, Event, Problem, Tally};
use jam_core::ops::reconcile::{self, Scope};
use serde::Serialize;
use serde_json::Value;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(crate) struct AdoptOptions {
    /// Storage root of the legacy service; may be USER_STORAGE_ROOT itself
    #[arg(long, value_name = "DIRECTORY")]
    root: PathBuf,
    /// Do it; without this only say what would be done
    #[arg(long)]
    apply: bool,
    /// A report of an earlier run (`--json`) whose problems are known and accepted: they are counted, and no failure
    #[arg(long, value_name = "FILE")]
    accept_left_out: Option<PathBuf>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    dry_run: bool,
    #[serde(flatten)]
    tally: Tally,
    problems: Vec<Problem>,
    /// Problems that `--accept-left-out` names.
    accepted: Vec<Problem>,
    /// Files of the legacy service that moved to the quarantine, when it shared our storage root.
    quarantined: u64,
    /// What a check found afterwards.
    findings: u64,
}

/// Adopts, sets the volume right if both systems shared it, and checks.
pub(crate) async fn adopt(output: &Output, app: &App, options: AdoptOptions) -> Result<Ended> {
    let url = app.config.adopt_database_url.as_ref().context("JAM_ADOPT_DATABASE_URL is not set")?;
    let database = Legacy::connect(url).await?;
    let source =
        Source::open(&options.root).with_context(|| format!("{} cannot be read", options.root.display()))?;
    let known = match &options.accept_left_out {
        Some(path) => Known::read(path)?,
        None => Known::default(),
    };
    let bar = progress("files")?;
    let mut problems = Vec::new();
    let mut watch = |event| match event {
        Event::Progress(tally) => {
            bar.set_length(tally.files_expected.max(tally.files));
            bar.set_position(tally.files);
            bar.set_message(format!("{} adopted", tally.adopted));
        }
        Event::Found(problem) => problems.push(problem),
    };
    let done = adopt::adopt(app, &database, &source, !options.apply, &mut watch).await;
    bar.finish_and_clear();
    let tally = done.context("not everything was taken over; the next run goes on")?;
    let (accepted, problems) = problems.into_iter().partition(|problem| known.names(problem));
    let mut report =
        Report { dry_run: !options.apply, tally, problems, accepted, quarantined: 0, findings: 0 };
    if options.apply {
        // What was not adopted must still be where it was.
        if source.is_root_of(app.blobs.volume())? && !report.problems.iter().any(Problem::stays_behind) {
            report.quarantined = set_right(app).await?;
        }
        reconcile::check(app, &Scope::default(), &mut |event| {
            report.findings += u64::from(matches!(event, reconcile::Event::Found(..)));
        })
        .await
        .context("failed to check what was taken over")?;
    }
    let is_fine = report.problems.is_empty() && report.findings == 0;
    output.answer(&report, text)?;
    Ok(if is_fine { Ended::Done } else { Ended::Findings })
}

/// Problems that the operator has seen and accepted, as a report wrote them.
#[derive(Default)]
struct Known(Vec<Value>);

impl Known {
    /// Reads a report; what it counted as accepted stays accepted.
    fn read(path: &Path) -> Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let report: Value = serde_json::from_str(&text)
            .with_context(|| format!("{} is no report of jam-admin adopt --json", path.display()))?;
        let lists = ["problems", "accepted"].map(|name| report[name].as_array().cloned());
        anyhow::ensure!(lists[0].is_some(), "{} has no problems: it is no report", path.display());
        Ok(Self(lists.into_iter().flatten().flatten().collect()))
    }

    fn names(&self, problem: &Problem) -> bool {
        serde_json::to_value(problem).is_ok_and(|problem| self.0.contains(&problem))
    }
}

/// The old names beside ours, old thumbnails and whatever else no row names go to the quarantine.
async fn set_right(app: &App) -> Result<u64> {
    let mut quarantined = 0;
    let mut watch = |event| {
        if let reconcile::Event::Found(_, reconcile::Outcome::MovedTo(_)) = event {
            quarantined += 1;
        }
    };
    reconcile::repair(app, &Scope::default(), &mut watch).await.context("failed to set the volume right")?;
    Ok(quarantined)
}

fn text(report: &Report) -> String {
    let Tally { users, files, adopted, adopted_bytes, already_here, linked, .. } = report.tally;
    let size = jam_core::model::ByteSize::new(adopted_bytes).formatted();
    let mut text = match report.dry_run {
        true => format!("Users: {users}. Files: {files}. Would be adopted: {adopted} ({size})."),
        false => {
            format!("Users: {users}. Files: {files}. Adopted: {adopted} ({size}), {linked} of them as links.")
        }
    };
    text.push_str(&format!(" Already here: {already_here}."));
    if !report.problems.is_empty() {
        let rows = report.problems.iter().map(|problem| [problem.kind().to_owned(), problem.to_string()]);
        text =
            format!("{}\n\n{text} Problems: {}.", table(["PROBLEM", "WHERE"], rows), report.problems.len());
    }
    if !report.accepted.is_empty() {
        text.push_str(&format!(" Known and accepted: {}.", report.accepted.len()));
    }
    if report.dry_run {
        return format!("{text} Nothing was changed: --apply does it.");
    }
    if report.quarantined > 0 {
        text.push_str(&format!(" Moved to the quarantine: {}.", report.quarantined));
    }
    match report.findings {
        0 if report.problems.is_empty() => format!("{text} Everything agrees."),
        0 => format!(
            "{text} What was adopted agrees with its rows; what is listed was not adopted as it was: fix it and \
             run this again, or accept it (--accept-left-out)."
        ),
        findings => format!("{text} A check reports {findings} problems: run jam-admin check."),
    }
}
