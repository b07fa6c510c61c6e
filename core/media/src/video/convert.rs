//! Converts a video so that every browser can stream it: MP4 with its index in front.
//! Invariant: the result is checked before it counts; ffmpeg is dead when the future is done or dropped.
//! Never decides whether a video needs it.

use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use nix::libc;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

use super::probe::streams;
use crate::blocking::blocking;
use crate::demuxer::demuxer;
use crate::facts::{HighDynamicRange, facts};
use crate::ffmpeg::sandbox::{self, Bounds};
use crate::ffmpeg::{
    DAMAGED, MAX_LOG, NO_FRAME, NOT_FOUND, UNKNOWN_TYPE, UNSUPPORTED, command, not_started, reason,
};
use crate::limits::{MediaError, MediaLimits};
use crate::playback::{self, Conversion};
use crate::sniff::MP4;

/// A video to be converted.
#[derive(Debug, Clone, Copy)]
pub struct VideoSource<'a> {
    /// Its bytes.
    pub file: &'a File,
    /// What `sniff` said.
    pub mime: &'a str,
    /// What `facts` said; without it there is no progress to report.
    pub duration_seconds: Option<f64>,
    /// How its light is coded, as `facts` said.
    pub hdr: Option<HighDynamicRange>,
}

/// Writes `video` into `target`, an empty file, as `conversion` asks; a stream that cannot be copied after all is
/// re-encoded. The result has the largest video stream and the first audio stream that can be decoded. `percent` is set
/// to the progress, and stays as it is where that is unknown. Returns a note for a person about the result.
///
/// # Errors
/// When the video cannot be decoded, grows too large or takes too long, or ffmpeg is not installed. The content of
/// `target` is useless then.
pub async fn convert(
    video: VideoSource<'_>,
    conversion: Conversion,
    target: &File,
    percent: &AtomicU8,
    limits: &MediaLimits,
) -> Result<Option<&'static str>, MediaError> {
    let work = Work { video, target, percent, limits };
    match tokio::time::timeout(limits.conversion_wall_clock, work.attempts(conversion)).await {
        Ok(result) => result,
        Err(_) => Err(MediaError::permanent(TOO_LONG)),
    }
}

const TOO_LONG: &str = "the video takes too long to convert";
const TOO_LARGE: &str = "the video would become too large";

const SILENT: &str = "its audio cannot be decoded, so it is silent";

/// What stays the same in every attempt.
struct Work<'a> {
    video: VideoSource<'a>,
    target: &'a File,
    percent: &'a AtomicU8,
    limits: &'a MediaLimits,
}

impl Work<'_> {
    async fn attempts(&self, asked: Conversion) -> Result<Option<&'static str>, MediaError> {
        const MOST_AUDIO_STREAMS: usize = 4;
        let streams = streams(self.video.file, self.video.mime, self.limits).await.unwrap_or_default();
        let video = streams.video.map_or_else(|| "0:V:0".to_owned(), |index| format!("0:{index}"));
        let audio_streams =
            streams.audio.iter().take(MOST_AUDIO_STREAMS).map(|index| Some(format!("0:{index}")));
        let audio_streams: Vec<Option<String>> = audio_streams.chain([None]).collect();
        let mut first_fault = None;
        let fallback = (asked != Conversion::ALL).then_some(Conversion::ALL);
        for conversion in [asked].into_iter().chain(fallback) {
            for audio in &audio_streams {
                // What the headers say is about the first one.
                let is_first = audio == &audio_streams[0] && streams.is_first_audio_known;
                let conversion =
                    Conversion { copies_audio: conversion.copies_audio && is_first, ..conversion };
                let fault = match self.attempt((&video, audio.as_deref()), conversion).await {
                    Ok(()) => return Ok((audio.is_none() && streams.has_audio).then_some(SILENT)),
                    Err(fault) if fault.retryable => return Err(fault),
                    Err(fault) => fault,
                };
                let is_codec = fault.reason == UNSUPPORTED;
                first_fault = first_fault.or(Some(fault));
                if !is_codec {
                    break;
                }
            }
        }
        Err(first_fault.unwrap_or_else(|| MediaError::permanent(NO_FRAME)))
    }

    async fn attempt(&self, streams: (&str, Option<&str>), conversion: Conversion) -> Result<(), MediaError> {
        let Some(demuxer) = demuxer(self.video.mime) else {
            return Err(MediaError::permanent(UNKNOWN_TYPE));
        };
        let bounds = bounds(self.video.file, self.limits).map_err(not_started)?;
        let command = command::conversion(demuxer, streams, conversion, self.video.hdr, self.limits);
        let started = sandbox::start(command, Some(self.video.file), Some(self.target), bounds);
        let mut ffmpeg = started.await.map_err(not_started)?;
        let Some(log) = ffmpeg.child.stderr.take() else {
            return Err(MediaError::temporary("ffmpeg has no output"));
        };
        let log = follow(log, self.video.duration_seconds, self.percent).await;
        let status = ffmpeg.child.wait().await.map_err(not_started)?;
        if status.success() { self.check().await } else { Err(failure(status, &log)) }
    }

    /// Checks that the result is a video that browsers stream.
    async fn check(&self) -> Result<(), MediaError> {
        let (target, limits) = (self.target.try_clone().map_err(not_started)?, self.limits.clone());
        blocking(move || {
            let facts = facts(&target, &MP4, &limits);
            let is_video = facts.width.is_some() && playback::conversion(MP4.mime, &facts).is_none();
            if is_video { Ok(()) } else { Err(MediaError::permanent(NO_FRAME)) }
        })
        .await
    }
}

