//! Images that are cut off, say the usual things in unusual places, or come from studios and games.

use image::{DynamicImage, ImageFormat, RgbaImage};
use turbojpeg::{Colorspace, Compressor, Image, PixelFormat, Subsamp};

use super::fixtures::{blocking_thumbnail, by_ffmpeg, content, encoded, file_of};
use super::{Facts, MediaError, MediaLimits, ThumbnailFormat, examine};
use crate::FitTo;

fn shown(bytes: &[u8], mime: &str) -> Result<(Facts, RgbaImage), MediaError> {
    let file = file_of(bytes);
    let limits = MediaLimits::default();
    let (sniffed, facts) = examine(&file, &limits).unwrap();
    assert_eq!(sniffed.mime, mime);
    let made = blocking_thumbnail(&file, mime, FitTo::Inside(256), ThumbnailFormat::WebP, &limits)?;
    Ok((facts, image::load_from_memory(&made.bytes).unwrap().into_rgba8()))
}

/// Fails unless the colour at these eighths of the width and the height is about this.
#[track_caller]
fn check(image: &RgbaImage, (x, y): (u32, u32), expected: [u8; 4]) {
    let actual = image.get_pixel(x * image.width() / 8, y * image.height() / 8).0;
    let is_near = actual.iter().zip(expected).all(|(one, other)| one.abs_diff(other) < 40);
    assert!(is_near, "{actual:?} at {x}/8, {y}/8 is not {expected:?}");
}

const RED: [u8; 4] = [255, 0, 0, 255];
const BLUE: [u8; 4] = [0, 0, 255, 255];
const GRAY: [u8; 4] = [128, 128, 128, 255];

/// Red at the left, blue at the right, with noise that takes bytes everywhere.
fn noisy() -> DynamicImage {
    let noise = |x: u32, y: u32| (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503_001)) >> 20 & 15;
    DynamicImage::from(image::RgbImage::from_fn(320, 240, |x, y| {
        let noise = noise(x, y) as u8;
        image::Rgb(if x < 160 { [255 - noise, noise, 0] } else { [0, noise, 255 - noise] })
    }))
}

