//! Images of every format, size, orientation and colour, and files that are not images.

use image::ImageFormat;
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, Rgba, RgbaImage};

use super::*;
use crate::fixtures::{
    blocking_thumbnail, by_ffmpeg, content, encoded, file_of, with_orientation, with_segment,
};

const RED: [u8; 3] = [255, 0, 0];
const BLUE: [u8; 3] = [0, 0, 255];

fn thumbnail_of(bytes: &[u8], mime: &str, kind: FitTo) -> Thumbnail {
    blocking_thumbnail(&file_of(bytes), mime, kind, ThumbnailFormat::WebP, &MediaLimits::default()).unwrap()
}

fn failure(bytes: &[u8], mime: &str) -> MediaError {
    let limits = MediaLimits::default();
    blocking_thumbnail(&file_of(bytes), mime, FitTo::Inside(256), ThumbnailFormat::WebP, &limits).unwrap_err()
}

fn decoded(thumbnail: &Thumbnail) -> RgbaImage {
    let image = image::load_from_memory(&thumbnail.bytes).unwrap();
    assert_eq!((image.width(), image.height()), (thumbnail.width, thumbnail.height));
    image.to_rgba8()
}

#[track_caller]
fn assert_colour(image: &RgbaImage, (x, y): (u32, u32), expected: [u8; 3]) {
    let actual = image.get_pixel(x, y).0;
    let near = (0..3).all(|channel| actual[channel].abs_diff(expected[channel]) <= 24);
    assert!(near, "{actual:?} at {x},{y} is not {expected:?}");
}

const FORMATS: [(ImageFormat, &str); 6] = [
    (ImageFormat::Jpeg, "image/jpeg"),
    (ImageFormat::Png, "image/png"),
    (ImageFormat::Gif, "image/gif"),
    (ImageFormat::WebP, "image/webp"),
    (ImageFormat::Tiff, "image/tiff"),
    (ImageFormat::Bmp, "image/bmp"),
];

#[test]
fn every_image_format_gives_every_variant() {
    for (format, mime) in FORMATS {
        let bytes = encoded(format, 1600, 1200);
        for (kind, size) in [
            (FitTo::Cover(400, 225), (400, 225)),
            (FitTo::Inside(256), (256, 192)),
            (FitTo::Inside(640), (640, 480)),
            (FitTo::Inside(1440), (1440, 1080)),
        ] {
            let thumbnail = thumbnail_of(&bytes, mime, kind);
            assert_eq!((thumbnail.width, thumbnail.height), size, "{mime}");
            assert_eq!(thumbnail.mime, "image/webp");
            let pixels = decoded(&thumbnail);
            assert_colour(&pixels, (size.0 / 4, size.1 / 4), RED);
            assert_colour(&pixels, (size.0 * 3 / 4, size.1 / 4), BLUE);
            assert_colour(&pixels, (size.0 / 4, size.1 * 3 / 4), [128, 0, 0]);
        }
    }
}

#[test]
fn sides_that_fill_no_whole_block_stay_in_place() {
    for (width, height) in [(1601, 1201), (1607, 1209), (2049, 1025), (17, 33)] {
        let thumbnail =
            thumbnail_of(&encoded(ImageFormat::Jpeg, width, height), "image/jpeg", FitTo::Inside(256));
        let pixels = decoded(&thumbnail);
        let middle = thumbnail.width / 2;
        assert_colour(&pixels, (middle - 4, 2), RED);
        assert_colour(&pixels, (middle + 4, 2), BLUE);
    }
}

#[test]
fn nothing_is_enlarged() {
    let bytes = encoded(ImageFormat::Png, 40, 30);
    for kind in [FitTo::Inside(256), FitTo::Inside(1440)] {
        let thumbnail = thumbnail_of(&bytes, "image/png", kind);
        assert_eq!((thumbnail.width, thumbnail.height), (40, 30));
    }
}

