//! Size and length of films and sounds, compared with what ffprobe says of the same files: 95 of them, in every
//! container that is taken, by codec, shape of the samples, rotation and odd sizes.
#![expect(clippy::disallowed_methods, reason = "ffprobe is asked as a user would ask it")]

use std::fs::File;
use std::process::Command;

use serde_json::Value;

use super::facts::{Facts, examine};
use super::fixtures::{by_ffmpeg, turned_by};
use super::limits::MediaLimits;
use super::video::probe;

/// How far two lengths may be apart, in seconds: ffprobe counts the silence that an encoder of MP3 puts around a sound.
const TOLERANCE: f64 = 0.1;

/// Pictures of this size, a second and a half long.
fn pictures(size: &str) -> String {
    format!("-f lavfi -i testsrc=size={size}:rate=10:duration=1.5")
}

const TONE: &str = "-f lavfi -i sine=frequency=440:sample_rate=44100:duration=1.5";

/// What the service knows of a file in the end: what its headers say, and what they do not say by the worker.
async fn known(file: &File) -> Facts {
    let limits = MediaLimits::default();
    let (sniffed, facts) = examine(file, &limits).unwrap();
    let is_film = sniffed.mime.starts_with("video/");
    if facts.duration_seconds.is_some() && (facts.width.is_some() || !is_film) {
        return facts;
    }
    let asked = probe(file, sniffed.mime, &limits).await.unwrap();
    let (width, height) = (facts.width.or(asked.width), facts.height.or(asked.height));
    Facts { width, height, duration_seconds: facts.duration_seconds.or(asked.duration_seconds), ..facts }
}

/// The size as displayed and the length that ffprobe tells, which finds out by itself what the file is.
fn by_ffprobe(file: &File) -> (Option<(u32, u32)>, Option<f64>) {
    let mut ffprobe = Command::new("ffprobe");
    ffprobe.args(["-v", "error", "-show_streams", "-show_format", "-of", "json", "/dev/fd/0"]);
    let run = ffprobe.stdin(file.try_clone().unwrap()).output().unwrap();
    let answer: Value = serde_json::from_slice(&run.stdout).unwrap();
    let streams = answer["streams"].as_array().unwrap().iter();
    let mut pictures =
        streams.filter(|s| s["codec_type"] == "video" && s["disposition"]["attached_pic"] == 0);
    let size = pictures.next().map(displayed);
    (size, answer["format"]["duration"].as_str().and_then(|seconds| seconds.parse().ok()))
}

fn displayed(stream: &Value) -> (u32, u32) {
    let side = |name: &str| stream[name].as_f64().unwrap();
    let ratio = stream["sample_aspect_ratio"].as_str().unwrap_or("1:1").split_once(':').unwrap();
    let ratio: (f64, f64) = (ratio.0.parse().unwrap(), ratio.1.parse().unwrap());
    let stretch = if ratio.0 > 0.0 { ratio.0 / ratio.1 } else { 1.0 };
    let size = ((side("width") * stretch).round() as u32, side("height") as u32);
    let rotations = stream["side_data_list"].as_array().into_iter().flatten();
    let degrees = rotations.filter_map(|data| data["rotation"].as_i64()).next().unwrap_or(0);
    if degrees % 180 == 0 { size } else { (size.1, size.0) }
}

/// What is wrong with our facts of this file; empty when both agree.
async fn disagreement(file: &File) -> Option<String> {
    let known = known(file).await;
    let (size, seconds) = by_ffprobe(file);
    let same_size = known.width.zip(known.height) == size;
    let same_length = match (known.duration_seconds, seconds) {
        (Some(ours), Some(theirs)) => (ours - theirs).abs() <= TOLERANCE,
        // Of a recording that was never closed ffprobe tells nothing.
        (_, None) => true,
        (None, Some(_)) => false,
    };
    (!same_size || !same_length).then(|| format!("ours {known:?}, ffprobe's {size:?} and {seconds:?}"))
}

