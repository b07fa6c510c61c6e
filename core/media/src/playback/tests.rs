//! Which videos browsers can stream, and how the others are converted.

use super::*;
use crate::facts::examine;
use crate::fixtures::by_ffmpeg;
use crate::limits::MediaLimits;

const VIDEO: &str = "-f lavfi -i testsrc=size=320x180:rate=10:duration=1";
const TONE: &str = "-f lavfi -i sine=duration=1";
const COPY: Conversion = Conversion { copies_video: true, copies_audio: true };
const NEW_AUDIO: Conversion = Conversion { copies_video: true, copies_audio: false };
const NEW_VIDEO: Conversion = Conversion { copies_video: false, copies_audio: true };

#[track_caller]
fn check(name: &str, arguments: &str, expected: Option<Conversion>) {
    let file = by_ffmpeg(name, arguments);
    let (sniffed, facts) = examine(&file, &MediaLimits::default()).unwrap();
    assert_eq!(conversion(sniffed.mime, &facts), expected, "{name}: {arguments}");
}

#[track_caller]
fn check_video(name: &str, codecs: &str, expected: Option<Conversion>) {
    check(name, &format!("{VIDEO} {TONE} -pix_fmt yuv420p {codecs}"), expected);
}

#[test]
fn what_every_browser_streams_stays_as_it_is() {
    check_video("a.mp4", "-c:v libx264 -c:a aac -movflags +faststart", None);
    check("a.mp4", &format!("{VIDEO} -pix_fmt yuv420p -c:v libx264 -movflags +faststart"), None);
    check_video("a.webm", "-c:v libvpx -b:v 200k -c:a libvorbis", None);
    check_video("a.webm", "-c:v libvpx-vp9 -b:v 200k -c:a libopus", None);
}

#[test]
fn an_index_at_the_end_or_another_container_is_only_copied() {
    check_video("a.mp4", "-c:v libx264 -c:a aac", Some(COPY));
    check_video("a.mp4", "-c:v libx264 -c:a aac -g 10 -movflags frag_keyframe+empty_moov", Some(COPY));
    check_video("a.mov", "-c:v libx264 -c:a aac -movflags +faststart", Some(COPY));
    check_video("a.m4v", "-c:v libx264 -c:a aac", Some(COPY));
    check_video("a.mkv", "-c:v libx264 -c:a aac", Some(COPY));
}

#[test]
fn a_codec_that_some_browsers_lack_is_re_encoded() {
    check_video("a.mkv", "-c:v libx264 -c:a ac3", Some(NEW_AUDIO));
    check_video("a.mkv", "-c:v libvpx-vp9 -b:v 200k -c:a libopus", Some(NEW_AUDIO));
    check_video("a.mp4", "-c:v mpeg4 -c:a aac -movflags +faststart", Some(NEW_VIDEO));
    check_video("a.mp4", "-c:v libx264 -pix_fmt yuv422p -c:a aac -movflags +faststart", Some(NEW_VIDEO));
    check_video("a.mkv", "-c:v mpeg4 -c:a libmp3lame", Some(Conversion::ALL));
    check_video("live.webm", "-c:v libvpx -b:v 200k -c:a libopus -f webm -live 1", Some(Conversion::ALL));
}

#[test]
fn what_the_headers_do_not_state_is_re_encoded() {
    for (name, codecs) in [
        ("a.avi", "-c:v libx264 -c:a mp3"),
        ("a.ts", "-c:v libx264 -c:a aac"),
        ("a.mpg", "-r 25 -c:v mpeg2video"),
        ("a.flv", "-c:v libx264 -c:a aac"),
        ("a.ogv", "-c:v libtheora -c:a libvorbis"),
        ("a.wmv", ""),
    ] {
        check_video(name, codecs, Some(Conversion::ALL));
    }
}

#[test]
fn only_videos_are_converted() {
    for name in ["a.mp3", "a.m4a", "audio.mp4", "audio.webm"] {
        check(name, TONE, None);
    }
    assert_eq!(conversion("image/png", &Facts::default()), None);
    assert_eq!(conversion("video/of-the-future", &Facts::default()), None);
}
