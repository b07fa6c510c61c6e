//! Decides what bytes are, from their first 4 KiB.
//! Invariant: what a browser could run, and what would make a decoder open other files, is always refused.
//! Never trusts a name; it only tells text formats apart that have no mark of their own.

mod container;
mod refused;

pub(super) use container::MP4;

use crate::model::FileType;

/// What the bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sniffed {
    /// Media type (RFC 9110), the one to store and to serve.
    pub mime: &'static str,
    /// Usual extension, without a dot.
    pub extension: &'static str,
    /// What it can be used as.
    pub class: Class,
    /// Its name for a person, such as `JPEG picture`.
    pub label: &'static str,
}

/// What bytes can be used as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A still picture of pixels.
    Image,
    /// A film, or a container that can hold one.
    Video,
    /// Sound only.
    Audio,
    /// Anything else that is stored and only ever downloaded.
    Other,
    /// Never stored.
    Refused,
}

impl Sniffed {
    const fn new(mime: &'static str, extension: &'static str, class: Class, label: &'static str) -> Self {
        Self { mime, extension, class, label }
    }

    /// The type of file that the content makes, if it makes one.
    #[must_use]
    pub const fn file_type(&self) -> Option<FileType> {
        match self.class {
            Class::Image => Some(FileType::Image),
            Class::Video => Some(FileType::Video),
            Class::Audio => Some(FileType::Audio),
            Class::Other | Class::Refused => None,
        }
    }

    /// Whether the content may be stored as `declared`: what a later change of the type would be told as well.
    #[must_use]
    pub fn accepts(&self, declared: FileType) -> bool {
        self.class != Class::Refused && mime_accepts(self.mime, declared)
    }
}

/// Whether content that was sniffed as `mime` and is not refused may be stored as `declared`.
/// A scene or project is anything; a container of tracks passes as audio or video, because its first bytes do not tell
/// which tracks it holds.
#[must_use]
pub fn mime_accepts(mime: &str, declared: FileType) -> bool {
    match declared {
        FileType::Scene | FileType::Project => true,
        FileType::Image => mime.starts_with("image/"),
        FileType::Video | FileType::Audio => {
            let is_container = container::ALL.iter().any(|known| known.mime == mime);
            is_container || mime.starts_with(if declared == FileType::Video { "video/" } else { "audio/" })
        }
    }
}

/// Whether a browser may show content of this type in place: pictures of pixels, sound and film.
/// HTML, SVG, XML, PDF and everything unknown are for download only.
#[must_use]
pub fn is_inline_safe(mime: &str) -> bool {
    MEDIA.iter().chain(&container::ALL).any(|known| known.mime == mime)
}

/// Decides what a file is by `head`, its first bytes (up to 4 KiB are looked at).
/// `name` only tells text formats apart.
#[must_use]
pub fn sniff(head: &[u8], name: &str) -> Sniffed {
    let head = &head[..head.len().min(4096)];
    refused::sniff(head)
        .or_else(|| container::sniff(head))
        .or_else(|| by_signature(head))
        .or_else(|| by_library(head))
        .unwrap_or_else(|| text_or_bytes(head, name))
}

/// Types that a browser may show in place, besides the containers of tracks.
const MEDIA: [Sniffed; 23] = [
    Sniffed::new("image/jpeg", "jpg", Class::Image, "JPEG picture"),
    Sniffed::new("image/png", "png", Class::Image, "PNG picture"),
    Sniffed::new("image/gif", "gif", Class::Image, "GIF picture"),
    Sniffed::new("image/webp", "webp", Class::Image, "WebP picture"),
    Sniffed::new("image/tiff", "tif", Class::Image, "TIFF picture"),
    Sniffed::new("image/bmp", "bmp", Class::Image, "BMP picture"),
    Sniffed::new("image/vnd.microsoft.icon", "ico", Class::Image, "icon"),
    Sniffed::new("image/jxl", "jxl", Class::Image, "JPEG XL picture"),
    container::AVIF,
    container::HEIC,
    container::HEIF,
    Sniffed::new("video/x-msvideo", "avi", Class::Video, "AVI film"),
    Sniffed::new("video/x-flv", "flv", Class::Video, "Flash film"),
    Sniffed::new("video/mpeg", "mpg", Class::Video, "MPEG film"),
    Sniffed::new("video/mp2t", "ts", Class::Video, "MPEG transport stream"),
    MP3,
    AAC,
    Sniffed::new("audio/wav", "wav", Class::Audio, "WAV sound"),
    Sniffed::new("audio/flac", "flac", Class::Audio, "FLAC sound"),
    Sniffed::new("audio/aiff", "aiff", Class::Audio, "AIFF sound"),
    Sniffed::new("audio/amr", "amr", Class::Audio, "AMR sound"),
    Sniffed::new("audio/x-caf", "caf", Class::Audio, "Core Audio sound"),
    Sniffed::new("audio/midi", "mid", Class::Audio, "MIDI tune"),
];

const MP3: Sniffed = Sniffed::new("audio/mpeg", "mp3", Class::Audio, "MP3 sound");
const AAC: Sniffed = Sniffed::new("audio/aac", "aac", Class::Audio, "AAC sound");
const GLB: Sniffed = Sniffed::new("model/gltf-binary", "glb", Class::Other, "glTF model");
const PDF: Sniffed = Sniffed::new("application/pdf", "pdf", Class::Other, "PDF document");
const XML: Sniffed = Sniffed::new("application/xml", "xml", Class::Other, "XML document");
const JSON: Sniffed = Sniffed::new("application/json", "json", Class::Other, "JSON document");
const GLTF: Sniffed = Sniffed::new("model/gltf+json", "gltf", Class::Other, "glTF model");
const TEXT: Sniffed = Sniffed::new("text/plain", "txt", Class::Other, "text");
const BYTES: Sniffed =
    Sniffed::new("application/octet-stream", "bin", Class::Other, "file of an unknown kind");

