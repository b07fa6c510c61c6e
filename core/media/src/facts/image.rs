//! Facts of images.

use std::io::{BufReader, Read as _, Seek};

use image::metadata::Orientation;
use image::{ImageDecoder, ImageFormat, ImageReader};

use super::{Facts, jxl, png, svg, turned};
use crate::heif;
use crate::ifd::Directories;
use crate::jpeg_header::JpegHeader;
use crate::raw::{self, Raw};
use crate::source::Source;

/// An image's size by its header, with its orientation applied.
pub(crate) fn facts(mut source: Source<'_>, mime: &str) -> Option<Facts> {
    if let "image/avif" | "image/heic" | "image/heif" = mime {
        let (size, orientation) = heif::facts(&mut source)?;
        return Some(upright(size, orientation));
    }
    if raw::MIMES.contains(&mime) {
        let raw = Raw::read(&mut source, mime)?;
        return Some(upright(raw.size?, raw.orientation()));
    }
    if mime == "image/x-portable-anymap"
        && let Some((width, height)) = any_map(&mut source)
    {
        return Some(Facts::of_thumbnail(width, height));
    }
    source.rewind().ok()?;
    if let "image/tiff" | "image/jxl" | "image/jp2" | "image/x-tga" | "image/vnd-ms.dds" | "image/qoi"
    | "image/svg+xml" = mime
    {
        let (size, orientation) = match mime {
            "image/tiff" => tiff(&mut source)?,
            "image/jxl" => jxl::facts(&mut source)?,
            "image/jp2" => (jpeg_2000(&mut source)?, Orientation::NoTransforms),
            "image/svg+xml" => (svg::size(&mut source)?, Orientation::NoTransforms),
            "image/x-tga" => (targa(&mut source)?, Orientation::NoTransforms),
            "image/qoi" => (quite_ok(&mut source)?, Orientation::NoTransforms),
            _ => (direct_draw(&mut source)?, Orientation::NoTransforms),
        };
        return Some(upright(size, orientation));
    }
    let mut reader = BufReader::with_capacity(4096, source);
    let (size, orientation) = match mime {
        "image/jpeg" => {
            let header = JpegHeader::read(reader)?;
            (header.size, header.orientation)
        }
        "image/bmp" => (bmp(reader)?, Orientation::NoTransforms),
        _ => {
            let size = imagesize::reader_size(&mut reader).ok()?;
            let orientation = exif_orientation(reader, mime).unwrap_or(Orientation::NoTransforms);
            ((u32::try_from(size.width).ok()?, u32::try_from(size.height).ok()?), orientation)
        }
    };
    Some(upright(size, orientation))
}

fn upright(size: (u32, u32), orientation: Orientation) -> Facts {
    let (width, height) = if exchanges_sides(orientation) { turned(size) } else { size };
    Facts::of_thumbnail(width, height)
}

/// Whether width and height change places.
pub(crate) fn exchanges_sides(orientation: Orientation) -> bool {
    orientation.to_exif() >= 5
}

fn exif_orientation(mut reader: BufReader<Source<'_>>, mime: &str) -> Option<Orientation> {
    match mime {
        "image/png" => png::orientation(&mut reader.into_inner()),
        "image/webp" => {
            reader.rewind().ok()?;
            orientation_of(&mut ImageReader::with_format(reader, ImageFormat::WebP).into_decoder().ok()?)
        }
        _ => None,
    }
}

/// What EXIF says; some writers of WebP put the mark of a JPEG's segment before it.
pub(crate) fn orientation_of(decoder: &mut impl ImageDecoder) -> Option<Orientation> {
    const MARK: &[u8] = b"Exif\0\0";
    let exif = decoder.exif_metadata().ok()??;
    Orientation::from_exif_chunk(exif.strip_prefix(MARK).unwrap_or(&exif))
}

/// The size in a BMP's header: of two bytes a side in OS/2's, else of four, and negative where the rows are stored from
/// the top down.
fn bmp(mut reader: BufReader<Source<'_>>) -> Option<(u32, u32)> {
    const OS2_HEADER: u32 = 12;
    let mut head = [0; 26];
    reader.read_exact(&mut head).ok()?;
    let four = |at: usize| Some(u32::from_le_bytes(*head.get(at..)?.first_chunk()?));
    let two = |at: usize| Some(u32::from(u16::from_le_bytes(*head.get(at..)?.first_chunk()?)));
    match four(14)? {
        OS2_HEADER => Some((two(18)?, two(20)?)),
        _ => Some((four(18)?, (four(22)? as i32).unsigned_abs())),
    }
}

/// The size of a portable arbitrary map (P7), which names its numbers; of the older maps the library reads it.
fn any_map(source: &mut Source<'_>) -> Option<(u32, u32)> {
    let head = source.up_to(0, 1024)?;
    let mut words = head.strip_prefix(b"P7")?.split(u8::is_ascii_whitespace);
    let mut after = |name: &[u8]| {
        words.find(|word| *word == name)?;
        std::str::from_utf8(words.next()?).ok()?.parse().ok()
    };
    after(b"WIDTH").zip(after(b"HEIGHT"))
}

fn targa(source: &mut Source<'_>) -> Option<(u32, u32)> {
    let [w0, w1, h0, h1] = source.bytes(12)?;
    Some((u16::from_le_bytes([w0, w1]).into(), u16::from_le_bytes([h0, h1]).into()))
}

fn direct_draw(source: &mut Source<'_>) -> Option<(u32, u32)> {
    Some((u32::from_le_bytes(source.bytes(16)?), u32::from_le_bytes(source.bytes(12)?)))
}

fn quite_ok(source: &mut Source<'_>) -> Option<(u32, u32)> {
    Some((u32::from_be_bytes(source.bytes(4)?), u32::from_be_bytes(source.bytes(8)?)))
}

/// The size in the header of a JPEG 2000 (ISO 15444-1): in a box, or in the stream itself.
fn jpeg_2000(source: &mut Source<'_>) -> Option<(u32, u32)> {
    const STREAM: [u8; 4] = [0xFF, 0x4F, 0xFF, 0x51];
    const MAX_HEADER: u64 = 4096;
    let mut four = |at: u64| source.bytes(at).map(u32::from_be_bytes);
    if four(0)?.to_be_bytes() == STREAM {
        return Some((four(8)?.checked_sub(four(16)?)?, four(12)?.checked_sub(four(20)?)?));
    }
    let header = source.up_to(0, MAX_HEADER)?;
    let at = header.windows(4).position(|window| window == b"ihdr")? as u64 + 4;
    let mut four = |at: u64| source.bytes(at).map(u32::from_be_bytes);
    Some((four(at + 4)?, four(at)?))
}

/// Of the first image.
fn tiff(source: &mut Source<'_>) -> Option<((u32, u32), Orientation)> {
    let format = Directories::open(source, 0)?;
    let directory = format.read(source, format.first)?;
    let mut number = |tag| directory.number(source, tag);
    let (width, height) = (u32::try_from(number(256)?).ok()?, u32::try_from(number(257)?).ok()?);
    let orientation = number(274).and_then(|value| Orientation::from_exif(u8::try_from(value).ok()?));
    Some(((width, height), orientation.unwrap_or(Orientation::NoTransforms)))
}
