//! Icons: the largest of the images in the file, which is a PNG or a BMP without its file header.

use image::ImageFormat;

use super::{Decoded, damaged, general, png, whole};
use crate::fit::FitTo;
use crate::limits::{MediaError, MediaLimits};
use crate::source::Source;

const HEADER: usize = 6;
const ENTRY: usize = 16;

pub(super) fn decode(
    mut source: Source<'_>,
    within: FitTo,
    limits: &MediaLimits,
) -> Result<Decoded, MediaError> {
    const PNG: [u8; 8] = *b"\x89PNG\r\n\x1a\n";
    let file = whole(&mut source)?;
    let entry = largest(&file).ok_or_else(damaged)?;
    let image = content(&file, entry).ok_or_else(damaged)?;
    if image.starts_with(&PNG) {
        return png::decode(Source::of_bytes(image), within, limits);
    }
    // An icon of this image alone.
    let mut icon = [0, 0, 1, 0, 1, 0].to_vec();
    icon.extend(&entry[..12]);
    icon.extend(((HEADER + ENTRY) as u32).to_le_bytes());
    icon.extend(image);
    general::decode(Source::of_bytes(&icon), ImageFormat::Ico, within, limits)
}

/// The entry of the image with the most pixels, and of those the most colours.
fn largest(file: &[u8]) -> Option<&[u8; ENTRY]> {
    let count = usize::from(u16::from_le_bytes(*file.get(4..)?.first_chunk()?));
    let entries = file.get(HEADER..)?.as_chunks::<ENTRY>().0.iter().take(count);
    // A side of 256 is written as 0.
    let side = |value: u8| if value == 0 { 256 } else { u32::from(value) };
    let key =
        |entry: &&[u8; ENTRY]| (side(entry[0]) * side(entry[1]), u16::from_le_bytes([entry[6], entry[7]]));
    entries.filter(|entry| content(file, entry).is_some()).max_by_key(key)
}

fn content<'a>(file: &'a [u8], entry: &[u8; ENTRY]) -> Option<&'a [u8]> {
    let number = |at: usize| Some(u32::from_le_bytes(*entry.get(at..)?.first_chunk()?) as usize);
    let (length, start) = (number(8)?, number(12)?);
    file.get(start..start.checked_add(length)?).filter(|image| !image.is_empty())
}
