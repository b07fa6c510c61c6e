//! JPEG XL by `jxl-oxide`, in pure Rust and with a bound on its memory.

use image::metadata::Orientation;
use jxl_oxide::{AllocTracker, EnumColourEncoding, JxlImage, JxlThreadPool, RenderingIntent};

use super::{Decoded, damaged};
use crate::media::limits::{MediaError, MediaLimits};
use crate::media::source::Source;
use crate::media::thumbnail::fit::Fit;
use crate::media::thumbnail::pixels::Layout;
use crate::media::thumbnail::shrink::Shrinker;
use crate::model::ThumbnailSize;

pub(super) fn decode(
    source: Source<'_>,
    kind: ThumbnailSize,
    limits: &MediaLimits,
) -> Result<Decoded, MediaError> {
    let memory = usize::try_from(limits.max_jxl_bytes).unwrap_or(usize::MAX);
    let builder = JxlImage::builder().pool(JxlThreadPool::none());
    let read = builder.alloc_tracker(AllocTracker::with_limit(memory)).read(source);
    let mut image = read.map_err(|_| damaged())?;
    // As it is shown: the decoder turns it.
    let full = (image.width(), image.height());
    limits.check_dimensions(full.0, full.1)?;
    if u64::from(full.0) * u64::from(full.1) > limits.max_jxl_pixels {
        return Err(MediaError::permanent("the image is too large for its encoding"));
    }
    if image.hdr_type().is_some() {
        image.request_color_encoding(EnumColourEncoding::srgb(RenderingIntent::Relative));
    }
    let render = image.render_frame(0).map_err(|_| damaged())?;
    let icc = image.rendered_icc();
    let mut stream = render.stream();
    let channels = stream.channels() as usize;
    let is_ink = image.pixel_format().has_black();
    let layout = match (channels, is_ink) {
        (1, _) => Layout::Gray,
        (3, _) => Layout::Rgb,
        (4 | 5, true) => Layout::Cmyk,
        _ => Layout::Rgba,
    };
    let fit = Fit::new(kind, full, Orientation::NoTransforms);
    let mut shrinker = Shrinker::new(full.0, layout, fit.reduction());
    let mut samples = vec![0u8; full.0 as usize * channels];
    let mut row = Vec::new();
    for _ in 0..full.1 {
        if stream.write_to_buffer(&mut samples) < samples.len() {
            return Err(damaged());
        }
        row.clear();
        match (channels, is_ink) {
            (1 | 3, _) | (4, false) => row.extend_from_slice(&samples),
            // Of ink, 0 is full.
            (4 | 5, true) => {
                row.extend(samples.chunks_exact(channels).flat_map(|pixel| &pixel[..4]).map(|ink| 255 - ink));
            }
            (2, _) => {
                let pixels = samples.as_chunks::<2>().0.iter();
                row.extend(pixels.flat_map(|[light, alpha]| [*light, *light, *light, *alpha]));
            }
            _ => return Err(damaged()),
        }
        shrinker.push(&row);
    }
    let (pixels, extent) = shrinker.finish();
    let orientation = Orientation::NoTransforms;
    Ok(Decoded { pixels, extent, fit, orientation, matrix: None, icc: Some(icc) })
}
