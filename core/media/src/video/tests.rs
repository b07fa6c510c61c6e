//! Posters of videos and audio files that ffmpeg makes.

use std::os::unix::fs::FileExt;
use std::time::Duration;

use super::*;
use crate::facts::facts;
use crate::fixtures::{by_ffmpeg, content, file_of, of_high_dynamic_range, turned_clockwise};

const TONE: &str = "-f lavfi -i sine=frequency=440:sample_rate=44100:duration=2";

async fn try_poster(file: &File, kind: FitTo) -> Result<Thumbnail, MediaError> {
    let mut head = vec![0; 4096];
    let length = file.read_at(&mut head, 0).unwrap();
    let sniffed = sniff(&head[..length], "x");
    let limits = MediaLimits::default();
    let seconds = facts(file, &sniffed, &limits).duration_seconds;
    poster(file.try_clone().unwrap(), sniffed.mime, seconds, kind, ThumbnailFormat::WebP, &limits).await
}

async fn poster_of(file: &File, kind: FitTo) -> image::RgbImage {
    let thumbnail = try_poster(file, kind).await.unwrap();
    let decoded = image::load_from_memory(&thumbnail.bytes).unwrap().to_rgb8();
    assert_eq!((thumbnail.width, thumbnail.height), decoded.dimensions());
    decoded
}

#[track_caller]
fn assert_colour(image: &image::RgbImage, (x, y): (u32, u32), expected: [u8; 3]) {
    let actual = image.get_pixel(x, y).0;
    let near = (0..3).all(|channel| actual[channel].abs_diff(expected[channel]) <= 30);
    assert!(near, "{actual:?} at {x},{y} is not {expected:?}");
}

#[tokio::test]
async fn a_video_gives_every_variant_in_every_container() {
    let video = "-f lavfi -i color=red:size=1280x720:duration=2:rate=10";
    for (name, codec) in [
        ("a.mp4", "-c:v libx264"),
        ("a.mov", "-c:v libx264"),
        ("a.mkv", "-c:v libx264"),
        ("a.webm", "-c:v libvpx -b:v 300k"),
        ("a.avi", "-c:v mpeg4"),
        ("a.ts", "-c:v libx264"),
        ("a.mpg", "-r 25 -c:v mpeg2video"),
        ("a.flv", "-c:v libx264"),
        ("a.ogv", "-c:v libtheora"),
    ] {
        let file = by_ffmpeg(name, &format!("{video} {codec}"));
        let small = poster_of(&file, FitTo::Inside(256)).await;
        assert_eq!(small.dimensions(), (256, 144), "{name}");
        assert_colour(&small, (128, 72), [255, 0, 0]);
    }
    let file = by_ffmpeg("a.mp4", &format!("{video} -c:v libx264"));
    assert_eq!(poster_of(&file, FitTo::Cover(400, 225)).await.dimensions(), (400, 225));
    assert_eq!(poster_of(&file, FitTo::Inside(640)).await.dimensions(), (640, 360));
    assert_eq!(poster_of(&file, FitTo::Inside(1440)).await.dimensions(), (1280, 720));
}

#[tokio::test]
async fn a_clip_shorter_than_a_keyframe_interval_gives_its_first_frame() {
    let clip = "-f lavfi -i color=blue:size=320x240:duration=0.4:rate=25 -c:v libx264 -g 250";
    let file = by_ffmpeg("a.mp4", clip);
    assert_colour(&poster_of(&file, FitTo::Inside(256)).await, (100, 100), [0, 0, 255]);
    let limits = MediaLimits::default();
    // The length in the caller's row may be wrong where facts cannot read it: here it lies after the end.
    let late =
        poster(file, "video/mp4", Some(300.0), FitTo::Inside(256), ThumbnailFormat::Jpeg, &limits).await;
    assert_eq!(late.unwrap().mime, "image/jpeg");
}

#[tokio::test]
async fn a_rotated_video_stands_upright() {
    let halves = "-f lavfi -i color=red:size=160x240:duration=1:rate=10 -f lavfi -i color=blue:size=160x240:duration=1:rate=10 -filter_complex hstack -c:v libx264 -pix_fmt yuv420p";
    let turned = turned_clockwise(&by_ffmpeg("a.mp4", halves));
    let image = poster_of(&turned, FitTo::Inside(256)).await;
    assert_eq!(image.dimensions(), (192, 256));
    assert_colour(&image, (96, 20), [255, 0, 0]);
    assert_colour(&image, (96, 236), [0, 0, 255]);
}

#[tokio::test]
async fn wide_samples_become_square() {
    let file = by_ffmpeg(
        "a.mp4",
        "-f lavfi -i color=red:size=320x240:duration=1:rate=10 -vf setsar=2/1 -c:v libx264",
    );
    assert_eq!(poster_of(&file, FitTo::Inside(640)).await.dimensions(), (640, 240));
}

