//! Writes a map without the entries whose names nobody asked for. Never holds a value, never writes anything but a map.

use serde::ser::{Error as _, Impossible, SerializeMap};
use serde::{Serialize, Serializer};
use std::fmt;

/// A serializer of maps with these names only, which are sorted.
pub(super) struct NamedEntries<'a, S> {
    pub(super) serializer: S,
    pub(super) names: &'a [&'static str],
}

/// A map that is being written.
pub(super) struct Entries<'a, M> {
    map: M,
    names: &'a [&'static str],
    is_wanted: bool,
}

impl<M: SerializeMap> SerializeMap for Entries<'_, M> {
    type Ok = M::Ok;
    type Error = M::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), M::Error> {
        self.is_wanted = key.serialize(IsNamed(self.names)).map_err(M::Error::custom)?;
        if self.is_wanted { self.map.serialize_key(key) } else { Ok(()) }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), M::Error> {
        if self.is_wanted { self.map.serialize_value(value) } else { Ok(()) }
    }

    fn end(self) -> Result<M::Ok, M::Error> {
        self.map.end()
    }
}

/// Reads a text and tells whether it is one of these, which are sorted.
struct IsNamed<'a>(&'a [&'static str]);

/// Refuses all that is neither a map nor a text.
macro_rules! refuse_the_rest {
    () => {
        type SerializeSeq = Impossible<Self::Ok, Self::Error>;
        type SerializeTuple = Impossible<Self::Ok, Self::Error>;
        type SerializeTupleStruct = Impossible<Self::Ok, Self::Error>;
        type SerializeTupleVariant = Impossible<Self::Ok, Self::Error>;
        type SerializeStruct = Impossible<Self::Ok, Self::Error>;
        type SerializeStructVariant = Impossible<Self::Ok, Self::Error>;

        refuse! {
            serialize_bool(bool) -> Self::Ok;
            serialize_i8(i8) -> Self::Ok;
            serialize_i16(i16) -> Self::Ok;
            serialize_i32(i32) -> Self::Ok;
            serialize_i64(i64) -> Self::Ok;
            serialize_u8(u8) -> Self::Ok;
            serialize_u16(u16) -> Self::Ok;
            serialize_u32(u32) -> Self::Ok;
            serialize_u64(u64) -> Self::Ok;
            serialize_f32(f32) -> Self::Ok;
            serialize_f64(f64) -> Self::Ok;
            serialize_char(char) -> Self::Ok;
            serialize_bytes(&[u8]) -> Self::Ok;
            serialize_none() -> Self::Ok;
            serialize_unit() -> Self::Ok;
            serialize_unit_struct(&'static str) -> Self::Ok;
            serialize_unit_variant(&'static str, u32, &'static str) -> Self::Ok;
            serialize_seq(Option<usize>) -> Self::SerializeSeq;
            serialize_tuple(usize) -> Self::SerializeTuple;
            serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
            serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
            serialize_struct(&'static str, usize) -> Self::SerializeStruct;
            serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
        }

        fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Self::Ok, Self::Error> {
            value.serialize(self)
        }

        fn serialize_newtype_struct<T: Serialize + ?Sized>(
            self,
            _: &'static str,
            value: &T,
        ) -> Result<Self::Ok, Self::Error> {
            value.serialize(self)
        }

        fn serialize_newtype_variant<T: Serialize + ?Sized>(
            self,
            _: &'static str,
            _: u32,
            _: &'static str,
            _: &T,
        ) -> Result<Self::Ok, Self::Error> {
            Err(Self::Error::custom(REFUSED))
        }
    };
}

const REFUSED: &str = "only a map with texts as keys is written by its names";

macro_rules! refuse {
    ($($method:ident($($argument:ty),*) -> $ok:ty;)*) => {
        $(fn $method(self, $(_: $argument),*) -> Result<$ok, Self::Error> {
            Err(Self::Error::custom(REFUSED))
        })*
    };
}

impl<'a, S: Serializer> Serializer for NamedEntries<'a, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeMap = Entries<'a, S::SerializeMap>;

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        // How many entries there are is not known before.
        Ok(Entries { map: self.serializer.serialize_map(None)?, names: self.names, is_wanted: false })
    }

    refuse! { serialize_str(&str) -> S::Ok; }
    refuse_the_rest!();
}

impl Serializer for IsNamed<'_> {
    type Ok = bool;
    type Error = fmt::Error;
    type SerializeMap = Impossible<bool, fmt::Error>;

    fn serialize_str(self, name: &str) -> Result<bool, fmt::Error> {
        Ok(self.0.binary_search(&name).is_ok())
    }

    refuse! { serialize_map(Option<usize>) -> Self::SerializeMap; }
    refuse_the_rest!();
}

#[cfg(test)]
mod tests {
    use super::NamedEntries;
    use serde::Serialize;
    use serde_json::json;

    fn write(value: &impl Serialize, names: &[&'static str]) -> Option<serde_json::Value> {
        value.serialize(NamedEntries { serializer: serde_json::value::Serializer, names }).ok()
    }

    #[test]
    fn a_map_has_its_named_entries_whole_and_no_others() {
        let map = json!({ "a": { "b": 1, "c": 2 }, "b": [3], "c": null });
        assert_eq!(write(&map, &["a", "c", "z"]), Some(json!({ "a": { "b": 1, "c": 2 }, "c": null })));
        assert_eq!(write(&Some(&map), &[]), Some(json!({})));
    }

    #[test]
    fn what_is_no_map_is_refused() {
        for value in [json!([1]), json!("a"), json!(1), json!(null)] {
            assert_eq!(write(&value, &["a"]), None, "{value}");
        }
        assert_eq!(write(&std::collections::BTreeMap::from([(1, 2)]), &["1"]), None);
    }
}
