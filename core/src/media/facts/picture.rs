//! Facts of still pictures.

use std::io::{BufReader, Seek};

use super::{Facts, turned};
use crate::media::source::Source;

/// A picture's size by its header, turned as its EXIF orientation says.
pub(super) fn facts(source: Source<'_>, mime: &str) -> Option<Facts> {
    if mime == "image/tiff" {
        return tiff(source);
    }
    let mut reader = BufReader::with_capacity(4096, source);
    let size = imagesize::reader_size(&mut reader).ok()?;
    let size = (u32::try_from(size.width).ok()?, u32::try_from(size.height).ok()?);
    let (width, height) = match mime {
        "image/jpeg" | "image/png" | "image/webp" if exif_turns(&mut reader) => turned(size),
        _ => size,
    };
    Some(Facts::of_picture(width, height))
}

/// Whether the EXIF orientation exchanges width and height (values 5 to 8).
fn exif_turns(reader: &mut BufReader<Source<'_>>) -> bool {
    let mut orientation = || {
        reader.rewind().ok()?;
        let exif = exif::Reader::new().read_from_container(reader).ok()?;
        exif.get_field(exif::Tag::Orientation, exif::In::PRIMARY)?.value.get_uint(0)
    };
    matches!(orientation(), Some(5..=8))
}

/// TIFF is read by its own crate: a reader of EXIF would fetch the whole file.
fn tiff(source: Source<'_>) -> Option<Facts> {
    let mut decoder = tiff::decoder::Decoder::new(source).ok()?;
    let size = decoder.dimensions().ok()?;
    let orientation = decoder.get_tag_u32(tiff::tags::Tag::Orientation).unwrap_or(1);
    let (width, height) = if (5..=8).contains(&orientation) { turned(size) } else { size };
    Some(Facts::of_picture(width, height))
}
