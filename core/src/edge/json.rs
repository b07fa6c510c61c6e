//! JSON bodies: an object within its limit, read into a type that knows all its fields.
//! Invariant: what the library says about a value never reaches a client; each refusal names the field, what was sent
//! in kind, and what is allowed.

use super::body::{read_small, require_plain};
use crate::app::App;
use crate::error::{Error, Result};
use crate::model::OUR_WORDS;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_path_to_error::Segment;

/// Longest name of a field that is repeated to its sender.
const MAX_NAME_CHARS: usize = 40;

/// A JSON body. An empty body counts as `{}`, because clients of the legacy service send none.
#[derive(Debug)]
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for JsonBody<T> {
    type Rejection = Error;

    async fn from_request(request: Request, app: &App) -> Result<Self> {
        let (parts, body) = request.into_parts();
        let bytes = read_bytes(&parts.headers, body, app).await?;
        read(&bytes).map(Self)
    }
}

async fn read_bytes(headers: &HeaderMap, body: Body, app: &App) -> Result<Vec<u8>> {
    require_plain(headers)?;
    let content_type = headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    let bytes = read_small(body, app.config.limits.max_json).await?;
    if bytes.is_empty() {
        return Ok(b"{}".to_vec());
    }
    let is_json = content_type.is_some_and(|value| {
        let essence = value.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("application/json")
            || essence.eq_ignore_ascii_case("application/merge-patch+json")
    });
    if is_json {
        Ok(bytes.into())
    } else {
        Err(Error::UnsupportedContentType { expected: "application/json" })
    }
}

/// Reads a JSON object.
///
/// # Errors
/// [`Error::InvalidBody`] for what is no JSON object or has a field that is unknown, missing or of another kind,
/// [`Error::InvalidParameter`] for a value beyond its bound.
fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    // A look at all of it first: from here on every fault is one of a value.
    if let Err(fault) = serde_json::from_slice::<IgnoredAny>(bytes) {
        let (line, column) = (fault.line(), fault.column());
        return Err(Error::invalid_body(format!("it is not JSON from line {line}, column {column} on")));
    }
    // The library would also take a list, and read its entries as the fields in their order.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(Error::invalid_body("a JSON object is expected"));
    }
    if bytes.contains(&0) || memchr::memmem::find(bytes, b"\\u0000").is_some() {
        // Postgres cannot store it in text.
        return Err(Error::invalid_body("it holds a NUL character"));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut reader).map_err(|fault| {
        let Fault { field, reason, is_beyond } = Fault::of(&fault);
        match field {
            Some(field) if is_beyond => Error::invalid_parameter(field, reason),
            Some(field) => {
                let reason = format!("{field} {reason}");
                Error::invalid_field(field, reason)
            }
            None => Error::invalid_body(reason),
        }
    })
}

/// What is wrong with a value, for the person who sent it.
pub(super) struct Fault {
    /// The field, if it is one.
    pub(super) field: Option<String>,
    /// What is wrong with it.
    pub(super) reason: String,
    /// Whether the value is of the right kind and beyond a bound.
    pub(super) is_beyond: bool,
}

impl Fault {
    pub(super) fn of(fault: &serde_path_to_error::Error<serde_json::Error>) -> Self {
        let mut path = fault.path().iter();
        let field = path.next().and_then(|segment| match segment {
            Segment::Map { key } => Some(shown(key)),
            _ => None,
        });
        let is_inside = path.next().is_some();
        let whole = fault.inner().to_string();
        let message = without_place(&whole);
        if let Some((_, ours)) = message.split_once(OUR_WORDS) {
            return Self { field, reason: ours.to_owned(), is_beyond: true };
        }
        let (named, reason) = in_our_words(message);
        let field = named.or(field);
        let reason = if is_inside { format!("holds something that {reason}") } else { reason };
        Self { field, reason, is_beyond: false }
    }
}

/// The library ends its messages with the place, which says nothing to a person who sent an object.
fn without_place(message: &str) -> &str {
    message.rsplit_once(" at line ").map_or(message, |(message, _)| message)
}

/// The library's message as the end of a sentence about a field, and the field if the message names it.
fn in_our_words(message: &str) -> (Option<String>, String) {
    let name = || message.split('`').nth(1).map(shown);
    if message.starts_with("unknown field") {
        (name(), format!("is not a field of this request; {}", known(message)))
    } else if message.starts_with("missing field") {
        (name(), "is missing".to_owned())
    } else if message.starts_with("duplicate field") {
        (name(), "is given twice".to_owned())
    } else if message.starts_with("unknown variant") {
        (None, format!("is none of its values; {}", known(message)))
    } else if let Some((sent, expected)) = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "))
        .and_then(|rest| rest.rsplit_once(", expected "))
    {
        (None, format!("is {}, expected {}", kind_sent(sent), kind_expected(expected)))
    } else {
        (None, "is not what is expected there".to_owned())
    }
}

