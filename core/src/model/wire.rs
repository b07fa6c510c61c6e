//! Values as clients send them: texts, lists, numbers and documents that are bounded while they are read, so that no
//! request costs more than its size.
//! Invariant: what has been read holds no NUL and is within its bound; a person's text is in NFC.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// Starts the message of a value that is of the right kind and beyond its bound: such a message is for people, unlike
/// those of the library that reads JSON.
pub const OUR_WORDS: char = '\u{2}';

/// How deep a document may be.
const MAX_DEPTH: usize = 32;
/// What each value of a document counts beside its text, in bytes.
const NODE_BYTES: usize = 2;
/// Longest text of a number.
const MAX_NUMBER_BYTES: usize = 64;

/// A fault in our own words.
pub(super) fn beyond<E: Error>(reason: impl fmt::Display) -> E {
    E::custom(format_args!("{OUR_WORDS}{reason}"))
}

/// A text in NFC, in which texts that look the same are the same.
#[must_use]
pub fn nfc(text: &str) -> Cow<'_, str> {
    match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => Cow::Borrowed(text),
        _ => Cow::Owned(text.nfc().collect()),
    }
}

/// A person's text of at most `MAX` bytes, in NFC.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    /// Reads a text; the error says which bound does not hold.
    pub fn parse(text: &str) -> Result<Self, String> {
        let too_long = |bytes: usize| format!("it has {bytes} bytes, allowed are at most {MAX}");
        // Only a bounded text is normalised. In NFD it may be three times as long.
        if text.len() > MAX.saturating_mul(3) {
            return Err(too_long(text.len()));
        }
        if text.contains('\0') {
            return Err("it holds a NUL character".to_owned());
        }
        let text = nfc(text);
        if text.len() > MAX { Err(too_long(text.len())) } else { Ok(Self(text.into_owned())) }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, unless it is empty.
    #[must_use]
    pub fn into_non_empty(self) -> Option<String> {
        (!self.0.is_empty()).then_some(self.0)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading<const MAX: usize>;

        impl<const MAX: usize> Visitor<'_> for Reading<MAX> {
            type Value = Text<MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Text::parse(text).map_err(beyond)
            }
        }

        deserializer.deserialize_str(Reading)
    }
}

/// A list of at most `MAX` entries.
#[derive(Debug, Clone)]
pub struct List<T, const MAX: usize>(pub Vec<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for List<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading<T, const MAX: usize>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Reading<T, MAX> {
            type Value = List<T, MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut kept = Vec::new();
                while let Some(entry) = entries.next_element()? {
                    if kept.len() == MAX {
                        return Err(beyond(format_args!("it has more than {MAX} entries")));
                    }
                    kept.push(entry);
                }
                Ok(List(kept))
            }
        }

        deserializer.deserialize_seq(Reading(PhantomData))
    }
}

/// A finite number, sent as one or as decimal text.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Number(pub f64);

impl Number {
    /// Reads decimal text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let short = Some(text.trim()).filter(|text| text.len() <= MAX_NUMBER_BYTES);
        short?.parse::<f64>().ok().filter(|number| number.is_finite()).map(Self)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;

        impl Visitor<'_> for Reading {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Number, E> {
                Ok(Number(number))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Number, E> {
                Ok(Number(number as f64))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Number, E> {
                Ok(Number(number as f64))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
                Number::parse(text).ok_or_else(|| beyond("expected a number"))
            }
        }

        deserializer.deserialize_any(Reading)
    }
}

/// A whole number from 0 on. Of JSON `60.0` is one as well (JSON Schema 2020-12, 4.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole(pub u64);

impl Whole {
    /// From here on not every whole number is a `f64`.
    const EXACT: f64 = (1_u64 << 53) as f64;
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;

        impl Visitor<'_> for Reading {
            type Value = Whole;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number from 0 on")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Whole, E> {
                Ok(Whole(number))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Whole, E> {
                if number.fract() == 0.0 && (0.0..=Whole::EXACT).contains(&number) {
                    Ok(Whole(number as u64))
                } else {
                    Err(E::invalid_value(Unexpected::Float(number), &self))
                }
            }
        }

        deserializer.deserialize_any(Reading)
    }
}

/// A JSON object of any fields, at most `MAX` bytes in all and 32 levels deep.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Document<const MAX: usize>(pub Map<String, Value>);

impl<'de, const MAX: usize> Deserialize<'de> for Document<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let left = Cell::new(MAX);
        let node = Node { left: &left, max_bytes: MAX, depth: 0 };
        deserializer.deserialize_map(node).and_then(|value| match value {
            Value::Object(fields) => Ok(Self(fields)),
            _ => Err(beyond("expected a JSON object")),
        })
    }
}

