//! What is never stored: documents that a browser runs, programs, and lists that make a player open other files.

use super::{Class, Sniffed};

const HTML: Sniffed = Sniffed::new("text/html", "html", Class::Refused, "HTML document");
/// What is XML and uses the names of SVG without being a drawing.
const SVG: Sniffed = Sniffed::new("image/svg+xml", "svg", Class::Refused, "SVG drawing");
/// Stored, and never shown in place: it may hold scripts.
const DRAWING: Sniffed = Sniffed::new("image/svg+xml", "svg", Class::Image, "SVG drawing");
const SCRIPT: Sniffed = Sniffed::new("text/x-shellscript", "sh", Class::Refused, "script");
const PROGRAM: Sniffed = Sniffed::new("application/x-executable", "exe", Class::Refused, "program");
const PLAYLIST: Sniffed = Sniffed::new("application/vnd.apple.mpegurl", "m3u8", Class::Refused, "playlist");

/// Tags that make a browser take a document for HTML when nothing else is known (WHATWG MIME Sniffing, 7.1),
/// and those that run or load something wherever they are.
const HTML_TAGS: [&str; 21] = [
    "<!doctype html",
    "<html",
    "<head",
    "<script",
    "<iframe",
    "<h1",
    "<div",
    "<font",
    "<table",
    "<a",
    "<style",
    "<title",
    "<b",
    "<body",
    "<br",
    "<p",
    "<!--",
    "<object",
    "<embed",
    "<img",
    "<form",
];

pub(super) fn sniff(head: &[u8]) -> Option<Sniffed> {
    if head.starts_with(b"#!AMR") {
        return None;
    }
    if is_program(head) {
        return Some(PROGRAM);
    }
    let text = as_ascii(head);
    let start = text.trim_start();
    if start.starts_with("#!") {
        Some(SCRIPT)
    } else if is_playlist(start) {
        Some(PLAYLIST)
    } else if start.starts_with('<') {
        markup(start)
    } else {
        None
    }
}

/// The head in lower case, with what is not ASCII replaced: enough to find ASCII marks in any Unicode encoding.
fn as_ascii(head: &[u8]) -> String {
    let bytes: Vec<u8> = match head {
        [0xFF, 0xFE, rest @ ..] => rest.iter().step_by(2).copied().collect(),
        [0xFE, 0xFF, rest @ ..] => rest.iter().skip(1).step_by(2).copied().collect(),
        [0xEF, 0xBB, 0xBF, rest @ ..] => rest.to_vec(),
        _ => head.to_vec(),
    };
    bytes.iter().map(|byte| if byte.is_ascii() { byte.to_ascii_lowercase() as char } else { '?' }).collect()
}

fn is_program(head: &[u8]) -> bool {
    match head {
        [0x7F, b'E', b'L', b'F', ..] => true,
        // "MZ" alone also starts texts; a program's header has zero bytes.
        [b'M', b'Z', ..] => head.contains(&0),
        // Mach-O in its four byte orders and widths; 0xCAFEBABE is also Java's mark.
        [0xFE, 0xED, 0xFA, 0xCE | 0xCF, ..]
        | [0xCE | 0xCF, 0xFA, 0xED, 0xFE, ..]
        | [0xCA, 0xFE, 0xBA, 0xBE | 0xBF, ..] => true,
        _ => head.starts_with(b"\0asm") || head.starts_with(b"dex\n"),
    }
}

fn is_playlist(start: &str) -> bool {
    let is_sdp = start.starts_with("v=0") && (start.contains("\no=") || start.contains("\ro="));
    is_sdp
        || ["#extm3u", "ffconcat version", "[playlist]", "[reference]"]
            .iter()
            .any(|mark| start.starts_with(mark))
}

fn markup(start: &str) -> Option<Sniffed> {
    const PLAYLISTS: [&str; 3] = ["<mpd", "<smil", "<asx"];
    if PLAYLISTS.iter().any(|tag| start.contains(tag)) {
        return Some(PLAYLIST);
    }
    if is_drawing(start) {
        return Some(DRAWING);
    }
    if start.contains("<svg") || start.contains("http://www.w3.org/2000/svg") {
        return Some(SVG);
    }
    let is_xml = start.starts_with("<?xml");
    let has_tag = |tag: &&str| start.match_indices(*tag).any(|(at, _)| is_tag(start, at, tag, is_xml));
    let is_html = HTML_TAGS.iter().any(has_tag) || start.contains("http://www.w3.org/1999/xhtml");
    is_html.then_some(HTML)
}

/// Whether the first element is that of a drawing, behind declarations, comments and the type of the document.
fn is_drawing(mut text: &str) -> bool {
    loop {
        text = text.trim_start();
        let end = if text.starts_with("<?") {
            "?>"
        } else if text.starts_with("<!--") {
            "-->"
        } else if text.starts_with("<!doctype svg") {
            // Names may be declared in it.
            let is_short = text.find('>').is_some_and(|end| !text[..end].contains('['));
            if is_short { ">" } else { "]" }
        } else if let Some(rest) = text.strip_prefix(']') {
            let Some(rest) = rest.trim_start().strip_prefix('>') else { return false };
            text = rest;
            continue;
        } else {
            let name = text.strip_prefix("<svg:svg").or_else(|| text.strip_prefix("<svg"));
            return name.is_some_and(|rest| {
                rest.starts_with(|c: char| c.is_ascii_whitespace() || c == '>' || c == '/')
            });
        };
        let Some((_, rest)) = text.split_once(end) else { return false };
        text = if end == "]" { text.get(text.len() - rest.len() - 1..).unwrap_or_default() } else { rest };
    }
}

/// Whether `tag` at `at` is a whole tag name. In XML only those of a document count, since `<a>` and `<p>` are
/// ordinary names there.
fn is_tag(text: &str, at: usize, tag: &str, is_xml: bool) -> bool {
    let whole = tag == "<!--"
        || text[at + tag.len()..].starts_with(|c: char| c.is_ascii_whitespace() || c == '>' || c == '/');
    let is_document =
        matches!(tag, "<!doctype html" | "<html" | "<script" | "<iframe" | "<object" | "<embed");
    whole && (is_document || (!is_xml && at == 0))
}
