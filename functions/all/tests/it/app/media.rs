//! Files to upload: made by ffmpeg, by the `image` crate, or byte by byte.
#![expect(clippy::disallowed_methods, reason = "videos and audio files are made by ffmpeg")]

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// Two seconds of a video of 640x360 with audio.
pub(crate) static MP4: LazyLock<Vec<u8>> = LazyLock::new(|| {
    by_ffmpeg(
        "a.mp4",
        "-f lavfi -i testsrc=size=640x360:rate=10:duration=2 -f lavfi -i sine=duration=2 -pix_fmt yuv420p -shortest",
    )
});

/// Three seconds of audio.
pub(crate) static MP3: LazyLock<Vec<u8>> =
    LazyLock::new(|| by_ffmpeg("a.mp3", "-f lavfi -i sine=frequency=440:duration=3 -b:a 64k"));

/// What ffmpeg writes with these arguments into a file of this name.
pub(crate) fn by_ffmpeg(name: &str, arguments: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-v", "error", "-y"]).args(arguments.split_whitespace()).arg(&path);
    let run = ffmpeg.output().expect("ffmpeg is installed");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    std::fs::read(path).unwrap()
}

/// A video of many minutes that takes a while to convert.
pub(crate) fn long_video() -> Vec<u8> {
    let second = by_ffmpeg("a.avi", "-f lavfi -i testsrc=size=1280x720:rate=30:duration=1 -c:v mpeg4 -q:v 5");
    looped("a.avi", &second, 600)
}

/// The outputs of programs that write videos to this volume aside.
pub(crate) fn video_writers(volume: &Path) -> Vec<PathBuf> {
    let aside = volume.join(".jam/tmp");
    let programs = std::fs::read_dir("/proc").unwrap();
    let outputs = programs.filter_map(|entry| std::fs::read_link(entry.ok()?.path().join("fd/1")).ok());
    outputs.filter(|output| output.starts_with(&aside)).collect()
}

/// The video so many times, one after another.
fn looped(name: &str, video: &[u8], times: u32) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let once = folder.path().join(name);
    std::fs::write(&once, video).unwrap();
    by_ffmpeg(name, &format!("-stream_loop {} -i {} -c copy", times - 1, once.display()))
}

/// An image whose left half is red and whose right half is blue.
fn halves(width: u32, height: u32) -> DynamicImage {
    let colour = |x| if x < width / 2 { Rgb([220, 0, 0]) } else { Rgb([0, 0, 220]) };
    RgbImage::from_fn(width, height, |x, _| colour(x)).into()
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A PNG, red on the left and blue on the right.
pub(crate) fn png(width: u32, height: u32) -> Vec<u8> {
    encoded(&halves(width, height), ImageFormat::Png)
}

/// A JPEG, red on the left and blue on the right.
pub(crate) fn jpeg(width: u32, height: u32) -> Vec<u8> {
    encoded(&halves(width, height), ImageFormat::Jpeg)
}

/// The same as a telephone held upright writes it: lying on its side, with an EXIF orientation of 6, so that red is up.
pub(crate) fn upright_jpeg(width: u32, height: u32) -> Vec<u8> {
    let jpeg = jpeg(height, width);
    let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([6, 0, 0, 0, 0, 0, 0]);
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xFF, 0xE1], &length, &exif, &jpeg[2..]].concat()
}

/// Content of no particular kind, different for every seed.
pub(crate) fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut content = b"JAM\0".to_vec();
    while content.len() < length {
        // Xorshift: cheap, and no two seeds agree.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        content.extend(state.to_le_bytes());
    }
    content.truncate(length);
    content
}

/// SHA-256 in hex.
pub(crate) fn sha256(content: &[u8]) -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(content))
}
