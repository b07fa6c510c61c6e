//! What the tool shows: the answer on standard output, progress and complaints on standard error.
//! Invariant: with `--json` standard output is one document; a closed pipe never stops a verb half-way.
//! Never decides what an answer holds.

use anyhow::{Context as _, Result};
use comfy_table::{Table, presets};
use serde::Serialize;
use std::io::Write as _;

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
        let _closed_pipe = writeln!(std::io::stdout(), "{shown}");
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

/// Says why a verb failed, causes included.
pub(crate) fn complain(error: &anyhow::Error) {
    let _closed_pipe = writeln!(std::io::stderr(), "error: {error:#}");
}
