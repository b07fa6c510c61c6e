//! Type, size and length of videos and audio files, compared with ffprobe's, in every container that the service
//! accepts, by codec, shape of the samples, rotation and odd sizes; where ffprobe guesses, with what was put in.
//! A file that ffmpeg cannot make here fails its test: no case is skipped.
#![expect(clippy::disallowed_methods, reason = "the tests run ffprobe as a user would")]

use std::fs::File;
use std::process::Command;

use serde_json::Value;

use super::facts::{Facts, examine};
use super::fixtures::{by_ffmpeg, content, file_of, piped, turned_by};
use super::limits::MediaLimits;
use super::mpeg_audio;
use super::playback::conversion;
use super::video::probe;

/// How far two lengths may be apart, in seconds: ffprobe counts the silence that MP3 encoders add around the audio.
const TOLERANCE: f64 = 0.1;

/// ffmpeg's arguments for a video of this size, a second and a half long.
fn test_video(size: &str) -> String {
    format!("-f lavfi -i testsrc=size={size}:rate=10:duration=1.5")
}

const TONE: &str = "-f lavfi -i sine=frequency=440:sample_rate=44100:duration=1.5";

/// The facts that the service ends up with: those of the headers, completed by the worker where the headers lack them.
async fn final_facts(file: &File) -> Facts {
    let limits = MediaLimits::default();
    let (sniffed, facts) = examine(file, &limits).unwrap();
    let is_video = sniffed.mime.starts_with("video/");
    if facts.duration_seconds.is_some() && (facts.width.is_some() || !is_video) {
        return facts;
    }
    let asked = probe(file, sniffed.mime, &limits).await.unwrap();
    let (width, height) = (facts.width.or(asked.width), facts.height.or(asked.height));
    Facts { width, height, duration_seconds: facts.duration_seconds.or(asked.duration_seconds), ..facts }
}

