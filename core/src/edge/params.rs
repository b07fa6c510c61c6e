//! Query parameters: single values, and lists in each form in which clients write them.
//! Invariant: a parameter that is meant for us is never dropped. One that is unknown is ignored, unless it looks like a
//! known one: a filter that is left out answers with everything.

use crate::app::App;
use crate::error::{Error, Result};
use crate::model::nfc;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;

/// Longest name or value that is repeated to its sender.
const MAX_SHOWN_CHARS: usize = 40;

/// The query's parameters, as they came, in NFC.
#[derive(Debug, Clone, Default)]
pub struct Params(Vec<Given>);

#[derive(Debug, Clone)]
struct Given {
    name: String,
    /// What the name is about, whatever its case, its number and its brackets.
    likeness: String,
    value: String,
}

impl FromRequestParts<App> for Params {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self> {
        Ok(Self::read(parts.uri.query().unwrap_or_default()))
    }
}

impl Params {
    fn read(query: &str) -> Self {
        let given = form_urlencoded::parse(query.as_bytes()).map(|(name, value)| Given {
            likeness: likeness(&name),
            name: name.into_owned(),
            value: nfc(&value).into_owned(),
        });
        Self(given.collect())
    }

    /// The values of a parameter by the names that `is_named` takes, in order; empty ones count as absent. `is_like`:
    /// which likenesses are taken for the parameter's.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for a name that only looks like the parameter's, and for a value with a NUL.
    fn values<'a>(
        &'a self,
        name: &'static str,
        is_named: impl Fn(&str) -> bool,
        is_like: impl Fn(&str, &str) -> bool,
    ) -> Result<Vec<(&'a str, &'a str)>> {
        let known = likeness(name);
        let mut values = Vec::new();
        for given in self.0.iter().filter(|given| is_like(&given.likeness, &known)) {
            if !is_named(&given.name) {
                let reason = format!("the parameter is called {name}");
                return Err(Error::invalid_parameter(shown(&given.name), reason));
            }
            if given.value.contains('\0') {
                return Err(Error::invalid_parameter(name, "it holds a NUL character"));
            }
            if !given.value.is_empty() {
                values.push((given.name.as_str(), given.value.as_str()));
            }
        }
        Ok(values)
    }

    /// A parameter read by `parse`; one that is empty counts as absent.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] with `expected` when `parse` does not take it, and when it is given twice: two readers
    /// could disagree on which one counts.
    pub fn parsed<T>(
        &self,
        name: &'static str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>> {
        match self.values(name, |sent| sent == name, |sent, known| sent == known)?.as_slice() {
            [] => Ok(None),
            [(_, text)] => match parse(text) {
                Some(value) => Ok(Some(value)),
                None => {
                    let reason = format!("\"{}\" was sent, expected {expected}", shown(text));
                    Err(Error::invalid_parameter(name, reason))
                }
            },
            _ => Err(Error::invalid_parameter(name, "it is given more than once")),
        }
    }

    /// A whole number within bounds.
    ///
    /// # Errors
    /// As [`Params::parsed`].
    pub fn number(&self, name: &'static str, min: i64, max: i64) -> Result<Option<i64>> {
        self.parsed(name, &format!("a whole number from {min} to {max}"), |text| {
            text.parse().ok().filter(|number| (min..=max).contains(number))
        })
    }

    /// A whole number of at least `min`; what is above `max` counts as `max`.
    ///
    /// # Errors
    /// As [`Params::parsed`].
    pub fn number_at_most(&self, name: &'static str, min: i64, max: i64) -> Result<Option<i64>> {
        self.parsed(name, &format!("a whole number from {min} on"), |text| {
            let is_plain = text.bytes().all(|b| b.is_ascii_digit());
            let number = if is_plain { text.parse().unwrap_or(i64::MAX) } else { text.parse().ok()? };
            (number >= min).then(|| number.min(max))
        })
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// As [`Params::parsed`].
    pub fn flag(&self, name: &'static str) -> Result<Option<bool>> {
        self.parsed(name, "true or false", |text| match text {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        })
    }

    /// A list without its empty entries, at most `max_entries` of `max_bytes` each. `name=a,b` holds several entries;
    /// `name=a&name=b` does as well; `name[]=a,b` and `name[0]=a,b` hold one, in which a comma is a comma.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] beyond a bound, and for other names in brackets.
    pub fn list(&self, name: &'static str, max_entries: usize, max_bytes: usize) -> Result<Vec<String>> {
        let is_named = |sent: &str| sent == name || is_element(sent, name);
        let mut entries = Vec::new();
        // Clients spell lists in many ways, and none may be dropped: what only begins like one is refused, too.
        for (sent, value) in self.values(name, is_named, |sent, known| sent.starts_with(known))? {
            let is_whole = sent != name;
            let parts: Box<dyn Iterator<Item = &str>> =
                if is_whole { Box::new(std::iter::once(value)) } else { Box::new(value.split(',')) };
            for entry in parts.map(str::trim).filter(|entry| !entry.is_empty()) {
                if entries.len() == max_entries || entry.len() > max_bytes {
                    let expected = format!("expected at most {max_entries} entries of {max_bytes} bytes");
                    return Err(Error::invalid_parameter(name, expected));
                }
                entries.push(entry.to_owned());
            }
        }
        Ok(entries)
    }
}