#[test]
fn a_thumbnail_takes_no_more_bytes_than_what_it_is_made_from() {
    let photograph = |quality: &str| {
        let arguments = format!("-f lavfi -i mandelbrot=size=500x400 -frames:v 1 {quality}");
        content(&by_ffmpeg("a.jpg", &arguments))
    };
    let drawing = encoded(ImageFormat::Png, 200, 100);
    let originals = [
        (photograph("-q:v 20"), "image/jpeg"),
        (photograph("-q:v 8"), "image/jpeg"),
        (drawing, "image/png"),
        (encoded(ImageFormat::Gif, 200, 100), "image/gif"),
        (encoded(ImageFormat::Png, 16, 16), "image/png"),
    ];
    for (bytes, mime) in originals {
        for kind in [FitTo::Cover(400, 225), FitTo::Inside(256), FitTo::Inside(640), FitTo::Inside(1440)] {
            let made = thumbnail_of(&bytes, mime, kind).bytes.len();
            assert!(made <= bytes.len(), "{kind:?} of {mime}: {made} bytes of {}", bytes.len());
        }
    }
}

#[test]
fn a_drawing_that_takes_fewer_bytes_without_loss_is_kept_without_loss() {
    let grid = "-f lavfi -i color=black:size=200x100,drawgrid=w=10:h=10:c=white -frames:v 1 -pix_fmt monob";
    let drawing = content(&by_ffmpeg("a.png", grid));
    let thumbnail = thumbnail_of(&drawing, "image/png", FitTo::Inside(1440));
    assert!(decoded(&thumbnail) == image::load_from_memory(&drawing).unwrap().to_rgba8());
}

#[test]
fn each_orientation_stands_upright() {
    // Where each value moves the light red corner, in an image of 640x480.
    let corners = [(0, 0), (1, 0), (1, 1), (0, 1), (0, 0), (1, 0), (1, 1), (0, 1)];
    let jpeg = encoded(ImageFormat::Jpeg, 640, 480);
    for (orientation, (right, below)) in (1..=8).zip(corners) {
        let thumbnail = thumbnail_of(&with_orientation(&jpeg, orientation), "image/jpeg", FitTo::Inside(256));
        let turned = orientation >= 5;
        assert_eq!((thumbnail.width, thumbnail.height), if turned { (192, 256) } else { (256, 192) });
        let at = (20 + right * (thumbnail.width - 40), 20 + below * (thumbnail.height - 40));
        assert_colour(&decoded(&thumbnail), at, RED);
    }
}

#[test]
fn the_default_of_a_turned_photograph_is_cut_after_turning() {
    let jpeg = with_orientation(&encoded(ImageFormat::Jpeg, 1600, 1200), 6);
    let thumbnail = thumbnail_of(&jpeg, "image/jpeg", FitTo::Cover(400, 225));
    assert_eq!((thumbnail.width, thumbnail.height), (400, 225));
}

#[test]
fn alpha_is_kept_in_webp_and_white_in_jpeg() {
    let image = RgbaImage::from_fn(600, 400, |x, _| Rgba([255, 0, 0, if x < 300 { 255 } else { 0 }]));
    let mut png = std::io::Cursor::new(Vec::new());
    image.write_to(&mut png, ImageFormat::Png).unwrap();
    let file = file_of(png.get_ref());
    let make = |format| {
        let made =
            blocking_thumbnail(&file, "image/png", FitTo::Inside(256), format, &MediaLimits::default());
        decoded(&made.unwrap())
    };
    let webp = make(ThumbnailFormat::WebP);
    assert_eq!(webp.get_pixel(20, 80).0[3], 255);
    assert_eq!(webp.get_pixel(230, 80).0[3], 0);
    let jpeg = make(ThumbnailFormat::Jpeg);
    assert_colour(&jpeg, (20, 80), RED);
    assert_colour(&jpeg, (230, 80), [255, 255, 255]);
}

#[test]
fn transparent_pixels_do_not_bleed_their_colour() {
    let image = RgbaImage::from_fn(1024, 1024, |x, _| {
        if x % 2 == 0 { Rgba([255, 0, 0, 255]) } else { Rgba([0, 255, 0, 0]) }
    });
    let mut png = std::io::Cursor::new(Vec::new());
    image.write_to(&mut png, ImageFormat::Png).unwrap();
    let pixels = decoded(&thumbnail_of(png.get_ref(), "image/png", FitTo::Inside(256)));
    assert_colour(&pixels, (128, 128), RED);
}

