//! The decoder at an eighth beside the full one, and on damaged files.

use turbojpeg::{Compressor, Subsamp};

use super::*;

/// Light in waves of every length, and colours that change slowly, as in photographs.
fn waves(width: usize, height: usize) -> Vec<u8> {
    let pixel = |index: usize| {
        let (x, y) = ((index % width) as f64, (index / width) as f64);
        let light = 128.0 + 60.0 * ((x * x + y * y) / 900.0).sin();
        [47.0, 61.0, 83.0].map(|length| (light + 60.0 * ((x + 2.0 * y) / length).sin()) as u8)
    };
    (0..width * height).flat_map(pixel).collect()
}

fn jpeg(width: usize, height: usize, subsampling: Subsamp, is_progressive: bool) -> Vec<u8> {
    let pixels = waves(width, height);
    let mut compressor = Compressor::new().unwrap();
    compressor.set_quality(90).unwrap();
    compressor.set_subsamp(subsampling).unwrap();
    compressor.set_progressive(is_progressive).unwrap();
    let image = Image { pixels: &pixels[..], width, pitch: 3 * width, height, format: PixelFormat::RGB };
    compressor.compress_to_vec(image).unwrap()
}

fn by_library(bytes: &[u8]) -> Pixels {
    let header = JpegHeader::read(Cursor::new(bytes)).unwrap();
    let fit = Fit { full: header.size, shown: (900.0, 900.0), output: (100, 100) };
    decompress(bytes, &fit).unwrap().0
}

fn mean_difference(one: &Pixels, other: &Pixels) -> f64 {
    assert_eq!((one.width, one.height, one.layout), (other.width, other.height, other.layout));
    let differences = one.data.iter().zip(&other.data).map(|(a, b)| u64::from(a.abs_diff(*b)));
    differences.sum::<u64>() as f64 / one.data.len() as f64
}

#[test]
fn an_eighth_is_what_the_library_makes_of_it() {
    for (subsampling, tolerance) in [
        (Subsamp::None, 0.01),
        (Subsamp::Gray, 0.01),
        (Subsamp::Sub2x2, 1.0),
        // The library takes only the mean of colours that are subsampled in one direction.
        (Subsamp::Sub2x1, 6.0),
        (Subsamp::Sub1x2, 6.0),
    ] {
        for (width, height) in [(800, 600), (801, 607), (7, 5), (16, 17), (333, 9)] {
            for is_progressive in [false, true] {
                let bytes = jpeg(width, height, subsampling, is_progressive);
                let own = eighth::decode(&bytes).unwrap();
                let difference = mean_difference(&own, &by_library(&bytes));
                let tolerance = tolerance + if is_progressive { 1.5 } else { 0.0 };
                assert!(
                    difference <= tolerance,
                    "{subsampling:?} {width}x{height} {is_progressive}: {difference}"
                );
            }
        }
    }
}

#[test]
fn what_is_rare_is_left_to_the_library() {
    let pixels = waves(64, 64);
    let mut compressor = Compressor::new().unwrap();
    compressor.set_arithmetic(true).unwrap();
    let image = Image { pixels: &pixels[..], width: 64, pitch: 192, height: 64, format: PixelFormat::RGB };
    assert!(eighth::decode(&compressor.compress_to_vec(image).unwrap()).is_none());
    let mut compressor = Compressor::new().unwrap();
    compressor.set_colorspace(Colorspace::RGB).unwrap();
    compressor.set_subsamp(Subsamp::None).unwrap();
    assert!(eighth::decode(&compressor.compress_to_vec(image).unwrap()).is_none());
    assert!(eighth::decode(&jpeg(400, 400, Subsamp::Sub4x1, false)).is_none());
}

#[test]
fn a_truncated_scan_is_left_to_the_library() {
    let bytes = jpeg(800, 600, Subsamp::Sub2x2, false);
    assert!(eighth::decode(&bytes[..bytes.len() / 2]).is_none());
}

#[test]
fn truncations_and_bit_flips_never_panic() {
    for is_progressive in [false, true] {
        let bytes = jpeg(64, 48, Subsamp::Sub2x2, is_progressive);
        for cut in (0..bytes.len()).step_by(11) {
            let _ = eighth::decode(&bytes[..cut]);
        }
        for at in (0..bytes.len()).step_by(3) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            let _ = eighth::decode(&damaged);
            damaged[at] = 0xFF;
            let _ = eighth::decode(&damaged);
        }
    }
}

#[test]
fn restarts_cut_a_scan_into_pieces() {
    let file = [1, 2, 0xFF, 0, 3, 0xFF, 0xD0, 4, 0xFF, 0xFF, 0xD1, 5, 0xFF, 0xD9, 6];
    let scan = scan::Scan::unstuffed(&file, 0);
    assert_eq!(scan.pieces().collect::<Vec<_>>(), [&[1, 2, 0xFF, 3][..], &[4], &[5]]);
    assert_eq!(scan.end, 12);
    assert_eq!(scan::Scan::end(&file, 0), 12);
}