#[tokio::test]
async fn a_black_beginning_is_skipped() {
    let file = by_ffmpeg(
        "a.mp4",
        "-f lavfi -i color=black:size=320x240:duration=3:rate=10 -f lavfi -i color=green:size=320x240:duration=3:rate=10 -filter_complex concat -g 10 -c:v libx264",
    );
    assert_colour(&poster_of(&file, FitTo::Inside(256)).await, (100, 100), [0, 128, 0]);
}

#[tokio::test]
async fn a_video_that_fades_in_from_black_gives_a_frame_that_shows_something() {
    for (name, video) in [
        ("fade.mp4", "-f lavfi -i color=green:size=320x240:duration=8:rate=25 -vf fade=in:0:25"),
        (
            "fade.webm",
            "-f lavfi -i color=green:size=320x240:duration=3:rate=25 -vf fade=in:0:50 -c:v libvpx -g 999",
        ),
        (
            "black.mp4",
            "-f lavfi -i color=black:size=320x240:duration=5:rate=10 -f lavfi -i color=green:size=320x240:duration=3:rate=10 -filter_complex concat -sc_threshold 0",
        ),
    ] {
        let file = by_ffmpeg(name, &format!("{video} -pix_fmt yuv420p"));
        let poster = poster_of(&file, FitTo::Inside(256)).await;
        let [red, green, blue] = poster.get_pixel(100, 100).0;
        assert!(green > 25 && red < 30 && blue < 30, "{name}: {red} {green} {blue}");
    }
}

#[tokio::test]
async fn the_poster_shows_the_largest_of_several_video_streams() {
    for name in ["a.mp4", "a.mkv"] {
        let videos = "-f lavfi -i color=red:size=64x48:duration=2:rate=10 -f lavfi -i color=green:size=320x240:duration=2:rate=10 \
                      -map 0 -map 1 -c:v libx264 -pix_fmt yuv420p -movflags +faststart";
        let file = by_ffmpeg(name, videos);
        assert_colour(&poster_of(&file, FitTo::Inside(256)).await, (100, 100), [0, 128, 0]);
        let (sniffed, facts) = examine(&file, &MediaLimits::default()).unwrap();
        assert_eq!((facts.width, facts.height), (Some(320), Some(240)), "{name}");
        assert!(
            super::super::conversion(sniffed.mime, &facts).is_some(),
            "{name}: players take the first one"
        );
    }
}

#[tokio::test]
async fn a_video_that_is_all_black_gives_black() {
    let file = by_ffmpeg("a.mp4", "-f lavfi -i color=black:size=320x240:duration=1:rate=10 -c:v libx264");
    assert_colour(&poster_of(&file, FitTo::Inside(256)).await, (100, 100), [0, 0, 0]);
}

#[tokio::test]
async fn an_audio_file_gives_its_cover() {
    let inputs =
        format!("{TONE} -f lavfi -i color=red:size=300x300:duration=1:rate=1 -map 0 -map 1 -frames:v 1");
    for (name, codec) in [
        ("a.mp3", "-c:v mjpeg -disposition:v attached_pic -id3v2_version 3"),
        ("a.flac", "-c:v png -disposition:v attached_pic"),
        ("a.m4a", "-c:v mjpeg -disposition:v attached_pic"),
    ] {
        let image = poster_of(&by_ffmpeg(name, &format!("{inputs} {codec}")), FitTo::Inside(256)).await;
        assert_eq!(image.dimensions(), (256, 256), "{name}");
        assert_colour(&image, (128, 128), [255, 0, 0]);
    }
}

