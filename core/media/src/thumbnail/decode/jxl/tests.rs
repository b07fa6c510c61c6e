//! JPEG XL: lossy and lossless files within their bounds, and what goes beyond them.

use std::time::Duration;

use super::*;
use crate::ThumbnailFormat;
use crate::decoded_thumbnail;
use crate::fixtures::file_of;

/// 4,096 by 3,072 pixels, lossy: blue at the left above, green at the right below, red elsewhere.
const LARGE: &[u8] = include_bytes!("three-colours.jxl");

/// The same at half the size, without loss.
const LOSSLESS: &[u8] = include_bytes!("three-colours-lossless.jxl");

fn thumbnail(bytes: &[u8], limits: &MediaLimits) -> Result<image::RgbImage, MediaError> {
    let format = ThumbnailFormat::Jpeg;
    let made = decoded_thumbnail(&file_of(bytes), "image/jxl", FitTo::Inside(256), format, limits)?;
    Ok(image::load_from_memory(&made.bytes).unwrap().into_rgb8())
}

fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32 + 8).to_be_bytes(), kind.as_slice(), content].concat()
}

fn check(made: &image::RgbImage) {
    let (width, height) = made.dimensions();
    let at = |x, y| made.get_pixel(x * width / 8, y * height / 8).0.map(|channel| channel > 128);
    let (red, green, blue) = ([true, false, false], [false, true, false], [false, false, true]);
    for (x, y, colour) in [(1, 1, blue), (7, 1, red), (1, 7, red), (7, 7, green), (3, 3, blue), (5, 5, green)]
    {
        assert_eq!(at(x, y), colour, "{x}, {y}");
    }
}

#[test]
fn a_large_lossy_image_takes_less_memory_than_its_pixels() {
    // Whole it would take 288 MiB.
    let limits = MediaLimits { max_jxl_bytes: 230 << 20, ..MediaLimits::default() };
    check(&thumbnail(LARGE, &limits).unwrap());
}

#[test]
fn memory_that_a_lossless_image_never_touches_does_not_count() {
    // Its integers take 18 MiB, of which the decoder allocates two.
    let limited = |mebibytes: u64| MediaLimits { max_jxl_bytes: mebibytes << 20, ..MediaLimits::default() };
    check(&thumbnail(LOSSLESS, &limited(22)).unwrap());
    assert!(thumbnail(LOSSLESS, &limited(16)).is_err());
}

#[test]
fn what_needs_too_much_memory_is_refused_with_the_reason() {
    let limits = MediaLimits { max_jxl_bytes: 20 << 20, ..MediaLimits::default() };
    let refused = thumbnail(LARGE, &limits).unwrap_err();
    assert_eq!(refused, MediaError::permanent("the image needs too much memory to decode"));
}

#[test]
fn what_takes_too_long_is_stopped() {
    let limits = MediaLimits { max_jxl_time: Duration::from_millis(50), ..MediaLimits::default() };
    let start = Instant::now();
    let refused = thumbnail(LARGE, &limits).unwrap_err();
    assert_eq!(refused, MediaError::temporary("decoding the image takes too long"));
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn an_image_in_parts_among_other_boxes_is_shown() {
    let (first, second) = LARGE.split_at(300);
    let parts = [
        boxed(b"JXL ", b"\x0D\x0A\x87\x0A"),
        boxed(b"ftyp", b"jxl \0\0\0\0jxl "),
        // Metadata that is not what it says.
        boxed(b"brob", b"Exif\xFF\xFF\xFF\xFF\xFF\xFF"),
        boxed(b"jxlp", &[&[0, 0, 0, 0], first].concat()),
        boxed(b"free", &[7; 5000]),
        boxed(b"jxlp", &[&[0x80, 0, 0, 1], second].concat()),
    ];
    check(&thumbnail(&parts.concat(), &MediaLimits::default()).unwrap());
}

#[test]
fn a_container_in_a_container_and_a_cut_image_are_damaged() {
    let start = [boxed(b"JXL ", b"\x0D\x0A\x87\x0A"), boxed(b"ftyp", b"jxl \0\0\0\0jxl ")].concat();
    let inner = [&start[..], &boxed(b"jxlc", LARGE)].concat();
    for bytes in [[&start[..], &boxed(b"jxlc", &inner)].concat(), LARGE[..700].to_vec()] {
        assert_eq!(thumbnail(&bytes, &MediaLimits::default()).unwrap_err(), damaged());
    }
}
