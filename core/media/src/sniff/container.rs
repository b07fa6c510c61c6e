//! Containers of tracks: ISO base media files (MP4, QuickTime, HEIF, AVIF), Matroska, Ogg, ASF.

use super::{Class, Sniffed};

pub(super) const AVIF: Sniffed = Sniffed::new("image/avif", "avif", Class::Image, "AVIF image");
pub(super) const HEIC: Sniffed = Sniffed::new("image/heic", "heic", Class::Image, "HEIC image");
pub(super) const HEIF: Sniffed = Sniffed::new("image/heif", "heif", Class::Image, "HEIF image");
pub(crate) const MP4: Sniffed = Sniffed::new("video/mp4", "mp4", Class::Video, "MP4 video");
const M4V: Sniffed = Sniffed::new("video/x-m4v", "m4v", Class::Video, "MP4 video");
const M4A: Sniffed = Sniffed::new("audio/mp4", "m4a", Class::Audio, "MP4 audio");
const MOV: Sniffed = Sniffed::new("video/quicktime", "mov", Class::Video, "QuickTime video");
const THREE_GP: Sniffed = Sniffed::new("video/3gpp", "3gp", Class::Video, "3GP video");
const MKV: Sniffed = Sniffed::new("video/x-matroska", "mkv", Class::Video, "Matroska video");
const WEBM: Sniffed = Sniffed::new("video/webm", "webm", Class::Video, "WebM video");
const OGV: Sniffed = Sniffed::new("video/ogg", "ogv", Class::Video, "Ogg video");
const OGA: Sniffed = Sniffed::new("audio/ogg", "ogg", Class::Audio, "Ogg audio");
const OPUS: Sniffed = Sniffed::new("audio/ogg", "opus", Class::Audio, "Opus audio");
const WMV: Sniffed = Sniffed::new("video/x-ms-wmv", "wmv", Class::Video, "Windows Media video");

/// Those whose first bytes do not show whether they hold audio, video or both.
pub(super) const ALL: [Sniffed; 11] = [MP4, M4V, M4A, MOV, THREE_GP, MKV, WEBM, OGV, OGA, OPUS, WMV];

/// The type of a container that proved to hold audio and no video, beside the type by its first bytes alone.
const AUDIO_ALONE: [(&str, Sniffed); 10] = [
    (MP4.mime, M4A),
    (M4V.mime, M4A),
    (MOV.mime, M4A),
    (THREE_GP.mime, Sniffed::new("audio/3gpp", "3gp", Class::Audio, "3GP audio")),
    (MKV.mime, Sniffed::new("audio/x-matroska", "mka", Class::Audio, "Matroska audio")),
    (WEBM.mime, Sniffed::new("audio/webm", "webm", Class::Audio, "WebM audio")),
    (WMV.mime, Sniffed::new("audio/x-ms-wma", "wma", Class::Audio, "Windows Media audio")),
    ("video/mp2t", Sniffed::new("audio/mp2t", "ts", Class::Audio, "MPEG transport stream of audio")),
    ("video/x-msvideo", Sniffed::new("audio/x-msvideo", "avi", Class::Audio, "AVI audio")),
    ("video/x-flv", Sniffed::new("audio/x-flv", "flv", Class::Audio, "Flash audio")),
];

/// What a container that was sniffed as video is if it holds audio alone.
pub(crate) fn audio_alone(sniffed: &Sniffed) -> Option<Sniffed> {
    AUDIO_ALONE.iter().find(|(container, _)| *container == sniffed.mime).map(|(_, audio)| *audio)
}

/// Whether this is the type of a container that holds audio and no video.
pub fn is_audio_alone(mime: &str) -> bool {
    AUDIO_ALONE.iter().any(|(_, audio)| audio.mime == mime)
}

pub(super) fn sniff(head: &[u8]) -> Option<Sniffed> {
    match head {
        [0x1A, 0x45, 0xDF, 0xA3, ..] => matroska(head),
        [b'O', b'g', b'g', b'S', ..] => Some(ogg(head)),
        [0x30, 0x26, 0xB2, 0x75, 0x8E, 0x66, 0xCF, 0x11, ..] => Some(WMV),
        _ => iso_base_media(head),
    }
}

/// An ISO base media file (ISO 14496-12) by its brands, or QuickTime's older files, which have none.
fn iso_base_media(head: &[u8]) -> Option<Sniffed> {
    let size = u32::from_be_bytes(head.get(..4)?.try_into().ok()?);
    match head.get(4..8)? {
        b"ftyp" if size >= 16 => {
            let end = head.len().min(size as usize);
            let brands =
                head.get(8..12).into_iter().chain(head.get(16..end)?.chunks_exact(4)).collect::<Vec<_>>();
            by_brands(&brands)
        }
        b"moov" | b"wide" | b"free" | b"skip" | b"pnot" | b"mdat" if super::text(head).is_none() => Some(MOV),
        b"styp" | b"moof" | b"sidx" if super::text(head).is_none() => Some(MP4),
        _ => None,
    }
}

/// The first brand is the file's own; the others are what it is compatible with.
fn by_brands(brands: &[&[u8]]) -> Option<Sniffed> {
    let own: &[u8] = brands.first()?;
    let has = |wanted: &[&[u8; 4]]| brands.iter().any(|brand| wanted.iter().any(|w| brand == w));
    Some(match own {
        b"M4A " | b"M4B " | b"M4P " | b"F4A " | b"F4B " => M4A,
        b"qt  " => MOV,
        b"M4V " | b"M4VH" | b"M4VP" => M4V,
        b"avif" | b"avis" => AVIF,
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" => HEIC,
        b"mif1" | b"msf1" | b"miaf" if has(&[b"avif", b"avis"]) => AVIF,
        b"mif1" | b"msf1" | b"miaf" if has(&[b"heic", b"heix", b"hevc", b"hevx"]) => HEIC,
        b"mif1" | b"msf1" | b"miaf" => HEIF,
        b"crx " => super::raw::CR3,
        [b'3', b'g', b'p' | b'2' | b'g', _] => THREE_GP,
        _ => MP4,
    })
}

/// Matroska (RFC 9559) says its document type in the EBML header.
fn matroska(head: &[u8]) -> Option<Sniffed> {
    const DOC_TYPE: [u8; 2] = [0x42, 0x82];
    let at = head.windows(2).position(|id| id == DOC_TYPE)?;
    let length = usize::from(*head.get(at + 2)? & 0x7F);
    match head.get(at + 3..at + 3 + length)? {
        b"webm" => Some(WEBM),
        _ => Some(MKV),
    }
}

/// Ogg (RFC 3533) names each stream's codec in the stream's first packet.
fn ogg(head: &[u8]) -> Sniffed {
    let has = |mark: &[u8]| head.windows(mark.len()).any(|window| window == mark);
    if has(b"\x80theora") || has(b"OVP80") || has(b"BBCD\0") {
        OGV
    } else if has(b"OpusHead") {
        OPUS
    } else {
        OGA
    }
}