#[tokio::test]
async fn an_audio_file_without_a_cover_gives_its_waveform() {
    for (name, codec) in [
        ("a.mp3", ""),
        ("a.wav", ""),
        ("a.flac", ""),
        ("a.ogg", "-c:a libvorbis"),
        ("a.opus", ""),
        ("a.aac", ""),
        ("a.m4a", ""),
        ("a.aiff", ""),
        ("audio.mp4", "-c:a aac"),
        ("audio.webm", ""),
    ] {
        let image = poster_of(&by_ffmpeg(name, &format!("{TONE} {codec}")), FitTo::Cover(400, 225)).await;
        assert_eq!(image.dimensions(), (400, 225), "{name}");
        assert_colour(&image, (3, 3), [0xF4, 0xF4, 0xF5]);
        assert_colour(&image, (200, 112), [0x3B, 0x82, 0xF6]);
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_decoded_says_why() {
    let video = by_ffmpeg("a.mp4", "-f lavfi -i testsrc=size=320x240:duration=2 -c:v libx264");
    let bytes = content(&video);
    let truncated = try_poster(&file_of(&bytes[..bytes.len() / 2]), FitTo::Inside(256)).await.unwrap_err();
    assert_eq!(truncated, MediaError::permanent("the video is incomplete: its index is missing"));
    let limits = MediaLimits::default();
    let noise = file_of(&[0x55; 10_000]);
    let noise = poster(noise, "video/mp4", None, FitTo::Inside(256), ThumbnailFormat::WebP, &limits).await;
    assert!(!noise.unwrap_err().retryable);
}

#[tokio::test]
async fn a_truncated_video_with_its_index_in_front_still_gives_a_frame() {
    let video = by_ffmpeg(
        "a.mp4",
        "-f lavfi -i testsrc=size=640x480:duration=4 -c:v libx264 -g 10 -movflags +faststart",
    );
    let bytes = content(&video);
    let image = poster_of(&file_of(&bytes[..bytes.len() * 2 / 3]), FitTo::Inside(256)).await;
    assert_eq!(image.dimensions(), (256, 192));
}

#[tokio::test]
async fn a_playlist_is_never_opened_as_one() {
    let list = file_of(b"ffconcat version 1.0\nfile /etc/hostname\n");
    let limits = MediaLimits::default();
    for mime in ["video/mp4", "video/mp2t", "audio/mpeg", "application/vnd.apple.mpegurl"] {
        let file = list.try_clone().unwrap();
        assert!(poster(file, mime, None, FitTo::Inside(256), ThumbnailFormat::WebP, &limits).await.is_err());
    }
}

#[tokio::test]
async fn what_takes_too_long_is_killed_and_may_be_retried() {
    let video = by_ffmpeg("a.mp4", "-f lavfi -i testsrc=size=640x480:duration=4 -c:v libx264");
    let limits = MediaLimits { ffmpeg_wall_clock: Duration::from_millis(1), ..MediaLimits::default() };
    let fault = poster(video, "video/mp4", None, FitTo::Inside(256), ThumbnailFormat::WebP, &limits)
        .await
        .unwrap_err();
    assert_eq!(fault, MediaError::temporary("decoding took too long"));
}

#[test]
fn the_frame_is_taken_at_a_tenth_and_never_after_ten_seconds() {
    assert_eq!(start_of(None), 0.0);
    assert_eq!(start_of(Some(20.0)), 2.0);
    assert_eq!(start_of(Some(7200.0)), 10.0);
}

#[tokio::test]
async fn an_hdr_video_looks_as_it_was_graded() {
    for (name, transfer) in [("a.mp4", "smpte2084"), ("a.mov", "smpte2084"), ("a.mkv", "arib-std-b67")] {
        let video = by_ffmpeg(name, &of_high_dynamic_range(transfer));
        let image = poster_of(&video, FitTo::Inside(256)).await;
        assert_eq!(image.dimensions(), (256, 144));
        // Unmapped they are a washed-out (93, 93, 93), (129, 129, 129) and (111, 136, 81).
        assert_colour(&image, (16, 32), [102, 102, 102]);
        assert_colour(&image, (48, 32), [190, 190, 190]);
        assert_colour(&image, (128, 32), [14, 222, 4]);
    }
}

#[tokio::test]
async fn ffprobe_reports_size_and_length_where_headers_are_not_read() {
    let video = "-f lavfi -i testsrc=size=320x180:rate=25:duration=3 -pix_fmt yuv420p";
    for (name, arguments, size) in [
        ("a.ts", format!("{video} -c:v libx264"), (Some(320), Some(180))),
        ("a.flv", format!("{video} -c:v libx264"), (Some(320), Some(180))),
        ("a.ogv", format!("{video} -c:v libtheora"), (Some(320), Some(180))),
        ("a.wmv", video.to_owned(), (Some(320), Some(180))),
        ("wide.ts", format!("{video} -vf setsar=4/3 -c:v libx264"), (Some(427), Some(180))),
        ("a.mp3", "-f lavfi -i sine=duration=3".to_owned(), (None, None)),
    ] {
        let file = by_ffmpeg(name, &arguments);
        let limits = MediaLimits::default();
        let (sniffed, _) = crate::examine(&file, &limits).unwrap();
        let facts = probe(&file, sniffed.mime, &limits).await.unwrap();
        assert_eq!((facts.width, facts.height), size, "{name}");
        assert!((facts.duration_seconds.unwrap() - 3.0).abs() < 0.3, "{name}: {facts:?}");
    }
    let noise = file_of(&[0x55; 10_000]);
    let nothing = probe(&noise, "video/mp2t", &MediaLimits::default()).await;
    assert_eq!(nothing.unwrap_or_default(), crate::Facts::default());
}
