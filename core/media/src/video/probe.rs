//! Size and length of videos and audio that `facts` cannot read from the headers, by ffprobe; where it would guess as
//! well, its packets are counted.
//! Invariant: ffprobe is confined and bounded as ffmpeg is. Never runs while a client waits for a response.

use std::fs::File;
use std::process::Command;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::ChildStdout;

use crate::demuxer::demuxer;
use crate::facts::Facts;
use crate::ffmpeg::not_started;
use crate::ffmpeg::sandbox::{self, Bounds};
use crate::limits::{MediaError, MediaLimits};

/// Most of ffprobe's output that is read, in bytes.
const MAX_ANSWER: u64 = 64 << 10;

/// The part of ffprobe's output that is used.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    streams: Vec<Stream>,
    format: Option<Format>,
}

#[derive(Deserialize)]
struct Stream {
    index: Option<usize>,
    codec_type: Option<String>,
    codec_name: Option<String>,
    width: Option<u32>,
    height: Option<u32>,
    sample_aspect_ratio: Option<String>,
    disposition: Option<Disposition>,
    #[serde(default)]
    side_data_list: Vec<SideData>,
}

#[derive(Deserialize)]
struct Disposition {
    attached_pic: u8,
}

#[derive(Deserialize)]
struct SideData {
    rotation: Option<f64>,
}

#[derive(Deserialize)]
struct Format {
    duration: Option<String>,
}

/// Asks ffprobe for the size and the length of a video or an audio file. `mime` is what `sniff` said.
///
/// # Errors
/// When there is nothing that can be read, when ffprobe is not installed, or when it does not finish in time.
pub async fn probe(file: &File, mime: &str, limits: &MediaLimits) -> Result<Facts, MediaError> {
    match tokio::time::timeout(limits.ffmpeg_wall_clock, ask(file, mime, limits)).await {
        Ok(result) => result,
        Err(_) => Err(MediaError::temporary("looking at the file took too long")),
    }
}

async fn ask(file: &File, mime: &str, limits: &MediaLimits) -> Result<Facts, MediaError> {
    let bytes = file.metadata().map_err(not_started)?.len();
    const ENTRIES: &str = "stream=width,height,sample_aspect_ratio:stream_disposition=attached_pic\
                         :stream_side_data=rotation:format=duration";
    let probed = facts(&answer(file, mime, ENTRIES, limits).await?);
    let probed = probed.believed(bytes);
    if probed.duration_seconds.is_some() && !is_guessed(mime) {
        return Ok(probed);
    }
    Ok(probed.lasting(count(file, mime, limits).await?))
}

async fn answer(file: &File, mime: &str, entries: &str, limits: &MediaLimits) -> Result<Answer, MediaError> {
    let mut answer = Vec::new();
    let (_ffprobe, output) = start(file, mime, &[entries, "-of", "json"], limits).await?;
    output.take(MAX_ANSWER).read_to_end(&mut answer).await.map_err(not_started)?;
    serde_json::from_slice(&answer).map_err(|_| MediaError::permanent("nothing in the file could be read"))
}

/// The streams of a video that can be converted, by their number in the file.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// The largest video stream that is not a cover.
    pub(super) video: Option<usize>,
    /// Whether there is any audio stream.
    pub(super) has_audio: bool,
    /// Whether the first audio stream has a known codec.
    pub(super) is_first_audio_known: bool,
    /// The audio streams with a known codec.
    pub(super) audio: Vec<usize>,
}

/// Which streams a video has.
///
/// # Errors
/// As [`probe`].
pub(super) async fn streams(file: &File, mime: &str, limits: &MediaLimits) -> Result<Streams, MediaError> {
    const ENTRIES: &str = "stream=index,codec_type,codec_name,width,height:stream_disposition=attached_pic";
    let asked = answer(file, mime, ENTRIES, limits);
    let timeout = || MediaError::temporary("looking at the file took too long");
    let answer = tokio::time::timeout(limits.ffmpeg_wall_clock, asked).await.map_err(|_| timeout())??;
    let of_type = |wanted| move |stream: &&Stream| stream.codec_type.as_deref() == Some(wanted);
    let videos = answer.streams.iter().filter(of_type("video")).filter(|stream| !is_cover(stream));
    let area =
        |stream: &&Stream| u64::from(stream.width.unwrap_or(0)) * u64::from(stream.height.unwrap_or(0));
    // The first of the largest ones.
    let video = videos.rev().max_by_key(area).and_then(|stream| stream.index);
    let is_known = |stream: &&Stream| stream.codec_name.as_ref().is_some_and(|name| name != "unknown");
    let mut audio = answer.streams.iter().filter(of_type("audio")).peekable();
    let (has_audio, is_first_audio_known) = (audio.peek().is_some(), audio.peek().is_some_and(is_known));
    let audio = audio.filter(is_known).filter_map(|stream| stream.index).collect();
    Ok(Streams { video, has_audio, is_first_audio_known, audio })
}

