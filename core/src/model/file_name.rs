//! A file's name: what of it is kept, and what is left out because a reader could not see it or would be misled.

use serde::Serialize;
use unicode_normalization::UnicodeNormalization;
use utoipa::ToSchema;

/// Joins the letters or the emoji around it.
const JOINER: char = '\u{200D}';
/// Keeps the letters around it apart, in Persian and the languages of India.
const NON_JOINER: char = '\u{200C}';
/// An emoji that tags after it make the flag of a region: Scotland, Wales.
const FLAG: char = '\u{1F3F4}';
/// The last tag of a flag.
const FLAG_END: char = '\u{E007F}';
/// Most tags that name a region (ISO 3166-2 without its hyphen).
const MAX_FLAG_TAGS: usize = 6;

/// A file's name as its user gave it: NFC, 1 to 255 bytes of UTF-8, no separators, control or bidi characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::Type, ToSchema)]
#[serde(transparent)]
#[sqlx(transparent)]
pub struct FileName(String);

impl FileName {
    /// Longest name, in bytes of UTF-8.
    pub const MAX_BYTES: usize = 255;
    /// Longest path of a file in an uploaded folder, in bytes of UTF-8.
    pub const MAX_PATH_BYTES: usize = 1024;

    /// Makes a name fit: takes the last path component, drops what must not be shown, cuts at 255 bytes
    /// (keeping the extension). What is left empty becomes `untitled`.
    #[must_use]
    pub fn sanitize(text: &str) -> Self {
        let last = text.rsplit(['/', '\\']).next().unwrap_or_default();
        let clean = visible(&last.nfc().collect::<String>());
        if clean.is_empty() || clean.chars().all(|c| c == '.') {
            return Self("untitled".to_owned());
        }
        if clean.len() <= Self::MAX_BYTES {
            return Self(clean);
        }
        let (stem, extension) = match clean.rsplit_once('.') {
            Some((stem, extension)) if extension.len() <= 16 && !stem.is_empty() => {
                (stem, format!(".{extension}"))
            }
            _ => (clean.as_str(), String::new()),
        };
        let mut end = Self::MAX_BYTES - extension.len();
        end = end.min(stem.len());
        while !stem.is_char_boundary(end) {
            end -= 1;
        }
        // The cut may have left half of a flag.
        Self(format!("{}{extension}", visible(&stem[..end])))
    }

    /// Accepts a name only if nothing about it had to be changed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let name = Self::sanitize(text);
        (name.0 == text.nfc().collect::<String>().trim()).then_some(name)
    }

    /// The path of a file within the folder that it was uploaded with, such as `photos/2024/a.jpg`: each part cleaned as a
    /// name is, without what would lead elsewhere. `None` when it names no folder, or is too long to be kept.
    #[must_use]
    pub fn relative_path(text: &str) -> Option<String> {
        let parts = text.split(['/', '\\']).map(|part| visible(&part.nfc().collect::<String>()));
        let parts: Vec<String> = parts.filter(|part| !part.chars().all(|c| c == '.')).collect();
        let path = parts.join("/");
        (parts.len() > 1 && path.len() <= Self::MAX_PATH_BYTES).then_some(path)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text without what nobody sees, trimmed. Two kinds of invisible characters stay where they mean something: joiners
/// after a letter or an emoji that is not ASCII, and the tags of a flag.
fn visible(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            JOINER | NON_JOINER => {
                let joins = |before: char| !before.is_ascii() && !matches!(before, JOINER | NON_JOINER);
                if kept.chars().next_back().is_some_and(joins) {
                    kept.push(c);
                }
            }
            FLAG => {
                kept.push(c);
                if let Some(tags) = flag_tags(rest.as_str()) {
                    kept.push_str(tags);
                    rest = rest.as_str()[tags.len()..].chars();
                }
            }
            c if !is_unprintable(c) => kept.push(c),
            _ => {}
        }
    }
    let joiners = [JOINER, NON_JOINER];
    kept.trim().trim_end_matches(joiners).trim_end().to_owned()
}

