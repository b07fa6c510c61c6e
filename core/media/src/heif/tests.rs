//! HEIC and AVIF files, whole, damaged and hostile.

use super::*;
use crate::FitTo;
use crate::facts::{Facts, facts as facts_of};
use crate::fixtures::{blocking_thumbnail, by_ffmpeg, content, file_of};
use crate::sniff::sniff;
use crate::thumbnail::ThumbnailFormat;

fn part(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32 + 8).to_be_bytes()[..], kind, content].concat()
}

fn full_part(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    part(kind, &[&[0; 4], content].concat())
}

/// An image of one colour as an HEVC frame with lengths before its units, and its configuration.
fn hevc(colour: &str, size: u32) -> (Vec<u8>, Vec<u8>) {
    let source = format!("-f lavfi -i color={colour}:size={size}x{size}:rate=1 -frames:v 1 -c:v libx265");
    let stream = content(&by_ffmpeg("a.hevc", &format!("{source} -x265-params log-level=none")));
    let mut configuration = vec![0; 21];
    configuration.extend([3, 1, 0x20, 0, 0]);
    let mut frame = Vec::new();
    let starts: Vec<usize> =
        (0..stream.len() - 4).filter(|at| stream[*at..].starts_with(&[0, 0, 1])).collect();
    for (index, start) in starts.iter().enumerate() {
        let end = starts.get(index + 1).map_or(stream.len(), |next| *next);
        let unit = &stream[start + 3..end];
        frame.extend((unit.len() as u32).to_be_bytes());
        frame.extend(unit);
    }
    (configuration, frame)
}

/// An image of one colour as a frame of AV1, which needs no configuration here.
fn av1(colour: &str, size: u32) -> (Vec<u8>, Vec<u8>) {
    let source =
        format!("-f lavfi -i color={colour}:size={size}x{size} -frames:v 1 -c:v libaom-av1 -cpu-used 8");
    let file = content(&by_ffmpeg("a.avif", &source));
    let data = file.windows(4).position(|window| window == b"mdat").unwrap() + 4;
    (Vec::new(), file[data..].to_vec())
}

/// The description of an item: its kind and its properties, by their numbers.
type ItemSketch<'a> = (&'a [u8; 4], &'a [u8]);

