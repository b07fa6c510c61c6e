//! Which fields of a file a listing has: all, or those that `fields` names.
//! Invariant: a name is one of a file's fields; what is left out is not sent, and not made where making it costs.

use super::params::{Params, shown};
use super::user_file::UserFile;
use crate::error::{Error, Result};
use serde::ser::{Error as _, Impossible, SerializeMap};
use serde::{Serialize, Serializer};
use std::fmt::{self, Display, Write as _};
use std::sync::Arc;

/// Longest name that is read.
const MAX_NAME_BYTES: usize = 64;

/// The field that says which of the others are not whole: nobody has to ask for that.
const TRUNCATED: &str = "truncatedFields";

/// Names of fields.
#[derive(Debug, Clone)]
pub struct Fields(Option<Arc<[&'static str]>>);

impl Fields {
    /// Every field.
    pub const ALL: Self = Self(None);
    /// The parameter that names them.
    pub const PARAMETER: &'static str = "fields";

    /// Reads [`Fields::PARAMETER`]: a list of names; without it, every field.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for a name that no field has.
    pub fn read(params: &Params) -> Result<Self> {
        let known: Vec<&'static str> = UserFile::fields().iter().map(String::as_str).collect();
        let named = params.list(Self::PARAMETER, known.len(), MAX_NAME_BYTES)?;
        let find = |name: &String| {
            let found = known.iter().copied().find(|known| known == name);
            found.ok_or_else(|| {
                let reason = format!("\"{}\" is not a field of a file", shown(name));
                Error::invalid_parameter(Self::PARAMETER, reason)
            })
        };
        let mut names = named.iter().map(find).collect::<Result<Vec<_>>>()?;
        if names.is_empty() {
            return Ok(Self::ALL);
        }
        names.push(TRUNCATED);
        Ok(Self(Some(names.into())))
    }

    /// Whether a field is wanted.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|names| names.contains(&name))
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
            Some(names) => file.serialize(OnlyNamed { serializer, names }),
        }
    }
}

/// Writes entries of a map, of which only the named ones.
struct OnlyNamed<'a, S> {
    serializer: S,
    names: &'a [&'static str],
}

/// A map of which only the named entries are written.
struct NamedEntries<'a, M> {
    map: M,
    names: &'a [&'static str],
    /// The name of the entry that is being written.
    name: String,
    is_wanted: bool,
}

impl<M: SerializeMap> SerializeMap for NamedEntries<'_, M> {
    type Ok = M::Ok;
    type Error = M::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), M::Error> {
        self.name.clear();
        write!(self.name, "{}", Text(key)).map_err(M::Error::custom)?;
        self.is_wanted = self.names.contains(&self.name.as_str());
        if self.is_wanted { self.map.serialize_key(key) } else { Ok(()) }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), M::Error> {
        if self.is_wanted { self.map.serialize_value(value) } else { Ok(()) }
    }

    fn end(self) -> Result<M::Ok, M::Error> {
        self.map.end()
    }
}

/// What a value is as text.
struct Text<'a, T: ?Sized>(&'a T);

impl<T: Serialize + ?Sized> Display for Text<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.serialize(f)
    }
}

/// Everything but a map, which a file never is.
macro_rules! no_map {
    ($($method:ident($($argument:ty),*) -> $ok:ty;)*) => {
        $(fn $method(self, $(_: $argument),*) -> Result<$ok, S::Error> {
            Err(S::Error::custom("a file is written as a map"))
        })*
    };
}

impl<'a, S: Serializer> Serializer for OnlyNamed<'a, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Impossible<S::Ok, S::Error>;
    type SerializeTuple = Impossible<S::Ok, S::Error>;
    type SerializeTupleStruct = Impossible<S::Ok, S::Error>;
    type SerializeTupleVariant = Impossible<S::Ok, S::Error>;
    type SerializeMap = NamedEntries<'a, S::SerializeMap>;
    type SerializeStruct = Impossible<S::Ok, S::Error>;
    type SerializeStructVariant = Impossible<S::Ok, S::Error>;

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        let map = self.serializer.serialize_map(None)?;
        Ok(NamedEntries { map, names: self.names, name: String::new(), is_wanted: false })
    }

    no_map! {
        serialize_bool(bool) -> S::Ok;
        serialize_i8(i8) -> S::Ok;
        serialize_i16(i16) -> S::Ok;
        serialize_i32(i32) -> S::Ok;
        serialize_i64(i64) -> S::Ok;
        serialize_u8(u8) -> S::Ok;
        serialize_u16(u16) -> S::Ok;
        serialize_u32(u32) -> S::Ok;
        serialize_u64(u64) -> S::Ok;
        serialize_f32(f32) -> S::Ok;
        serialize_f64(f64) -> S::Ok;
        serialize_char(char) -> S::Ok;
        serialize_str(&str) -> S::Ok;
        serialize_bytes(&[u8]) -> S::Ok;
        serialize_none() -> S::Ok;
        serialize_unit() -> S::Ok;
        serialize_unit_struct(&'static str) -> S::Ok;
        serialize_unit_variant(&'static str, u32, &'static str) -> S::Ok;
        serialize_seq(Option<usize>) -> Self::SerializeSeq;
        serialize_tuple(usize) -> Self::SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
        serialize_struct(&'static str, usize) -> Self::SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        value.serialize(self)
    }
}