#[test]
fn wide_gamut_colours_become_srgb_and_metadata_goes() {
    let profile = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    let segment = [b"ICC_PROFILE\0\x01\x01", &profile[..]].concat();
    let grey_red = DynamicImage::from(image::RgbImage::from_pixel(400, 400, image::Rgb([200, 100, 100])));
    let mut jpeg = Vec::new();
    grey_red.write_with_encoder(JpegEncoder::new_with_quality(&mut jpeg, 95)).unwrap();
    let thumbnail = thumbnail_of(&with_segment(&jpeg, 0xE2, &segment), "image/jpeg", FitTo::Inside(256));
    // Display P3's red is stronger than that of sRGB, so the same colour needs larger numbers there.
    assert_colour(&decoded(&thumbnail), (100, 100), [213, 96, 98]);
    assert!(!thumbnail.bytes.windows(4).any(|window| window == b"ICCP" || window == b"EXIF"));
}

#[test]
fn ink_becomes_light() {
    // As Adobe's programs write it, and libjpeg's mark says: inverted.
    let magenta_and_yellow = [255, 0, 0, 255].repeat(64 * 64);
    let mut compressor = turbojpeg::Compressor::new().unwrap();
    compressor.set_colorspace(turbojpeg::Colorspace::CMYK).unwrap();
    compressor.set_subsamp(turbojpeg::Subsamp::None).unwrap();
    let format = turbojpeg::PixelFormat::CMYK;
    let image =
        turbojpeg::Image { pixels: &magenta_and_yellow[..], width: 64, pitch: 256, height: 64, format };
    let jpeg = compressor.compress_to_vec(image).unwrap();
    assert_colour(&decoded(&thumbnail_of(&jpeg, "image/jpeg", FitTo::Inside(256))), (32, 32), RED);
}

#[test]
fn an_animation_shows_its_first_frame() {
    let video = "-f lavfi -i color=red:size=320x240:duration=0.5:rate=4 -f lavfi -i color=blue:size=320x240:duration=0.5:rate=4 -filter_complex concat";
    for (name, mime, codec) in [("a.gif", "image/gif", ""), ("a.webp", "image/webp", "-c:v libwebp_anim")] {
        let file = by_ffmpeg(name, &format!("{video} {codec}"));
        let thumbnail = blocking_thumbnail(
            &file,
            mime,
            FitTo::Inside(256),
            ThumbnailFormat::WebP,
            &MediaLimits::default(),
        );
        assert_colour(&decoded(&thumbnail.unwrap()), (128, 96), RED);
    }
}

#[test]
fn a_frame_smaller_than_its_canvas_stands_where_it_belongs() {
    let mut bytes = Vec::new();
    let mut encoder = gif::Encoder::new(&mut bytes, 300, 200, &[255, 0, 0]).unwrap();
    let (left, top, width, height) = (100, 50, 100, 100);
    let buffer = vec![0; 100 * 100].into();
    encoder.write_frame(&gif::Frame { left, top, width, height, buffer, ..gif::Frame::default() }).unwrap();
    drop(encoder);
    let pixels = decoded(&thumbnail_of(&bytes, "image/gif", FitTo::Inside(640)));
    assert_eq!(pixels.dimensions(), (300, 200));
    assert_colour(&pixels, (150, 100), RED);
    assert!(
        [(50, 100), (150, 25), (250, 100), (150, 175)]
            .iter()
            .all(|(x, y)| pixels.get_pixel(*x, *y).0[3] == 0)
    );
}

#[test]
fn an_interlaced_frame_has_its_rows_in_order() {
    let order = [0, 8, 4, 12, 2, 6, 10, 14, 1, 3, 5, 7, 9, 11, 13, 15];
    let shades: Vec<u8> = (0..16).flat_map(|row| [row * 16; 3]).collect();
    let mut bytes = Vec::new();
    let mut encoder = gif::Encoder::new(&mut bytes, 16, 16, &shades).unwrap();
    let buffer: Vec<u8> = order.iter().flat_map(|row| [*row; 16]).collect();
    let frame = gif::Frame {
        width: 16,
        height: 16,
        interlaced: true,
        buffer: buffer.into(),
        ..gif::Frame::default()
    };
    encoder.write_frame(&frame).unwrap();
    drop(encoder);
    let pixels = decoded(&thumbnail_of(&bytes, "image/gif", FitTo::Inside(1440)));
    for row in 0..16 {
        assert_colour(&pixels, (8, row), [row as u8 * 16; 3]);
    }
}