fn is_cover(stream: &Stream) -> bool {
    stream.disposition.as_ref().is_some_and(|is| is.attached_pic == 1)
}

/// Whether ffprobe takes the bit rate of the start for that of the whole, or trusts a worthless header.
/// `facts` has read nothing from the headers of such a file.
fn is_guessed(mime: &str) -> bool {
    const GUESSED: [&str; 7] = [
        "audio/mpeg",
        "audio/aac",
        "audio/mp2t",
        "audio/x-msvideo",
        "video/x-msvideo",
        "video/mpv",
        "video/h264",
    ];
    GUESSED.contains(&mime)
}

/// From the start of the first packet to the end of the last one, in seconds; where they have no times, how long the
/// packets of the longest stream last together.
async fn count(file: &File, mime: &str, limits: &MediaLimits) -> Result<Option<f64>, MediaError> {
    const ENTRIES: &str = "packet=stream_index,pts_time,dts_time,duration_time";
    let (_ffprobe, output) = start(file, mime, &[ENTRIES, "-of", "csv=print_section=0"], limits).await?;
    packets(output).await.map_err(not_started)
}

/// Reads lines of a packet each: stream, two times, length. What is not known is `N/A`.
async fn packets(output: impl AsyncRead + Unpin) -> std::io::Result<Option<f64>> {
    const LONGEST_LINE: u64 = 4096;
    const STREAMS: usize = 64;
    let (mut output, mut line) = (BufReader::new(output), Vec::new());
    let (mut first, mut last, mut sums) = (f64::INFINITY, f64::NEG_INFINITY, [0.0; STREAMS]);
    loop {
        line.clear();
        if (&mut output).take(LONGEST_LINE).read_until(b'\n', &mut line).await? == 0 {
            break;
        }
        let text = String::from_utf8_lossy(&line);
        let mut fields = text.trim().split(',');
        let Some(stream) = fields.next().and_then(|stream| stream.parse::<usize>().ok()) else { continue };
        let mut number = || fields.next().and_then(|field| field.parse::<f64>().ok());
        let (shown, decoded, length) = (number(), number(), number().unwrap_or(0.0));
        if let Some(sum) = sums.get_mut(stream) {
            *sum += length;
        }
        if let Some(time) = shown.or(decoded) {
            first = first.min(time);
            last = last.max(time + length);
        }
    }
    let counted = if last > first { last - first } else { sums.into_iter().fold(0.0, f64::max) };
    Ok((counted > 0.0).then_some(counted))
}

/// Runs ffprobe for `entries` and returns its output.
async fn start(
    file: &File,
    mime: &str,
    entries: &[&str],
    limits: &MediaLimits,
) -> Result<(sandbox::Confined, ChildStdout), MediaError> {
    let Some(demuxer) = demuxer(mime) else {
        return Err(MediaError::permanent("files of this type cannot be read"));
    };
    let started = sandbox::start(ffprobe(demuxer, entries), Some(file), None, Bounds::reading(limits));
    let mut ffprobe = started.await.map_err(not_started)?;
    match ffprobe.child.stdout.take() {
        Some(output) => Ok((ffprobe, output)),
        None => Err(MediaError::temporary("ffprobe has no output")),
    }
}

#[expect(clippy::disallowed_methods, reason = "this module starts the programs")]
fn ffprobe(demuxer: &str, entries: &[&str]) -> Command {
    let mut ffprobe = Command::new("ffprobe");
    ffprobe.args(["-v", "quiet", "-protocol_whitelist", "file,pipe", "-f", demuxer, "-i", "/dev/fd/0"]);
    ffprobe.arg("-show_entries").args(entries);
    ffprobe
}

fn facts(answer: &Answer) -> Facts {
    let sizes = answer.streams.iter().filter(|stream| !is_cover(stream)).filter_map(displayed);
    let (width, height) = sizes.max_by_key(|(w, h)| u64::from(*w) * u64::from(*h)).unwrap_or_default();
    let duration = answer.format.as_ref().and_then(|format| format.duration.as_ref());
    Facts::of_thumbnail(width, height).lasting(duration.and_then(|seconds| seconds.parse().ok()))
}

/// In square samples, upright.
fn displayed(stream: &Stream) -> Option<(u32, u32)> {
    let (width, height) = (stream.width?, stream.height?);
    let ratio = stream.sample_aspect_ratio.as_ref().and_then(|ratio| {
        let (across, down) = ratio.split_once(':')?;
        let (across, down) = (across.parse::<f64>().ok()?, down.parse::<f64>().ok()?);
        (across > 0.0 && down > 0.0).then_some(across / down)
    });
    let width = (f64::from(width) * ratio.unwrap_or(1.0)).round() as u32;
    let rotation = stream.side_data_list.iter().find_map(|data| data.rotation).unwrap_or(0.0);
    Some(if (rotation.abs() - 90.0).abs() < 1.0 { (height, width) } else { (width, height) })
}