/// A value of a document, and what the rest of the document may still hold.
#[derive(Clone, Copy)]
struct Node<'a> {
    left: &'a Cell<usize>,
    max_bytes: usize,
    depth: usize,
}

impl Node<'_> {
    fn charge<E: Error>(self, bytes: usize) -> Result<(), E> {
        let left = self.left.get().checked_sub(bytes + NODE_BYTES);
        self.left.set(left.ok_or_else(|| {
            beyond(format_args!("it has more than the {} bytes of JSON that are allowed", self.max_bytes))
        })?);
        Ok(())
    }

    /// As it is: a document is a program's, which may tell apart what looks the same.
    fn text<E: Error>(self, text: &str) -> Result<String, E> {
        self.charge(text.len())?;
        if text.contains('\0') {
            return Err(beyond("it holds a NUL character"));
        }
        Ok(text.to_owned())
    }

    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(beyond(format_args!("it is more than {MAX_DEPTH} levels deep")));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// The name of a document's field.
struct Name<'a>(Node<'a>);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        self.0.text(text)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        self.scalar(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.scalar(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.scalar(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        self.scalar(value)
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        self.scalar(Value::Null)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        self.text(text).map(Value::String)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        self.charge(0)?;
        let node = self.deeper()?;
        let mut list = Vec::new();
        while let Some(entry) = entries.next_element_seed(node)? {
            list.push(entry);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        self.charge(0)?;
        let node = self.deeper()?;
        let mut object = Map::new();
        while let Some(name) = fields.next_key_seed(Name(node))? {
            let value = fields.next_value_seed(node)?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

impl Node<'_> {
    fn scalar<E: Error>(self, value: impl Into<Value>) -> Result<Value, E> {
        self.charge(0)?;
        Ok(value.into())
    }
}

#[cfg(test)]
mod tests {
    use super::{Document, List, Number, Text, Whole};

    fn read<'de, T: serde::Deserialize<'de>>(json: &'de str) -> Result<T, String> {
        serde_json::from_str(json).map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_text_is_normalised_and_bounded() {
        let text: Text<5> = read("\"cafe\u{301}\"").unwrap();
        assert_eq!(text.as_str(), "caf\u{e9}");
        assert!(read::<Text<5>>("\"cafe\u{301}s\"").unwrap_err().contains("it has 6 bytes"));
        assert!(read::<Text<5>>(&format!("\"{}\"", "x".repeat(1 << 20))).is_err());
    }

    #[test]
    fn a_list_ends_where_its_bound_is() {
        assert_eq!(read::<List<u8, 3>>("[1, 2, 3]").unwrap().0, [1, 2, 3]);
        // What comes after the bound is not even looked at.
        assert!(read::<List<u8, 3>>("[1, 2, 3, 4, \"x\"]").unwrap_err().contains("more than 3"));
    }

    #[test]
    fn a_whole_number_may_be_written_with_a_point() {
        for (json, number) in
            [("60", 60), ("60.0", 60), ("6e1", 60), ("0", 0), ("18446744073709551615", u64::MAX)]
        {
            assert_eq!(read::<Whole>(json), Ok(Whole(number)), "{json}");
        }
        for json in ["60.5", "-1", "-1.0", "1e300", "\"60\"", "true", "null"] {
            assert!(read::<Whole>(json).unwrap_err().contains("expected a whole number from 0 on"), "{json}");
        }
    }

    #[test]
    fn a_number_may_be_text() {
        for json in ["120", "120.0", "\"120\"", "\" 1.2e2 \""] {
            assert_eq!(read::<Number>(json), Ok(Number(120.0)), "{json}");
        }
        for json in ["\"fast\"", "\"NaN\"", "\"inf\"", "\"\"", "true", "null", "[]"] {
            assert!(read::<Number>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn a_document_is_bounded_in_bytes_and_in_depth() {
        let json = r#"{"a": [1, -2, 2.5, null, true, {"b": "c"}]}"#;
        assert_eq!(
            serde_json::to_value(read::<Document<100>>(json).unwrap().0).unwrap(),
            read::<serde_json::Value>(json).unwrap()
        );
        assert!(read::<Document<100>>(&format!("{{\"a\": [{}1]}}", "1,".repeat(60))).is_err());
        assert!(read::<Document<100>>(&format!("{{\"a\": \"{}\"}}", "x".repeat(120))).is_err());
        let deep = |levels: usize| format!("{{\"a\": {}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(read::<Document<1000>>(&deep(31)).is_ok());
        assert!(read::<Document<1000>>(&deep(32)).unwrap_err().contains("levels deep"));
        assert!(read::<Document<1000>>("[]").is_err());
    }
}
