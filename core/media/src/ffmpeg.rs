//! ffmpeg as a process of its own, which decodes one frame.
//! Invariant: it sees only its open files, and is dead when the future is done or dropped.
//! Never opens a path, never knows what the frame is for.

pub(crate) mod command;
mod frame;
pub(crate) mod sandbox;

use std::fs::File;
use std::io::Cursor;
use std::os::unix::process::ExitStatusExt;

use ffmpeg_sidecar::event::FfmpegEvent;
use ffmpeg_sidecar::log_parser::FfmpegLogParser;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::ChildStdin;

use super::demuxer::HEVC_DEMUXER;
use super::fit::{Fit, FitTo};
use super::heif::{Layer, Rectangle};
use super::limits::{MediaError, MediaLimits};
pub(crate) use command::{Look, Pace, Task};
pub(crate) use frame::Frame;
use sandbox::Bounds;

/// Most of ffmpeg's log that is kept to report why it failed, in bytes.
pub(crate) const MAX_LOG: u64 = 16 << 10;

pub(crate) const UNKNOWN_TYPE: &str = "files of this type cannot be decoded";
pub(crate) const NO_VIDEO_STREAM: &str = "the file has no video stream";
pub(crate) const NO_FRAME: &str = "nothing in the file could be decoded";
pub(crate) const UNSUPPORTED: &str = "the file's codec is not supported";
pub(crate) const DAMAGED: &str = "the file's data is damaged";

/// The exit code of a shell for a program that does not exist (POSIX, 2.8.2).
pub(crate) const NOT_FOUND: i32 = 127;

/// What ffmpeg reads.
#[derive(Clone, Copy)]
pub(crate) enum Input<'a> {
    File(&'a File),
    Stream(&'a [u8]),
}

/// Runs ffmpeg for one frame.
///
/// # Errors
/// When nothing can be decoded, or ffmpeg is not installed.
pub(crate) async fn run(
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
pub(crate) fn reason(log: &[u8]) -> &'static str {
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

pub(crate) fn not_started(error: std::io::Error) -> MediaError {
    match error.kind() {
        std::io::ErrorKind::NotFound => MediaError::temporary("there is no shell to start ffmpeg"),
        std::io::ErrorKind::Unsupported => {
            MediaError::temporary("this server's kernel cannot confine ffmpeg (JAM_SANDBOX)")
        }
        kind => MediaError::temporary(format!("ffmpeg could not be started: {kind}")),
    }
}

/// Decodes a layer of an image by ffmpeg, at no more than twice the size that `fit` gives it.
pub(crate) async fn still(
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
