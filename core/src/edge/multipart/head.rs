//! The headers of a part: its field's name, its file's name in all the spellings that clients have for it, its type.
//! Invariant: a header that two readers could understand differently is refused.

use crate::error::{Error, Result};
use percent_encoding::{percent_decode, percent_decode_str};
use std::borrow::Cow;

/// Most header lines of a part.
const MAX_HEADERS: usize = 16;
/// What `encodeURIComponent` and `encodeURI` leave as it is, beside letters and digits.
const NEVER_ESCAPED: &str = "-_.!~*'();/?:@&=+$,#";

/// The headers of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartHead {
    /// The field's name.
    pub name: String,
    /// The file's name as its user knows it; a part with one is a file.
    pub file_name: Option<String>,
    /// Whether the part says which media type it has.
    pub has_content_type: bool,
}

/// Reads the lines of a part's head, the end of the delimiter's line included.
///
/// # Errors
/// [`Error::InvalidBody`] with what is wrong.
pub(super) fn parse(head: &[u8], is_of_a_browser: bool) -> Result<PartHead> {
    let malformed = || Error::invalid_body("the headers of a part are malformed");
    let start = memchr::memmem::find(head, b"\r\n").ok_or_else(malformed)?;
    // Spaces may pad the delimiter's line (RFC 2046).
    if head[..start].iter().any(|byte| !matches!(byte, b' ' | b'\t')) {
        return Err(Error::invalid_body("something follows the boundary in its line"));
    }
    let lines = without_control_characters(unfold(&head[start + 2..]));
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let headers = match httparse::parse_headers(&lines, &mut headers) {
        Ok(httparse::Status::Complete((_, headers))) => headers,
        Err(httparse::Error::TooManyHeaders) => {
            return Err(Error::invalid_body("a part has more than 16 headers"));
        }
        _ => return Err(malformed()),
    };
    let find =
        |name: &'static str| headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
    let mut dispositions = find("content-disposition");
    let disposition = match (dispositions.next(), dispositions.next()) {
        (Some(disposition), None) => text(disposition.value),
        (None, _) => return Err(Error::invalid_body("a part has no Content-Disposition")),
        _ => return Err(Error::invalid_body("a part has two headers Content-Disposition")),
    };
    // RFC 7578 section 4.7: nobody sends it. Bytes that were kept as they are sent would not be the file's.
    let is_plain = |value: &[u8]| {
        [&b"binary"[..], b"8bit", b"7bit"].iter().any(|plain| value.trim_ascii().eq_ignore_ascii_case(plain))
    };
    if find("content-transfer-encoding").any(|header| !is_plain(header.value)) {
        return Err(Error::invalid_body(
            "a part has a Content-Transfer-Encoding: send its bytes as they are",
        ));
    }
    let parameters = parameters(&disposition)?;
    let value = |wanted: &str| parameters.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
    let name = value("name")
        .ok_or_else(|| Error::invalid_body("the Content-Disposition of a part has no name"))?
        .unescaped();
    let extended = value("filename*").map(|value| extended(&value.raw));
    let plain = value("filename").map(|value| value.file_name(is_of_a_browser));
    let file_name = match (extended, plain) {
        (Some(Ok(name)), _) | (Some(Err(_)), Some(name)) | (None, Some(name)) => Some(name),
        (Some(Err(raw)), None) => Some(raw),
        (None, None) => None,
    };
    Ok(PartHead { name, file_name, has_content_type: find("content-type").next().is_some() })
}

/// Puts a space for each control character: names on Linux may hold them, and browsers send them as they are. A header's
/// own name stays malformed with one, and so does a NUL anywhere.
fn without_control_characters(lines: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    let is_control = |byte: &u8| matches!(byte, 0x01..=0x08 | 0x0B | 0x0C | 0x0E..=0x1F | 0x7F);
    if !lines.iter().any(is_control) {
        return lines;
    }
    Cow::Owned(lines.iter().map(|byte| if is_control(byte) { b' ' } else { *byte }).collect())
}

/// Joins lines that were folded (RFC 5322 section 2.2.3), which mail libraries do with long names.
fn unfold(lines: &[u8]) -> Cow<'_, [u8]> {
    let is_fold = |at: usize| lines[at..].starts_with(b"\r\n ") || lines[at..].starts_with(b"\r\n\t");
    if !memchr::memchr_iter(b'\r', lines).any(is_fold) {
        return Cow::Borrowed(lines);
    }
    let mut joined = Vec::with_capacity(lines.len());
    let mut at = 0;
    while at < lines.len() {
        if is_fold(at) {
            at += 2;
        } else {
            joined.push(lines[at]);
            at += 1;
        }
    }
    Cow::Owned(joined)
}

