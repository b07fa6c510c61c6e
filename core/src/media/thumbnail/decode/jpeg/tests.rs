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
    jpeg_of_quality(90, width, height, subsampling, is_progressive)
}

fn jpeg_of_quality(
    quality: i32,
    width: usize,
    height: usize,
    subsampling: Subsamp,
    is_progressive: bool,
) -> Vec<u8> {
    let pixels = waves(width, height);
    let mut compressor = Compressor::new().unwrap();
    compressor.set_quality(quality).unwrap();
    compressor.set_subsamp(subsampling).unwrap();
    compressor.set_progressive(is_progressive).unwrap();
    let image = Image { pixels: &pixels[..], width, pitch: 3 * width, height, format: PixelFormat::RGB };
    compressor.compress_to_vec(image).unwrap()
}

fn by_library(bytes: &[u8], factor: ScalingFactor) -> Pixels {
    decompress(bytes, factor).unwrap().0
}

fn mean_difference(one: &Pixels, other: &Pixels) -> f64 {
    assert_eq!((one.width, one.height, one.layout), (other.width, other.height, other.layout));
    let differences = one.data.iter().zip(&other.data).map(|(a, b)| u64::from(a.abs_diff(*b)));
    differences.sum::<u64>() as f64 / one.data.len() as f64
}

const SIZES: [(usize, usize); 5] = [(800, 600), (801, 607), (7, 5), (16, 17), (333, 9)];

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
        for (width, height) in SIZES {
            for is_progressive in [false, true] {
                let bytes = jpeg(width, height, subsampling, is_progressive);
                let own = low_frequencies::decode(&bytes, Scale::Eighth).unwrap();
                let difference = mean_difference(&own, &by_library(&bytes, ScalingFactor::ONE_EIGHTH));
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
fn a_quarter_is_close_to_what_the_library_makes_of_it() {
    for subsampling in [Subsamp::None, Subsamp::Gray, Subsamp::Sub2x2, Subsamp::Sub2x1, Subsamp::Sub1x2] {
        for (width, height) in SIZES {
            for is_progressive in [false, true] {
                let bytes = jpeg(width, height, subsampling, is_progressive);
                let own = low_frequencies::decode(&bytes, Scale::Quarter).unwrap();
                let difference = mean_difference(&own, &by_library(&bytes, ScalingFactor::ONE_QUARTER));
                assert!(difference <= 4.0, "{subsampling:?} {width}x{height} {is_progressive}: {difference}");
            }
        }
    }
}

#[test]
fn frequencies_that_are_not_fine_enough_are_left_to_the_library() {
    let coarse = jpeg_of_quality(30, 800, 600, Subsamp::None, true);
    assert!(low_frequencies::decode(&coarse, Scale::Eighth).is_some());
    assert!(low_frequencies::decode(&coarse, Scale::Quarter).is_none());
}

#[test]
fn the_last_bits_are_left_out_where_they_do_not_show() {
    let bytes = jpeg(800, 600, Subsamp::Sub2x2, true);
    let end = last_bits::end_before(&bytes).unwrap();
    assert!(end < bytes.len() * 9 / 10, "{end} of {}", bytes.len());
    for factor in [ScalingFactor::ONE_HALF, ScalingFactor::ONE_QUARTER] {
        let mut decompressor = Decompressor::new().unwrap();
        let header = decompressor.read_header(&bytes).unwrap();
        let whole = reduced(&mut decompressor, &bytes, &header, factor).unwrap();
        let difference = mean_difference(&by_library(&bytes, factor), &whole);
        assert!(difference > 0.0 && difference < 0.5, "{factor:?}: {difference}");
    }
}

#[test]
fn the_last_bits_are_kept_where_they_would_be_missed() {
    assert!(last_bits::end_before(&jpeg(800, 600, Subsamp::Sub2x2, false)).is_none(), "there are none");
    let coarse = jpeg_of_quality(20, 800, 600, Subsamp::Sub2x2, true);
    assert!(last_bits::end_before(&coarse).is_none(), "each is a shade that shows");
    let bytes = jpeg(800, 600, Subsamp::Sub2x2, true);
    assert!(last_bits::end_before(&bytes[..bytes.len() - 2]).is_none(), "the file is cut off");
}

#[test]
fn what_is_rare_is_left_to_the_library() {
    let pixels = waves(64, 64);
    let mut compressor = Compressor::new().unwrap();
    compressor.set_arithmetic(true).unwrap();
    let image = Image { pixels: &pixels[..], width: 64, pitch: 192, height: 64, format: PixelFormat::RGB };
    assert!(low_frequencies::decode(&compressor.compress_to_vec(image).unwrap(), Scale::Eighth).is_none());
    let mut compressor = Compressor::new().unwrap();
    compressor.set_colorspace(Colorspace::RGB).unwrap();
    compressor.set_subsamp(Subsamp::None).unwrap();
    assert!(low_frequencies::decode(&compressor.compress_to_vec(image).unwrap(), Scale::Eighth).is_none());
    assert!(low_frequencies::decode(&jpeg(400, 400, Subsamp::Sub4x1, false), Scale::Eighth).is_none());
}

#[test]
fn a_truncated_scan_is_left_to_the_library() {
    let bytes = jpeg(800, 600, Subsamp::Sub2x2, false);
    assert!(low_frequencies::decode(&bytes[..bytes.len() / 2], Scale::Quarter).is_none());
}

#[test]
fn truncations_and_bit_flips_never_panic() {
    for (is_progressive, scale) in
        [(false, Scale::Eighth), (true, Scale::Eighth), (false, Scale::Quarter), (true, Scale::Quarter)]
    {
        let bytes = jpeg(64, 48, Subsamp::Sub2x2, is_progressive);
        for cut in (0..bytes.len()).step_by(11) {
            let _ = low_frequencies::decode(&bytes[..cut], scale);
        }
        for at in (0..bytes.len()).step_by(3) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            let _ = low_frequencies::decode(&damaged, scale);
            damaged[at] = 0xFF;
            let _ = low_frequencies::decode(&damaged, scale);
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