/// The tags that follow a black flag and make it a region's, their end included.
fn flag_tags(after: &str) -> Option<&str> {
    let end = after.find(FLAG_END)?;
    let mut tags = after[..end].chars();
    let is_region = (1..=MAX_FLAG_TAGS).contains(&tags.clone().count())
        && tags.all(|c| matches!(c, '\u{E0030}'..='\u{E0039}' | '\u{E0061}'..='\u{E007A}'));
    is_region.then(|| &after[..end + FLAG_END.len_utf8()])
}

/// Control characters, line ends of Unicode, and the invisible ones that make a name look like another: bidi controls,
/// zero width, fillers, tags.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{180E}'
            | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            | '\u{3164}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{FFFD}'..='\u{FFFF}'
            | '\u{E0000}'..='\u{E007F}')
}

#[cfg(test)]
mod tests {
    use super::FileName;

    #[test]
    fn a_name_keeps_its_script_and_loses_its_path() {
        assert_eq!(FileName::sanitize("../../etc/Ünïcode 写真.jpg").as_str(), "Ünïcode 写真.jpg");
        assert_eq!(FileName::sanitize("C:\\tmp\\a.png").as_str(), "a.png");
        assert_eq!(FileName::sanitize("evil\u{202E}gpj.exe\r\n").as_str(), "evilgpj.exe");
        assert_eq!(FileName::sanitize("..").as_str(), "untitled");
    }

    #[test]
    fn a_long_name_is_cut_between_characters_and_keeps_its_extension() {
        let name = FileName::sanitize(&format!("{}.jpeg", "ü".repeat(200)));
        assert!(name.as_str().len() <= 255 && name.as_str().ends_with("ü.jpeg"));
    }

    #[test]
    fn joiners_and_flags_stay_where_they_mean_something() {
        for name in [
            "👨\u{200D}👩\u{200D}👧.png",
            "🏳\u{FE0F}\u{200D}🌈.png",
            "می\u{200C}خواهم.mp4",
            "क\u{094D}\u{200D}ष.jpg",
            "ه\u{200D}.ق.pdf",
            "🏴\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F}.png",
            "葛\u{E0100}.png",
        ] {
            assert_eq!(FileName::sanitize(name).as_str(), name);
            assert_eq!(FileName::parse(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn what_nobody_sees_is_dropped_from_a_name_and_refused_in_a_new_one() {
        for (hidden, kept) in [
            ("a\u{200D}b.png", "ab.png"),
            ("\u{200C}é\u{200D}\u{200C}a\u{200D}.png", "é\u{200D}a.png"),
            ("a.png\u{2028}b\u{2029}", "a.pngb"),
            ("a\u{E0061}\u{E0062}.png", "a.png"),
            ("🏴\u{E0067}\u{E0062}.png", "🏴.png"),
            ("🏴\u{E0041}\u{E007F}.png", "🏴.png"),
            ("a\u{2066}b\u{2069}\u{200E}c\u{061C}.png", "abc.png"),
            ("pay\u{00AD}pal\u{3164}.png", "paypal.png"),
        ] {
            assert_eq!(FileName::sanitize(hidden).as_str(), kept, "{hidden:?}");
            assert!(FileName::parse(hidden).is_none(), "{hidden:?}");
        }
    }

    #[test]
    fn a_cut_leaves_no_half_of_a_flag() {
        let flag = "🏴\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F}";
        for shift in 0..flag.len() {
            let name = FileName::sanitize(&format!("{}{}.png", "x".repeat(shift), flag.repeat(20)));
            assert!(FileName::parse(name.as_str()).is_some(), "{name:?}");
        }
    }

    #[test]
    fn the_path_within_an_uploaded_folder_leads_nowhere_else() {
        for (given, kept) in [
            ("photos/2024/a.jpg", Some("photos/2024/a.jpg")),
            ("/photos//cafe\u{301}/a.jpg", Some("photos/caf\u{e9}/a.jpg")),
            ("../../etc/./a\u{202E}.jpg", Some("etc/a.jpg")),
            (r"photos\a.jpg", Some("photos/a.jpg")),
            ("a.jpg", None),
            ("../a.jpg", None),
            ("null", None),
            (&"x/".repeat(600), None),
        ] {
            assert_eq!(FileName::relative_path(given).as_deref(), kept, "{given}");
        }
    }
}