fn written(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

#[test]
fn the_beginning_of_an_image_that_was_cut_off_is_shown() {
    let lossless = written(&noisy(), ImageFormat::WebP);
    let lossy = content(&by_ffmpeg(
        "a.webp",
        "-f lavfi -i color=red:size=320x240,noise=alls=40 -frames:v 1 -lossless 0",
    ));
    let png = written(&noisy(), ImageFormat::Png);
    for (bytes, mime) in [(&png, "image/png"), (&lossless, "image/webp"), (&lossy, "image/webp")] {
        let (facts, made) = shown(&bytes[..bytes.len() / 2], mime).unwrap();
        assert_eq!((facts.width, facts.height), (Some(320), Some(240)));
        check(&made, (1, 1), RED);
        check(&made, (1, 7), GRAY);
    }
    let opaque = DynamicImage::from(noisy().into_rgba8());
    let (_, made) = shown(&written(&opaque, ImageFormat::Png)[..40_000], "image/png").unwrap();
    check(&made, (7, 1), BLUE);
    assert_eq!(made.get_pixel(100, made.height() - 1).0[3], 0);
    for (bytes, mime) in [(&png[..60], "image/png"), (&lossy[..40], "image/webp")] {
        assert!(!shown(bytes, mime).unwrap_err().retryable);
    }
}

#[test]
fn a_png_is_turned_by_exif_behind_its_pixels() {
    let exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let length = (exif.len() as u32).to_be_bytes();
    // Decoders check the sum only of chunks that they need.
    let chunk = [&length[..], b"eXIf", exif, &[0; 4]].concat();
    let png = encoded(ImageFormat::Png, 320, 160);
    let end = png.len() - 12;
    let (facts, made) = shown(&[&png[..end], &chunk, &png[end..]].concat(), "image/png").unwrap();
    assert_eq!((facts.width, facts.height), (Some(160), Some(320)));
    assert_eq!(made.dimensions(), (128, 256));
    check(&made, (6, 1), RED);
    check(&made, (6, 7), BLUE);
}

fn ink(ink: [u8; 4], (width, height): (usize, usize), is_progressive: bool) -> Vec<u8> {
    let mut compressor = Compressor::new().unwrap();
    compressor.set_colorspace(Colorspace::CMYK).unwrap();
    compressor.set_subsamp(Subsamp::None).unwrap();
    compressor.set_progressive(is_progressive).unwrap();
    let pixels = ink.repeat(width * height);
    let format = PixelFormat::CMYK;
    compressor
        .compress_to_vec(Image { pixels: &pixels[..], width, pitch: 4 * width, height, format })
        .unwrap()
}

#[test]
fn ink_without_the_mark_of_adobe_is_inverted_as_browsers_take_it() {
    let mut jpeg = ink([255, 0, 0, 255], (64, 64), false);
    let mark = jpeg.windows(2).position(|pair| pair == [0xFF, 0xEE]).unwrap();
    jpeg.drain(mark..mark + 16);
    check(&shown(&jpeg, "image/jpeg").unwrap().1, (4, 4), RED);
}

#[test]
fn a_jpeg_whose_coefficients_take_too_much_memory_is_refused_before() {
    const TOO_LARGE: &str = "the image is too large for its encoding";
    let sized = |mut jpeg: Vec<u8>, marker: u8, (width, height): (u16, u16)| {
        let at = jpeg.windows(2).position(|pair| pair == [0xFF, marker]).unwrap() + 5;
        jpeg[at..at + 2].copy_from_slice(&height.to_be_bytes());
        jpeg[at + 2..at + 4].copy_from_slice(&width.to_be_bytes());
        jpeg
    };
    let progressive = ink([0; 4], (64, 64), true);
    let refused = shown(&sized(progressive.clone(), 0xC2, (10_000, 9_000)), "image/jpeg").unwrap_err();
    assert_eq!(refused, MediaError::permanent(TOO_LARGE));
    assert!(shown(&sized(progressive, 0xC2, (1_000, 900)), "image/jpeg").is_ok());
    // One whose only scan has all components needs some rows at a time, one without loss all pixels.
    assert!(shown(&sized(ink([0; 4], (64, 64), false), 0xC0, (10_000, 9_000)), "image/jpeg").is_ok());
    let mut compressor = Compressor::new().unwrap();
    compressor.set_lossless(true).unwrap();
    let image =
        Image { pixels: &[9; 64 * 64 * 3][..], width: 64, pitch: 192, height: 64, format: PixelFormat::RGB };
    let lossless = sized(compressor.compress_to_vec(image).unwrap(), 0xC3, (20_000, 10_000));
    assert_eq!(shown(&lossless, "image/jpeg").unwrap_err(), MediaError::permanent(TOO_LARGE));
}

#[test]
fn an_arithmetically_coded_jpeg_is_shown() {
    for is_progressive in [false, true] {
        let mut compressor = Compressor::new().unwrap();
        compressor.set_arithmetic(true).unwrap();
        compressor.set_progressive(is_progressive).unwrap();
        let rgb = noisy().into_rgb8();
        let image = Image {
            pixels: &rgb.as_raw()[..],
            width: 320,
            pitch: 960,
            height: 240,
            format: PixelFormat::RGB,
        };
        let (_, made) = shown(&compressor.compress_to_vec(image).unwrap(), "image/jpeg").unwrap();
        check(&made, (1, 4), RED);
        check(&made, (7, 4), BLUE);
    }
}

#[test]
fn radiance_is_light() {
    let mut bytes = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 4 +X 7\n".to_vec();
    // Red of 1, green of a fifth, and blue far brighter than white: mantissas of 8 bits and an exponent.
    for _ in 0..4 {
        bytes.extend(
            [[128, 0, 0, 129], [128, 0, 0, 129], [0, 205, 0, 126], [0, 205, 0, 126], [0, 0, 200, 133]]
                .concat(),
        );
        bytes.extend([0, 0, 200, 133].repeat(2));
    }
    let (facts, made) = shown(&bytes, "image/vnd.radiance").unwrap();
    assert_eq!((facts.width, facts.height), (Some(7), Some(4)));
    check(&made, (1, 4), RED);
    check(&made, (7, 4), BLUE);
}

#[test]
fn a_surface_of_direct_draw_is_shown() {
    let mut header = [0u32; 31];
    // Size of the header, what is in it, height, width, bytes in a row.
    header[..5].copy_from_slice(&[124, 0x100F, 16, 32, 32 * 4]);
    // Pixels of 32 bits: alpha and the masks of red, green, blue and alpha.
    header[18..26].copy_from_slice(&[32, 0x41, 0, 32, 0xFF_0000, 0xFF00, 0xFF, 0xFF00_0000]);
    header[26] = 0x1000;
    let mut bytes = b"DDS ".to_vec();
    bytes.extend(header.iter().flat_map(|number| number.to_le_bytes()));
    for _ in 0..16 {
        bytes.extend([0, 0, 255, 255].repeat(16));
        bytes.extend([255, 0, 0, 255].repeat(16));
    }
    let (facts, made) = shown(&bytes, "image/vnd-ms.dds").unwrap();
    assert_eq!((facts.width, facts.height), (Some(32), Some(16)));
    check(&made, (1, 4), RED);
    check(&made, (7, 4), BLUE);
}

#[test]
fn a_qoi_is_shown() {
    let video = "-f lavfi -i color=red:size=64x32,drawbox=x=32:w=32:h=32:color=blue:t=fill -frames:v 1 -pix_fmt rgb24";
    let (facts, made) = shown(&content(&by_ffmpeg("a.qoi", video)), "image/qoi").unwrap();
    assert_eq!((facts.width, facts.height), (Some(64), Some(32)));
    check(&made, (1, 4), RED);
    check(&made, (7, 4), BLUE);
}

#[test]
fn every_pixel_of_an_icon_keeps_its_colour() {
    let colours = [[255, 0, 0], [0, 0, 255], [0, 255, 0], [255, 255, 0]];
    let icon = image::RgbImage::from_fn(8, 8, |x, y| image::Rgb(colours[((x + y) % 4) as usize]));
    let png = written(&DynamicImage::from(icon.clone()), ImageFormat::Png);
    let (_, made) = shown(&png, "image/png").unwrap();
    assert_eq!(DynamicImage::from(made).into_rgb8(), icon);
    let (limits, format) = (MediaLimits::default(), ThumbnailFormat::Jpeg);
    let made = blocking_thumbnail(&file_of(&png), "image/png", FitTo::Inside(256), format, &limits).unwrap();
    let made = image::load_from_memory(&made.bytes).unwrap().into_rgb8();
    let difference: u32 =
        made.iter().zip(icon.iter()).map(|(one, other)| u32::from(one.abs_diff(*other))).sum();
    assert!(difference < 40 * 3 * 64, "{difference}");
}
