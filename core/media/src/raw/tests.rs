//! Raw images of each kind of container, with a JPEG in them that is a real one.

use image::ImageFormat;

use super::*;
use crate::Class;
use crate::FitTo;
use crate::facts::{Facts, examine};
use crate::fixtures::{blocking_thumbnail, encoded, file_of, tiff};
use crate::limits::MediaLimits;
use crate::thumbnail::ThumbnailFormat;

/// What the file is, its size as shown, and whether its small variant is upright and red at the upper left.
#[track_caller]
fn check(bytes: &[u8], mime: &str, size: (u32, u32), variant: (u32, u32)) {
    let limits = MediaLimits::default();
    let file = file_of(bytes);
    let (sniffed, facts) = examine(&file, &limits).unwrap();
    assert_eq!(sniffed.mime, mime);
    assert_eq!(sniffed.class, Class::Image);
    assert_eq!(facts, Facts { width: Some(size.0), height: Some(size.1), ..Facts::default() }, "{mime}");
    let made = blocking_thumbnail(&file, mime, FitTo::Inside(256), ThumbnailFormat::WebP, &limits).unwrap();
    assert_eq!((made.width, made.height), variant, "{mime}");
    let pixels = image::load_from_memory(&made.bytes).unwrap().to_rgb8();
    assert!(pixels.get_pixel(10, 10).0[0] > 200, "{mime} {:?}", pixels.get_pixel(10, 10));
}

fn jpeg(width: u32, height: u32) -> Vec<u8> {
    encoded(ImageFormat::Jpeg, width, height)
}

/// The bytes of a text as values of an entry; entries hold numbers of four bytes here.
fn text(text: &[u8]) -> Vec<u32> {
    text.iter().map(|byte| u32::from(*byte)).collect()
}

/// The first directory of a raw file by this maker: a small image, the JPEG, and a directory below it.
fn raw_tiff(make: &[u8], extra: &[(u16, Vec<u32>)]) -> Vec<u8> {
    let preview = jpeg(400, 300);
    let below = |at: u32| vec![at];
    let build = |sub: u32, start: u32| {
        let mut entries = vec![
            (0xFE, vec![1]),
            (0x100, vec![160]),
            (0x101, vec![120]),
            (0x10F, text(make)),
            (0x112, vec![1]),
            (0x14A, below(sub)),
            (0x201, vec![start]),
            (0x202, vec![preview.len() as u32]),
        ];
        entries.extend(extra.iter().cloned());
        entries.sort();
        tiff(&entries, &[])
    };
    // The sensor's directory and the JPEG come behind.
    let first = build(0, 0).len() as u32;
    let sensor = [(0xFEu16, 0u32), (0x100, 410), (0x101, 310), (0x106, 32_803)];
    let mut directory = (sensor.len() as u16).to_le_bytes().to_vec();
    for (tag, value) in sensor {
        directory.extend(
            [&tag.to_le_bytes()[..], &4u16.to_le_bytes(), &1u32.to_le_bytes(), &value.to_le_bytes()].concat(),
        );
    }
    directory.extend([0; 4]);
    let start = first + directory.len() as u32;
    [build(first, start), directory, preview].concat()
}

#[test]
fn raw_images_made_like_tiff_show_the_jpeg_in_them_and_have_the_size_of_the_camera() {
    check(&raw_tiff(b"NIKON CORPORATION", &[]), "image/x-nikon-nef", (400, 300), (256, 192));
    check(&raw_tiff(b"SONY", &[]), "image/x-sony-arw", (400, 300), (256, 192));
    check(&raw_tiff(b"SAMSUNG", &[]), "image/x-samsung-srw", (400, 300), (256, 192));
    check(&raw_tiff(b"Somebody", &[]), "image/x-raw", (400, 300), (256, 192));
    let dng = raw_tiff(b"Google", &[(0xC612, vec![1, 4, 0, 0])]);
    check(&dng, "image/x-adobe-dng", (400, 300), (256, 192));
}

const SHORT: u16 = 3;
const LONG: u16 = 4;
const BYTES: u16 = 7;

/// A directory of entries of a tag, a type, how many values, and the value or where they are; and the next one.
fn directory(entries: &[(u16, u16, u32, u32)], next: u32) -> Vec<u8> {
    let entry = |(tag, kind, count, value): &(u16, u16, u32, u32)| {
        [&tag.to_le_bytes()[..], &kind.to_le_bytes(), &count.to_le_bytes(), &value.to_le_bytes()].concat()
    };
    let entries_bytes: Vec<u8> = entries.iter().flat_map(entry).collect();
    [&(entries.len() as u16).to_le_bytes()[..], &entries_bytes, &next.to_le_bytes()].concat()
}

