//! `Content-Disposition` of RFC 6266: an ASCII name for old clients, the true one by RFC 8187 for the others.
//! Never decides whether something may be shown inline.

use crate::model::FileName;
use axum::http::HeaderValue;

/// `attachment` with the file's name.
#[must_use]
pub fn attachment(name: &FileName) -> HeaderValue {
    value("attachment", name)
}

/// `inline` with the file's name, for a browser's "save as".
#[must_use]
pub fn inline(name: &FileName) -> HeaderValue {
    value("inline", name)
}

fn value(kind: &str, name: &FileName) -> HeaderValue {
    let mut ascii = String::with_capacity(name.as_str().len());
    let mut extended = String::with_capacity(name.as_str().len());
    for c in name.as_str().chars() {
        // Quotes, escapes and percent signs are read differently by different clients.
        let plain = c.is_ascii() && !c.is_ascii_control() && !matches!(c, '"' | '\\' | '%');
        ascii.push(if plain { c } else { '_' });
    }
    for byte in name.as_str().bytes() {
        // attr-char of RFC 8187.
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            extended.push(char::from(byte));
        } else {
            extended.push_str(&format!("%{byte:02X}"));
        }
    }
    let text = if ascii == name.as_str() {
        format!("{kind}; filename=\"{ascii}\"")
    } else {
        format!("{kind}; filename=\"{ascii}\"; filename*=UTF-8''{extended}")
    };
    // Both names are printable ASCII, so the fallback is never taken.
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("attachment"))
}

#[cfg(test)]
mod tests {
    use super::{attachment, inline};
    use crate::model::FileName;

    #[test]
    fn any_name_arrives_whole_and_cannot_break_the_header() {
        let check = |name: &str, expected: &str| {
            assert_eq!(attachment(&FileName::sanitize(name)).to_str().unwrap(), expected);
        };
        check("photo.jpg", "attachment; filename=\"photo.jpg\"");
        check("a\"b\r\nX: y.txt", "attachment; filename=\"a_bX: y.txt\"; filename*=UTF-8''a%22bX%3A%20y.txt");
        check("写真.png", "attachment; filename=\"__.png\"; filename*=UTF-8''%E5%86%99%E7%9C%9F.png");
        assert_eq!(inline(&FileName::sanitize("a.mp4")).to_str().unwrap(), "inline; filename=\"a.mp4\"");
    }
}
