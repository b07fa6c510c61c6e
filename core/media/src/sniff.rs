//! Decides what bytes are, from their first 4 KiB.
//! Invariant: what a browser could run, and what would make a decoder open other files, is always refused.
//! Never trusts a name; it only decides between text formats that have no mark of their own.

mod container;
mod raw;
mod refused;
mod studio;

pub(super) use container::{MP4, audio_alone};

pub use container::is_audio_alone;

use super::mpeg_audio::{self, Codec};

/// What the bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sniffed {
    /// Media type (RFC 9110), the one to store and to serve.
    pub mime: &'static str,
    /// Usual extension, without a dot.
    pub extension: &'static str,
    /// What it can be used as.
    pub class: Class,
    /// Its name for a person, such as `JPEG image`.
    pub label: &'static str,
}

/// What bytes can be used as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// An image.
    Image,
    /// A video, or a container that can hold one.
    Video,
    /// Audio without video.
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
}

/// Whether content of this type is a container of tracks, whose first bytes do not show which tracks it holds.
#[must_use]
pub fn is_container(mime: &str) -> bool {
    container::ALL.iter().any(|known| known.mime == mime) || is_audio_alone(mime)
}

/// Whether a browser may show content of this type in place: raster images, audio and video.
/// HTML, SVG, XML, PDF and everything unknown are for download only.
#[must_use]
pub fn is_inline_safe(mime: &str) -> bool {
    MEDIA.iter().chain(&container::ALL).any(|known| known.mime == mime) || is_audio_alone(mime)
}

/// Decides what a file is by `head`, its first bytes (up to 4 KiB are looked at).
/// `name` only decides between text formats.
#[must_use]
pub fn sniff(head: &[u8], name: &str) -> Sniffed {
    let head = &head[..head.len().min(4096)];
    refused::sniff(head)
        .or_else(|| container::sniff(head))
        .or_else(|| raw::sniff(head))
        .or_else(|| by_signature(head))
        .or_else(|| studio::sniff(head))
        .or_else(|| by_library(head))
        .or_else(|| text(head).is_none().then(|| mpeg_audio_behind_junk(head)).flatten())
        .unwrap_or_else(|| text_or_bytes(head, name))
}

/// Types that a browser may show in place, besides the containers of tracks.
const MEDIA: [Sniffed; 37] = [
    Sniffed::new("image/jpeg", "jpg", Class::Image, "JPEG image"),
    Sniffed::new("image/png", "png", Class::Image, "PNG image"),
    Sniffed::new("image/gif", "gif", Class::Image, "GIF image"),
    Sniffed::new("image/webp", "webp", Class::Image, "WebP image"),
    Sniffed::new("image/tiff", "tif", Class::Image, "TIFF image"),
    Sniffed::new("image/bmp", "bmp", Class::Image, "BMP image"),
    Sniffed::new("image/vnd.microsoft.icon", "ico", Class::Image, "icon"),
    Sniffed::new("image/jxl", "jxl", Class::Image, "JPEG XL image"),
    container::AVIF,
    container::HEIC,
    container::HEIF,
    Sniffed::new("video/x-msvideo", "avi", Class::Video, "AVI video"),
    Sniffed::new("video/x-flv", "flv", Class::Video, "Flash video"),
    Sniffed::new("video/mpeg", "mpg", Class::Video, "MPEG video"),
    Sniffed::new("video/mp2t", "ts", Class::Video, "MPEG transport stream"),
    Sniffed::new("video/mpv", "m2v", Class::Video, "MPEG video without a container"),
    Sniffed::new("video/h264", "h264", Class::Video, "H.264 video without a container"),
    Sniffed::new("video/x-dv", "dv", Class::Video, "DV video"),
    Sniffed::new("video/mxf", "mxf", Class::Video, "MXF video"),
    MP3,
    AAC,
    Sniffed::new("audio/wav", "wav", Class::Audio, "WAV audio"),
    Sniffed::new("audio/flac", "flac", Class::Audio, "FLAC audio"),
    Sniffed::new("audio/aiff", "aiff", Class::Audio, "AIFF audio"),
    Sniffed::new("audio/amr", "amr", Class::Audio, "AMR audio"),
    Sniffed::new("audio/x-caf", "caf", Class::Audio, "Core Audio audio"),
    Sniffed::new("audio/ac3", "ac3", Class::Audio, "AC-3 audio"),
    Sniffed::new("audio/eac3", "eac3", Class::Audio, "Enhanced AC-3 audio"),
    Sniffed::new("audio/vnd.dts", "dts", Class::Audio, "DTS audio"),
    Sniffed::new("audio/basic", "au", Class::Audio, "AU audio"),
    Sniffed::new("audio/x-w64", "w64", Class::Audio, "Wave64 audio"),
    Sniffed::new("audio/x-ape", "ape", Class::Audio, "Monkey's Audio"),
    Sniffed::new("audio/x-wavpack", "wv", Class::Audio, "WavPack audio"),
    Sniffed::new("audio/x-tta", "tta", Class::Audio, "True Audio"),
    Sniffed::new("audio/musepack", "mpc", Class::Audio, "Musepack audio"),
    Sniffed::new("audio/x-musepack", "mpc", Class::Audio, "Musepack audio"),
    Sniffed::new("audio/midi", "mid", Class::Audio, "MIDI tune"),
];