/// The parts one after another, each of which is made knowing where all begin.
fn laid_out<const PARTS: usize>(make: impl Fn([u32; PARTS]) -> [Vec<u8>; PARTS]) -> Vec<u8> {
    let mut at = 0;
    let starts = make([0; PARTS]).map(|part| {
        at += part.len() as u32;
        at - part.len() as u32
    });
    make(starts).concat()
}

#[test]
fn an_old_raw_image_of_canon_has_the_size_of_exif_and_not_of_the_smaller_jpeg_in_it() {
    let preview = jpeg(400, 300);
    let bytes = laid_out(|[_, first, exif, sensor, at]| {
        let head = [b"II*\0", &first.to_le_bytes()[..], b"CR\x02\0", &sensor.to_le_bytes()].concat();
        let entries = [
            (0x100, SHORT, 1, 400),
            (0x101, SHORT, 1, 300),
            (0x103, SHORT, 1, 6),
            (0x111, LONG, 1, at),
            (0x112, SHORT, 1, 1),
            (0x117, LONG, 1, preview.len() as u32),
            (0x8769, LONG, 1, exif),
        ];
        let stated = [(0xA002, SHORT, 1, 3456), (0xA003, SHORT, 1, 2304)];
        let stored = [(0x103, SHORT, 1, 6), (0x111, LONG, 1, at + 9), (0x117, LONG, 1, 900)];
        [head, directory(&entries, sensor), directory(&stated, 0), directory(&stored, 0), preview.clone()]
    });
    check(&bytes, "image/x-canon-cr2", (3456, 2304), (256, 192));
}

#[test]
fn a_raw_image_of_olympus_shows_the_jpeg_that_the_notes_of_the_maker_name() {
    let preview = jpeg(400, 300);
    for (mark, head) in [(&b"OLYMPUS\0II\x03\0"[..], b"IIRO"), (b"OM SYSTEM\0\0\0II\x04\0", b"IIRS")] {
        let bytes = laid_out(|[_, first, exif, notes, settings, at]| {
            let sensor =
                [(0x100, LONG, 1, 410), (0x101, LONG, 1, 310), (0x112, SHORT, 1, 1), (0x8769, LONG, 1, exif)];
            let stated = [(0x927C, BYTES, 500, notes), (0xA002, LONG, 1, 400), (0xA003, LONG, 1, 300)];
            // Offsets count from where the notes begin.
            let from_notes = |place: u32| place.wrapping_sub(notes);
            let maker = directory(&[(0x2020, 13, 1, from_notes(settings))], 0);
            let shown = [(0x101, LONG, 1, from_notes(at)), (0x102, LONG, 1, preview.len() as u32)];
            [
                [&head[..], &first.to_le_bytes()].concat(),
                directory(&sensor, 0),
                directory(&stated, 0),
                [mark, &maker].concat(),
                directory(&shown, 0),
                preview.clone(),
            ]
        });
        check(&bytes, "image/x-olympus-orf", (400, 300), (256, 192));
    }
}

#[test]
fn a_raw_image_of_pentax_shows_the_largest_jpeg_behind_the_sensor() {
    let (small, large) = (jpeg(160, 120), jpeg(400, 300));
    let bytes = laid_out(|[_, first, second, third, make, small_at, large_at]| {
        let sensor = [
            (0x100, LONG, 1, 410),
            (0x101, LONG, 1, 310),
            (0x103, SHORT, 1, 65_535),
            (0x106, SHORT, 1, 32_803),
            (0x10F, 2, 20, make),
            (0x111, LONG, 1, large_at),
            (0x112, SHORT, 1, 1),
            (0x117, LONG, 1, large.len() as u32),
        ];
        let shown = |at: u32, bytes: &[u8]| [(0x201, LONG, 1, at), (0x202, LONG, 1, bytes.len() as u32)];
        [
            [b"II*\0", &first.to_le_bytes()[..]].concat(),
            directory(&sensor, second),
            directory(&shown(small_at, &small), third),
            directory(&shown(large_at, &large), 0),
            b"PENTAX Corporation \0".to_vec(),
            small.clone(),
            large.clone(),
        ]
    });
    check(&bytes, "image/x-pentax-pef", (400, 300), (256, 192));
}