/// The displayed size and the length by ffprobe, which detects the type of the file by itself.
fn by_ffprobe(file: &File) -> (Option<(u32, u32)>, Option<f64>) {
    let mut ffprobe = Command::new("ffprobe");
    ffprobe.args(["-v", "error", "-show_streams", "-show_format", "-of", "json", "/dev/fd/0"]);
    let run = ffprobe.stdin(file.try_clone().unwrap()).output().unwrap();
    let answer: Value = serde_json::from_slice(&run.stdout).unwrap();
    let streams = answer["streams"].as_array().unwrap().iter();
    let mut videos = streams.filter(|s| s["codec_type"] == "video" && s["disposition"]["attached_pic"] == 0);
    let size = videos.next().map(displayed);
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

/// How our facts of this file differ from ffprobe's; `None` when both agree.
async fn disagreement(file: &File) -> Option<String> {
    let ours = final_facts(file).await;
    let (size, seconds) = by_ffprobe(file);
    let same_size = ours.width.zip(ours.height) == size;
    let same_length = match (ours.duration_seconds, seconds) {
        (Some(ours), Some(theirs)) => (ours - theirs).abs() <= TOLERANCE,
        // ffprobe reports no length for a recording that was never closed.
        (_, None) => true,
        (None, Some(_)) => false,
    };
    (!same_size || !same_length).then(|| format!("ours {ours:?}, ffprobe's {size:?} and {seconds:?}"))
}

/// Names, sizes and the options after the inputs; `tone` adds an audio stream.
async fn compare_videos(videos: &[(&str, &str, &str)]) {
    let mut wrong = Vec::new();
    for (name, size, codecs) in videos {
        let tone = if codecs.contains("-c:a") { TONE } else { "" };
        let file = by_ffmpeg(name, &format!("{} {tone} {codecs}", test_video(size)));
        wrong.extend(disagreement(&file).await.map(|why| format!("{name} {size} {codecs}: {why}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn mp4_agrees_with_ffprobe() {
    compare_videos(&[
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
    compare_videos(&[
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
async fn turned_videos_agree_with_ffprobe() {
    let mut wrong = Vec::new();
    for (name, size, codecs) in [
        ("a.mp4", "320x180", "-c:v libx264 -c:a aac"),
        ("a.mp4", "161x91", "-c:v mpeg4"),
        ("wide.mp4", "320x180", "-vf setsar=4/3 -c:v libx264"),
        ("a.mov", "320x180", "-c:v libx264"),
    ] {
        let tone = if codecs.contains("-c:a") { TONE } else { "" };
        let straight = by_ffmpeg(name, &format!("{} {tone} {codecs}", test_video(size)));
        for degrees in [90, 180, 270] {
            let why = disagreement(&turned_by(&straight, degrees)).await;
            wrong.extend(why.map(|why| format!("{name} {size} {codecs} by {degrees}: {why}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn matroska_agrees_with_ffprobe() {
    compare_videos(&[
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
async fn other_videos_agree_with_ffprobe() {
    compare_videos(&[
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
async fn video_and_audio_streams_of_different_lengths_agree_with_ffprobe() {
    let mut wrong = Vec::new();
    for (video, audio) in [("1", "2.3"), ("2.3", "1")] {
        for name in ["a.mp4", "a.mov", "a.mkv", "a.avi"] {
            let inputs = format!(
                "-f lavfi -i testsrc=size=160x90:rate=10:duration={video} -f lavfi -i sine=duration={audio}"
            );
            let file = by_ffmpeg(name, &format!("{inputs} -c:v mpeg4 -c:a aac"));
            let why = disagreement(&file).await;
            wrong.extend(why.map(|why| format!("{name} of {video} s and {audio} s: {why}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// How far a length may be from that of the input, in seconds: encoders add silence, and the last frame may lack a
/// length.
const ADDED: f64 = 0.15;

/// How the final length differs from `seconds`; `None` when it is close enough.
async fn differs(file: &File, seconds: f64) -> Option<String> {
    let ours = final_facts(file).await.duration_seconds;
    let is_near = ours.is_some_and(|ours| (ours - seconds).abs() <= ADDED);
    (!is_near).then(|| format!("{ours:?} is not {seconds}"))
}

/// The bytes with the content `after` bytes behind each start of `mark` replaced.
fn patched(file: &File, mark: &[u8; 4], after: usize, with: &[u8]) -> File {
    let mut bytes = content(file);
    let places: Vec<usize> = memchr::memmem::find_iter(&bytes, mark).collect();
    assert!(!places.is_empty());
    for place in places {
        bytes[place + after..][..with.len()].copy_from_slice(with);
    }
    file_of(&bytes)
}

#[tokio::test]
async fn audio_alone_is_audio_in_every_container() {
    let mut wrong = Vec::new();
    for (name, codec, mime) in [
        ("a.mp4", "-c:a aac", "audio/mp4"),
        ("index-behind.m4v", "-c:a aac", "audio/mp4"),
        ("fragments.mp4", "-c:a aac -movflags frag_keyframe+empty_moov -frag_duration 500000", "audio/mp4"),
        ("a.m4a", "-c:a alac", "audio/mp4"),
        ("a.mov", "-c:a pcm_s16le", "audio/mp4"),
        ("a.3gp", "-c:a aac", "audio/3gpp"),
        ("a.webm", "-c:a libopus", "audio/webm"),
        ("live.webm", "-c:a libopus -f webm -live 1", "audio/webm"),
        ("a.mka", "-c:a flac", "audio/x-matroska"),
        ("a.wma", "-c:a wmav2 -f asf", "audio/x-ms-wma"),
        ("a.ts", "-c:a aac", "audio/mp2t"),
        ("a.ts", "-c:a mp2", "audio/mp2t"),
        ("a.ts", "-c:a ac3", "audio/mp2t"),
        ("a.m2ts", "-c:a ac3", "audio/mp2t"),
        ("a.ts", "-c:a libopus", "audio/mp2t"),
        ("a.flv", "-c:a libmp3lame", "audio/x-flv"),
        ("a.avi", "-c:a libmp3lame", "audio/x-msvideo"),
        ("a.ac3", "-c:a ac3", "audio/ac3"),
        ("a.eac3", "-c:a eac3", "audio/eac3"),
        ("a.dts", "-c:a dca -strict -2", "audio/vnd.dts"),
        ("a.au", "", "audio/basic"),
        ("a.w64", "", "audio/x-w64"),
        ("a.wv", "", "audio/x-wavpack"),
        ("a.tta", "", "audio/x-tta"),
        ("a.mp2", "-c:a mp2", "audio/mpeg"),
    ] {
        let file = by_ffmpeg(name, &format!("{TONE} {codec}"));
        let (sniffed, facts) = examine(&file, &MediaLimits::default()).unwrap();
        if sniffed.mime != mime || conversion(sniffed.mime, &facts).is_some() {
            wrong.push(format!("{name} {codec}: {}, {facts:?}", sniffed.mime));
        }
        wrong.extend(differs(&file, 1.5).await.map(|why| format!("{name} {codec}: {why}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn video_beside_audio_stays_video() {
    for (name, codecs, mime) in [
        ("a.mp4", "-c:v libx264 -c:a aac", "video/mp4"),
        ("a.webm", "-c:v libvpx -c:a libopus", "video/webm"),
        ("a.wmv", "-c:v wmv2 -c:a wmav2", "video/x-ms-wmv"),
        ("a.ts", "-c:v libx264 -c:a aac", "video/mp2t"),
        ("a.m2ts", "-c:v mpeg2video -r 25 -c:a ac3", "video/mp2t"),
        ("a.flv", "-c:v flv1 -c:a libmp3lame", "video/x-flv"),
        ("a.avi", "-c:v mpeg4 -c:a libmp3lame", "video/x-msvideo"),
    ] {
        let file = by_ffmpeg(name, &format!("{} {TONE} {codecs}", test_video("160x90")));
        let (sniffed, facts) = examine(&file, &MediaLimits::default()).unwrap();
        assert_eq!((sniffed.mime, facts.is_audio_alone()), (mime, false), "{name}");
    }
}

#[tokio::test]
async fn video_without_a_common_container_is_video() {
    let mut wrong = Vec::new();
    for (name, size, codec, mime) in [
        ("a.m1v", (320, 180), "-r 25 -c:v mpeg1video -f mpeg1video", "video/mpv"),
        ("a.m2v", (320, 180), "-r 25 -c:v mpeg2video -f mpeg2video", "video/mpv"),
        ("a.h264", (320, 180), "-c:v libx264 -pix_fmt yuv420p -f h264", "video/h264"),
        ("a.dv", (1024, 576), "-s 720x576 -r 25 -pix_fmt yuv420p -c:v dvvideo", "video/x-dv"),
        ("a.mxf", (320, 180), "-r 25 -c:v mpeg2video", "video/mxf"),
    ] {
        let file = by_ffmpeg(name, &format!("{} {codec}", test_video("320x180")));
        let sniffed = examine(&file, &MediaLimits::default()).unwrap().0;
        let ours = final_facts(&file).await;
        if sniffed.mime != mime || ours.width.zip(ours.height) != Some(size) {
            wrong.push(format!("{name}: {} {ours:?}", sniffed.mime));
        }
        wrong.extend(differs(&file, 1.5).await.map(|why| format!("{name}: {why}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_a_header_leaves_open_is_counted() {
    let tone = TONE;
    let video = format!("{} {TONE} -c:v mpeg4 -c:a libmp3lame", test_video("160x90"));
    let silence = "-f lavfi -i sine=duration=2 -f lavfi -i anullsrc=duration=28 \
                   -filter_complex [0][1]concat=n=2:v=0:a=1 -q:a 4 -write_xing 0";
    let wav = by_ffmpeg("a.wav", tone);
    let aac = by_ffmpeg(
        "a.aac",
        "-f lavfi -i anoisesrc=duration=1 -f lavfi -i anullsrc=duration=29 \
                   -filter_complex [0][1]concat=n=2:v=0:a=1 -c:a aac",
    );
    let cases = [
        ("WAV to a pipe", piped(&format!("{tone} -f wav")), 1.5),
        ("WAV of no size", patched(&wav, b"data", 4, &[0; 4]), 1.5),
        ("WAV of 2 GiB", patched(&wav, b"data", 4, &[0xFF, 0xFF, 0xFF, 0x7F]), 1.5),
        ("ADPCM", by_ffmpeg("a.wav", &format!("{tone} -c:a adpcm_ima_wav")), 1.5),
        ("RF64", by_ffmpeg("a.wav", &format!("{tone} -rf64 always")), 1.5),
        ("FLAC to a pipe", piped(&format!("{tone} -f flac")), 1.5),
        ("AVI to a pipe", piped(&format!("{video} -f avi")), 1.5),
        ("MKV to a pipe", piped(&format!("{video} -f matroska")), 1.5),
        ("FLV to a pipe", piped(&format!("{} -c:v flv1 -f flv", test_video("160x90"))), 1.5),
        ("AU to a pipe", piped(&format!("{tone} -f au")), 1.5),
        ("CAF to a pipe", piped(&format!("{tone} -f caf")), 1.5),
        ("MP3 to a pipe", piped(&format!("{tone} -f mp3")), 1.5),
        ("MP3 of many bit rates", by_ffmpeg("a.mp3", silence), 30.0),
        ("MP3 with a VBRI header", with_contents(&by_ffmpeg("a.mp3", silence), vbri), 30.0),
        ("MP3 with a Xing header of frames alone", with_contents(&by_ffmpeg("a.mp3", silence), xing), 30.0),
        ("AAC of many bit rates", aac, 30.0),
    ];
    let mut wrong = Vec::new();
    for (what, file, seconds) in cases {
        wrong.extend(differs(&file, seconds).await.map(|why| format!("{what}: {why}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The MP3 with another frame in front, into which `write` puts the number of frames.
fn with_contents(mp3: &File, write: fn(&mut [u8], u32)) -> File {
    let bytes = content(mp3);
    let start = bytes.windows(2).position(|pair| pair == [0xFF, 0xFB]).unwrap();
    let (mut at, mut frames) = (start, 0);
    while let Some(frame) = bytes.get(at..).and_then(mpeg_audio::frame) {
        at += frame.length;
        frames += 1;
    }
    assert!(frames > 1000);
    let mut first = vec![0; 417];
    first[..4].copy_from_slice(&[0xFF, 0xFB, 0x90, 0x00]);
    write(&mut first, frames);
    file_of(&[&first, &bytes[start..]].concat())
}

fn vbri(frame: &mut [u8], frames: u32) {
    frame[36..40].copy_from_slice(b"VBRI");
    frame[50..54].copy_from_slice(&frames.to_be_bytes());
}

fn xing(frame: &mut [u8], frames: u32) {
    frame[36..44].copy_from_slice(b"Xing\0\0\0\x01");
    frame[44..48].copy_from_slice(&frames.to_be_bytes());
}

#[tokio::test]
async fn the_length_of_fragments_and_of_recordings_is_that_of_the_whole() {
    let video = "-f lavfi -i testsrc2=size=160x90:rate=25:duration=6 -c:v libx264 -pix_fmt yuv420p -g 25";
    let tone = "-f lavfi -i sine=duration=6 -c:a aac";
    let fragments = "-movflags frag_keyframe+empty_moov+default_base_moof";
    let vp8 =
        "-f lavfi -i testsrc2=size=160x90:rate=25:duration=6 -c:v libvpx -deadline realtime -cpu-used 8";
    let noise = "-f lavfi -i nullsrc=size=640x480:rate=25:duration=6,geq=random(1)*255:128:128 -c:v libvpx \
                 -deadline realtime -cpu-used 16 -b:v 12M -minrate 12M -maxrate 12M -g 10000";
    let large =
        by_ffmpeg("a.webm", &format!("{noise} -live 1 -cluster_size_limit 40M -cluster_time_limit 32000"));
    assert!(large.metadata().unwrap().len() > 3 << 20);
    let cut = file_of(&content(&by_ffmpeg("a.ts", video))[100..]);
    let mut zero = by_ffmpeg("a.mp4", &format!("{video} -movflags +faststart"));
    for (header, at) in [(b"mvhd", 20), (b"tkhd", 24), (b"mdhd", 20)] {
        zero = patched(&zero, header, at, &[0; 4]);
    }
    let cases = [
        ("an index for each fragment", by_ffmpeg("a.mp4", &format!("{video} {fragments}+dash"))),
        ("one index of all fragments", by_ffmpeg("a.mp4", &format!("{video} {fragments}+global_sidx"))),
        ("fragments of audio", by_ffmpeg("a.mp4", &format!("{tone} -frag_duration 500000 {fragments}"))),
        ("samples and fragments", by_ffmpeg("a.mp4", &format!("{video} -movflags frag_keyframe"))),
        (
            "fragments from an hour on",
            by_ffmpeg("a.mp4", &format!("{video} {fragments} -output_ts_offset 3600")),
        ),
        ("no length in any header", zero),
        ("a last cluster of megabytes", large),
        (
            "a recording from an hour on",
            by_ffmpeg("a.webm", &format!("{vp8} -live 1 -output_ts_offset 3600")),
        ),
        ("Matroska from an hour on", by_ffmpeg("a.mkv", &format!("{video} -output_ts_offset 3600"))),
        ("a transport stream from an hour on", by_ffmpeg("a.ts", &format!("{video} -output_ts_offset 3600"))),
        ("a transport stream cut within a packet", cut),
    ];
    let mut wrong = Vec::new();
    for (what, file) in cases {
        wrong.extend(differs(&file, 6.0).await.map(|why| format!("{what}: {why}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_content_behind_a_tag_decides_the_type() {
    let tags = [10_usize, 200_000].map(|length| {
        let size = [21, 14, 7, 0].map(|bits| (length >> bits & 0x7F) as u8);
        [b"ID3\x03\0\0".as_slice(), &size, &vec![0; length]].concat()
    });
    for (name, codec, mime) in [
        ("a.flac", "", "audio/flac"),
        ("a.aac", "-c:a aac", "audio/aac"),
        ("a.wv", "", "audio/x-wavpack"),
        ("a.tta", "", "audio/x-tta"),
        ("a.mp3", "-id3v2_version 0", "audio/mpeg"),
    ] {
        let bytes = content(&by_ffmpeg(name, &format!("{TONE} {codec}")));
        for tag in &tags {
            let file = file_of(&[tag.as_slice(), &bytes].concat());
            let (sniffed, facts) = examine(&file, &MediaLimits::default()).unwrap();
            assert_eq!(sniffed.mime, mime, "{name} behind {} bytes", tag.len());
            if matches!(mime, "audio/mpeg" | "audio/aac" | "audio/flac") {
                assert!(
                    facts.duration_seconds.is_some_and(|seconds| (seconds - 1.5).abs() < TOLERANCE),
                    "{name}: {facts:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn junk_before_the_first_frame_is_skipped() {
    let mp3 = content(&by_ffmpeg("a.mp3", &format!("{TONE} -id3v2_version 0")));
    let file = file_of(&[&[0; 1500][..], &mp3].concat());
    assert_eq!(examine(&file, &MediaLimits::default()).unwrap().0.mime, "audio/mpeg");
    assert_eq!(differs(&file, 1.5).await, None);
}
