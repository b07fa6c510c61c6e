//! The boundary of a form, as clients write it into `Content-Type` (RFC 2046 section 5.1.1).
//! Never reads a body.

use crate::error::{Error, Result};

/// The only kind of body that is read here.
const FORM: &str = "multipart/form-data";
/// Longest boundary.
const MAX_BYTES: usize = 70;

/// How boundaries of browsers, and of Node.js in their place, begin. They write names as WHATWG says.
const BROWSERS: [&str; 4] =
    ["----WebKitFormBoundary", "----geckoformboundary", "---------------------------", "----formdata-"];

/// A form's boundary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Boundary(String);

impl Boundary {
    /// Reads it from the value of `Content-Type`. By the grammar a boundary with `=`, `/`, `:` or `(` needs quotes, and
    /// clients leave them out: it ends where the parameter does.
    ///
    /// # Errors
    /// [`Error::UnsupportedContentType`] when the body is no form, [`Error::InvalidBody`] for a missing or bad boundary.
    pub(super) fn of(content_type: &str) -> Result<Self> {
        let (essence, mut rest) = content_type.split_once(';').unwrap_or((content_type, ""));
        if !essence.trim().eq_ignore_ascii_case(FORM) {
            return Err(Error::UnsupportedContentType { expected: FORM });
        }
        let mut found = None;
        while !rest.is_empty() {
            let (name, value, after) = parameter(rest)
                .ok_or_else(|| Error::invalid_body("the Content-Type cannot be read after its boundary"))?;
            if name.eq_ignore_ascii_case("boundary") && found.replace(value).is_some() {
                return Err(Error::invalid_body("the Content-Type names two boundaries"));
            }
            rest = after;
        }
        let found = found.filter(|text| !text.is_empty());
        let text = found.ok_or_else(|| {
            Error::invalid_body("the Content-Type names no boundary: let the HTTP client set it")
        })?;
        if text.len() > MAX_BYTES || !text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            return Err(Error::invalid_body("expected a boundary of 1 to 70 visible ASCII characters"));
        }
        Ok(Self(text))
    }

    /// What ends a part's content: CRLF, two dashes, the boundary.
    pub(super) fn delimiter(&self) -> Vec<u8> {
        format!("\r\n--{}", self.0).into_bytes()
    }

    /// Whether the sender is known to escape only quotes and line ends in names.
    pub(super) fn is_of_a_browser(&self) -> bool {
        BROWSERS.iter().any(|start| self.0.starts_with(start))
    }
}

/// The next parameter's name and value, and what follows it. A text without a name is an empty parameter.
fn parameter(text: &str) -> Option<(&str, String, &str)> {
    let text = text.trim_start();
    let end = text.find(['=', ';']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let Some(value) = rest.strip_prefix('=') else {
        return Some((name.trim(), String::new(), rest.strip_prefix(';').unwrap_or_default()));
    };
    let value = value.trim_start();
    let (value, rest) = match value.strip_prefix('"') {
        Some(quoted) => unquote(quoted)?,
        None => {
            let end = value.find(';').unwrap_or(value.len());
            (value[..end].trim_end().to_owned(), &value[end..])
        }
    };
    let rest = rest.trim_start();
    match rest.strip_prefix(';') {
        Some(after) => Some((name.trim(), value, after)),
        None => rest.is_empty().then(|| (name.trim(), value, "")),
    }
}

/// The text up to the closing quote and what follows it (RFC 9110 section 5.6.4).
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((text, &quoted[at + 1..])),
            '\\' => text.push(chars.next()?.1),
            c => text.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::Boundary;
    use crate::error::Error;

    #[test]
    fn a_boundary_needs_no_quotes_whatever_is_in_it() {
        for (sent, boundary) in [
            ("multipart/form-data; boundary=xyz", "xyz"),
            ("Multipart/Form-Data;BOUNDARY=\"x y\"; charset=utf-8", "x y"),
            ("multipart/form-data; charset=utf-8; boundary = a=b==", "a=b=="),
            (
                "multipart/form-data; boundary=----=_Part_1_(2).3/4:5?6,7'8+9",
                "----=_Part_1_(2).3/4:5?6,7'8+9",
            ),
            ("multipart/form-data; boundary=\"a\\\"b;c\"", "a\"b;c"),
            ("multipart/form-data; boundary=x;", "x"),
            ("multipart/form-data; ;boundary=x; flag", "x"),
        ] {
            assert_eq!(Boundary::of(sent).unwrap(), Boundary(boundary.to_owned()), "{sent}");
        }
    }

    #[test]
    fn what_names_no_boundary_is_refused_with_the_reason() {
        for sent in
            ["", "multipart/mixed; boundary=x", "application/json", "multipart/form-data2; boundary=x"]
        {
            assert!(matches!(Boundary::of(sent), Err(Error::UnsupportedContentType { .. })), "{sent}");
        }
        let long = format!("multipart/form-data; boundary={}", "x".repeat(71));
        for (sent, reason) in [
            ("multipart/form-data", "no boundary"),
            ("multipart/form-data; boundary=", "no boundary"),
            ("multipart/form-data; boundary=\"\"", "no boundary"),
            ("multipart/form-data; boundary=a; boundary=b", "two boundaries"),
            ("multipart/form-data; boundary=\"a", "cannot be read"),
            ("multipart/form-data; boundary=\"a\" b", "cannot be read"),
            (&long, "1 to 70"),
            ("multipart/form-data; boundary=\"a\tb\"", "1 to 70"),
        ] {
            let error = Boundary::of(sent).unwrap_err();
            assert!(
                matches!(error, Error::InvalidBody { .. }) && error.to_string().contains(reason),
                "{error}"
            );
        }
    }

    #[test]
    fn browsers_are_known_by_their_boundaries() {
        let of = |text: &str| Boundary(text.to_owned()).is_of_a_browser();
        assert!(of("----WebKitFormBoundary7MA4YWxkTrZu0gW") && of("----geckoformboundary1f2e"));
        assert!(
            of("---------------------------9051914041544843365972754266") && of("----formdata-undici-0123")
        );
        assert!(!of("------------------------d74496d66958873e") && !of("Kx8-pQ") && !of("2f1c9b3e-8a7d"));
    }
}
