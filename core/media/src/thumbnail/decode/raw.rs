//! A raw image by the JPEG that the camera put into the file.

use super::{Decoded, damaged, jpeg, tiff};
use crate::fit::FitTo;
use crate::limits::{MediaError, MediaLimits};
use crate::raw::Raw;
use crate::source::Source;

pub(super) fn decode(
    mut source: Source<'_>,
    mime: &str,
    within: FitTo,
    limits: &MediaLimits,
) -> Result<Decoded, MediaError> {
    let raw = Raw::read(&mut source, mime).ok_or_else(damaged)?;
    let mut fault = MediaError::permanent("the raw image has no preview in it");
    for preview in &raw.previews {
        let bytes = source.up_to(preview.start, preview.length.min(limits.max_image_bytes));
        let bytes = bytes.ok_or_else(|| MediaError::permanent("the raw image is too large to read"))?;
        match jpeg::decode(Source::of_bytes(&bytes), Some(raw.orientation()), within, limits) {
            Ok(decoded) => return Ok(decoded),
            Err(why) => fault = why,
        }
    }
    // Some DNG files only have a small image without compression.
    if mime == "image/x-adobe-dng" {
        return tiff::decode(source, within, limits).map_err(|_| fault);
    }
    Err(fault)
}