/// The names that the library lists after those it does not know.
fn known(message: &str) -> String {
    let listed = message.rsplit_once(", expected ").map_or("", |(_, listed)| listed);
    let names: Vec<&str> = listed.split('`').skip(1).step_by(2).collect();
    match names.as_slice() {
        [] => "nothing is expected there".to_owned(),
        [only] => format!("allowed is {only}"),
        [all @ .., last] => format!("allowed are {} and {last}", all.join(", ")),
    }
}

fn kind_sent(sent: &str) -> &'static str {
    let kinds = [
        ("string", "a text"),
        ("integer", "a number"),
        ("floating point", "a number"),
        ("boolean", "true or false"),
        ("null", "null"),
        ("unit", "null"),
        ("sequence", "a list"),
        ("map", "an object"),
    ];
    kinds.iter().find(|(start, _)| sent.starts_with(start)).map_or("something else", |(_, kind)| kind)
}

fn kind_expected(expected: &str) -> &str {
    match expected {
        "a string" | "a borrowed string" | "a character" => "a text",
        "a boolean" => "true or false",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number from 0 on",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a sequence" => "a list",
        "a map" => "an object",
        // The others are ours.
        ours if ours.starts_with("a ") || ours.starts_with("an ") => ours,
        _ => "another value",
    }
}

/// A name as it was sent, fit to be shown.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(MAX_NAME_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::read;
    use crate::error::Error;
    use crate::model::{List, Tags, Text};
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    #[expect(dead_code, reason = "only its reading is looked at")]
    struct Wanted {
        how: How,
        names: Option<List<Text<9>, 3>>,
        max_count: Option<u64>,
        is_set: Option<bool>,
        labels: Option<Tags>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum How {
        Fast,
        Slow,
    }

    #[test]
    fn a_fault_names_its_field_what_was_sent_and_what_is_allowed() {
        for (json, field, sentence) in [
            ("{}", "how", "how is missing"),
            (
                r#"{"how": "fast", "hwo": 1}"#,
                "hwo",
                "hwo is not a field of this request; allowed are how, names, maxCount, isSet and labels",
            ),
            (r#"{"how": "high"}"#, "how", "how is none of its values; allowed are fast and slow"),
            (r#"{"how": 5}"#, "how", "how is not what is expected there"),
            (r#"{"how": "fast", "how": "slow"}"#, "how", "how is given twice"),
            (r#"{"how": "fast", "names": "a"}"#, "names", "names is a text, expected a list"),
            (
                r#"{"how": "fast", "names": [1]}"#,
                "names",
                "names holds something that is a number, expected a text",
            ),
            (
                r#"{"how": "fast", "maxCount": "x, expected y"}"#,
                "maxCount",
                "maxCount is a text, expected a whole number from 0 on",
            ),
            (
                r#"{"how": "fast", "maxCount": -1}"#,
                "maxCount",
                "maxCount is a number, expected a whole number from 0 on",
            ),
            (
                r#"{"how": "fast", "maxCount": 1.5}"#,
                "maxCount",
                "maxCount is a number, expected a whole number from 0 on",
            ),
            (r#"{"how": "fast", "isSet": {}}"#, "isSet", "isSet is an object, expected true or false"),
            (r#"{"how": "fast", "labels": 7}"#, "labels", "labels is a number, expected a list of texts"),
        ] {
            match read::<Wanted>(json.as_bytes()) {
                Err(Error::InvalidBody { parameter, reason }) => {
                    assert_eq!((parameter.as_deref(), reason.as_str()), (Some(field), sentence), "{json}");
                }
                other => panic!("{json}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_value_beyond_its_bound_is_named() {
        for (json, field, sentence) in [
            (
                r#"{"how": "fast", "names": ["0123456789"]}"#,
                "names",
                "it has 10 bytes, allowed are at most 9",
            ),
            (r#"{"how": "fast", "names": ["", "", "", ""]}"#, "names", "it has more than 3 entries"),
        ] {
            match read::<Wanted>(json.as_bytes()) {
                Err(Error::InvalidParameter { parameter, reason }) => {
                    assert_eq!((&*parameter, reason.as_str()), (field, sentence), "{json}");
                }
                other => panic!("{json}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_is_no_object_of_json_says_so() {
        for (json, reason) in [
            ("{\"how\":", "it is not JSON from line 1, column 7 on"),
            ("{} {}", "it is not JSON from line 1, column 4 on"),
            ("[\"fast\"]", "a JSON object is expected"),
            ("{\"how\": \"\\u0000\"}", "it holds a NUL character"),
        ] {
            match read::<Wanted>(json.as_bytes()) {
                Err(Error::InvalidBody { parameter: None, reason: said }) => {
                    assert_eq!(said, reason, "{json}")
                }
                other => panic!("{json}: {other:?}"),
            }
        }
    }

    #[test]
    fn an_endless_name_is_cut() {
        let json = format!("{{\"{}\": 1}}", "x\\u0007".repeat(10_000));
        let said = read::<Wanted>(json.as_bytes()).unwrap_err().to_string();
        assert!(said.len() < 250 && !said.contains('\u{7}'), "{said}");
    }
}
