//! Which fields of a file a listing has: all, or those that `fields` names.
//! Invariant: a name is one of a file's fields; what is left out is not sent, and not made where making it costs.

use super::named_entries::NamedEntries;
use super::params::{Params, shown};
use crate::error::{Error, Result};
use serde::{Serialize, Serializer};
use std::sync::Arc;

/// Longest name that is read.
const MAX_NAME_BYTES: usize = 64;

/// The field that says which of the others are not whole: nobody has to ask for that.
const TRUNCATED: &str = "truncatedFields";

/// Names of fields, sorted.
#[derive(Debug, Clone)]
pub struct Fields(Option<Arc<[&'static str]>>);

impl Fields {
    /// Every field.
    pub const ALL: Self = Self(None);
    /// The parameter that names them.
    pub const PARAMETER: &'static str = "fields";

    /// Reads [`Fields::PARAMETER`]: a list of names, each of which is `known`; without it, every field.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for a name that no field has.
    pub fn read(params: &Params, known: &'static [String]) -> Result<Self> {
        let named = params.list(Self::PARAMETER, known.len(), MAX_NAME_BYTES)?;
        let find = |name: &String| {
            let found = known.iter().find(|known| *known == name);
            found.map(String::as_str).ok_or_else(|| {
                let reason = format!("\"{}\" is not a field of a file", shown(name));
                Error::invalid_parameter(Self::PARAMETER, reason)
            })
        };
        let mut names = named.iter().map(find).collect::<Result<Vec<_>>>()?;
        if names.is_empty() {
            return Ok(Self::ALL);
        }
        names.push(TRUNCATED);
        names.sort_unstable();
        Ok(Self(Some(names.into())))
    }

    /// Whether a field is wanted.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|names| names.binary_search(&name).is_ok())
    }

    /// Whether any field is wanted that says what was made of the file.
    #[must_use]
    pub fn need_derivatives(&self) -> bool {
        ["derivatives", "thumbnailPath", "thumbnailUrl", "streamUrl"].into_iter().any(|name| self.has(name))
    }

    /// Writes the wanted fields of a file.
    pub(super) fn serialize<S: Serializer>(
        &self,
        file: &impl Serialize,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match &self.0 {
            None => file.serialize(serializer),
            Some(names) => file.serialize(NamedEntries { serializer, names }),
        }
    }
}
