//! Size and length of films and sounds whose containers are not read by `facts`, as ffprobe tells them.
//! Invariant: ffprobe is confined and bounded as ffmpeg is. Never runs where somebody waits for an answer.

use std::fs::File;
use std::process::Command;

use serde::Deserialize;
use tokio::io::AsyncReadExt as _;

use super::sandbox::{self, Bounds};
use super::{command, not_started};
use crate::media::facts::Facts;
use crate::media::limits::{MediaError, MediaLimits};

/// Most of ffprobe's answer that is read, in bytes.
const MAX_ANSWER: u64 = 64 << 10;

/// What ffprobe answers, as far as it is asked.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    streams: Vec<Stream>,
    format: Option<Format>,
}

#[derive(Deserialize)]
struct Stream {
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

/// Asks ffprobe for the size and the length of a film or a sound. `mime` is what `sniff` said.
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
    let Some(demuxer) = command::demuxer(mime) else {
        return Err(MediaError::permanent("files of this kind cannot be read"));
    };
    let bounds = Bounds {
        processor_time: limits.ffmpeg_cpu,
        address_space: limits.ffmpeg_address_space,
        written_bytes: 0,
        niceness: 0,
        may_be_unconfined: limits.may_be_unconfined,
    };
    let started = sandbox::start(ffprobe(demuxer), Some(file), None, bounds);
    let mut ffprobe = started.await.map_err(not_started)?;
    let Some(mut output) = ffprobe.child.stdout.take() else {
        return Err(MediaError::temporary("ffprobe has no output"));
    };
    let mut answer = Vec::new();
    (&mut output).take(MAX_ANSWER).read_to_end(&mut answer).await.map_err(not_started)?;
    let answer = serde_json::from_slice(&answer);
    Ok(facts(&answer.map_err(|_| MediaError::permanent("nothing in the file could be read"))?))
}

#[expect(clippy::disallowed_methods, reason = "this room starts the programs")]
fn ffprobe(demuxer: &str) -> Command {
    const ASKED: &str = "stream=width,height,sample_aspect_ratio:stream_disposition=attached_pic\
                         :stream_side_data=rotation:format=duration";
    let mut ffprobe = Command::new("ffprobe");
    ffprobe.args(["-v", "quiet", "-protocol_whitelist", "file,pipe", "-f", demuxer, "-i", "/dev/fd/0"]);
    ffprobe.args(["-show_entries", ASKED, "-of", "json"]);
    ffprobe
}

fn facts(answer: &Answer) -> Facts {
    let is_cover = |stream: &Stream| stream.disposition.as_ref().is_some_and(|is| is.attached_pic == 1);
    let sizes = answer.streams.iter().filter(|stream| !is_cover(stream)).filter_map(displayed);
    let (width, height) = sizes.max_by_key(|(w, h)| u64::from(*w) * u64::from(*h)).unwrap_or_default();
    let duration = answer.format.as_ref().and_then(|format| format.duration.as_ref());
    Facts::of_picture(width, height).lasting(duration.and_then(|seconds| seconds.parse().ok()))
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
