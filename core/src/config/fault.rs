//! What stops the start: a setting whose value does not hold.
//! Never shows a value that is secret.

/// A setting that stops the start: its name, what is wrong, its default.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{name}: {fault}{}", default_hint(.default))]
pub struct ConfigError {
    /// The variable.
    pub name: String,
    /// What is wrong with its value.
    pub fault: String,
    /// What it would be when unset.
    pub default: &'static str,
}

fn default_hint(default: &str) -> String {
    if default.is_empty() { String::new() } else { format!(" (default: {default})") }
}
