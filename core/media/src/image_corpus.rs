//! Thumbnails of small files in every format and variant, compared with those of another decoder: ffmpeg, which
//! makes the same image at the same size. What ffmpeg does not decode is compared with the same pixels in a PNG.
//! ffmpeg is needed; without it these tests fail.
#![expect(clippy::disallowed_methods, reason = "the tests run ffmpeg as a user would")]

mod codings;

use std::fs::File;
use std::process::Command;

use image::RgbaImage;

use super::facts::examine;
use super::fixtures::{blocking_thumbnail, by_ffmpeg, content, encoded, file_of, tiff, with_segment};
use super::limits::MediaLimits;
use super::thumbnail::ThumbnailFormat;
use crate::FitTo;

/// Mean difference of a channel that two decoders and a lossy encoder may have.
const TOLERANCE: f64 = 6.0;

fn ours(file: &File) -> Result<RgbaImage, String> {
    let limits = MediaLimits::default();
    let (sniffed, _) = examine(file, &limits).unwrap();
    let made = blocking_thumbnail(file, sniffed.mime, FitTo::Inside(256), ThumbnailFormat::WebP, &limits);
    let made = made.map_err(|fault| format!("{}: {}", sniffed.mime, fault.reason))?;
    Ok(image::load_from_memory(&made.bytes).unwrap().to_rgba8())
}

fn by_other(name: &str, bytes: &[u8], (width, height): (u32, u32)) -> Option<RgbaImage> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    // At one bit per pixel, ffmpeg would drop pixels instead of taking their mean.
    let scale = format!("format=rgba,scale={width}:{height}:flags=area");
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-v", "error"]);
    if name.ends_with(".exr") {
        ffmpeg.args(["-apply_trc", "iec61966_2_1"]);
    }
    ffmpeg.arg("-i").arg(&path).args(["-vf", &scale, "-frames:v", "1"]);
    ffmpeg.args(["-f", "rawvideo", "-pix_fmt", "rgba", "-"]);
    RgbaImage::from_raw(width, height, ffmpeg.output().unwrap().stdout)
}

/// Mean difference of the channels, on white.
fn difference(one: &RgbaImage, other: &RgbaImage) -> f64 {
    let on_white = |pixel: &image::Rgba<u8>| {
        let [red, green, blue, alpha] = pixel.0.map(i32::from);
        [red, green, blue].map(|value| (value * alpha + 255 * (255 - alpha)) / 255)
    };
    let sum: i32 = one
        .pixels()
        .zip(other.pixels())
        .flat_map(|(one, other)| on_white(one).into_iter().zip(on_white(other)))
        .map(|(one, other)| (one - other).abs())
        .sum();
    f64::from(sum) / f64::from(3 * one.width() * one.height())
}

/// Means of squares: filters differ in what they make of black and white dots.
fn coarse(image: &RgbaImage) -> RgbaImage {
    image::imageops::thumbnail(image, image.width() / 8, image.height() / 8)
}

/// How the thumbnail of a file of this name differs from the one by the other decoder; `None` when both agree.
fn disagreement(name: &str, bytes: &[u8]) -> Option<String> {
    let limits = MediaLimits::default();
    let file = file_of(bytes);
    let made = match ours(&file) {
        Ok(made) => made,
        Err(why) => return Some(format!("{name}: {why}")),
    };
    let Some(other) = by_other(name, bytes, made.dimensions()) else {
        return Some(format!("{name}: ffmpeg shows nothing"));
    };
    let difference = difference(&coarse(&made), &coarse(&other));
    let (_, facts) = examine(&file, &limits).unwrap();
    let shape = facts.width.zip(facts.height).map(|(width, height)| f64::from(width) / f64::from(height));
    let made_shape = f64::from(made.width()) / f64::from(made.height());
    let has_its_shape = shape.is_some_and(|shape| (shape / made_shape - 1.0).abs() < 0.05);
    (difference > TOLERANCE || !has_its_shape).then(|| format!("{name}: differs by {difference}, {facts:?}"))
}

