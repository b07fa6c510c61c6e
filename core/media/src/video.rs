//! Posters of videos and audio files; conversion of videos for browsers.
//! Invariant: ffmpeg runs once for a poster, twice where the first run gave nothing or a dark frame.
//! Never decodes a video in this process.

mod convert;
mod probe;

use std::fs::File;

use image::metadata::Orientation;

use super::audio;
use super::blocking::blocking;
use super::demuxer::demuxer;
use super::facts::{Facts, examine};
use super::ffmpeg::{
    Frame, Input, Look, NO_FRAME, NO_VIDEO_STREAM, Pace, Task, UNKNOWN_TYPE, not_started, run,
};
use super::fit::{Fit, FitTo};
use super::limits::{MediaError, MediaLimits};
use super::sniff::{Class, sniff};
use super::source::Source;
use super::thumbnail::{Origin, Thumbnail, ThumbnailFormat, bytes_thumbnail, frame_thumbnail};
pub use convert::{VideoSource, convert};
pub use probe::probe;

/// Makes a thumbnail `within` this frame of a video's frame, of an audio file's cover, or else of its waveform.
/// `mime` is what `sniff` said; `duration_seconds` is what `facts` said and decides which frame is taken.
///
/// # Errors
/// When nothing can be decoded, when ffmpeg is not installed, or when it does not finish in time.
pub async fn poster(
    file: File,
    mime: &str,
    duration_seconds: Option<f64>,
    within: FitTo,
    format: ThumbnailFormat,
    limits: &MediaLimits,
) -> Result<Thumbnail, MediaError> {
    let work = draw(file, mime, duration_seconds, within, format, limits);
    match tokio::time::timeout(limits.ffmpeg_wall_clock, work).await {
        Ok(result) => result,
        Err(_) => Err(MediaError::temporary("decoding took too long")),
    }
}

async fn draw(
    file: File,
    mime: &str,
    duration_seconds: Option<f64>,
    within: FitTo,
    format: ThumbnailFormat,
    limits: &MediaLimits,
) -> Result<Thumbnail, MediaError> {
    let Some(demuxer) = demuxer(mime) else {
        return Err(MediaError::permanent(UNKNOWN_TYPE));
    };
    let frame = if mime.starts_with("audio/") {
        match cover(&file, mime, within, format, limits).await? {
            Some(thumbnail) => return Ok(thumbnail),
            None => cover_or_waveform(&file, mime, demuxer, within, limits).await?,
        }
    } else {
        video_frame(&file, demuxer, duration_seconds, within, limits).await?
    };
    let upright = Orientation::NoTransforms;
    let fit = Fit::new(within, (frame.width, frame.height), upright);
    blocking(move || frame_thumbnail(frame, fit, upright, None, (format, Origin::VIDEO))).await
}

/// A frame near a tenth of the video, else its first frame, else a waveform if there is no video stream.
async fn video_frame(
    file: &File,
    demuxer: &str,
    duration_seconds: Option<f64>,
    within: FitTo,
    limits: &MediaLimits,
) -> Result<Frame, MediaError> {
    let facts = header_facts(file, limits).await?;
    let index = facts.tracks.map_or(0, |tracks| tracks.video_index);
    let at = start_of(duration_seconds);
    let keyframes = Look { at, pace: Pace::Keyframes, index, hdr: facts.hdr };
    match run(Input::File(file), demuxer, Task::Frame(keyframes), within, limits).await {
        Ok(frame) if frame.is_dark() => {
            // The only keyframe of a fade-in may be its first, black one.
            let look = Look { pace: Pace::Every(step(at, duration_seconds)), ..keyframes };
            let again = run(Input::File(file), demuxer, Task::Frame(look), within, limits);
            let second = tokio::time::timeout(limits.ffmpeg_wall_clock / 3, again).await;
            Ok(match second {
                Ok(Ok(brighter)) => frame.or_brighter(brighter),
                _ => frame,
            })
        }
        Err(fault) if fault.reason == NO_VIDEO_STREAM => waveform(file, demuxer, within, limits).await,
        Err(fault) if fault.reason == NO_FRAME => {
            // No keyframe after that time, or none marked as one: the very first frame will do.
            let look = Look { at: 0.0, pace: Pace::All, ..keyframes };
            run(Input::File(file), demuxer, Task::Frame(look), within, limits).await.map_err(|_| fault)
        }
        result => result,
    }
}

