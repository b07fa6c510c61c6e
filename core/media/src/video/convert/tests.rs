//! Conversion of videos that ffmpeg makes.

use super::*;
use crate::FitTo;
use crate::facts::{Facts, examine};
use crate::fixtures::{by_ffmpeg, content, file_of, of_high_dynamic_range, turned_clockwise};
use crate::{ThumbnailFormat, poster};

const VIDEO: &str =
    "-f lavfi -i testsrc=size=640x360:rate=10:duration=3 -f lavfi -i sine=duration=3 -pix_fmt yuv420p";

async fn convert_with(file: &File, limits: &MediaLimits) -> Result<(File, u8), MediaError> {
    let (sniffed, facts) = examine(file, limits).unwrap();
    let conversion = playback::conversion(sniffed.mime, &facts).unwrap();
    let (target, percent) = (tempfile::tempfile().unwrap(), AtomicU8::new(0));
    let video =
        VideoSource { file, mime: sniffed.mime, duration_seconds: facts.duration_seconds, hdr: facts.hdr };
    convert(video, conversion, &target, &percent, limits).await?;
    Ok((target, percent.into_inner()))
}

async fn converted(file: &File) -> Facts {
    let limits = MediaLimits::default();
    let (target, _) = convert_with(file, &limits).await.unwrap();
    let (sniffed, facts) = examine(&target, &limits).unwrap();
    assert_eq!((sniffed.mime, playback::conversion(sniffed.mime, &facts)), ("video/mp4", None));
    facts
}

#[tokio::test]
async fn videos_of_every_kind_become_videos_that_browsers_stream() {
    for (name, codecs) in [
        ("a.mp4", "-c:v libx264 -c:a aac"),
        ("a.mov", "-c:v libx264 -c:a pcm_s16le"),
        ("a.mkv", "-c:v libx264 -c:a ac3"),
        ("a.mkv", "-c:v libx265 -c:a aac"),
        ("a.avi", "-c:v mpeg4 -c:a mp3"),
        ("a.ts", "-c:v libx264 -c:a aac"),
        ("a.mpg", "-r 25 -c:v mpeg2video"),
        ("a.flv", "-c:v flv1 -ar 44100"),
        ("a.ogv", "-c:v libtheora -c:a libvorbis"),
        ("a.wmv", ""),
        ("live.webm", "-c:v libvpx -b:v 200k -c:a libopus -f webm -live 1"),
    ] {
        let facts = converted(&by_ffmpeg(name, &format!("{VIDEO} {codecs}"))).await;
        assert_eq!((facts.width, facts.height), (Some(640), Some(360)), "{name} {codecs}");
        let seconds = facts.duration_seconds.unwrap();
        assert!((seconds - 3.0).abs() < 0.3, "{name} {codecs}: {seconds}");
    }
}

#[tokio::test]
async fn a_copied_video_stream_stays_the_same_and_progress_is_reported() {
    let file = by_ffmpeg("a.mp4", &format!("{VIDEO} -c:v libx264 -c:a aac"));
    let (target, percent) = convert_with(&file, &MediaLimits::default()).await.unwrap();
    let (before, after) = (content(&file).len(), content(&target).len());
    assert!(before.abs_diff(after) < 4096, "{before} became {after}");
    assert!((50..=99).contains(&percent), "{percent}");
}

#[tokio::test]
async fn a_large_video_is_scaled_to_720p_in_landscape_and_portrait() {
    let large = "-f lavfi -i color=red:size=1920x1080:rate=5:duration=1 -pix_fmt yuv420p -c:v mpeg4";
    let video = by_ffmpeg("a.mp4", large);
    let facts = converted(&video).await;
    assert_eq!((facts.width, facts.height), (Some(1280), Some(720)));
    let facts = converted(&turned_clockwise(&video)).await;
    assert_eq!((facts.width, facts.height), (Some(720), Some(1280)));
    let odd = "-f lavfi -i color=red:size=2001x333:rate=5:duration=1 -vf setsar=1/2 -c:v ffv1";
    let facts = converted(&by_ffmpeg("a.mkv", odd)).await;
    assert_eq!((facts.width, facts.height), (Some(1000), Some(332)));
}

#[tokio::test]
async fn an_hdr_video_is_mapped_to_plain_screens() {
    let video = by_ffmpeg("a.mov", &of_high_dynamic_range("smpte2084"));
    let (sniffed, facts) = examine(&video, &MediaLimits::default()).unwrap();
    assert_eq!((sniffed.mime, facts.hdr), ("video/quicktime", Some(HighDynamicRange::Pq)));
    let (target, _) = convert_with(&video, &MediaLimits::default()).await.unwrap();
    let (_, facts) = examine(&target, &MediaLimits::default()).unwrap();
    assert_eq!((facts.width, facts.height, facts.hdr), (Some(320), Some(180), None));
    let (kind, format) = (FitTo::Inside(640), ThumbnailFormat::WebP);
    let poster = poster(target, "video/mp4", None, kind, format, &MediaLimits::default()).await.unwrap();
    let image = image::load_from_memory(&poster.bytes).unwrap().to_rgb8();
    for (x, expected) in [(20, [102, 102, 102]), (60, [190, 190, 190]), (160, [14, 222, 4])] {
        let actual = image.get_pixel(x, 40).0;
        let is_near = actual.iter().zip(expected).all(|(actual, expected)| actual.abs_diff(expected) <= 30);
        assert!(is_near, "{actual:?} is not {expected:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_converted_says_why() {
    let limits = MediaLimits::default();
    let video = content(&by_ffmpeg("a.mp4", &format!("{VIDEO} -c:v libx264 -c:a aac")));
    let truncated = convert_with(&file_of(&video[..video.len() / 2]), &limits).await.unwrap_err();
    assert_eq!(truncated, MediaError::permanent("the video is incomplete: its index is missing"));
    let mut noise = video.clone();
    noise[64..video.len() - 4000].fill(0x55);
    assert!(!convert_with(&file_of(&noise), &limits).await.unwrap_err().retryable);
    let narrow = MediaLimits { converted_bytes: 2048, ..MediaLimits::default() };
    assert_eq!(convert_with(&file_of(&video), &narrow).await.unwrap_err(), MediaError::permanent(TOO_LARGE));
    let hurried = MediaLimits { conversion_wall_clock: Duration::from_millis(1), ..MediaLimits::default() };
    assert_eq!(convert_with(&file_of(&video), &hurried).await.unwrap_err(), MediaError::permanent(TOO_LONG));
}

#[tokio::test]
async fn a_playlist_is_never_opened_as_one() {
    let list = file_of(b"ffconcat version 1.0\nfile /etc/hostname\n");
    let video = VideoSource { file: &list, mime: "video/mp2t", duration_seconds: None, hdr: None };
    let target = tempfile::tempfile().unwrap();
    let ended = convert(video, Conversion::ALL, &target, &AtomicU8::new(0), &MediaLimits::default()).await;
    assert!(!ended.unwrap_err().retryable);
}