/// Files that ffmpeg writes: the name and how it is coded.
fn compare(files: &[(&str, &str)]) {
    const SOURCE: &str = "-f lavfi -i testsrc2=size=322x242 -frames:v 1";
    let wrong = files.iter().filter_map(|(name, coding)| {
        let file = by_ffmpeg(name, &format!("{SOURCE} {coding}"));
        disagreement(name, &content(&file)).map(|why| format!("{why} ({coding})"))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn images_of_browsers_agree_with_ffmpeg() {
    compare(&[
        ("a.png", "-pix_fmt rgb24"),
        ("a.png", "-pix_fmt rgba"),
        ("a.png", "-pix_fmt pal8"),
        ("a.png", "-pix_fmt gray16be"),
        ("a.png", "-pix_fmt rgb48be"),
        ("a.png", "-pix_fmt monob"),
        ("a.jpg", "-pix_fmt yuvj420p"),
        ("a.jpg", "-pix_fmt yuvj422p"),
        ("a.jpg", "-pix_fmt yuvj444p"),
        ("a.jpg", "-pix_fmt gray"),
        ("a.gif", ""),
        ("a.webp", "-c:v libwebp"),
        ("a.webp", "-c:v libwebp -lossless 1"),
        ("a.bmp", "-pix_fmt bgr24"),
        ("a.bmp", "-pix_fmt pal8"),
        ("a.bmp", "-pix_fmt rgb565le"),
        ("a.bmp", "-pix_fmt gray"),
    ]);
}

#[test]
fn every_kind_of_tiff_agrees_with_ffmpeg() {
    let mut files = Vec::new();
    for coding in ["raw", "packbits", "lzw", "deflate"] {
        for pixels in ["rgb24", "gray", "pal8", "gray16le", "rgb48le", "rgba", "rgba64le", "monow", "monob"] {
            files.push(format!("-pix_fmt {pixels} -compression_algo {coding}"));
        }
        for pixels in ["yuv420p", "yuv422p", "yuv444p"] {
            files.push(format!("-pix_fmt {pixels} -compression_algo {coding}"));
        }
    }
    // Coded in another way, ffmpeg does not read what it has written.
    files.push("-pix_fmt yuv410p -compression_algo raw".to_owned());
    let files: Vec<(&str, &str)> = files.iter().map(|coding| ("a.tif", coding.as_str())).collect();
    compare(&files);
}

#[test]
fn images_of_studios_agree_with_ffmpeg() {
    compare(&[
        ("a.jp2", "-c:v jpeg2000"),
        ("a.j2k", "-c:v jpeg2000"),
        ("a.tga", "-pix_fmt bgr24"),
        ("a.tga", "-pix_fmt bgra -rle 0"),
        ("a.tga", "-pix_fmt gray"),
        ("a.ppm", ""),
        ("a.pgm", "-pix_fmt gray"),
        ("a.pbm", "-pix_fmt monow"),
        ("a.pam", "-pix_fmt rgb24"),
        ("a.exr", "-vf format=gbrpf32le"),
    ]);
}

/// The same image as a TIFF by these entries and data, and as a PNG.
fn same(what: &str, entries: &[(u16, Vec<u32>)], data: &[u8], expected: &RgbaImage) -> Option<String> {
    let (width, height) = expected.dimensions();
    let mut entries = entries.to_vec();
    entries.extend([(256, vec![width]), (257, vec![height])]);
    if !entries.iter().any(|(tag, _)| *tag == 322) && !entries.iter().any(|(tag, _)| *tag == 273) {
        entries.extend([(273, vec![8]), (279, vec![data.len() as u32])]);
    }
    entries.sort();
    match ours(&file_of(&tiff(&entries, data))) {
        Err(why) => Some(format!("{what}: {why}")),
        Ok(made) if made.dimensions() != expected.dimensions() => {
            Some(format!("{what}: {:?}", made.dimensions()))
        }
        Ok(made) => {
            let difference = difference(&made, expected);
            (difference > TOLERANCE).then(|| format!("{what}: differs by {difference}"))
        }
    }
}

/// Colours, and their light alone, 96 by 64.
fn colourful() -> RgbaImage {
    RgbaImage::from_fn(96, 64, |x, y| image::Rgba([x as u8 * 2, y as u8 * 3, 200, 255]))
}

fn light(alpha: u8) -> RgbaImage {
    RgbaImage::from_fn(96, 64, |x, _| image::Rgba([x as u8 * 2, x as u8 * 2, x as u8 * 2, alpha]))
}

fn colours_of(image: &RgbaImage) -> Vec<u8> {
    image.pixels().flat_map(|pixel| pixel.0[..3].to_vec()).collect()
}

fn of_rgb(bits: u32, format: u32) -> Vec<(u16, Vec<u32>)> {
    vec![(258, vec![bits; 3]), (262, vec![2]), (277, vec![3]), (339, vec![format; 3])]
}

#[track_caller]
fn assert_none_wrong(results: impl IntoIterator<Item = Option<String>>) {
    let wrong: Vec<String> = results.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn samples_of_any_width_and_meaning_in_a_tiff_are_the_pixels_that_were_put_in() {
    let (rgb, gray) = (colourful(), light(255));
    let colours = colours_of(&rgb);
    let lights: Vec<u8> = gray.pixels().map(|pixel| pixel.0[0]).collect();
    let floats: Vec<u8> =
        colours.iter().flat_map(|value| (f32::from(*value) / 255.0).to_le_bytes()).collect();
    let words: Vec<u8> =
        colours.iter().flat_map(|value| (u32::from(*value) * 0x0101_0101).to_le_bytes()).collect();
    let pairs = || lights.as_chunks::<2>().0.iter();
    let twelve: Vec<u8> = pairs().flat_map(|[a, b]| [*a, a & 0xF0 | b >> 4, b.rotate_right(4)]).collect();
    let four: Vec<u8> = pairs().map(|[a, b]| a & 0xF0 | b >> 4).collect();
    let fours = lights.as_chunks::<4>().0.iter();
    let two: Vec<u8> = fours.map(|four| four.iter().fold(0, |byte, value| byte << 2 | value >> 6)).collect();
    let coarse = RgbaImage::from_fn(96, 64, |x, _| {
        let value = ((x as u8 * 2) >> 6) * 85;
        image::Rgba([value, value, value, 255])
    });
    let ink: Vec<u8> = rgb.pixels().flat_map(|p| [255 - p.0[0], 255 - p.0[1], 255 - p.0[2], 0]).collect();
    let veiled: Vec<u8> = lights.iter().flat_map(|value| [value / 2, 128]).collect();
    let of_gray = |bits: u32| [(258, vec![bits]), (262, vec![1]), (277, vec![1])];
    let of_ink = [(258, vec![8; 4]), (262, vec![5]), (277, vec![4])];
    let of_veiled = [(258, vec![8; 2]), (262, vec![1]), (277, vec![2]), (338, vec![1])];
    assert_none_wrong([
        same("float", &of_rgb(32, 3), &floats, &rgb),
        same("32 bits", &of_rgb(32, 1), &words, &rgb),
        same("12 bits", &of_gray(12), &twelve, &gray),
        same("4 bits", &of_gray(4), &four, &gray),
        same("2 bits", &of_gray(2), &two, &coarse),
        same("ink", &of_ink, &ink, &rgb),
        same("gray with alpha", &of_veiled, &veiled, &light(128)),
    ]);
}

#[test]
fn planes_and_tiles_of_a_tiff_are_put_together() {
    let rgb = colourful();
    let colours = colours_of(&rgb);
    let planes: Vec<u8> =
        (0..3).flat_map(|channel| colours.iter().skip(channel).step_by(3).copied()).collect();
    let of_planes =
        [&of_rgb(8, 1)[..], &[(284, vec![2]), (273, vec![8, 6152, 12_296]), (279, vec![6144; 3])]];
    let mut tiles = Vec::new();
    for (band, across) in (0..2).flat_map(|band| (0..3).map(move |across| (band, across))) {
        for (y, x) in (0..32).flat_map(|y| (0..32).map(move |x| (y, x))) {
            tiles.extend(&rgb.get_pixel(across * 32 + x, band * 32 + y).0[..3]);
        }
    }
    let plane_tiles: Vec<u8> =
        (0..3).flat_map(|channel| tiles.iter().skip(channel).step_by(3).copied()).collect();
    let tiled = |count: u32, length: u32| {
        let places = (0..count).map(|tile| 8 + tile * length).collect();
        vec![(322, vec![32]), (323, vec![32]), (324, places), (325, vec![length; count as usize])]
    };
    let of_tiles = [&of_rgb(8, 1)[..], &tiled(6, 3072)].concat();
    let of_plane_tiles = [&of_rgb(8, 1)[..], &[(284, vec![2])], &tiled(18, 1024)].concat();
    assert_none_wrong([
        same("planes", &of_planes.concat(), &planes, &rgb),
        same("tiles", &of_tiles, &tiles, &rgb),
        same("planes of tiles", &of_plane_tiles, &plane_tiles, &rgb),
    ]);
}

#[test]
fn a_jpeg_that_browsers_show_is_shown_with_its_size() {
    let jpeg = encoded(image::ImageFormat::Jpeg, 320, 240);
    let profile = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    let icc =
        |number: u8, count: u8, content: &[u8]| [b"ICC_PROFILE\0", &[number, count][..], content].concat();
    let once = with_segment(&jpeg, 0xE2, &icc(1, 1, &profile));
    let mut old = jpeg.clone();
    let jfif = old.windows(4).position(|window| window == b"JFIF").unwrap();
    old[jfif + 5] = 9;
    let adobe = b"Adobe\0\x64\0\0\0\0\x09";
    let tables = jpeg.windows(2).position(|window| window == [0xFF, 0xDB]).unwrap();
    let stray = [&jpeg[..tables], &[0, 0, 0], &jpeg[tables..]].concat();
    for (what, bytes) in [
        ("a profile twice", with_segment(&once, 0xE2, &icc(1, 1, &profile))),
        ("a profile that is empty", with_segment(&jpeg, 0xE2, &icc(1, 1, &[]))),
        ("a profile whose number is wrong", with_segment(&jpeg, 0xE2, &icc(2, 1, &profile))),
        ("an unknown version of JFIF", old),
        ("an unknown transform of Adobe", with_segment(&jpeg, 0xEE, adobe)),
        ("bytes between segments", stray),
    ] {
        let file = file_of(&bytes);
        let (_, facts) = examine(&file, &MediaLimits::default()).unwrap();
        assert_eq!((facts.width, facts.height), (Some(320), Some(240)), "{what}");
        let made = ours(&file).unwrap_or_else(|why| panic!("{what}: {why}"));
        let whole = ours(&file_of(&jpeg)).unwrap();
        assert!(difference(&made, &whole) < 1.0, "{what}");
    }
}

#[test]
fn a_jpeg_of_more_than_a_hundred_megapixels_has_a_thumbnail() {
    for size in ["12000x9000", "65500x1600"] {
        let file = by_ffmpeg("a.jpg", &format!("-f lavfi -i color=0x204080:size={size} -frames:v 1"));
        let made = ours(&file).unwrap();
        let [red, green, blue, _] = made.get_pixel(made.width() / 2, made.height() / 2).0;
        assert!(red.abs_diff(0x20) < 8 && green.abs_diff(0x40) < 8 && blue.abs_diff(0x80) < 8);
    }
}

#[test]
fn bmps_of_old_programs_are_shown_with_their_size() {
    let (width, height) = (40u32, 30u32);
    let row: Vec<u8> = [200, 100, 50].repeat(width as usize);
    let pixels = row.repeat(height as usize);
    let file_header = |start: u32, length: usize| {
        [b"BM", &(start + length as u32).to_le_bytes()[..], &[0; 4], &start.to_le_bytes()].concat()
    };
    let header = |height: i32, bits: u16| {
        [
            &40u32.to_le_bytes()[..],
            &width.to_le_bytes(),
            &height.to_le_bytes(),
            &[1, 0],
            &bits.to_le_bytes(),
            &[0; 24],
        ]
        .concat()
    };
    let top_down = [file_header(54, pixels.len()), header(-30, 24), pixels.clone()].concat();
    let os2 =
        [&file_header(26, pixels.len())[..], &[12, 0, 0, 0, 40, 0, 30, 0, 1, 0, 24, 0], &pixels].concat();
    let without_alpha = [200, 100, 50, 0].repeat((width * height) as usize);
    let invisible = [file_header(54, without_alpha.len()), header(30, 32), without_alpha].concat();
    for (what, bytes) in [("from the top down", top_down), ("OS/2", os2), ("without alpha", invisible)] {
        let file = file_of(&bytes);
        let (_, facts) = examine(&file, &MediaLimits::default()).unwrap();
        assert_eq!((facts.width, facts.height), (Some(40), Some(30)), "{what}");
        assert_eq!(ours(&file).unwrap().get_pixel(20, 15).0, [50, 100, 200, 255], "{what}");
    }
}

#[test]
fn an_icon_of_any_png_and_a_png_without_its_end_are_shown() {
    let png =
        content(&by_ffmpeg("a.png", "-f lavfi -i color=0xC86432:size=64x64 -frames:v 1 -pix_fmt rgb24"));
    let entry =
        [&[64, 64, 0, 0, 1, 0, 24, 0][..], &(png.len() as u32).to_le_bytes(), &22u32.to_le_bytes()].concat();
    let icon = [&[0, 0, 1, 0, 1, 0][..], &entry, &png].concat();
    for bytes in [icon, png[..png.len() - 16].to_vec()] {
        let [red, green, blue, alpha] = ours(&file_of(&bytes)).unwrap().get_pixel(32, 32).0;
        assert!(red.abs_diff(200) < 4 && green.abs_diff(100) < 4 && blue.abs_diff(50) < 4 && alpha == 255);
    }
}

#[test]
fn a_photoshop_file_shows_the_image_of_all_its_layers() {
    let (rgb, ink) = (colourful(), |value: u8| 255 - value);
    let planes = |channels: u8, value: &dyn Fn(image::Rgba<u8>, u8) -> u8| {
        let planes = (0..channels).map(|channel| rgb.pixels().map(move |pixel| (*pixel, channel)));
        planes.flatten().map(|(pixel, channel)| value(pixel, channel)).collect::<Vec<u8>>()
    };
    let file = |version: u8, channels: u8, mode: u8, coding: u8, data: &[u8]| {
        let head = [b'8', b'B', b'P', b'S', 0, version, 0, 0, 0, 0, 0, 0, 0, channels];
        let size = [[0, 0, 0, 64], [0, 0, 0, 96]].concat();
        let layers = if version == 2 { 8 } else { 4 };
        [&head[..], &size, &[0, 8, 0, mode], &[0; 8], &vec![0; layers], &[0, coding], data].concat()
    };
    let colours = planes(3, &|pixel, channel| pixel.0[usize::from(channel)]);
    // Each row as runs of at most 128 bytes as they are: one head and 96 bytes.
    let packed: Vec<u8> = colours.chunks(96).flat_map(|row| [&[95], row].concat()).collect();
    let lengths: Vec<u8> = [0, 97].repeat(3 * 64);
    let wide_lengths: Vec<u8> = [0, 0, 0, 97].repeat(3 * 64);
    let cmyk =
        planes(4, &|pixel, channel| if channel == 3 { 255 } else { ink(ink(pixel.0[usize::from(channel)])) });
    for (what, bytes) in [
        ("plain", file(1, 3, 3, 0, &colours)),
        ("packed", file(1, 3, 3, 1, &[&lengths[..], &packed].concat())),
        ("large", file(2, 3, 3, 1, &[&wide_lengths[..], &packed].concat())),
        ("ink", file(1, 4, 4, 0, &cmyk)),
    ] {
        let file = file_of(&bytes);
        let (sniffed, facts) = examine(&file, &MediaLimits::default()).unwrap();
        assert_eq!(sniffed.mime, "image/vnd.adobe.photoshop");
        assert_eq!((facts.width, facts.height), (Some(96), Some(64)), "{what}");
        let difference = difference(&ours(&file).unwrap(), &rgb);
        assert!(difference < TOLERANCE, "{what}: {difference}");
    }
}

/// A blue square at the left of a red ground, 64 by 32, as `cjxl` codes it, in 2026 and without loss.
const JPEG_XL: &[u8] = &[
    0xFF, 0x0A, 0xC7, 0x41, 0x40, 0x71, 0x21, 0x08, 0x02, 0x01, 0x00, 0x88, 0x00, 0x4B, 0x18, 0x8B, 0x15,
    0x00, 0x1C, 0x26, 0x7E, 0x8C, 0x31, 0xC6, 0x9F, 0xBF, 0x40, 0x08, 0x00, 0xB0, 0x80, 0x93, 0x05, 0xFE,
    0x80, 0x94, 0x5B, 0x80, 0x82, 0x50, 0x46, 0xEF, 0x7B, 0x2F, 0x76, 0x3A, 0x00,
];

#[test]
fn a_jpeg_xl_is_shown() {
    let file = file_of(JPEG_XL);
    let (sniffed, facts) = examine(&file, &MediaLimits::default()).unwrap();
    assert_eq!((sniffed.mime, facts.width, facts.height), ("image/jxl", Some(64), Some(32)));
    let made = ours(&file).unwrap();
    assert_eq!(made.dimensions(), (64, 32));
    assert!(made.get_pixel(8, 16).0[2] > 240 && made.get_pixel(56, 16).0[0] > 240);
}

#[test]
fn a_drawing_is_shown_and_nothing_outside_of_it_is_read() {
    let drawing = |inside: &str| {
        format!(
            "<svg xmlns='http://www.w3.org/2000/svg' xmlns:xlink='http://www.w3.org/1999/xlink' viewBox='0 0 40 20'>{inside}</svg>"
        )
    };
    let rest = "<rect width='20' height='20' fill='#00f'/>\
        <image xlink:href='/etc/passwd' width='9' height='9'/><image href='http://127.0.0.1/' width='9' height='9'/>\
        <script>alert(1)</script>";
    let file = file_of(drawing(rest).as_bytes());
    let (sniffed, facts) = examine(&file, &MediaLimits::default()).unwrap();
    assert_eq!((sniffed.mime, facts.width, facts.height), ("image/svg+xml", Some(40), Some(20)));
    let made = ours(&file).unwrap();
    assert_eq!(made.dimensions(), (256, 128));
    assert_eq!(made.get_pixel(60, 60).0, [0, 0, 255, 255]);
    assert_eq!(made.get_pixel(200, 60).0[3], 0);
}

#[test]
fn a_drawing_that_would_take_long_is_refused_at_once() {
    let open = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 100 100'>";
    let noise = "<filter id='f'><feTurbulence numOctaves='10000' baseFrequency='1'/></filter><rect filter='url(#f)' width='100' height='100'/>";
    let mut uses = "<g id='a0'><rect width='100' height='100'/></g>".to_owned();
    for level in 1..9 {
        uses += &format!("<g id='a{level}'>{}</g>", format!("<use href='#a{}'/>", level - 1).repeat(10));
    }
    let entities = "<!DOCTYPE svg [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]>"
        .to_owned()
        + open
        + "<text>&b;</text>";
    for (what, text) in [
        ("noise", format!("{open}{noise}</svg>")),
        ("many uses", format!("{open}{uses}</svg>")),
        ("depth", format!("{open}{}{}</svg>", "<g>".repeat(5000), "</g>".repeat(5000))),
        ("many shapes", format!("{open}{}</svg>", "<rect width='100' height='100'/>".repeat(100_000))),
        (
            "gradients",
            format!(
                "{open}<linearGradient id='g'><stop/><stop offset='1'/></linearGradient>{}</svg>",
                "<rect fill='url(#g)' width='100' height='100'/>".repeat(20_000)
            ),
        ),
        ("entities", entities + "</svg>"),
    ] {
        let start = std::time::Instant::now();
        let made = ours(&file_of(text.as_bytes()));
        assert!(what == "entities" || made.is_err(), "{what}");
        assert!(start.elapsed().as_secs() < 20, "{what}: {:?}", start.elapsed());
    }
}