/// What the file's headers say.
async fn header_facts(file: &File, limits: &MediaLimits) -> Result<Facts, MediaError> {
    let (file, limits) = (file.try_clone().map_err(not_started)?, limits.clone());
    blocking(move || Ok(examine(&file, &limits).map_err(not_started)?.1)).await
}

/// The cover image of an audio file as ffmpeg decodes it, or else its waveform.
async fn cover_or_waveform(
    file: &File,
    mime: &str,
    demuxer: &str,
    within: FitTo,
    limits: &MediaLimits,
) -> Result<Frame, MediaError> {
    // `audio` has already checked the other types.
    let may_have_cover = matches!(
        mime,
        "audio/3gpp"
            | "audio/x-matroska"
            | "audio/x-ms-wma"
            | "audio/x-ape"
            | "audio/x-wavpack"
            | "audio/x-tta"
    );
    if may_have_cover && let Ok(frame) = run(Input::File(file), demuxer, Task::Cover, within, limits).await {
        return Ok(frame);
    }
    waveform(file, demuxer, within, limits).await
}

async fn waveform(
    file: &File,
    demuxer: &str,
    within: FitTo,
    limits: &MediaLimits,
) -> Result<Frame, MediaError> {
    const LIGHT_GREY: [u8; 3] = [0xF4, 0xF4, 0xF5];
    const BLUE: [u8; 3] = [0x3B, 0x82, 0xF6];
    Ok(run(Input::File(file), demuxer, Task::Waveform, within, limits).await?.tinted(LIGHT_GREY, BLUE))
}

/// When the poster's frame is taken: far enough in to be past titles and black, early enough to be cheap.
fn start_of(duration_seconds: Option<f64>) -> f64 {
    const SHARE: f64 = 0.1;
    const LATEST_SECONDS: f64 = 10.0;
    duration_seconds.map_or(0.0, |seconds| (seconds * SHARE).clamp(0.0, LATEST_SECONDS))
}

/// How far apart frames are looked at until the end of the video, in seconds.
fn step(at: f64, duration_seconds: Option<f64>) -> f64 {
    const FRAMES: f64 = 16.0;
    const LONGEST: f64 = 1.0;
    duration_seconds.map_or(LONGEST, |seconds| ((seconds - at) / FRAMES).clamp(0.04, LONGEST))
}

/// The thumbnail of the cover in an audio file, if it has one that can be decoded.
async fn cover(
    file: &File,
    mime: &str,
    within: FitTo,
    format: ThumbnailFormat,
    limits: &MediaLimits,
) -> Result<Option<Thumbnail>, MediaError> {
    let file = file.try_clone().map_err(not_started)?;
    let (mime, limits) = (mime.to_owned(), limits.clone());
    blocking(move || {
        let Ok(source) = Source::new(&file, limits.max_image_bytes) else { return Ok(None) };
        let max_bytes = usize::try_from(limits.max_header_bytes).unwrap_or(usize::MAX);
        let cover =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| audio::cover(source, &mime, max_bytes)));
        let Some(bytes) = cover.ok().flatten() else { return Ok(None) };
        let cover_type = sniff(&bytes, "");
        if cover_type.class != Class::Image {
            return Ok(None);
        }
        Ok(bytes_thumbnail(&bytes, cover_type.mime, within, format, &limits).ok())
    })
    .await
}

#[cfg(test)]
mod tests;