/// Names, sizes and what comes after the inputs; `tone` puts a sound beside the pictures.
async fn compare_films(films: &[(&str, &str, &str)]) {
    let mut wrong = Vec::new();
    for (name, size, codecs) in films {
        let tone = if codecs.contains("-c:a") { TONE } else { "" };
        let file = by_ffmpeg(name, &format!("{} {tone} {codecs}", pictures(size)));
        wrong.extend(disagreement(&file).await.map(|why| format!("{name} {size} {codecs}: {why}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn mp4_agrees_with_ffprobe() {
    compare_films(&[
        ("a.mp4", "320x180", "-c:v libx264 -pix_fmt yuv420p -c:a aac"),
        ("a.mp4", "321x181", "-c:v libx264 -pix_fmt yuv444p"),
        ("a.mp4", "175x143", "-c:v mpeg4 -c:a libmp3lame"),
        ("a.mp4", "320x180", "-c:v libx265 -x265-params log-level=none -c:a ac3"),
        ("a.mp4", "161x91", "-c:v libvpx-vp9 -b:v 100k -c:a libopus"),
        ("a.mp4", "160x90", "-c:v libsvtav1 -preset 12"),
        ("a.mp4", "161x91", "-c:v mjpeg"),
        ("faststart.mp4", "320x180", "-c:v libx264 -c:a aac -movflags +faststart"),
        ("bframes.mp4", "320x180", "-c:v libx264 -bf 3 -g 15"),
        ("fragments.mp4", "320x180", "-c:v libx264 -c:a aac -g 5 -movflags frag_keyframe+empty_moov"),
        ("dash.mp4", "320x180", "-c:v libx264 -g 5 -movflags frag_keyframe+empty_moov+default_base_moof"),
        ("index.mp4", "320x180", "-c:v libx264 -g 5 -movflags frag_keyframe+empty_moov+global_sidx"),
        ("wide.mp4", "320x180", "-vf setsar=4/3 -c:v libx264"),
        ("narrow.mp4", "352x288", "-vf setsar=12/11 -c:v mpeg4"),
        ("dvd.mp4", "720x480", "-vf setsar=8/9 -c:v libx264"),
        ("odd.mp4", "333x77", "-vf setsar=3/2 -c:v libx264 -pix_fmt yuv444p"),
        ("a.m4v", "320x180", "-c:v libx264 -c:a aac"),
        ("a.3gp", "176x144", "-c:v h263"),
        ("h264.3gp", "176x144", "-c:v libx264 -c:a aac"),
        ("fast.mp4", "320x180", "-r 60000/1001 -c:v libx264"),
    ])
    .await;
}

#[tokio::test]
async fn quicktime_agrees_with_ffprobe() {
    compare_films(&[
        ("a.mov", "320x180", "-c:v libx264 -c:a pcm_s16le"),
        ("a.mov", "321x181", "-c:v prores_ks"),
        ("a.mov", "161x91", "-c:v mjpeg"),
        ("a.mov", "161x91", "-c:v qtrle"),
        ("a.mov", "161x91", "-c:v png"),
        ("dv.mov", "720x576", "-r 25 -pix_fmt yuv420p -c:v dvvideo"),
        ("wide.mov", "320x180", "-vf setsar=4/3 -c:v libx264"),
    ])
    .await;
}

#[tokio::test]
async fn turned_films_agree_with_ffprobe() {
    let mut wrong = Vec::new();
    for (name, size, codecs) in [
        ("a.mp4", "320x180", "-c:v libx264 -c:a aac"),
        ("a.mp4", "161x91", "-c:v mpeg4"),
        ("wide.mp4", "320x180", "-vf setsar=4/3 -c:v libx264"),
        ("a.mov", "320x180", "-c:v libx264"),
    ] {
        let tone = if codecs.contains("-c:a") { TONE } else { "" };
        let straight = by_ffmpeg(name, &format!("{} {tone} {codecs}", pictures(size)));
        for degrees in [90, 180, 270] {
            let why = disagreement(&turned_by(&straight, degrees)).await;
            wrong.extend(why.map(|why| format!("{name} {size} {codecs} by {degrees}: {why}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn matroska_agrees_with_ffprobe() {
    compare_films(&[
        ("a.mkv", "320x180", "-c:v libx264 -c:a aac"),
        ("a.mkv", "320x180", "-c:v libx265 -x265-params log-level=none -c:a flac"),
        ("a.mkv", "161x91", "-c:v ffv1"),
        ("a.mkv", "161x91", "-c:v mjpeg"),
        ("a.mkv", "175x143", "-c:v mpeg4 -c:a libmp3lame"),
        ("a.mkv", "160x90", "-c:v libtheora -c:a libvorbis"),
        ("a.mkv", "160x90", "-c:v libsvtav1 -preset 12"),
        ("wide.mkv", "320x180", "-vf setsar=4/3 -c:v libx264"),
        ("narrow.mkv", "720x480", "-vf setsar=8/9 -c:v libx264"),
        ("odd.mkv", "333x77", "-vf setsar=3/2 -c:v ffv1"),
        ("a.webm", "320x180", "-c:v libvpx -b:v 100k -c:a libvorbis"),
        ("a.webm", "161x91", "-c:v libvpx-vp9 -b:v 100k -c:a libopus"),
        ("wide.webm", "160x90", "-vf setsar=2/1 -c:v libvpx -b:v 100k"),
        ("live.webm", "320x180", "-c:v libvpx -b:v 100k -c:a libopus -f webm -live 1"),
    ])
    .await;
}

#[tokio::test]
async fn other_films_agree_with_ffprobe() {
    compare_films(&[
        ("a.avi", "320x180", "-c:v mpeg4 -c:a libmp3lame"),
        ("a.avi", "161x91", "-c:v mjpeg"),
        ("a.avi", "162x92", "-c:v huffyuv -c:a pcm_s16le"),
        ("h264.avi", "320x180", "-c:v libx264"),
        ("wide.avi", "320x180", "-vf setsar=4/3 -c:v mpeg4"),
        ("wide.avi", "160x90", "-vf setsar=2/1 -c:v mjpeg"),
        ("a.ts", "320x180", "-c:v libx264 -c:a aac"),
        ("a.ts", "175x143", "-r 25 -c:v mpeg2video"),
        ("a.ts", "320x180", "-c:v libx265 -x265-params log-level=none"),
        ("wide.ts", "320x180", "-vf setsar=4/3 -c:v libx264"),
        ("a.m2ts", "320x180", "-c:v libx264 -c:a ac3"),
        ("a.mpg", "320x180", "-r 25 -c:v mpeg1video -c:a mp2"),
        ("a.mpg", "175x143", "-r 25 -c:v mpeg2video"),
        ("a.flv", "160x90", "-c:v flv1"),
        ("a.flv", "320x180", "-c:v libx264 -c:a aac"),
        ("a.ogv", "161x91", "-c:v libtheora -c:a libvorbis"),
        ("a.wmv", "162x92", "-c:v wmv2 -c:a wmav2"),
    ])
    .await;
}

#[tokio::test]
async fn sounds_agree_with_ffprobe() {
    let mut wrong = Vec::new();
    for (name, codec) in [
        ("vbr.mp3", "-c:a libmp3lame -q:a 5"),
        ("cbr.mp3", "-c:a libmp3lame -b:a 128k -write_xing 0 -id3v2_version 0"),
        ("low.mp3", "-ar 22050 -ac 1 -c:a libmp3lame -b:a 32k"),
        ("a.wav", "-c:a pcm_s16le"),
        ("deep.wav", "-c:a pcm_s24le -ac 2"),
        ("float.wav", "-c:a pcm_f32le"),
        ("a.flac", "-c:a flac"),
        ("a.ogg", "-c:a libvorbis"),
        ("a.opus", "-c:a libopus"),
        ("a.m4a", "-c:a aac"),
        ("lossless.m4a", "-c:a alac"),
        ("a.mp4", "-c:a aac"),
        ("fragments.m4a", "-c:a aac -movflags frag_keyframe+empty_moov -frag_duration 500000"),
        ("a.aiff", "-c:a pcm_s16be"),
        ("a.caf", "-c:a pcm_s16le"),
        ("a.webm", "-c:a libopus"),
        ("a.mka", "-c:a libvorbis"),
    ] {
        let file = by_ffmpeg(name, &format!("{TONE} {codec}"));
        wrong.extend(disagreement(&file).await.map(|why| format!("{name} {codec}: {why}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_film_and_a_sound_of_different_lengths_agree_with_ffprobe() {
    let mut wrong = Vec::new();
    for (pictures, sound) in [("1", "2.3"), ("2.3", "1")] {
        for name in ["a.mp4", "a.mov", "a.mkv", "a.avi"] {
            let inputs = format!(
                "-f lavfi -i testsrc=size=160x90:rate=10:duration={pictures} -f lavfi -i sine=duration={sound}"
            );
            let file = by_ffmpeg(name, &format!("{inputs} -c:v mpeg4 -c:a aac"));
            let why = disagreement(&file).await;
            wrong.extend(why.map(|why| format!("{name} of {pictures} s and {sound} s: {why}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
