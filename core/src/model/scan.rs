//! What the virus scanner said about a file.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The result of a file's scan. A file that came when no scanner was configured has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum ScanState {
    /// Not scanned yet.
    Pending,
    /// Nothing was found.
    Clean,
    /// A virus was found.
    Infected,
    /// Larger than the scanner accepts.
    Skipped,
}

impl ScanState {
    /// Whether links to the file may work without a token.
    #[must_use]
    pub const fn allows_links(self) -> bool {
        matches!(self, Self::Clean | Self::Skipped)
    }
}