#[test]
fn an_ordinary_tiff_of_a_camera_is_no_raw_image() {
    let scan = tiff(&[(0x100, vec![2]), (0x101, vec![1]), (0x10F, text(b"NIKON"))], &[]);
    assert_eq!(crate::sniff(&scan, "").mime, "image/tiff");
}

#[test]
fn a_raw_image_of_panasonic_has_its_size_by_the_borders_of_the_sensor() {
    let preview = jpeg(400, 300);
    let entries = [(4, vec![4]), (5, vec![8]), (6, vec![304]), (7, vec![408]), (0x10F, text(b"Panasonic"))];
    let mut bytes = tiff(&[&entries[..4], &[(0x2E, vec![0; 8])], &entries[4..]].concat(), &[]);
    // The entry of the JPEG is made to say bytes, how many, and where.
    let at = bytes.windows(2).position(|window| window == [0x2E, 0]).unwrap();
    let start = bytes.len() as u32;
    bytes[at + 2..at + 12].copy_from_slice(
        &[&7u16.to_le_bytes()[..], &(preview.len() as u32).to_le_bytes(), &start.to_le_bytes()].concat(),
    );
    bytes[..4].copy_from_slice(b"IIU\0");
    check(&[bytes, preview].concat(), "image/x-panasonic-rw2", (400, 300), (256, 192));
}

#[test]
fn a_raw_image_of_fuji_has_its_size_by_its_list() {
    let preview = jpeg(400, 300);
    let list = [&1u32.to_be_bytes()[..], &[1, 0x11, 0, 4, 1, 0x2C, 1, 0x90]].concat();
    let mut bytes = vec![0; 120];
    bytes[..16].copy_from_slice(b"FUJIFILMCCD-RAW ");
    let numbers = [120 + list.len() as u32, preview.len() as u32, 120, list.len() as u32];
    bytes[84..100].copy_from_slice(&numbers.map(u32::to_be_bytes).concat());
    check(&[bytes, list, preview].concat(), "image/x-fuji-raf", (400, 300), (256, 192));
}

#[test]
fn a_raw_image_of_canon_in_boxes_shows_the_jpeg_of_its_track_turned() {
    let part = |kind: &[u8; 4], content: &[u8]| {
        [&(content.len() as u32 + 8).to_be_bytes()[..], kind, content].concat()
    };
    let uuid =
        [0x85, 0xC0, 0xB6, 0x87, 0x82, 0x0F, 0x11, 0xE0, 0x81, 0x11, 0xF4, 0xCE, 0x46, 0x2B, 0x6A, 0x48];
    let cmt1 = tiff(&[(0x100, vec![300]), (0x101, vec![400]), (0x112, vec![3])], &[]);
    // Upside down, so that its lower right is what stands at the upper left.
    let upside_down = {
        let image = image::imageops::rotate180(
            &image::DynamicImage::from(crate::fixtures::halves(300, 400)).to_rgb8(),
        );
        let mut bytes = std::io::Cursor::new(Vec::new());
        image.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
        bytes.into_inner()
    };
    let build = |start: u64| {
        let stsz = part(
            b"stsz",
            &[&[0; 4], &(upside_down.len() as u32).to_be_bytes()[..], &1u32.to_be_bytes()].concat(),
        );
        let co64 = part(b"co64", &[&[0, 0, 0, 0, 0, 0, 0, 1][..], &start.to_be_bytes()].concat());
        let stbl = part(b"stbl", &[stsz, co64].concat());
        let trak = part(b"trak", &part(b"mdia", &part(b"minf", &stbl)));
        let meta = part(b"uuid", &[&uuid[..], &part(b"CMT1", &cmt1)].concat());
        let moov = part(b"moov", &[meta, trak].concat());
        [part(b"ftyp", b"crx \0\0\0\x01crx isom"), moov].concat()
    };
    let start = build(0).len() as u64 + 8;
    let bytes = [build(start), part(b"mdat", &upside_down)].concat();
    check(&bytes, "image/x-canon-cr3", (300, 400), (192, 256));
}

#[test]
fn truncations_and_bit_flips_of_raw_headers_never_panic() {
    let bytes = raw_tiff(b"NIKON", &[]);
    let attempt = |bytes: &[u8]| {
        for mime in MIMES {
            let _ = Raw::read(&mut Source::of_bytes(bytes), mime);
        }
    };
    for cut in 0..bytes.len().min(400) {
        attempt(&bytes[..cut]);
    }
    for at in 0..bytes.len().min(400) {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            attempt(&damaged);
        }
    }
}
