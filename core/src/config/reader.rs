//! One variable at a time: present or not, text, number, flag, list, address. Every fault names variable and default.
//! Never knows what a value is for.

use super::ListenAddress;
use super::fault::ConfigError;
use super::settings::{SETTINGS, is_place};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The environment's variables, read by name with bounds.
pub(super) struct Reader<'a> {
    variables: &'a BTreeMap<String, String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(variables: &'a BTreeMap<String, String>) -> Self {
        Self { variables }
    }

    pub(super) fn refuse_unknown_names(&self) -> Result<(), ConfigError> {
        for name in self.variables.keys().filter(|name| name.starts_with("JAM_")) {
            if !SETTINGS.iter().any(|s| s.name == name) && !is_place(name) {
                return Err(ConfigError {
                    name: name.clone(),
                    fault: "is not a setting of this service".to_owned(),
                    default: "",
                });
            }
        }
        Ok(())
    }

    fn default(name: &str) -> &'static str {
        SETTINGS.iter().find(|s| s.name == name).map_or("", |s| s.default)
    }

    pub(super) fn fault(&self, name: &str, fault: impl Into<String>) -> ConfigError {
        ConfigError { name: name.to_owned(), fault: fault.into(), default: Self::default(name) }
    }

    /// A value that is set and not empty.
    pub(super) fn optional(&self, name: &str) -> Option<String> {
        self.variables.get(name).map(|v| v.trim()).filter(|v| !v.is_empty()).map(str::to_owned)
    }

    pub(super) fn text(&self, name: &str) -> Result<String, ConfigError> {
        Ok(self.optional(name).unwrap_or_else(|| Self::default(name).to_owned()))
    }

    pub(super) fn required(&self, name: &str) -> Result<String, ConfigError> {
        self.optional(name).ok_or_else(|| self.fault(name, "is required and unset"))
    }

    pub(super) fn number(&self, name: &str, min: u64, max: u64) -> Result<u64, ConfigError> {
        let text = self.text(name)?;
        let number =
            text.parse::<u64>().map_err(|_| self.fault(name, format!("{text:?} is not a whole number")))?;
        if (min..=max).contains(&number) {
            Ok(number)
        } else {
            Err(self.fault(name, format!("{number} is not between {min} and {max}")))
        }
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, ConfigError> {
        match self.text(name)?.as_str() {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            other => Err(self.fault(name, format!("{other:?} is neither true nor false"))),
        }
    }

    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let text = self.optional(name).unwrap_or_default();
        text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
    }

    pub(super) fn absolute_path(&self, name: &str) -> Result<PathBuf, ConfigError> {
        let path = PathBuf::from(self.text(name)?);
        if path.is_absolute() { Ok(path) } else { Err(self.fault(name, "is not an absolute path")) }
    }

    pub(super) fn listen(&self, name: &str) -> Result<Option<ListenAddress>, ConfigError> {
        let Some(text) = self.optional(name) else { return Ok(None) };
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Some(ListenAddress::Unix(path.into())));
        }
        let address = text.parse().map_err(|_| self.fault(name, "is neither unix:/path nor ip:port"))?;
        Ok(Some(ListenAddress::Tcp(address)))
    }
}
