//! TIFF in the codings of fax machines and of old and rare programs, each of the same pixels.

use turbojpeg::{Compressor, Image, PixelFormat, Subsamp};

use super::*;

/// A black disk and a slanted bar, 48 by 24.
fn drawing() -> RgbaImage {
    RgbaImage::from_fn(48, 24, |x, y| {
        let (across, down) = (x as i32 - 14, y as i32 - 12);
        let is_bar = (30..36).contains(&(x as i32 - y as i32 / 4));
        if across * across + down * down < 81 || is_bar {
            image::Rgba([0, 0, 0, 255])
        } else {
            image::Rgba([255; 4])
        }
    })
}

/// `drawing` as `tiffcp` codes it, in T.4 of one dimension, in two, in two with filled bytes, and in T.6.
const ONE_DIMENSION: &str = "00135068e0e0026a0d1c1c004d41a3838009a834707001350940fc14004d44405e0a0026a28613828009a8f5138\
    28009a9562704001352ac4e080026a5589c10004d4ab13820009a9561384001352ac27080026a5584e10004d4ab09c20009a9561785001351\
    ea1f850013514304e14004d44403f0a0026a1280bf0c004d434f860026a1a7c3001350d3e180";
const TWO_DIMENSIONS: &str = "0019a8347070017800cd41a383800bc0066a1281f82800a9f0019a8a184e0a002a7c0066a5589c10005f800cd4a\
    b1382000bf0019a95613840017e003352ac2708002fc0066a5585e140056b800cd450c13850015ae0033509405f860028f0019a869f0c005e";
const FILLED: &str = "00019a83470700017800019a83470700017800019a84a07e0a000153e0019a8a184e0a000153e0019a95627040017e00019a\
    95627040017e00019a95613840017e00019a95613840017e00019a95617850015ae0019a8a18270a00015ae0019a84a02fc300014780019a86\
    9f0c000178";
const T6: &str = "26a0d0783fffc84a37a7e9fa7e9b7fffffb7fffffb7b5ed7b5ed378fff001001";

fn bytes_of(digits: &str) -> Vec<u8> {
    let value = |digit: u8| (digit as char).to_digit(16).unwrap() as u8;
    digits.as_bytes().as_chunks::<2>().0.iter().map(|[high, low]| value(*high) << 4 | value(*low)).collect()
}

#[test]
fn every_code_of_fax_machines_is_read() {
    let of_fax = |coding: u32, options: u32| {
        vec![(258, vec![1]), (259, vec![coding]), (262, vec![1]), (277, vec![1]), (292, vec![options])]
    };
    let of_white_zeros = |coding, options| {
        let mut entries = of_fax(coding, options);
        entries[2].1 = vec![0];
        entries
    };
    let inverted = RgbaImage::from_fn(48, 24, |x, y| {
        let light = 255 - drawing().get_pixel(x, y).0[0];
        image::Rgba([light, light, light, 255])
    });
    assert_none_wrong([
        same("one dimension", &of_fax(3, 0), &bytes_of(ONE_DIMENSION), &drawing()),
        same("two dimensions", &of_fax(3, 1), &bytes_of(TWO_DIMENSIONS), &drawing()),
        same("two dimensions in whole bytes", &of_fax(3, 5), &bytes_of(FILLED), &drawing()),
        same("T.6", &of_fax(4, 0), &bytes_of(T6), &drawing()),
        same("T.6 of which 0 is white", &of_white_zeros(4, 0), &bytes_of(T6), &inverted),
    ]);
}

/// The segments of a JPEG up to its scan, and where the scan's codes begin and end.
fn segments(jpeg: &[u8]) -> (Vec<(u8, Vec<u8>)>, std::ops::Range<usize>) {
    let (mut found, mut at) = (Vec::new(), 2);
    loop {
        let length = usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
        found.push((jpeg[at + 1], jpeg[at + 4..at + 2 + length].to_vec()));
        at += 2 + length;
        if found.last().unwrap().0 == 0xDA {
            return (found, at..jpeg.len() - 2);
        }
    }
}

