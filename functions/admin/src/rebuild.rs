//! Having thumbnails and videos for browsers made again.

use crate::Ended;
use crate::arguments;
use crate::output::{Output, progress};
use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use jam_core::clock::Clock;
use jam_core::db::Db;
use jam_core::ids::UserId;
use jam_core::model::DerivativeKind;
use jam_core::ops::derivative::{self, Scope, Tally};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio_util::sync::CancellationToken;

#[derive(Args)]
pub(crate) struct RebuildOptions {
    /// One user only
    #[arg(long, value_parser = arguments::user)]
    user: Option<UserId>,
    /// Only these; without it the thumbnails that lists show and videos for browsers
    #[arg(long, value_enum)]
    kind: Vec<Kind>,
    /// Only what is not there: never asked for, failed, or a file without its thumbhash
    #[arg(long)]
    missing: bool,
    /// Only what was made before this time (RFC 3339), such as a run that was interrupted names; now without it
    #[arg(long, value_name = "TIME", value_parser = arguments::time)]
    before: Option<OffsetDateTime>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// 400x225, what lists show
    Default,
    /// At most 256 on the longer side
    Small,
    /// At most 640 on the longer side
    Medium,
    /// At most 1440 on the longer side
    Large,
    /// Videos for browsers
    Playback,
}

impl From<Kind> for DerivativeKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Default => Self::Default,
            Kind::Small => Self::Small,
            Kind::Medium => Self::Medium,
            Kind::Large => Self::Large,
            Kind::Playback => Self::Playback,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rebuilt {
    #[serde(flatten)]
    tally: Tally,
    interrupted: bool,
    #[serde(with = "time::serde::rfc3339")]
    before: OffsetDateTime,
}

/// Gives the worker the jobs; an interrupt ends it after the files at hand, and `--before` goes on.
pub(crate) async fn rebuild(output: &Output, db: &Db, options: RebuildOptions) -> Result<Ended> {
    let kinds = match options.kind.as_slice() {
        [] => vec![DerivativeKind::Default, DerivativeKind::Playback],
        kinds => kinds.iter().copied().map(DerivativeKind::from).collect(),
    };
    let before = options.before.unwrap_or_else(|| Clock::System.now());
    let scope = Scope { user: options.user, kinds, only_missing: options.missing, made_before: before };
    let bar = progress("files")?;
    let mut watch = |tally: Tally| {
        bar.set_length(tally.files_expected.max(tally.files));
        bar.set_position(tally.files);
        bar.set_message(format!("{} queued", tally.queued));
    };
    let stop = CancellationToken::new();
    let mut work = std::pin::pin!(derivative::rebuild(db, &scope, &stop, &mut watch));
    let done = tokio::select! {
        done = &mut work => done,
        interrupt = tokio::signal::ctrl_c() => {
            interrupt.context("failed to wait for an interrupt")?;
            stop.cancel();
            work.await
        }
    };
    bar.finish_and_clear();
    let tally = done.context("not everything was given to the worker; another run goes on")?;
    let interrupted = stop.is_cancelled();
    let resume = before.format(&Rfc3339).context("failed to write a time")?;
    output.answer(&Rebuilt { tally, interrupted, before }, |rebuilt| {
        let Tally { files, queued, .. } = rebuilt.tally;
        let end =
            if interrupted { format!("Interrupted: go on with --before {resume}.") } else { String::new() };
        format!("Files looked at: {files}. Jobs for the worker: {queued}. {end}")
    })?;
    Ok(Ended::Done)
}
