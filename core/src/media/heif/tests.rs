//! HEIC and AVIF files, whole, damaged and hostile.

use super::*;
use crate::media::facts::{Facts, facts as facts_of};
use crate::media::fixtures::{by_ffmpeg, content, file_of};
use crate::media::sniff::sniff;
use crate::media::thumbnail::{PictureFormat, image_thumbnail};
use crate::model::PictureKind;

fn part(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32 + 8).to_be_bytes()[..], kind, content].concat()
}

fn full_part(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    part(kind, &[&[0; 4], content].concat())
}

/// A picture of one colour as an HEVC frame with lengths before its units, and its configuration.
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

/// A HEIC of two tiles side by side, red and blue, of which 100x64 are shown, turned a quarter against the clock.
fn grid() -> Vec<u8> {
    let tiles = [hevc("red", 64), hevc("blue", 64)];
    let description = [0, 0, 0, 1, 0, 100, 0, 64];
    let entry =
        |id: u8, kind: &[u8; 4]| part(b"infe", &[&[2, 0, 0, 0, 0, id, 0, 0], &kind[..], &[0]].concat());
    let items = [entry(1, b"hvc1"), entry(2, b"hvc1"), entry(3, b"grid")].concat();
    let size =
        |width: u32, height: u32| full_part(b"ispe", &[width.to_be_bytes(), height.to_be_bytes()].concat());
    let properties = [part(b"hvcC", &tiles[0].0), size(64, 64), size(100, 64), part(b"irot", &[1])].concat();
    let associations = [0, 0, 0, 3, 0, 1, 2, 0x81, 2, 0, 2, 2, 0x81, 2, 0, 3, 2, 3, 0x84];
    let iprp = part(b"iprp", &[part(b"ipco", &properties), full_part(b"ipma", &associations)].concat());
    let references = full_part(b"iref", &part(b"dimg", &[0, 3, 0, 2, 0, 1, 0, 2]));
    let meta = |place: u32| {
        let at = |id: u8, method: u8, start: u32, length: usize| {
            [&[0, id, 0, method, 0, 0, 0, 1][..], &start.to_be_bytes(), &(length as u32).to_be_bytes()]
                .concat()
        };
        let first = tiles[0].1.len();
        let places =
            [at(1, 0, place, first), at(2, 0, place + first as u32, tiles[1].1.len()), at(3, 1, 0, 8)]
                .concat();
        let iloc = part(b"iloc", &[&[1, 0, 0, 0, 0x44, 0, 0, 3][..], &places].concat());
        let parts = [
            full_part(b"pitm", &[0, 3]),
            full_part(b"iinf", &[&[0, 3], &items[..]].concat()),
            iloc,
            references.clone(),
            iprp.clone(),
            part(b"idat", &description),
        ];
        full_part(b"meta", &parts.concat())
    };
    let ftyp = part(b"ftyp", b"heic\0\0\0\0mif1heic");
    let place = ftyp.len() + meta(0).len() + 8;
    let mdat = part(b"mdat", &[&tiles[0].1[..], &tiles[1].1].concat());
    [ftyp, meta(place as u32), mdat].concat()
}

fn thumbnail(bytes: &[u8], kind: PictureKind) -> Result<image::RgbaImage, MediaError> {
    let mime = sniff(bytes, "x").mime;
    let made = image_thumbnail(&file_of(bytes), mime, kind, PictureFormat::WebP, &MediaLimits::default())?;
    Ok(image::load_from_memory(&made.bytes).unwrap().to_rgba8())
}

#[test]
fn tiles_are_put_together_and_turned() {
    let bytes = grid();
    let sniffed = sniff(&bytes, "x");
    assert_eq!(sniffed.mime, "image/heic");
    let facts = facts_of(&file_of(&bytes), &sniffed, &MediaLimits::default());
    assert_eq!(facts, Facts { width: Some(64), height: Some(100), ..Facts::default() });
    let picture = thumbnail(&bytes, PictureKind::Small).unwrap();
    assert_eq!(picture.dimensions(), (64, 100));
    let (above, below) = (picture.get_pixel(32, 10).0, picture.get_pixel(32, 90).0);
    assert!(above[2] > 200 && above[0] < 60, "{above:?}");
    assert!(below[0] > 200 && below[2] < 60, "{below:?}");
}

#[test]
fn an_avif_gives_every_variant() {
    let file =
        by_ffmpeg("a.avif", "-f lavfi -i color=red:size=1600x1200 -frames:v 1 -c:v libaom-av1 -cpu-used 8");
    for (kind, size) in [
        (PictureKind::Default, (400, 225)),
        (PictureKind::Small, (256, 192)),
        (PictureKind::Large, (1440, 1080)),
    ] {
        let picture = thumbnail(&content(&file), kind).unwrap();
        assert_eq!(picture.dimensions(), size);
        let [red, green, blue, _] = picture.get_pixel(100, 100).0;
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
        let _ = picture(&mut source, |_, _| 1.0, &MediaLimits::default());
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
fn a_picture_whose_data_are_noise_fails_for_good() {
    let mut bytes = grid();
    let data = bytes.windows(4).position(|window| window == b"mdat").unwrap() + 4;
    bytes[data..].fill(0x55);
    assert!(!thumbnail(&bytes, PictureKind::Small).unwrap_err().retryable);
}
