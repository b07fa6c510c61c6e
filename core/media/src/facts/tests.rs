//! Facts of files that ffmpeg and hand-made headers produce, and of files that are damaged.

use std::os::unix::fs::FileExt;

use ::image::ImageFormat;

use super::*;
use crate::fixtures::{by_ffmpeg, content, encoded, file_of, turned_clockwise, with_orientation};
use crate::sniff;

const VIDEO: &str = "-f lavfi -i testsrc=size=320x180:rate=10:duration=3";
const TONE: &str = "-f lavfi -i sine=frequency=440:sample_rate=44100:duration=3";

fn facts_of(file: &File) -> Facts {
    let mut head = vec![0; 4096];
    let length = file.read_at(&mut head, 0).unwrap();
    facts(file, &sniff(&head[..length], "x"), &MediaLimits::default())
}

#[track_caller]
fn check(file: &File, width: u32, height: u32, seconds: f64) {
    let facts = facts_of(file);
    let size = if width == 0 { (None, None) } else { (Some(width), Some(height)) };
    assert_eq!((facts.width, facts.height), size);
    let duration = facts.duration_seconds.unwrap_or(0.0);
    assert!((duration - seconds).abs() < 0.15, "{duration} is not {seconds}");
}

#[test]
fn videos_have_their_size_and_length_in_every_container() {
    for (name, codecs) in [
        ("a.mp4", "-c:v libx264 -c:a aac"),
        ("faststart.mp4", "-c:v libx264 -c:a aac -movflags +faststart"),
        ("a.mov", "-c:v libx264 -c:a aac"),
        ("a.m4v", "-c:v libx264 -c:a aac"),
        ("fragments.mp4", "-c:v libx264 -c:a aac -g 10 -movflags frag_keyframe+empty_moov"),
        ("index.mp4", "-c:v libx264 -c:a aac -g 10 -movflags frag_keyframe+empty_moov+global_sidx"),
        ("a.mkv", "-c:v libx264 -c:a aac"),
        ("a.webm", "-c:v libvpx -c:a libopus -b:v 200k"),
        ("live.webm", "-c:v libvpx -c:a libopus -b:v 200k -f webm -live 1"),
        ("a.avi", "-c:v mpeg4 -c:a mp3"),
    ] {
        let file = by_ffmpeg(name, &format!("{VIDEO} {TONE} {codecs}"));
        let facts = facts_of(&file);
        assert_eq!((facts.width, facts.height), (Some(320), Some(180)), "{name}");
        let seconds = facts.duration_seconds.unwrap_or(0.0);
        assert!((seconds - 3.0).abs() < 0.25, "{name}: {seconds}");
    }
}

#[test]
fn a_rotated_video_has_the_size_that_is_shown() {
    let straight = by_ffmpeg("straight.mp4", &format!("{VIDEO} -c:v libx264"));
    let turned = turned_clockwise(&straight);
    check(&turned, 180, 320, 3.0);
}

#[test]
fn wide_samples_count_in_the_size_that_is_shown() {
    for name in ["wide.mp4", "wide.mkv"] {
        check(&by_ffmpeg(name, &format!("{VIDEO} -vf setsar=4/3 -c:v libx264")), 427, 180, 3.0);
    }
}

#[test]
fn sounds_tell_their_length() {
    for (name, codec) in [
        ("vbr.mp3", "-c:a libmp3lame -q:a 5"),
        ("cbr.mp3", "-c:a libmp3lame -b:a 128k -write_xing 0 -id3v2_version 0"),
        ("a.wav", "-c:a pcm_s16le"),
        ("a.flac", "-c:a flac"),
        ("a.ogg", "-c:a libvorbis"),
        ("a.opus", "-c:a libopus"),
        ("a.aac", "-c:a aac -f adts"),
        ("a.m4a", "-c:a aac"),
        ("a.aiff", "-c:a pcm_s16be"),
        ("a.webm", "-c:a libopus"),
    ] {
        let file = by_ffmpeg(name, &format!("{TONE} {codec}"));
        let facts = facts_of(&file);
        assert_eq!((facts.width, facts.height), (None, None), "{name}");
        let seconds = facts.duration_seconds.unwrap_or(0.0);
        assert!((seconds - 3.0).abs() < 0.25, "{name}: {seconds}");
    }
}

#[test]
fn images_have_the_size_in_their_headers() {
    for format in [
        ImageFormat::Jpeg,
        ImageFormat::Png,
        ImageFormat::Gif,
        ImageFormat::WebP,
        ImageFormat::Tiff,
        ImageFormat::Bmp,
    ] {
        check(&file_of(&encoded(format, 321, 123)), 321, 123, 0.0);
    }
    check(&by_ffmpeg("a.avif", &format!("{VIDEO} -frames:v 1 -c:v libaom-av1 -cpu-used 8")), 320, 180, 0.0);
}

#[test]
fn a_turned_photograph_has_the_size_that_is_shown() {
    let jpeg = encoded(ImageFormat::Jpeg, 300, 200);
    check(&file_of(&with_orientation(&jpeg, 3)), 300, 200, 0.0);
    check(&file_of(&with_orientation(&jpeg, 6)), 200, 300, 0.0);
}

#[test]
fn a_header_that_promises_a_huge_image_is_only_reported() {
    let mut png = encoded(ImageFormat::Png, 8, 8);
    png[16..24].copy_from_slice(&[0, 0, 0xEA, 0x60, 0, 0, 0xEA, 0x60]);
    check(&file_of(&png), 60_000, 60_000, 0.0);
}

#[test]
fn the_files_cursor_stays_where_it_was() {
    use std::io::{Seek, SeekFrom};
    let mut file = file_of(&encoded(ImageFormat::Png, 8, 8));
    file.seek(SeekFrom::Start(5)).unwrap();
    let _ = facts_of(&file);
    assert_eq!(file.stream_position().unwrap(), 5);
}

#[test]
fn truncated_and_damaged_files_give_no_facts_but_never_a_panic() {
    let video = format!("{VIDEO} {TONE} -c:v libx264 -c:a aac");
    let samples = [
        by_ffmpeg("a.mp4", &video),
        by_ffmpeg("a.mkv", &video),
        by_ffmpeg("a.avi", &format!("{VIDEO} -c:v mpeg4")),
        by_ffmpeg("a.mp3", TONE),
        by_ffmpeg("a.ogg", &format!("{TONE} -c:a libvorbis")),
        by_ffmpeg("a.flac", TONE),
        file_of(&with_orientation(&encoded(ImageFormat::Jpeg, 300, 200), 6)),
        file_of(&encoded(ImageFormat::Tiff, 300, 200)),
    ];
    for file in samples {
        let bytes = content(&file);
        let step = (bytes.len() / 40).max(1);
        for cut in (0..bytes.len()).step_by(step) {
            let _ = facts_of(&file_of(&bytes[..cut]));
        }
        for at in (0..bytes.len().min(2000)).step_by(7) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xFF;
            let _ = facts_of(&file_of(&damaged));
        }
    }
}