/// A header's text: UTF-8 from everybody who writes by today's rules. What is not came from a program with a legacy code
/// page, and the page of western Windows reads all bytes.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0,
    }
}

/// A parameter's value as it was sent, without its quotes.
struct Value {
    raw: String,
}

impl Value {
    /// With the three escapes of browsers taken back.
    fn unescaped(&self) -> String {
        self.raw.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n")
    }

    /// A file's name. React Native and others escape all of it as in a URL; browsers never do, so a name that looks like
    /// one of a URL is decoded only if its sender can be no browser, and only if something other than `%`, a quote or a
    /// line end was escaped: `100%25.png` stays what it is.
    fn file_name(&self, is_of_a_browser: bool) -> String {
        let decoded = if is_of_a_browser { None } else { url_decoded(&self.raw) };
        decoded.unwrap_or_else(|| self.unescaped())
    }
}

/// The decoded text, if all of it was escaped as in a URL.
fn url_decoded(raw: &str) -> Option<String> {
    let mut rest = raw;
    let mut is_certain = false;
    while let Some(c) = rest.chars().next() {
        if c == '%' {
            let digits = rest.get(1..3)?;
            let is_upper_hex = |b: u8| b.is_ascii_digit() || matches!(b, b'A'..=b'F');
            if !digits.bytes().all(is_upper_hex) {
                return None;
            }
            is_certain |= !matches!(digits, "25" | "22" | "0D" | "0A");
            rest = &rest[3..];
        } else if c.is_ascii_alphanumeric() || NEVER_ESCAPED.contains(c) {
            rest = &rest[1..];
        } else {
            return None;
        }
    }
    let decoded = percent_decode_str(raw).decode_utf8().ok()?;
    is_certain.then(|| decoded.into_owned())
}

/// `UTF-8''na%C3%AFve.txt` (RFC 5987); what cannot be decoded comes back as it was sent.
fn extended(value: &str) -> Result<String, String> {
    let mut parts = value.splitn(3, '\'');
    let (Some(charset), Some(_language), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(value.to_owned());
    };
    let bytes: Vec<u8> = percent_decode(encoded.as_bytes()).collect();
    match charset.to_ascii_lowercase().as_str() {
        "utf-8" => String::from_utf8(bytes).map_err(|_| encoded.to_owned()),
        "iso-8859-1" | "us-ascii" | "windows-1252" => {
            Ok(encoding_rs::WINDOWS_1252.decode_without_bom_handling(&bytes).0.into_owned())
        }
        _ => Err(encoded.to_owned()),
    }
}

/// `form-data; name="..."; filename="..."` with quotes escaped as curl does it (`\"`); names in lower case.
fn parameters(disposition: &str) -> Result<Vec<(String, Value)>> {
    let (kind, rest) = disposition.split_at(disposition.find(';').unwrap_or(disposition.len()));
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return Err(Error::invalid_body("the Content-Disposition of a part is not form-data"));
    }
    read_parameters(rest).ok_or_else(|| {
        Error::invalid_body("the Content-Disposition of a part cannot be read: check its quotes")
    })
}

fn read_parameters(mut rest: &str) -> Option<Vec<(String, Value)>> {
    let mut parameters = Vec::new();
    while let Some(after) = rest.strip_prefix(';') {
        if after.trim().is_empty() {
            break;
        }
        let (name, value) = after.split_once('=')?;
        let value = value.trim_start();
        let (raw, left) = if let Some(quoted) = value.strip_prefix('"') {
            unquote(quoted)?
        } else {
            let end = value.find(';').unwrap_or(value.len());
            (value[..end].trim().to_owned(), &value[end..])
        };
        parameters.push((name.trim().to_ascii_lowercase(), Value { raw }));
        rest = left.trim_start();
        if !rest.is_empty() && !rest.starts_with(';') {
            return None;
        }
    }
    Some(parameters)
}

