//! What the tool shows: the answer on standard output, progress and complaints on standard error.
//! Invariant: with `--json` standard output is one document; a closed pipe never stops a verb half-way.
//! Never decides what an answer holds.

use anyhow::{Context as _, Result};
use comfy_table::{Table, presets};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jam_core::Error;
use serde::Serialize;
use std::io::Write as _;
use std::time::Duration;

/// How answers are shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    /// For programs (`json`) or for people.
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Shows an answer: the document to a program, the text to a person.
    pub(crate) fn answer<T: Serialize>(self, document: &T, text: impl FnOnce(&T) -> String) -> Result<()> {
        let shown = if self.json {
            serde_json::to_string_pretty(document).context("failed to write the answer as JSON")?
        } else {
            text(document)
        };
        let _closed_pipe = writeln!(std::io::stdout(), "{}", shown.trim_end());
        Ok(())
    }
}

/// Rows below a heading, in columns.
pub(crate) fn table<const COLUMNS: usize>(
    heading: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(heading).add_rows(rows);
    table.trim_fmt()
}

/// How far long work is, on standard error; nothing when that is no terminal.
pub(crate) fn progress(unit: &'static str) -> Result<ProgressBar> {
    let template = format!("{{bar:30}} {{pos}}/{{len}} {unit} {{msg}} {{elapsed}}");
    let style = ProgressStyle::with_template(&template).context("failed to draw a progress bar")?;
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr()).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(200));
    Ok(bar)
}

/// Says why a verb failed, causes included, each once.
pub(crate) fn complain(error: &anyhow::Error) {
    let mut said: Vec<String> = Vec::new();
    for cause in error.chain() {
        // The sentence for clients says nothing to an operator.
        if matches!(cause.downcast_ref(), Some(Error::Internal(_))) {
            continue;
        }
        let text = cause.to_string();
        if !said.last().is_some_and(|last| last.ends_with(&text)) {
            said.push(text);
        }
    }
    let _closed_pipe = writeln!(std::io::stderr(), "error: {}", said.join(": "));
}
