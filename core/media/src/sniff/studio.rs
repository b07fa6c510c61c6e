//! Images of studios and archives, which no browser shows: they are stored, and served for download.

use super::{Class, Sniffed};

const fn image(mime: &'static str, extension: &'static str, label: &'static str) -> Sniffed {
    Sniffed::new(mime, extension, Class::Image, label)
}

const PSD: Sniffed = image("image/vnd.adobe.photoshop", "psd", "Photoshop image");
const JP2: Sniffed = image("image/jp2", "jp2", "JPEG 2000 image");
const EXR: Sniffed = image("image/x-exr", "exr", "OpenEXR image");
const DDS: Sniffed = image("image/vnd-ms.dds", "dds", "DirectDraw surface");
const HDR: Sniffed = image("image/vnd.radiance", "hdr", "Radiance image");
const PNM: Sniffed = image("image/x-portable-anymap", "pnm", "portable anymap");
const QOI: Sniffed = image("image/qoi", "qoi", "QOI image");
const TGA: Sniffed = image("image/x-tga", "tga", "Targa image");

pub(super) fn sniff(head: &[u8]) -> Option<Sniffed> {
    const JP2_BOX: &[u8] = b"\0\0\0\x0CjP  \r\n\x87\n";
    match head {
        [b'8', b'B', b'P', b'S', 0, 1 | 2, ..] => Some(PSD),
        [0xFF, 0x4F, 0xFF, 0x51, ..] => Some(JP2),
        _ if head.starts_with(JP2_BOX) => Some(JP2),
        [0x76, 0x2F, 0x31, 0x01, ..] => Some(EXR),
        [b'D', b'D', b'S', b' ', 124, 0, 0, 0, ..] => Some(DDS),
        [b'q', b'o', b'i', b'f', _, _, _, _, _, _, _, _, 3 | 4, 0 | 1, ..] => Some(QOI),
        _ if head.starts_with(b"#?RADIANCE\n") || head.starts_with(b"#?RGBE\n") => Some(HDR),
        [b'P', b'1'..=b'7', b'\n' | b' ' | b'\r' | b'\t', b'0'..=b'9' | b'#' | b'W', ..] => Some(PNM),
        _ => is_targa(head).then_some(TGA),
    }
}

/// Targa has no mark, but a header in which little is free.
fn is_targa(head: &[u8]) -> bool {
    const PALETTE: [u8; 4] = [15, 16, 24, 32];
    let &[_, has_palette, kind, p0, p1, c0, c1, palette_bits, _, _, _, _, w0, w1, h0, h1, bits, flags, ..] =
        head
    else {
        return false;
    };
    let palette_length = u16::from_le_bytes([c0, c1]);
    let is_of_colours = match (has_palette, kind, bits) {
        (0, 2 | 10, 16 | 24 | 32) | (0, 3 | 11, 8 | 16) => [p0, p1, c0, c1, palette_bits] == [0; 5],
        (1, 1 | 9, 8) => {
            [p0, p1] == [0; 2] && (1..=256).contains(&palette_length) && PALETTE.contains(&palette_bits)
        }
        _ => false,
    };
    is_of_colours && [w0, w1] != [0; 2] && [h0, h1] != [0; 2] && flags & 0xD0 == 0 && flags & 0x0F <= 8
}
