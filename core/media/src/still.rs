//! Thumbnails of images, whether this process decodes them or ffmpeg.
//! Invariant: reading and decoding run on threads that may block; ffmpeg gets the bytes of one image and nothing else.

use std::fs::File;

use image::metadata::Orientation;

use super::blocking::blocking;
use super::demuxer::HEVC_DEMUXER;
use super::facts::image_facts;
use super::ffmpeg::still;
use super::fit::{Fit, FitTo};
use super::heif::{self, Codec, CodedImage, Layer, Rectangle};
use super::limits::{MediaError, MediaLimits};
use super::source::Source;
use super::thumbnail::{
    Origin, TOO_LARGE, Thumbnail, ThumbnailFormat, av1_thumbnail, damaged, decoded_thumbnail,
    frame_thumbnail, layers_thumbnail, unreadable,
};

/// Makes the thumbnail of an image `within` this frame. `mime` is what `sniff` said. What has begun to decode goes on
/// when the future is dropped.
///
/// # Errors
/// When the image is too large, damaged, or of an unsupported type.
pub async fn image_thumbnail(
    file: File,
    mime: &str,
    within: FitTo,
    format: ThumbnailFormat,
    limits: &MediaLimits,
) -> Result<Thumbnail, MediaError> {
    if let "image/avif" | "image/heic" | "image/heif" = mime {
        return of_heif(file, mime, within, format, limits).await;
    }
    if let Some(demuxer) = ffmpeg_demuxer(mime) {
        return by_ffmpeg(file, demuxer, mime, within, format, limits).await;
    }
    let (mime, limits) = (mime.to_owned(), limits.clone());
    blocking(move || decoded_thumbnail(&file, &mime, within, format, &limits)).await
}

/// What reading a HEIF file gives: AV1 is decoded at once, HEVC by ffmpeg.
enum Read {
    Thumbnail(Thumbnail),
    Hevc(Box<CodedImage>, Origin),
}

async fn of_heif(
    file: File,
    mime: &str,
    within: FitTo,
    format: ThumbnailFormat,
    limits: &MediaLimits,
) -> Result<Thumbnail, MediaError> {
    let (mime, owned) = (mime.to_owned(), limits.clone());
    let read = blocking(move || {
        let mut source = Source::new(&file, owned.max_image_bytes).map_err(unreadable)?;
        let origin = Origin::image(&mime, source.len());
        let reduction = |size, orientation| Fit::new(within, size, orientation).reduction();
        let coded = heif::coded_image(&mut source, reduction, &owned)?;
        match coded.codec {
            Codec::Hevc => Ok(Read::Hevc(Box::new(coded), origin)),
            Codec::Av1 => av1_thumbnail(coded, within, (format, origin), &owned).map(Read::Thumbnail),
        }
    });
    let (coded, origin) = match read.await? {
        Read::Thumbnail(thumbnail) => return Ok(thumbnail),
        Read::Hevc(coded, origin) => (*coded, origin),
    };
    let fit = Fit::new(within, coded.shown.size, coded.orientation);
    let frame = async |layer, shown| still(layer, HEVC_DEMUXER, shown, &fit, within, limits).await;
    let colours = frame(&coded.colours, coded.shown).await?;
    let Some(alpha) = &coded.alpha else {
        let CodedImage { orientation, icc, .. } = coded;
        return blocking(move || frame_thumbnail(colours, fit, orientation, icc, (format, origin))).await;
    };
    let shown = coded.shown.scaled(coded.colours.size, alpha.size);
    let alpha = (frame(alpha, shown).await?, shown.size);
    blocking(move || layers_thumbnail(colours, alpha, fit, coded, (format, origin))).await
}

/// ffmpeg's names for the formats that it decodes for us, because no small library does.
fn ffmpeg_demuxer(mime: &str) -> Option<&'static str> {
    Some(match mime {
        "image/jp2" => "j2k_pipe",
        "image/x-exr" => "exr_pipe",
        "image/vnd-ms.dds" => "dds_pipe",
        "image/qoi" => "qoi_pipe",
        _ => return None,
    })
}

async fn by_ffmpeg(
    file: File,
    demuxer: &str,
    mime: &str,
    within: FitTo,
    format: ThumbnailFormat,
    limits: &MediaLimits,
) -> Result<Thumbnail, MediaError> {
    let (owned_mime, owned) = (mime.to_owned(), limits.clone());
    let layer = blocking(move || {
        let mut source = Source::new(&file, owned.max_image_bytes).map_err(unreadable)?;
        if source.len() > owned.max_image_bytes {
            return Err(MediaError::permanent(TOO_LARGE));
        }
        let stream = source.up_to(0, owned.max_image_bytes).ok_or_else(damaged)?;
        let facts = image_facts(Source::of_bytes(&stream), &owned_mime).ok_or_else(damaged)?;
        let size = facts.width.zip(facts.height).ok_or_else(damaged)?;
        owned.check_dimensions(size.0, size.1)?;
        Ok(Layer { stream, tiles: (1, 1), size })
    })
    .await?;
    let (size, upright) = (layer.size, Orientation::NoTransforms);
    let origin = Origin::image(mime, layer.stream.len() as u64);
    let fit = Fit::new(within, size, upright);
    let frame = still(&layer, demuxer, Rectangle::whole(size), &fit, within, limits).await?;
    blocking(move || frame_thumbnail(frame, fit, upright, None, (format, origin))).await
}
