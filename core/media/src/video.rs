//! Posters of videos and audio files; conversion of videos for browsers.
//! Invariant: ffmpeg runs once (twice where the first run gave nothing or a dark frame), sees only its open files, and
//! is dead when the future is done or dropped.
//! Never decodes a video in this process, never opens a path.

mod command;
mod convert;
mod frame;
mod probe;
mod sandbox;

use std::fs::File;
use std::io::Cursor;
use std::os::unix::process::ExitStatusExt;

use ffmpeg_sidecar::event::FfmpegEvent;
use ffmpeg_sidecar::log_parser::FfmpegLogParser;
use image::metadata::Orientation;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::ChildStdin;
use tokio::task::spawn_blocking;

use super::audio;
use super::demuxer::{HEVC_DEMUXER, demuxer};
use super::facts::{Facts, examine};
use super::heif::{Layer, Rectangle};
use super::limits::{MediaError, MediaLimits};
use super::sniff::{Class, sniff};
use super::source::Source;
use super::thumbnail::{Fit, Origin, Thumbnail, ThumbnailFormat, bytes_thumbnail, frame_thumbnail};
use crate::FitTo;
use command::{Look, Pace, Task};
pub use convert::{VideoSource, convert};
pub(super) use frame::Frame;
pub use probe::probe;
use sandbox::Bounds;

/// Most of ffmpeg's log that is kept to report why it failed, in bytes.
const MAX_LOG: u64 = 16 << 10;

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

/// Decodes a layer of an image by ffmpeg, at no more than twice the size that `fit` gives it.
pub(super) async fn still(
    layer: &Layer,
    demuxer: &str,
    shown: Rectangle,
    fit: &Fit,
    within: FitTo,
    limits: &MediaLimits,
) -> Result<Frame, MediaError> {
    // Twice the result's size, for the sharper filter that follows.
    let shrink = (fit.reduction() / 2.0).max(1.0);
    let scaled = |side: u32| (f64::from(side) / shrink).ceil() as u32;
    let task = Task::Still {
        tiles: layer.tiles,
        size: layer.size,
        shown,
        scaled: (scaled(shown.size.0), scaled(shown.size.1)),
        whole: (demuxer != HEVC_DEMUXER).then_some(layer.stream.len()),
    };
    let work = run(Input::Stream(&layer.stream), demuxer, task, within, limits);
    match tokio::time::timeout(limits.ffmpeg_wall_clock, work).await {
        Ok(frame) => frame,
        Err(_) => Err(MediaError::temporary("decoding took too long")),
    }
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

const UNKNOWN_TYPE: &str = "files of this type cannot be decoded";
const NO_VIDEO_STREAM: &str = "the file has no video stream";
const NO_FRAME: &str = "nothing in the file could be decoded";
const UNSUPPORTED: &str = "the file's codec is not supported";
const DAMAGED: &str = "the file's data is damaged";

/// The exit code of a shell for a program that does not exist (POSIX, 2.8.2).
const NOT_FOUND: i32 = 127;

/// What ffmpeg reads.
#[derive(Clone, Copy)]
enum Input<'a> {
    File(&'a File),
    Stream(&'a [u8]),
}

/// Runs ffmpeg for one frame.
async fn run(
    input: Input<'_>,
    demuxer: &str,
    task: Task,
    within: FitTo,
    limits: &MediaLimits,
) -> Result<Frame, MediaError> {
    let command = command::ffmpeg(demuxer, task, within, limits);
    let (file, stream) = match input {
        Input::File(file) => (Some(file), &[][..]),
        Input::Stream(stream) => (None, stream),
    };
    let mut ffmpeg =
        sandbox::start(command, file, None, Bounds::reading(limits)).await.map_err(not_started)?;
    let child = &mut ffmpeg.child;
    let pipe = child.stdin.take();
    let (Some(mut output), Some(log)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(MediaError::temporary("ffmpeg has no output"));
    };
    let take_frame = async {
        let frame = frame::choose(&mut output, limits).await;
        if !matches!(frame, Ok(None)) {
            // It may still be decoding frames that are not needed.
            let _ = child.start_kill();
        }
        frame
    };
    let (frame, log, ()) = tokio::join!(take_frame, read_log(log), feed(pipe, stream));
    if let Some(frame) = frame? {
        return Ok(frame);
    }
    let status = child.wait().await.map_err(not_started)?;
    match (status.signal(), status.code()) {
        (Some(signal), _) => Err(MediaError::temporary(format!("decoding was stopped by signal {signal}"))),
        (_, Some(NOT_FOUND)) => Err(MediaError::temporary("ffmpeg is not installed")),
        _ => Err(MediaError::permanent(reason(&log))),
    }
}

/// Writes the stream and closes the pipe. A decoder that has seen enough stops reading, which is not an error.
async fn feed(pipe: Option<ChildStdin>, stream: &[u8]) {
    if let Some(mut pipe) = pipe {
        let _ = pipe.write_all(stream).await;
    }
}

/// The start of the log; the rest is read and dropped, so that ffmpeg never waits for us.
async fn read_log(mut log: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut kept = Vec::new();
    let _ = (&mut log).take(MAX_LOG).read_to_end(&mut kept).await;
    let _ = tokio::io::copy(&mut log, &mut tokio::io::sink()).await;
    kept
}

/// What ffmpeg's log says, for a person.
fn reason(log: &[u8]) -> &'static str {
    const REASONS: [(&str, &str); 8] = [
        ("moov atom not found", "the video is incomplete: its index is missing"),
        ("matches no streams", NO_VIDEO_STREAM),
        ("does not contain any stream", NO_VIDEO_STREAM),
        ("Output file #0 does not contain", NO_VIDEO_STREAM),
        ("Decoder (codec", UNSUPPORTED),
        ("Decoding requested, but no decoder found", UNSUPPORTED),
        ("No such filter", "this server's ffmpeg cannot convert HDR video to SDR"),
        ("Invalid data found", DAMAGED),
    ];
    let mut parser = FfmpegLogParser::new(std::io::BufReader::new(Cursor::new(log)));
    let mut said = String::new();
    while let Ok(event) = parser.parse_next_event() {
        match event {
            FfmpegEvent::LogEOF => break,
            FfmpegEvent::Log(_, line) | FfmpegEvent::Error(line) => said.push_str(&line),
            _ => {}
        }
    }
    REASONS.iter().find(|(mark, _)| said.contains(mark)).map_or(NO_FRAME, |(_, reason)| reason)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, MediaError> + Send + 'static,
) -> Result<T, MediaError> {
    spawn_blocking(work).await.unwrap_or_else(|_| Err(MediaError::temporary("the decoder stopped")))
}

fn not_started(error: std::io::Error) -> MediaError {
    match error.kind() {
        std::io::ErrorKind::NotFound => MediaError::temporary("there is no shell to start ffmpeg"),
        std::io::ErrorKind::Unsupported => {
            MediaError::temporary("this server's kernel cannot confine ffmpeg (JAM_SANDBOX)")
        }
        kind => MediaError::temporary(format!("ffmpeg could not be started: {kind}")),
    }
}

#[cfg(test)]
mod tests;