const MP3: Sniffed = Sniffed::new("audio/mpeg", "mp3", Class::Audio, "MP3 audio");
const AAC: Sniffed = Sniffed::new("audio/aac", "aac", Class::Audio, "AAC audio");
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

/// Signatures at fixed places, which the library lacks or detects less exactly.
fn by_signature(head: &[u8]) -> Option<Sniffed> {
    let mime = match head.get(..4)? {
        b"RIFF" | b"RF64" | b"BW64" => match head.get(8..12)? {
            b"WAVE" => "audio/wav",
            b"WEBP" => "image/webp",
            b"AVI " => "video/x-msvideo",
            _ => return None,
        },
        b"FORM" if matches!(head.get(8..12)?, b"AIFF" | b"AIFC") => "audio/aiff",
        [0, 0, 1, 0xBA] => "video/mpeg",
        [0, 0, 1, 0xB3] => "video/mpv",
        [0, 0, 0, 1] if is_h264(head) => "video/h264",
        [0x1F, 0x07, 0, _] if head.get(80).is_some_and(|block| block >> 5 == 1) => "video/x-dv",
        [0x06, 0x0E, 0x2B, 0x34] if head.get(4..12) == Some(b"\x02\x05\x01\x01\x0D\x01\x02\x01") => {
            "video/mxf"
        }
        b"glTF" => return Some(GLB),
        b"%PDF" => return Some(PDF),
        b"fLaC" => "audio/flac",
        b"caff" => "audio/x-caf",
        b"#!AM" => "audio/amr",
        [0x0B, 0x77, ..] => ac3(head)?,
        [0x7F, 0xFE, 0x80, 0x01] => "audio/vnd.dts",
        b".snd" => "audio/basic",
        b"riff" if head.get(4..8) == Some(b"\x2E\x91\xCF\x11") => "audio/x-w64",
        b"MAC " => "audio/x-ape",
        b"wvpk" => "audio/x-wavpack",
        b"TTA1" | b"TTA2" => "audio/x-tta",
        b"MPCK" => "audio/musepack",
        [b'M', b'P', b'+', version] if version & 15 == 7 => "audio/x-musepack",
        [b'I', b'D', b'3', _] => return Some(behind_tag(head)),
        _ if transport_packets(head).is_some() => "video/mp2t",
        _ => return mpeg_audio(head),
    };
    media(mime)
}