/// A file whose items from 1 on have these contents; the last one has none in the file but a description beside them.
fn file(
    brand: &[u8; 4],
    (primary, items): (u8, &[ItemSketch<'_>]),
    contents: &[&[u8]],
    (properties, references): (&[Vec<u8>], &[u8]),
    description: &[u8],
) -> Vec<u8> {
    let numbered = || (1u8..).zip(items);
    let entry = |(id, (kind, _)): (u8, &ItemSketch<'_>)| {
        part(b"infe", &[&[2, 0, 0, 0, 0, id, 0, 0], &kind[..], &[0]].concat())
    };
    let entries: Vec<u8> = numbered().flat_map(entry).collect();
    let associations: Vec<u8> = numbered()
        .flat_map(|(id, (_, properties))| [&[0, id, properties.len() as u8], *properties].concat())
        .collect();
    let count = items.len() as u8;
    let ipma = full_part(b"ipma", &[&[0, 0, 0, count], &associations[..]].concat());
    let iprp = part(b"iprp", &[part(b"ipco", &properties.concat()), ipma].concat());
    let meta = |mut place: u32| {
        let mut places = Vec::new();
        for (id, _) in numbered() {
            let inside = contents.get(usize::from(id) - 1);
            let (method, start, length) = match inside {
                Some(content) => (0, place, content.len() as u32),
                None => (1, 0, description.len() as u32),
            };
            places.extend([0, id, 0, method, 0, 0, 0, 1]);
            places.extend([start.to_be_bytes(), length.to_be_bytes()].concat());
            place += inside.map_or(0, |content| content.len() as u32);
        }
        let parts = [
            full_part(b"pitm", &[0, primary]),
            full_part(b"iinf", &[&[0, count], &entries[..]].concat()),
            part(b"iloc", &[&[1, 0, 0, 0, 0x44, 0, 0, count][..], &places].concat()),
            full_part(b"iref", references),
            iprp.clone(),
            part(b"idat", description),
        ];
        full_part(b"meta", &parts.concat())
    };
    let ftyp = part(b"ftyp", &[&brand[..], &[0; 4], b"mif1", brand].concat());
    let place = ftyp.len() + meta(0).len() + 8;
    [ftyp, meta(place as u32), part(b"mdat", &contents.concat())].concat()
}

fn size(width: u32, height: u32) -> Vec<u8> {
    full_part(b"ispe", &[width.to_be_bytes(), height.to_be_bytes()].concat())
}

/// Two tiles side by side, red and blue, of which 100x64 are shown, turned a quarter against the clock.
fn grid_of(brand: &[u8; 4], kind: &[u8; 4], tiles: [(Vec<u8>, Vec<u8>); 2]) -> Vec<u8> {
    grid_with(brand, kind, tiles, part(b"irot", &[1]))
}

/// The same with another property than to be turned.
fn grid_with(brand: &[u8; 4], kind: &[u8; 4], tiles: [(Vec<u8>, Vec<u8>); 2], property: Vec<u8>) -> Vec<u8> {
    let properties = [part(b"hvcC", &tiles[0].0), size(64, 64), size(100, 64), property];
    let tile = [0x81, 2];
    let items: [ItemSketch<'_>; 3] = [(kind, &tile), (kind, &tile), (b"grid", &[3, 0x84])];
    let references = part(b"dimg", &[0, 3, 0, 2, 0, 1, 0, 2]);
    let description = [0, 0, 0, 1, 0, 100, 0, 64];
    file(brand, (3, &items), &[&tiles[0].1, &tiles[1].1], (&properties, &references), &description)
}

fn grid() -> Vec<u8> {
    grid_of(b"heic", b"hvc1", [hevc("red", 64), hevc("blue", 64)])
}

fn thumbnail(bytes: &[u8], kind: FitTo) -> Result<image::RgbaImage, MediaError> {
    let mime = sniff(bytes, "x").mime;
    let made =
        blocking_thumbnail(&file_of(bytes), mime, kind, ThumbnailFormat::WebP, &MediaLimits::default())?;
    Ok(image::load_from_memory(&made.bytes).unwrap().to_rgba8())
}

#[test]
fn tiles_are_put_together_and_turned() {
    let avif = grid_of(b"avif", b"av01", [av1("red", 64), av1("blue", 64)]);
    for (bytes, mime) in [(grid(), "image/heic"), (avif, "image/avif")] {
        let sniffed = sniff(&bytes, "x");
        assert_eq!(sniffed.mime, mime);
        let facts = facts_of(&file_of(&bytes), &sniffed, &MediaLimits::default());
        assert_eq!(facts, Facts { width: Some(64), height: Some(100), ..Facts::default() });
        let image = thumbnail(&bytes, FitTo::Inside(256)).unwrap();
        assert_eq!(image.dimensions(), (64, 100));
        let (above, below) = (image.get_pixel(32, 10).0, image.get_pixel(32, 90).0);
        assert!(above[2] > 200 && above[0] < 60, "{mime} {above:?}");
        assert!(below[0] > 200 && below[2] < 60, "{mime} {below:?}");
    }
}

/// Red at the left and blue at the right, as HEIC and as AVIF, with this property.
fn both_with(property: &[u8]) -> [Vec<u8>; 2] {
    let of = |brand, kind, tiles| grid_with(brand, kind, tiles, property.to_vec());
    [
        of(b"heic", b"hvc1", [hevc("red", 64), hevc("blue", 64)]),
        of(b"avif", b"av01", [av1("red", 64), av1("blue", 64)]),
    ]
}

#[test]
fn an_image_is_mirrored_along_the_axis_that_it_names() {
    for (axis, left_is_red) in [(0, true), (1, false)] {
        for bytes in both_with(&part(b"imir", &[axis])) {
            let image = thumbnail(&bytes, FitTo::Inside(256)).unwrap();
            let red = image.get_pixel(8, 8).0[0];
            assert_eq!(red > 200, left_is_red, "axis {axis}, {red}");
        }
    }
}

#[test]
fn an_image_is_cut_to_its_clean_aperture() {
    let fractions = [36u32, 1, 40, 1, 64, 2, (-12i32) as u32, 1].map(u32::to_be_bytes).concat();
    for bytes in both_with(&part(b"clap", &fractions)) {
        let facts = facts_of(&file_of(&bytes), &sniff(&bytes, "x"), &MediaLimits::default());
        assert_eq!((facts.width, facts.height), (Some(36), Some(40)));
        let image = thumbnail(&bytes, FitTo::Inside(256)).unwrap();
        assert_eq!(image.dimensions(), (36, 40));
        for (x, y) in [(2, 2), (33, 37)] {
            let pixel = image.get_pixel(x, y).0;
            assert!(pixel[2] > 200 && pixel[0] < 60, "{pixel:?} at {x},{y}");
        }
    }
}

/// Two items of one size, the second of which is the alpha of the first.
fn with_alpha(
    brand: &[u8; 4],
    kind: &[u8; 4],
    items: [(Vec<u8>, Vec<u8>); 2],
    is_multiplied: bool,
) -> Vec<u8> {
    let alpha = full_part(b"auxC", b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0");
    let properties = [part(b"hvcC", &items[0].0), size(64, 64), alpha, part(b"hvcC", &items[1].0)];
    let sketches: [ItemSketch<'_>; 2] = [(kind, &[0x81, 2]), (kind, &[0x84, 2, 3])];
    let mut references = part(b"auxl", &[0, 2, 0, 1, 0, 1]);
    if is_multiplied {
        references.extend(part(b"prem", &[0, 1, 0, 1, 0, 2]));
    }
    file(brand, (1, &sketches), &[&items[0].1, &items[1].1], (&properties, &references), &[])
}

#[test]
fn colours_that_alpha_was_multiplied_into_are_as_bright_as_they_were() {
    let grays = ["0x404040", "0x808080"];
    for bytes in [
        with_alpha(b"avif", b"av01", grays.map(|gray| av1(gray, 64)), true),
        with_alpha(b"heic", b"hvc1", grays.map(|gray| hevc(gray, 64)), true),
    ] {
        let [red, green, blue, alpha] = thumbnail(&bytes, FitTo::Inside(256)).unwrap().get_pixel(30, 30).0;
        assert!(alpha.abs_diff(128) < 8, "{alpha}");
        assert!([red, green, blue].iter().all(|value| value.abs_diff(128) < 10), "{red} {green} {blue}");
    }
}

#[test]
fn a_heic_keeps_what_is_transparent() {
    let bytes = with_alpha(b"heic", b"hvc1", [hevc("red", 64), hevc("black", 64)], false);
    assert!(thumbnail(&bytes, FitTo::Inside(256)).unwrap().get_pixel(30, 30).0[3] <= 16);
    // As phones and libheif name it; the rest of the longer name stays behind the end of this one.
    let (name, other) = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1\0");
    let mut bytes = bytes;
    let at = bytes.windows(name.len()).position(|window| window == name).unwrap();
    bytes[at..at + other.len()].copy_from_slice(other);
    assert!(thumbnail(&bytes, FitTo::Inside(256)).unwrap().get_pixel(30, 30).0[3] <= 16);
}

#[test]
fn tiles_of_an_avif_may_have_one_alpha() {
    let tiles = [av1("red", 64).1, av1("blue", 64).1];
    let source = "-f lavfi -i color=black:size=128x64 -frames:v 1 -c:v libaom-av1 -cpu-used 8";
    let alpha = content(&by_ffmpeg("a.avif", source));
    let data = alpha.windows(4).position(|window| window == b"mdat").unwrap() + 4;
    let alpha_kind = full_part(b"auxC", b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0");
    let properties = [size(64, 64), size(128, 64), alpha_kind];
    let items: [ItemSketch<'_>; 4] = [(b"av01", &[1]), (b"av01", &[1]), (b"av01", &[2, 3]), (b"grid", &[2])];
    let references = [part(b"dimg", &[0, 4, 0, 2, 0, 1, 0, 2]), part(b"auxl", &[0, 3, 0, 1, 0, 4])].concat();
    let description = [0, 0, 0, 1, 0, 128, 0, 64];
    let contents = [&tiles[0][..], &tiles[1], &alpha[data..]];
    let bytes = file(b"avif", (4, &items), &contents, (&properties, &references), &description);
    assert!(thumbnail(&bytes, FitTo::Inside(256)).unwrap().get_pixel(30, 30).0[3] <= 16);
}

#[test]
fn an_avif_has_its_colours_in_every_sampling() {
    for format in [
        "yuv420p",
        "yuv422p",
        "yuv444p",
        "yuv420p10le",
        "yuv422p12le",
        "yuv444p10le",
        "gbrp",
        "gray",
        "yuvj420p",
    ] {
        // 0xD06020, but for the one that has no colours.
        let source = "-f lavfi -i color=0xD06020:size=321x243,format=gbrp -frames:v 1";
        let file =
            by_ffmpeg("a.avif", &format!("{source} -pix_fmt {format} -c:v libaom-av1 -cpu-used 8 -crf 5"));
        let image = thumbnail(&content(&file), FitTo::Inside(1440)).unwrap();
        assert_eq!(image.dimensions(), (321, 243));
        let expected = if format == "gray" { [0x7B; 3] } else { [0xD0, 0x60, 0x20] };
        for (x, y) in [(0, 0), (160, 120), (318, 240)] {
            let actual = image.get_pixel(x, y).0;
            let is_near = (0..3).all(|channel| actual[channel].abs_diff(expected[channel]) <= 6);
            assert!(is_near, "{format} at {x},{y}: {actual:?}");
        }
    }
}

#[test]
fn an_avif_keeps_what_is_transparent() {
    let (colours, alpha) = (av1("red", 64).1, av1("black", 64).1);
    let alpha_kind = full_part(b"auxC", b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0");
    let items: [ItemSketch<'_>; 2] = [(b"av01", &[1]), (b"av01", &[1, 2])];
    let references = part(b"auxl", &[0, 2, 0, 1, 0, 1]);
    let bytes =
        file(b"avif", (1, &items), &[&colours, &alpha], (&[size(64, 64), alpha_kind], &references), &[]);
    // Black of videos is 16.
    let opacity = thumbnail(&bytes, FitTo::Inside(256)).unwrap().get_pixel(30, 30).0[3];
    assert!(opacity <= 16, "{opacity}");
}

/// A file with one image of this size, coded as these bytes.
fn avif(coded: &[u8], (width, height): (u32, u32)) -> Vec<u8> {
    file(b"avif", (1, &[(b"av01", &[1])]), &[coded], (&[size(width, height)], &[]), &[])
}

#[test]
fn an_avif_is_decoded_only_if_it_is_as_large_as_it_says() {
    let coded = av1("red", 64).1;
    assert!(thumbnail(&avif(&coded, (64, 64)), FitTo::Inside(256)).is_ok());
    assert!(thumbnail(&avif(&coded, (65, 64)), FitTo::Inside(256)).is_err());
    let tiles = [av1("red", 128), av1("blue", 128)];
    let fault = thumbnail(&grid_of(b"avif", b"av01", tiles), FitTo::Inside(256)).unwrap_err();
    assert_eq!(fault.reason, "the image's data is damaged", "one tile would have been enough");
}

#[test]
fn an_avif_of_many_frames_is_not_decoded() {
    let coded = av1("red", 64).1.repeat(100);
    let fault = thumbnail(&avif(&coded, (64, 64)), FitTo::Inside(256)).unwrap_err();
    assert_eq!(fault.reason, "the image's encoding is not supported");
}

#[test]
fn an_avif_that_is_damaged_gives_an_image_or_a_reason() {
    let source = "-f lavfi -i testsrc=size=160x120 -frames:v 1 -c:v libaom-av1 -cpu-used 8";
    let bytes = content(&by_ffmpeg("a.avif", source));
    for at in (0..bytes.len()).step_by(bytes.len() / 150) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        for bytes in [&damaged[..], &bytes[..at]] {
            if sniff(bytes, "x").mime == "image/avif" {
                let fault = thumbnail(bytes, FitTo::Inside(256)).err();
                assert!(fault.is_none_or(|fault| !fault.reason.is_empty()));
            }
        }
    }
}

#[test]
fn an_avif_gives_every_variant() {
    let file =
        by_ffmpeg("a.avif", "-f lavfi -i color=red:size=1600x1200 -frames:v 1 -c:v libaom-av1 -cpu-used 8");
    for (kind, size) in [
        (FitTo::Cover(400, 225), (400, 225)),
        (FitTo::Inside(256), (256, 192)),
        (FitTo::Inside(1440), (1440, 1080)),
    ] {
        let image = thumbnail(&content(&file), kind).unwrap();
        assert_eq!(image.dimensions(), size);
        let [red, green, blue, _] = image.get_pixel(100, 100).0;
        assert!(red > 230 && green < 30 && blue < 30);
    }
}

#[test]
fn turns_add_up() {
    for (first, then, expected) in [
        (Orientation::Rotate90, Orientation::Rotate270, Orientation::NoTransforms),
        (Orientation::Rotate180, Orientation::FlipHorizontal, Orientation::FlipVertical),
        (Orientation::Rotate90, Orientation::FlipHorizontal, Orientation::Rotate90FlipH),
        (Orientation::Rotate270, Orientation::FlipHorizontal, Orientation::Rotate270FlipH),
        (Orientation::FlipHorizontal, Orientation::Rotate90, Orientation::Rotate270FlipH),
    ] {
        assert_eq!(both(first, then), expected, "{first:?} {then:?}");
    }
}

#[test]
fn truncations_and_bit_flips_never_panic() {
    let bytes = grid();
    let attempt = |bytes: &[u8]| {
        let mut source = Source::of_bytes(bytes);
        let _ = facts(&mut source);
        let _ = coded_image(&mut source, |_, _| 1.0, &MediaLimits::default());
    };
    for cut in 0..bytes.len() {
        attempt(&bytes[..cut]);
    }
    for at in 0..bytes.len().min(1200) {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            attempt(&damaged);
        }
    }
}

#[test]
fn an_image_whose_data_are_noise_fails_for_good() {
    let mut bytes = grid();
    let data = bytes.windows(4).position(|window| window == b"mdat").unwrap() + 4;
    bytes[data..].fill(0x55);
    assert!(!thumbnail(&bytes, FitTo::Inside(256)).unwrap_err().retryable);
}
