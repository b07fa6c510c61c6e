//! Makes the inputs of this module's tests: by ffmpeg, by the `image` crate, or byte by byte.
#![expect(clippy::disallowed_methods, reason = "tests make their files with ffmpeg")]

use std::fs::File;
use std::io::{Cursor, Write};
use std::os::unix::fs::FileExt;
use std::process::Command;

use image::{DynamicImage, ImageFormat, Rgba, RgbaImage};

use super::{FitTo, MediaError, MediaLimits, Thumbnail, ThumbnailFormat, image_thumbnail};

/// What ffmpeg writes with these arguments into a file of this name, opened.
pub(super) fn by_ffmpeg(name: &str, arguments: &str) -> File {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let run = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y"])
        .args(arguments.split_whitespace())
        .arg(&path)
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    File::open(path).unwrap()
}

/// What ffmpeg writes with these arguments into a pipe, where it cannot go back to put a length into a header.
pub(super) fn piped(arguments: &str) -> File {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-v", "error"]).args(arguments.split_whitespace()).arg("pipe:1");
    let run = ffmpeg.output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    file_of(&run.stdout)
}

/// Arguments for a video of colour bars in HEVC of ten bits with this transfer; its white is as bright as paper.
pub(super) fn of_high_dynamic_range(transfer: &str) -> String {
    let bright = format!(
        "format=gbrp,zscale=tin=bt709:pin=bt709:min=gbr:rin=full:t=linear:p=bt709:m=gbr:r=full:npl=203,\
         format=gbrpf32le,zscale=pin=bt709:tin=linear:min=gbr:p=bt2020:t={transfer}:m=bt2020nc:r=limited:npl=203,\
         format=yuv420p10le"
    );
    let colours = format!("-color_primaries bt2020 -color_trc {transfer} -colorspace bt2020nc");
    format!(
        "-f lavfi -i smptehdbars=size=320x180:rate=5:duration=1 -vf {bright} {colours} -c:v libx265 \
         -x265-params log-level=none:colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc"
    )
}

/// The MP4 with the matrix of a phone held upright, which rotates the frames clockwise by a quarter.
pub(super) fn turned_clockwise(video: &File) -> File {
    turned_by(video, 90)
}

/// The MP4 with a matrix that rotates its frames clockwise, by 90, 180 or 270 degrees.
pub(super) fn turned_by(video: &File, degrees: u16) -> File {
    let mut bytes = content(video);
    const MATRIX_IN_TKHD: usize = 40;
    let body = bytes.windows(4).position(|window| window == b"tkhd").unwrap() + 4;
    let one = 1u32 << 16;
    let (cosine, sine) = match degrees {
        90 => (0, one),
        180 => (one.wrapping_neg(), 0),
        _ => (0, one.wrapping_neg()),
    };
    for (index, value) in [cosine, sine, 0, sine.wrapping_neg(), cosine, 0].iter().enumerate() {
        let at = body + MATRIX_IN_TKHD + 4 * index;
        bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
    }
    file_of(&bytes)
}

/// Everything in the file.
pub(super) fn content(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// An open file with these bytes and no name.
pub(super) fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// An image whose left half is red, whose right half is blue, and whose lower half is darker.
pub(super) fn halves(width: u32, height: u32) -> RgbaImage {
    RgbaImage::from_fn(width, height, |x, y| {
        let light = if y < height / 2 { 255 } else { 128 };
        if x < width / 2 { Rgba([light, 0, 0, 255]) } else { Rgba([0, 0, light, 255]) }
    })
}

/// `halves` in this format.
pub(super) fn encoded(format: ImageFormat, width: u32, height: u32) -> Vec<u8> {
    let image = DynamicImage::from(halves(width, height));
    let image = if format == ImageFormat::Jpeg { DynamicImage::from(image.to_rgb8()) } else { image };
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// The JPEG with an EXIF orientation (1 to 8) after its first marker.
pub(super) fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    with_segment(jpeg, 0xE1, &exif)
}

/// The JPEG with another segment after its first marker.
pub(super) fn with_segment(jpeg: &[u8], marker: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xFF, marker], &length, content, &jpeg[2..]].concat()
}

/// A TIFF with these entries, all of numbers of four bytes, and `data` from its eighth byte on.
pub(super) fn tiff(entries: &[(u16, Vec<u32>)], data: &[u8]) -> Vec<u8> {
    let directory = 8 + data.len();
    let mut behind = directory + 2 + 12 * entries.len() + 4;
    let mut values = Vec::new();
    let mut bytes = [b"II*\0", &(directory as u32).to_le_bytes()[..], data].concat();
    bytes.extend((entries.len() as u16).to_le_bytes());
    for (tag, numbers) in entries {
        bytes.extend(tag.to_le_bytes());
        // Text is read byte by byte.
        let is_text = *tag == 0x10F;
        bytes.extend(if is_text { 2u16 } else { 4 }.to_le_bytes());
        bytes.extend((numbers.len() as u32).to_le_bytes());
        let written: Vec<u8> = match is_text {
            true => numbers.iter().map(|number| *number as u8).collect(),
            false => numbers.iter().flat_map(|number| number.to_le_bytes()).collect(),
        };
        if written.len() <= 4 {
            bytes.extend(written.iter().chain(&[0; 4]).take(4));
        } else {
            bytes.extend((behind as u32).to_le_bytes());
            behind += written.len();
            values.extend(written);
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(values);
    bytes
}

/// The thumbnail of an image, for tests that are not asynchronous.
pub(super) fn blocking_thumbnail(
    file: &File,
    mime: &str,
    within: FitTo,
    format: ThumbnailFormat,
    limits: &MediaLimits,
) -> Result<Thumbnail, MediaError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(image_thumbnail(file.try_clone().unwrap(), mime, within, format, limits))
}