#[test]
fn a_jpeg_in_a_tiff_is_read_as_it_was_before_1995() {
    let rgb = colourful();
    let pixels = colours_of(&rgb);
    for (subsampling, factors) in [(Subsamp::None, vec![1, 1]), (Subsamp::Sub2x2, vec![2, 2])] {
        let mut compressor = Compressor::new().unwrap();
        compressor.set_subsamp(subsampling).unwrap();
        compressor.set_quality(95).unwrap();
        let image =
            Image { pixels: &pixels[..], width: 96, pitch: 288, height: 64, format: PixelFormat::RGB };
        let jpeg = compressor.compress_to_vec(image).unwrap();
        let (segments, codes) = segments(&jpeg);
        let of_colours = [(258, vec![8; 3]), (259, vec![6]), (262, vec![6]), (277, vec![3]), (530, factors)];
        let length = jpeg.len() as u32;
        let file =
            [&of_colours[..], &[(513, vec![8]), (514, vec![length]), (273, vec![8]), (279, vec![length])]];
        let scan = (8 + codes.start as u32, codes.len() as u32);
        let scan_of_file = [
            &of_colours[..],
            &[(513, vec![8]), (514, vec![codes.start as u32]), (273, vec![scan.0]), (279, vec![scan.1])],
        ];
        // The codes alone, with the tables before them: of brightness, of colours, and of colours again.
        let mut data = jpeg[codes].to_vec();
        let mut tables = |marker: u8, class: u8| {
            let mut starts = Vec::new();
            for (_, table) in
                segments.iter().filter(|(kind, table)| *kind == marker && table[0] >> 4 == class)
            {
                starts.push(8 + data.len() as u32);
                data.extend_from_slice(&table[1..]);
            }
            starts.push(starts[1]);
            starts
        };
        let (steps, dc, ac) = (tables(0xDB, 0), tables(0xC4, 0), tables(0xC4, 1));
        let of_tables = [
            &of_colours[..],
            &[(273, vec![8]), (279, vec![scan.1]), (512, vec![1]), (519, steps), (520, dc), (521, ac)],
        ];
        assert_none_wrong([
            same("a whole file", &file.concat(), &jpeg, &rgb),
            same("a file without its codes", &scan_of_file.concat(), &jpeg, &rgb),
            same("tables in the directory", &of_tables.concat(), &data, &rgb),
        ]);
    }
}

#[test]
fn a_webp_in_a_tiff_is_shown_and_codings_without_a_decoder_here_are_refused() {
    let rgb = colourful();
    let half = |top: u32| {
        let half = image::imageops::crop_imm(&rgb, 0, top, 96, 32).to_image();
        let mut bytes = std::io::Cursor::new(Vec::new());
        image::DynamicImage::from(half).into_rgb8().write_to(&mut bytes, image::ImageFormat::WebP).unwrap();
        bytes.into_inner()
    };
    let (above, below) = (half(0), half(32));
    let lengths = [above.len() as u32, below.len() as u32];
    let strips =
        [(259, vec![50_001]), (273, vec![8, 8 + lengths[0]]), (278, vec![32]), (279, lengths.to_vec())];
    assert_none_wrong([same("WebP", &[&of_rgb(8, 1)[..], &strips].concat(), &[above, below].concat(), &rgb)]);
    // LZMA, Zstandard and LERC: what only maps and microscopes use.
    for coding in [34_925, 50_000, 34_887] {
        let entries = [
            &of_rgb(8, 1)[..],
            &[(256, vec![9]), (257, vec![9]), (259, vec![coding]), (273, vec![8]), (279, vec![9])],
        ];
        let mut entries = entries.concat();
        entries.sort();
        let refused = ours(&file_of(&tiff(&entries, &[0; 9]))).unwrap_err();
        assert!(refused.contains("unsupported variant"), "{refused}");
    }
}