/// The type behind an ID3v2 tag, if the head reaches so far: MP3 most of the time, but FLAC, AAC and others as well.
fn behind_tag(head: &[u8]) -> Sniffed {
    let length = mpeg_audio::id3_length(head).and_then(|length| usize::try_from(length).ok());
    let rest = length.and_then(|length| head.get(length..)).unwrap_or_default();
    by_signature(rest).filter(|found| found.class == Class::Audio).unwrap_or(MP3)
}

/// A frame of AC-3 or Enhanced AC-3 (ETSI TS 102 366), by its stream identification.
fn ac3(head: &[u8]) -> Option<&'static str> {
    match head.get(5)? >> 3 {
        0..=10 => Some("audio/ac3"),
        11..=16 => Some("audio/eac3"),
        _ => None,
    }
}

/// A sequence parameter set or an access unit delimiter (ISO 14496-10, annex B), with which a bare stream begins.
fn is_h264(head: &[u8]) -> bool {
    match head.get(4..) {
        Some([kind, profile, ..]) if kind & 0x9F == 7 => {
            matches!(profile, 66 | 77 | 88 | 100 | 110 | 122 | 244)
        }
        Some([9, _, 0, 0, ..]) => true,
        _ => false,
    }
}

/// Where the first whole packet of a transport stream starts, and how many bytes it is to the next: 188, 192 with a time
/// stamp before each, 204 with a code against errors behind (ISO 13818-1, 2.4.3.2; ETSI EN 300 429). A recording may
/// begin within a packet.
pub(crate) fn transport_packets(head: &[u8]) -> Option<(usize, usize)> {
    // A header has its sync byte, and says that adaptation or payload follows: a text of one letter does not.
    let is_header =
        |at: usize| matches!(head.get(at..at + 4), Some(&[0x47, _, _, flags]) if flags & 0x30 != 0);
    let agreeing =
        |start: usize, packet: usize, count: usize| (0..count).all(|index| is_header(start + index * packet));
    const AT_THE_START: usize = 3;
    const ANYWHERE: usize = 6;
    let at_the_start = [(0, 188), (4, 192), (0, 204)].into_iter();
    let anywhere =
        [188, 192, 204].into_iter().flat_map(|packet| (0..packet).map(move |start| (start, packet)));
    at_the_start
        .filter(|(start, packet)| agreeing(*start, *packet, AT_THE_START))
        .chain(anywhere.filter(|(start, packet)| agreeing(*start, *packet, ANYWHERE)))
        .next()
}

/// A frame of MPEG audio or of AAC in ADTS, followed by another where it says.
fn mpeg_audio(head: &[u8]) -> Option<Sniffed> {
    let frame = mpeg_audio::frame(head)?;
    let next_agrees = match head.get(frame.length..frame.length + mpeg_audio::HEADER) {
        Some(next) => mpeg_audio::frame(next).is_some_and(|next| next.codec == frame.codec),
        None => head.len() >= 4096 || head.len() == frame.length,
    };
    next_agrees.then(|| by_codec(frame.codec))
}

fn by_codec(codec: Codec) -> Sniffed {
    match codec {
        Codec::Mpeg => MP3,
        Codec::Aac => AAC,
    }
}

/// Frames of MPEG audio behind unknown bytes, as recorders and broken tags leave them: three in a row.
fn mpeg_audio_behind_junk(head: &[u8]) -> Option<Sniffed> {
    let follows = |at: usize, codec: Codec| {
        let frame = mpeg_audio::frame(head.get(at..)?).filter(|frame| frame.codec == codec)?;
        Some(at + frame.length)
    };
    let starts = memchr::memchr_iter(0xFF, head).filter_map(|at| Some((at, mpeg_audio::frame(&head[at..])?)));
    let mut found = starts.filter(|(at, frame)| {
        follows(at + frame.length, frame.codec).is_some_and(|next| follows(next, frame.codec).is_some())
    });
    found.next().map(|(_, frame)| by_codec(frame.codec))
}

/// What the `infer` crate detects, with our labels.
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

/// Everything else: text, whose format the name decides, or bytes.
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