/// A text as it was sent, fit to be shown.
#[must_use]
pub fn shown(text: &str) -> String {
    let mut shown: String = text.chars().filter(|c| !c.is_control()).take(MAX_SHOWN_CHARS).collect();
    if shown.len() < text.len() {
        shown.push_str("...");
    }
    shown
}

/// Whether `sent` is `name[]` or `name[12]`.
fn is_element(sent: &str, name: &str) -> bool {
    let index = sent.strip_prefix(name).and_then(|rest| rest.strip_prefix('[')?.strip_suffix(']'));
    index.is_some_and(|index| index.bytes().all(|b| b.is_ascii_digit()))
}

/// The letters and digits that a name begins with, in lower case, without underscores and without a plural's ending:
/// `usage_tag[x]` is like `usageTags`.
fn likeness(name: &str) -> String {
    let end = name.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').unwrap_or(name.len());
    let plain: String =
        name[..end].chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    match plain.strip_suffix('s') {
        Some(singular) if !singular.is_empty() => singular.to_owned(),
        _ => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::Params;
    use crate::error::Error;

    #[track_caller]
    fn refused<T: std::fmt::Debug>(read: Result<T, Error>) -> String {
        match read {
            Err(Error::InvalidParameter { parameter, .. }) => parameter.into_owned(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_list_is_read_in_each_form() {
        for query in [
            "tags=a,b",
            "tags=a&tags=b",
            "tags=+a+,,b,",
            "tags[]=a&tags[]=b",
            "tags%5B%5D=a&tags%5B%5D=b",
            "tags[0]=a&tags[1]=b",
            "tags[]=a&x=y&tags=b",
            "tags=&tags[]=&tags[]=a&tags[]=b",
        ] {
            assert_eq!(Params::read(query).list("tags", 9, 9).unwrap(), ["a", "b"], "{query}");
        }
        assert!(Params::read("colour=a&_=1&[]=2&tag.s=3").list("tags", 9, 9).is_err());
        assert!(Params::read("colour=a&_=1&[]=2").list("tags", 9, 9).unwrap().is_empty());
    }

    #[test]
    fn an_entry_of_its_own_keeps_its_comma() {
        for query in ["tags[]=a,b", "tags[7]=a,b", "tags%5B%5D=a%2Cb"] {
            assert_eq!(Params::read(query).list("tags", 9, 9).unwrap(), ["a,b"], "{query}");
        }
    }

    #[test]
    fn what_looks_like_a_known_parameter_is_refused_by_its_name() {
        for sent in [
            "tags[x]",
            "tags[0][a]",
            "tags[-1]",
            "tags[",
            "tags.0",
            "Tags",
            "tag",
            "tag[]",
            "tagss",
            "tags0",
            "tags_in",
        ] {
            let params = Params::read(&format!("{sent}=a"));
            assert_eq!(refused(params.list("tags", 9, 9)), sent);
        }
        for sent in ["usagetags", "usage_tags", "usageTag", "usage-tags[]"] {
            assert_eq!(refused(Params::read(&format!("{sent}=a")).list("usageTags", 9, 9)), sent);
        }
        assert_eq!(refused(Params::read("limit[]=5").number("limit", 1, 9)), "limit[]");
        assert_eq!(refused(Params::read("Trash=true").flag("trash")), "Trash");
    }

    #[test]
    fn a_single_value_that_is_doubled_names_itself() {
        assert_eq!(refused(Params::read("q=a&limit=5&limit=6").number("limit", 1, 9)), "limit");
        assert_eq!(Params::read("a=1&a=2&limit=5").number("limit", 1, 9).unwrap(), Some(5));
        assert_eq!(refused(Params::read("q=a%00b").parsed("q", "a text", |_| Some(()))), "q");
    }

    #[test]
    fn a_list_has_its_bounds_and_a_number_may_have_no_upper_one() {
        assert_eq!(refused(Params::read("tags=a,b,c").list("tags", 2, 9)), "tags");
        assert_eq!(refused(Params::read("tags[]=abc").list("tags", 2, 2)), "tags");
        for (query, read) in [("limit=7", 7), ("limit=8", 7), ("limit=99999999999999999999", 7)] {
            assert_eq!(Params::read(query).number_at_most("limit", 1, 7).unwrap(), Some(read), "{query}");
        }
        for query in ["limit=0", "limit=-1", "limit=ten", "limit=1.5"] {
            assert_eq!(refused(Params::read(query).number_at_most("limit", 1, 7)), "limit", "{query}");
        }
    }

    #[test]
    fn texts_that_look_the_same_are_the_same() {
        let params = Params::read("q=cafe%CC%81&tags=cafe%CC%81");
        assert_eq!(params.parsed("q", "a text", |text| Some(text.to_owned())).unwrap().unwrap(), "caf\u{e9}");
        assert_eq!(params.list("tags", 9, 9).unwrap(), ["caf\u{e9}"]);
    }
}