#[test]
fn every_coding_of_a_tiff_gives_the_same_pixels() {
    use tiff::encoder::{Compression, DeflateLevel, Predictor, TiffEncoder, colortype};
    let image = image::RgbImage::from_fn(333, 222, |x, y| {
        let wave = ((f64::from(x * y) / 500.0).sin() * 100.0) as i32;
        image::Rgb([x as u8, (y + x / 3) as u8, (128 + wave) as u8])
    });
    let pixels = |compression, predictor| {
        let mut bytes = std::io::Cursor::new(Vec::new());
        let encoder = TiffEncoder::new(&mut bytes).unwrap();
        let mut encoder = encoder.with_compression(compression).with_predictor(predictor);
        encoder.write_image::<colortype::RGB8>(333, 222, &image).unwrap();
        let bytes = bytes.into_inner();
        let decoded = decode::decode(
            Source::of_bytes(&bytes),
            "image/tiff",
            FitTo::Inside(1440),
            &MediaLimits::default(),
        );
        decoded.unwrap().pixels.data
    };
    for (name, compression) in [
        ("none", Compression::Uncompressed),
        ("lzw", Compression::Lzw),
        ("packbits", Compression::Packbits),
        ("deflate", Compression::Deflate(DeflateLevel::Balanced)),
    ] {
        for predictor in [Predictor::None, Predictor::Horizontal] {
            assert!(pixels(compression, predictor) == image.as_raw()[..], "{name} {predictor:?}");
        }
    }
}

#[test]
fn a_header_that_promises_too_many_pixels_is_refused_before_decoding() {
    let mut png = encoded(ImageFormat::Png, 8, 8);
    png[16..24].copy_from_slice(&[0, 0, 0xEA, 0x60, 0, 0, 0xEA, 0x60]);
    // The checksum of the header, so that only the size can be the reason.
    let sum = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(failure(&png, "image/png").reason, "a side of the image is longer than 30000 pixels");
    let mut jpeg = encoded(ImageFormat::Jpeg, 8, 8);
    let frame = jpeg.windows(2).position(|window| window == [0xFF, 0xC0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0x70, 0, 0x70, 0]);
    assert_eq!(failure(&jpeg, "image/jpeg").reason, "the image has more than 400 megapixels");
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 })
    })
}

#[test]
fn a_file_that_is_not_an_image_fails_for_good_with_a_reason() {
    for mime in ["image/jpeg", "image/png", "image/webp", "image/gif", "image/tiff", "image/bmp"] {
        let fault = failure(b"not an image at all, only text", mime);
        assert!(
            !fault.retryable && !fault.reason.is_empty() && !fault.reason.ends_with('.'),
            "{mime}: {fault:?}"
        );
    }
    assert!(!failure(b"anything", "image/jxl").retryable);
}

#[test]
fn a_truncated_image_shows_its_remaining_part() {
    for (format, mime) in [(ImageFormat::Jpeg, "image/jpeg"), (ImageFormat::Gif, "image/gif")] {
        let bytes = encoded(format, 1600, 1200);
        let thumbnail = thumbnail_of(&bytes[..bytes.len() / 2], mime, FitTo::Inside(256));
        assert_colour(&decoded(&thumbnail), (40, 10), RED);
    }
}

#[test]
fn truncations_and_bit_flips_never_panic() {
    for (format, mime) in FORMATS {
        let bytes = encoded(format, 96, 64);
        let limits = MediaLimits::default();
        let attempt = |bytes: &[u8]| {
            let file = file_of(bytes);
            let source = Source::new(&file, limits.max_image_bytes).unwrap();
            // Around `guarded`, so that a panic shows.
            let made = decode::decode(source, mime, FitTo::Inside(256), &limits);
            let _ = made.and_then(|decoded| finish(decoded, ThumbnailFormat::WebP, Origin::VIDEO));
        };
        for cut in (0..bytes.len()).step_by((bytes.len() / 60).max(1)) {
            attempt(&bytes[..cut]);
        }
        for at in (0..bytes.len().min(600)).step_by(3) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            attempt(&damaged);
        }
    }
}

#[test]
fn only_an_error_of_the_system_is_tried_again() {
    assert!(!unreadable(std::io::Error::other("a decoder's word")).retryable);
    assert!(!unreadable(std::io::ErrorKind::InvalidData.into()).retryable);
    assert!(unreadable(std::io::Error::from_raw_os_error(5)).retryable);
}