/// The type named by `mime` in [`MEDIA`].
fn media(mime: &str) -> Option<Sniffed> {
    MEDIA.into_iter().find(|known| known.mime == mime)
}

/// Signatures at fixed places, which the library lacks or tells less exactly.
fn by_signature(head: &[u8]) -> Option<Sniffed> {
    let mime = match head.get(..4)? {
        b"RIFF" | b"RF64" | b"BW64" => match head.get(8..12)? {
            b"WAVE" => "audio/wav",
            b"WEBP" => "image/webp",
            b"AVI " => "video/x-msvideo",
            _ => return None,
        },
        b"FORM" if matches!(head.get(8..12)?, b"AIFF" | b"AIFC") => "audio/aiff",
        [0, 0, 1, 0xBA | 0xB3] => "video/mpeg",
        b"glTF" => return Some(GLB),
        b"%PDF" => return Some(PDF),
        b"fLaC" => "audio/flac",
        b"caff" => "audio/x-caf",
        b"#!AM" => "audio/amr",
        [b'I', b'D', b'3', _] => "audio/mpeg",
        _ if is_transport_stream(head) => "video/mp2t",
        _ => return mpeg_audio(head),
    };
    media(mime)
}

/// A sync byte at the start of three packets of 188 bytes, or of 192 with a time stamp before each.
fn is_transport_stream(head: &[u8]) -> bool {
    [(0, 188), (4, 192)]
        .iter()
        .any(|(start, packet)| (0..3).all(|index| head.get(start + index * packet) == Some(&0x47)))
}

/// A frame of MPEG audio (ISO 11172-3) or of AAC in ADTS (ISO 13818-7), followed by another where it says.
fn mpeg_audio(head: &[u8]) -> Option<Sniffed> {
    let (sniffed, length) = audio_frame(head)?;
    let next_agrees = match head.get(length..length + 4) {
        Some(next) => audio_frame(next).is_some_and(|(kind, _)| kind == sniffed),
        None => head.len() >= 4096 || head.len() == length,
    };
    next_agrees.then_some(sniffed)
}

/// The kind and the length in bytes of the frame whose header `bytes` starts with.
fn audio_frame(bytes: &[u8]) -> Option<(Sniffed, usize)> {
    let &[0xFF, b1, b2, b3, ..] = bytes else { return None };
    if b1 & 0xF6 == 0xF0 {
        let length = usize::from(b3 & 3) << 11;
        let (low, last) = (bytes.get(4).copied()?, bytes.get(5).copied()?);
        let length = length | usize::from(low) << 3 | usize::from(last >> 5);
        return (b2 >> 2 & 15 < 13 && length > 7).then_some((AAC, length));
    }
    let (version, layer) = (b1 >> 3 & 3, b1 >> 1 & 3);
    let (bitrate, rate, padding) = (usize::from(b2 >> 4), usize::from(b2 >> 2 & 3), usize::from(b2 >> 1 & 1));
    // Layer I is left out: nobody stores it, and a UTF-16 byte order mark looks like it.
    if b1 & 0xE0 != 0xE0
        || version == 1
        || !matches!(layer, 1 | 2)
        || !(1..15).contains(&bitrate)
        || rate == 3
    {
        return None;
    }
    const LAYER_2: [usize; 15] = [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384];
    const LAYER_3: [usize; 15] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
    const LOW_RATE: [usize; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
    let is_mpeg1 = version == 3;
    let kilobits = match (is_mpeg1, layer) {
        (true, 2) => LAYER_2[bitrate],
        (true, _) => LAYER_3[bitrate],
        (false, _) => LOW_RATE[bitrate],
    };
    let hertz = [44_100, 48_000, 32_000][rate] >> [2, 0, 1, 0][usize::from(version)];
    let samples_in_eighths = if layer == 1 && !is_mpeg1 { 72 } else { 144 };
    Some((MP3, samples_in_eighths * kilobits * 1000 / hertz + padding))
}

/// What the `infer` crate knows, in our words.
fn by_library(head: &[u8]) -> Option<Sniffed> {
    let found = infer::get(head)?;
    let kind = found.mime_type();
    if let Some(known) = media(kind) {
        return Some(known);
    }
    match (found.matcher_type(), kind) {
        (_, "application/zip") => Some(Sniffed::new("application/zip", "zip", Class::Other, "ZIP archive")),
        // Its marks for text and for object code are a byte or two: the rules below are more exact.
        (infer::MatcherType::Text | infer::MatcherType::App, _) => None,
        _ => Some(Sniffed::new(kind, found.extension(), Class::Other, "document or archive")),
    }
}

/// What is left: text, told apart by the name, or bytes.
fn text_or_bytes(head: &[u8], name: &str) -> Sniffed {
    let Some(text) = text(head) else { return BYTES };
    let text = text.trim_start_matches('\u{FEFF}').trim_start();
    if text.starts_with("<?xml") {
        return XML;
    }
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref() {
        Some("gltf") if text.starts_with('{') => GLTF,
        Some("json") if text.starts_with(['{', '[']) => JSON,
        _ => TEXT,
    }
}

/// The head as text, if it is UTF-8 without control characters; its last character may be cut.
fn text(head: &[u8]) -> Option<&str> {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(fault) if fault.error_len().is_none() => {
            std::str::from_utf8(&head[..fault.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let is_text = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t' | '\u{C}' | '\u{1B}');
    (!text.is_empty() && text.chars().all(is_text)).then_some(text)
}

#[cfg(test)]
mod tests;