/// The text up to the closing quote and what follows it. Only quotes and backslashes are escaped: a path of Windows in a
/// name keeps its other backslashes.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut chars = quoted.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((text, &quoted[at + 1..])),
            '\\' if matches!(chars.peek(), Some((_, '"' | '\\'))) => {
                text.extend(chars.next().map(|(_, c)| c));
            }
            c => text.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{PartHead, parse};

    fn head(disposition: &[u8], is_of_a_browser: bool) -> PartHead {
        let lines = [b"\r\nContent-Disposition: ", disposition, b"\r\n\r\n"].concat();
        parse(&lines, is_of_a_browser).unwrap()
    }

    fn file_name(disposition: &str) -> String {
        head(disposition.as_bytes(), false).file_name.unwrap()
    }

    #[test]
    fn a_name_is_read_in_every_spelling_that_clients_have() {
        for (sent, name) in [
            ("form-data; name=\"files\"; filename=\"a \\\"b\\\".bin\"", "a \"b\".bin"),
            ("Form-Data; Name=files; FileName=a.bin", "a.bin"),
            ("form-data ; name = \"files\" ; filename = \"a;b.bin\" ;", "a;b.bin"),
            ("form-data; name=\"files\"; filename*=UTF-8''na%C3%AFve%20%F0%9F%8E%AC.mp4", "naïve 🎬.mp4"),
            (
                "form-data; name=\"files\"; filename=\"naive.mp4\"; filename*=utf-8'de'na%c3%afve.mp4",
                "naïve.mp4",
            ),
            ("form-data; name=\"files\"; filename*=\"UTF-8''a%20b.png\"; filename=c.png", "a b.png"),
            ("form-data; name=\"files\"; filename*=ISO-8859-1''Gr%FC%DFe.txt", "Grüße.txt"),
            ("form-data; name=\"files\"; filename*=Shift_JIS''%83%5C.png; filename=\"so.png\"", "so.png"),
            ("form-data; name=\"files\"; filename*=UTF-8''%FF.png", "%FF.png"),
            ("form-data; name=\"files\"; filename=\"C:\\photos\\a.png\"", "C:\\photos\\a.png"),
            ("form-data; name=\"files\"; filename=\"a\u{1}b\u{1b}c\u{7f}.png\"", "a b c .png"),
        ] {
            assert_eq!(file_name(sent), name, "{sent}");
        }
    }

    #[test]
    fn a_name_that_was_escaped_as_in_a_url_is_decoded_and_a_real_percent_sign_stays() {
        let named = |name: &str| format!("form-data; name=\"files\"; filename=\"{name}\"");
        for (sent, name) in [
            ("Mein%20Foto%20%C3%BC.png", "Mein Foto ü.png"),
            ("100%25%20sicher.png", "100% sicher.png"),
            ("100%25.png", "100%25.png"),
            ("100%.png", "100%.png"),
            ("50% of %20.png", "50% of %20.png"),
            ("ü%20.png", "ü%20.png"),
            ("%FF%20.png", "%FF%20.png"),
            ("a%2fb.png", "a%2fb.png"),
            ("say %22hi%22%0D%0A.png", "say \"hi\"\r\n.png"),
        ] {
            assert_eq!(file_name(&named(sent)), name, "{sent}");
        }
        let of_a_browser = head(named("Mein%20Foto %22.png").as_bytes(), true);
        assert_eq!(of_a_browser.file_name.unwrap(), "Mein%20Foto \".png");
    }

    #[test]
    fn a_name_of_a_legacy_code_page_is_read_as_western() {
        let found = head(b"form-data; name=\"files\"; filename=\"Gr\xFC\xDFe \x80.txt\"", false);
        assert_eq!(found.file_name.unwrap(), "Grüße €.txt");
    }

    #[test]
    fn a_folded_header_is_one_line() {
        let lines = b"  \r\nContent-Disposition: form-data;\r\n name=\"files\";\r\n\tfilename=\"a.png\"\r\n\
            Content-Type: image/png\r\n\r\n";
        let found = parse(lines, false).unwrap();
        assert_eq!((found.name.as_str(), found.file_name.as_deref()), ("files", Some("a.png")));
        assert!(found.has_content_type);
    }

    #[test]
    fn a_part_that_cannot_be_read_says_what_is_wrong() {
        let many = "X-Header: 1\r\n".repeat(20);
        for (lines, reason) in [
            ("\r\nContent-Type: text/plain\r\n\r\n", "no Content-Disposition"),
            (
                "\r\nContent-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b\r\n\r\n",
                "two",
            ),
            ("\r\nContent-Disposition: attachment; name=a\r\n\r\n", "not form-data"),
            ("\r\nContent-Disposition: form-data; filename=a\r\n\r\n", "no name"),
            ("\r\nContent-Disposition: form-data; name=\"a\r\n\r\n", "quotes"),
            ("\r\nContent-Disposition: form-data; name=\"a\" b\r\n\r\n", "quotes"),
            ("-x\r\nContent-Disposition: form-data; name=a\r\n\r\n", "follows the boundary"),
            (
                "\r\nContent-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64\r\n\r\n",
                "Content-Transfer-Encoding",
            ),
            (&format!("\r\n{many}\r\n"), "16 headers"),
        ] {
            let error = parse(lines.as_bytes(), false).unwrap_err().to_string();
            assert!(error.contains(reason), "{lines}: {error}");
        }
    }
}