/// Bytes that count towards no quota stay in proportion to those that do.
fn bounds(video: &File, limits: &MediaLimits) -> std::io::Result<Bounds> {
    const SMALL: u64 = 64 << 20;
    Ok(Bounds {
        processor_time: limits.conversion_cpu,
        address_space: limits.ffmpeg_address_space,
        written_bytes: limits.converted_bytes.min(2 * video.metadata()?.len() + SMALL),
        niceness: 19,
        may_be_unconfined: limits.may_be_unconfined,
    })
}

fn failure(status: ExitStatus, log: &[u8]) -> MediaError {
    match (status.signal(), status.code()) {
        (Some(libc::SIGXFSZ), _) => MediaError::permanent(TOO_LARGE),
        (Some(libc::SIGXCPU), _) => MediaError::permanent(TOO_LONG),
        (Some(signal), _) => MediaError::temporary(format!("converting was stopped by signal {signal}")),
        (_, Some(NOT_FOUND)) => MediaError::temporary("ffmpeg is not installed"),
        _ => match reason(log) {
            NO_FRAME => MediaError::permanent(DAMAGED),
            reason => MediaError::permanent(reason),
        },
    }
}

/// Reads ffmpeg's log until it ends: stores its progress and keeps the start of the rest.
async fn follow(log: impl AsyncRead + Unpin, duration_seconds: Option<f64>, percent: &AtomicU8) -> Vec<u8> {
    const LONGEST_LINE: u64 = 4096;
    let (mut log, mut kept, mut line) = (BufReader::new(log), Vec::new(), Vec::new());
    loop {
        line.clear();
        match (&mut log).take(LONGEST_LINE).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return kept,
            Ok(_) => {}
        }
        if let Some(done) = time_done(&line) {
            let share = duration_seconds.map(|seconds| done.as_secs_f64() / seconds);
            if let Some(share) = share.filter(|share| share.is_finite()) {
                // The last hundredth is what follows: the index goes to the front, the bytes to the disk.
                percent.store((share * 100.0).clamp(0.0, 99.0) as u8, Ordering::Relaxed);
            }
        } else if line.starts_with(b"[") && (kept.len() as u64) < MAX_LOG {
            kept.extend_from_slice(&line);
        }
    }
}

/// How much of the video is written, if a line of ffmpeg's progress report says so.
fn time_done(line: &[u8]) -> Option<Duration> {
    let micros = std::str::from_utf8(line).ok()?.strip_prefix("out_time_us=")?;
    micros.trim().parse().ok().map(Duration::from_micros)
}

#[cfg(test)]
mod tests;
