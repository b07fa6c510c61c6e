//! Facts of still pictures.

use std::io::{BufReader, Seek};

use image::metadata::Orientation;
use image::{ImageDecoder, ImageFormat, ImageReader};

use super::{Facts, turned};
use crate::media::heif;
use crate::media::jpeg_header::JpegHeader;
use crate::media::source::Source;

/// A picture's size by its header, turned as its orientation says.
pub(super) fn facts(mut source: Source<'_>, mime: &str) -> Option<Facts> {
    if let "image/avif" | "image/heic" | "image/heif" = mime {
        let (size, orientation) = heif::facts(&mut source)?;
        return Some(upright(size, orientation));
    }
    let mut reader = BufReader::with_capacity(4096, source);
    let (size, orientation) = match mime {
        "image/jpeg" => {
            let header = JpegHeader::read(reader)?;
            (header.size, header.orientation)
        }
        "image/tiff" => tiff(reader)?,
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
    Facts::of_picture(width, height)
}

/// Whether width and height change places.
pub(in crate::media) fn exchanges_sides(orientation: Orientation) -> bool {
    orientation.to_exif() >= 5
}

fn exif_orientation(mut reader: BufReader<Source<'_>>, mime: &str) -> Option<Orientation> {
    let format = match mime {
        "image/png" => ImageFormat::Png,
        "image/webp" => ImageFormat::WebP,
        _ => return None,
    };
    reader.rewind().ok()?;
    ImageReader::with_format(reader, format).into_decoder().ok()?.orientation().ok()
}

fn tiff(reader: BufReader<Source<'_>>) -> Option<((u32, u32), Orientation)> {
    let mut decoder = tiff::decoder::Decoder::new(reader).ok()?;
    let orientation = decoder.get_tag_u32(tiff::tags::Tag::Orientation).ok();
    let orientation = orientation.and_then(|value| Orientation::from_exif(value.try_into().ok()?));
    Some((decoder.dimensions().ok()?, orientation.unwrap_or(Orientation::NoTransforms)))
}
