//! The size of a drawing in SVG, by the attributes of its first element.

use crate::source::Source;

/// How much of the file is looked at: Illustrator writes some kilobytes before the element.
const MAX_HEAD: u64 = 64 << 10;

/// Width and height: as stated in pixels or a unit of length, or else those of the view.
pub(super) fn size(source: &mut Source<'_>) -> Option<(u32, u32)> {
    let head = source.up_to(0, MAX_HEAD)?;
    let head = String::from_utf8_lossy(&head);
    let element = first_element(&head)?;
    let view = attribute(element, "viewBox").map(|view| {
        view.split([' ', ',', '\t', '\n', '\r'])
            .filter_map(|part| part.parse::<f64>().ok())
            .collect::<Vec<_>>()
    });
    let view = match view.as_deref() {
        Some(&[_, _, width, height]) if width > 0.0 && height > 0.0 => Some((width, height)),
        _ => None,
    };
    let stated = |name| attribute(element, name).and_then(length);
    let size = match (stated("width"), stated("height"), view) {
        (Some(width), Some(height), _) => (width, height),
        (Some(width), None, Some(view)) => (width, width * view.1 / view.0),
        (None, Some(height), Some(view)) => (height * view.0 / view.1, height),
        (None, None, Some(view)) => view,
        _ => return None,
    };
    let side = |length: f64| (length.is_finite() && length < 1e9).then(|| (length.round() as u32).max(1));
    side(size.0).zip(side(size.1))
}

/// The content of the first element's tag.
fn first_element(text: &str) -> Option<&str> {
    let start = text
        .match_indices("<svg")
        .map(|(at, _)| at)
        .chain(text.match_indices(":svg").map(|(at, _)| at))
        .min()?;
    let rest = text.get(start + 4..)?;
    let mut quote = None;
    for (at, character) in rest.char_indices() {
        match (quote, character) {
            (None, '"' | '\'') => quote = Some(character),
            (None, '>') => return rest.get(..at),
            (Some(open), close) if open == close => quote = None,
            _ => {}
        }
    }
    None
}

fn attribute<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    element.match_indices(name).find_map(|(at, _)| {
        let is_whole = element[..at].ends_with(|c: char| c.is_ascii_whitespace());
        let rest = element[at + name.len()..].trim_start().strip_prefix('=')?.trim_start();
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (value, _) = rest[1..].split_once(quote)?;
        is_whole.then_some(value.trim())
    })
}

/// A length in pixels; shares of the surroundings have none.
fn length(text: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 7] = [
        ("px", 1.0),
        ("pt", 96.0 / 72.0),
        ("pc", 16.0),
        ("mm", 96.0 / 25.4),
        ("cm", 96.0 / 2.54),
        ("in", 96.0),
        ("", 1.0),
    ];
    let (unit, scale) = UNITS.into_iter().find(|(unit, _)| text.ends_with(unit))?;
    let value: f64 = text[..text.len() - unit.len()].trim().parse().ok()?;
    (value > 0.0).then_some(value * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(u32, u32)>) {
        assert_eq!(size(&mut Source::of_bytes(text.as_bytes())), expected, "{text}");
    }

    #[test]
    fn the_size_is_stated_or_that_of_the_view() {
        check("<svg width='200' height=\"100\"/>", Some((200, 100)));
        check("<?xml version='1.0'?><!-- a -->\n<svg viewBox=\"0 0 24 12\">", Some((24, 12)));
        check("<svg width='100%' height='100%' viewBox='0,0,30.4,20'/>", Some((30, 20)));
        check("<svg width='50' viewBox='0 0 10 20'>", Some((50, 100)));
        check("<svg stroke-width='3' width='1in' height='25.4mm'>", Some((96, 96)));
        check("<svg><rect width='5' height='5'/></svg>", None);
        check("<svg width='-1' height='nan'>", None);
        check("<svg width='1", None);
    }
}
