//! Enums in rows, stored by name: a newer release beside this one, or one that was rolled back, may have written values
//! that this one does not know.
//! Invariant: such a value never fails a read, is logged once, and is overwritten only when a user changes it.

use crate::model::{
    AssetCategory, AssetDetails, AudioCategory, DerivativeKind, DerivativeState, FileType, ScanState,
    UploadRole,
};
use serde::Deserialize as _;
use serde::de::{DeserializeOwned, IntoDeserializer as _};
use serde_json::{Map, Value};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgTypeInfo, PgValueRef};
use sqlx::{Decode, Postgres, Type};
use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

/// Most unknown values that are logged.
const MOST_LOGGED: usize = 100;

/// An enum's value in a row; `None` when this release does not know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known<T>(pub(super) Option<T>);

/// An enum whose values rows hold by name.
pub(super) trait Listed: DeserializeOwned {
    /// What it is, for logs.
    const WHAT: &'static str;
}

impl Listed for FileType {
    const WHAT: &'static str = "file type";
}

impl Listed for AssetCategory {
    const WHAT: &'static str = "asset category";
}

impl Listed for AudioCategory {
    const WHAT: &'static str = "audio category";
}

impl Listed for DerivativeKind {
    const WHAT: &'static str = "derivative kind";
}

impl Listed for DerivativeState {
    const WHAT: &'static str = "derivative state";
}

impl Listed for ScanState {
    const WHAT: &'static str = "scan state";
}

impl Listed for UploadRole {
    const WHAT: &'static str = "upload role";
}

impl<T: Listed> Known<T> {
    /// The value of this name.
    pub(super) fn parse(name: &str) -> Self {
        let deserializer: serde::de::value::StrDeserializer<'_, serde::de::value::Error> =
            name.into_deserializer();
        let known = T::deserialize(deserializer).ok();
        if known.is_none() {
            log_once(T::WHAT, name);
        }
        Self(known)
    }
}

impl<T> Type<Postgres> for Known<T> {
    fn type_info() -> PgTypeInfo {
        <str as Type<Postgres>>::type_info()
    }

    fn compatible(info: &PgTypeInfo) -> bool {
        <str as Type<Postgres>>::compatible(info)
    }
}

impl<'r, T: Listed> Decode<'r, Postgres> for Known<T> {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        Ok(Self::parse(<&str as Decode<'r, Postgres>>::decode(value)?))
    }
}

/// A user's details of a file, without fields and values that only a newer release knows.
pub(super) fn details(document: Value) -> AssetDetails {
    if let Ok(details) = AssetDetails::deserialize(&document) {
        return details;
    }
    let Value::Object(fields) = document else { return AssetDetails::default() };
    let is_readable = |(name, value): &(String, Value)| {
        let alone = Value::Object(Map::from_iter([(name.clone(), value.clone())]));
        let is_readable = AssetDetails::deserialize(&alone).is_ok();
        if !is_readable {
            log_once("detail", name);
        }
        is_readable
    };
    let readable: Map<String, Value> = fields.into_iter().filter(is_readable).collect();
    AssetDetails::deserialize(&Value::Object(readable)).unwrap_or_default()
}

/// The fields of `after` that differ from `before`: fields that this release does not know stay as they are.
pub(super) fn changed_details(before: &AssetDetails, after: &AssetDetails) -> Value {
    let fields = |details: &AssetDetails| match serde_json::to_value(details) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let before = fields(before);
    let after = fields(after);
    Value::Object(after.into_iter().filter(|(name, value)| before.get(name) != Some(value)).collect())
}

fn log_once(what: &'static str, value: &str) {
    static LOGGED: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);
    let mut logged = LOGGED.lock().unwrap_or_else(PoisonError::into_inner);
    if logged.len() < MOST_LOGGED && logged.insert(format!("{what} {value}")) {
        tracing::warn!(what, value, "a row holds a value that this release does not know; it is left out");
    }
}

#[cfg(test)]
mod tests {
    use super::{Known, changed_details, details};
    use crate::model::{AssetDetails, FileType, VoiceoverType};
    use serde_json::json;

    #[test]
    fn a_value_of_a_newer_release_is_none() {
        assert_eq!(Known::parse("audio"), Known(Some(FileType::Audio)));
        assert_eq!(Known::<FileType>::parse("hologram"), Known(None));
    }

    #[test]
    fn details_of_a_newer_release_are_left_out_and_the_rest_is_read() {
        let read = details(json!({ "voiceoverType": "robot", "audioKey": "C", "smell": "rose" }));
        assert_eq!((read.voiceover_type, read.audio_key.as_deref()), (None, Some("C")));
    }

    #[test]
    fn only_what_changed_is_written() {
        let before = AssetDetails { audio_key: Some("C".to_owned()), ..AssetDetails::default() };
        let after = AssetDetails { voiceover_type: Some(VoiceoverType::Male), ..before.clone() };
        assert_eq!(changed_details(&before, &after), json!({ "voiceoverType": "male" }));
    }
}
