//! What the tool tells the person at the terminal: one line at a time, on standard output.
//! Invariant: a closed pipe never stops the tool, or it could not end what it started.
//! Never logs; the services' own logs go to files.

use std::io::Write as _;

/// Prints one line.
pub(crate) fn say(line: impl AsRef<str>) {
    let _closed_pipe = writeln!(std::io::stdout(), "{}", line.as_ref());
}

/// Prints why a verb failed, causes included, on standard error.
pub(crate) fn complain(error: &anyhow::Error) {
    let _closed_pipe = writeln!(std::io::stderr(), "error: {error:#}");
}
