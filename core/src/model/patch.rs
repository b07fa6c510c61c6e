//! What a merge patch says about one field (RFC 7396): nothing, null, or a value.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A change of a field that may be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Patch<T> {
    /// The field is missing in the patch: it stays.
    #[default]
    Keep,
    /// It is null: the field becomes empty.
    Clear,
    /// The field's new value.
    Set(T),
}

impl<T> Patch<T> {
    /// The same change of another value; what has none clears the field.
    pub fn and_then<U>(self, read: impl FnOnce(T) -> Option<U>) -> Patch<U> {
        match self {
            Self::Keep => Patch::Keep,
            Self::Clear => Patch::Clear,
            Self::Set(value) => read(value).map_or(Patch::Clear, Patch::Set),
        }
    }

    /// Makes the change to a field.
    pub fn apply(self, field: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Clear => *field = None,
            Self::Set(value) => *field = Some(value),
        }
    }

    /// Makes the change to a field whose empty value is its default.
    pub fn apply_or_default(self, field: &mut T)
    where
        T: Default,
    {
        match self {
            Self::Keep => {}
            Self::Clear => *field = T::default(),
            Self::Set(value) => *field = value,
        }
    }
}

/// Of a field that is there; one that is missing takes the default of its struct.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Clear, Self::Set))
    }
}

/// As the contract shows a default: null for a field that is missing.
impl<T: Serialize> Serialize for Patch<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Keep | Self::Clear => serializer.serialize_none(),
            Self::Set(value) => serializer.serialize_some(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Patch;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Change {
        #[serde(default)]
        tempo: Patch<u8>,
    }

    #[test]
    fn a_missing_field_stays_null_clears_and_a_value_replaces() {
        for (sent, expected) in [("{}", Some(1)), (r#"{"tempo": null}"#, None), (r#"{"tempo": 2}"#, Some(2))]
        {
            let (mut field, change) = (Some(1), serde_json::from_str::<Change>(sent).unwrap());
            change.tempo.apply(&mut field);
            assert_eq!(field, expected, "{sent}");
            let (mut field, change) = (1, serde_json::from_str::<Change>(sent).unwrap());
            change.tempo.apply_or_default(&mut field);
            assert_eq!(field, expected.unwrap_or_default(), "{sent}");
        }
    }

    #[test]
    fn a_value_that_comes_to_nothing_clears() {
        assert_eq!(Patch::Set(" ").and_then(|text| (!text.trim().is_empty()).then_some(text)), Patch::Clear);
        assert_eq!(Patch::Set(" a").and_then(|text| text.strip_prefix(' ')), Patch::Set("a"));
        assert_eq!(Patch::<u8>::Keep.and_then(Some), Patch::Keep);
    }
}
