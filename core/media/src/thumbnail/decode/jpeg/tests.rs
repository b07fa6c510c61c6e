//! The decoder at an eighth beside the full one, and on damaged files.

use turbojpeg::{Compressor, Subsamp};

use super::*;

/// Light in waves of every length down to `shortest` pixels at the far corner, and colours that change slowly, as in
/// photographs.
fn waves(width: usize, height: usize, shortest: f64) -> Vec<u8> {
    let reach = (width * width + height * height) as f64;
    let pixel = |index: usize| {
        let (x, y) = ((index % width) as f64, (index / width) as f64);
        let turns = (x * x + y * y) / (2.0 * shortest * reach.sqrt());
        let light = 128.0 + 60.0 * (turns * std::f64::consts::TAU).sin();
        [47.0, 61.0, 83.0].map(|length| (light + 60.0 * ((x + 2.0 * y) / length).sin()) as u8)
    };
    (0..width * height).flat_map(pixel).collect()
}

fn compressed(
    pixels: &[u8],
    (width, height): (usize, usize),
    quality: i32,
    subsampling: Subsamp,
    is_progressive: bool,
) -> Vec<u8> {
    let mut compressor = Compressor::new().unwrap();
    compressor.set_quality(quality).unwrap();
    compressor.set_subsamp(subsampling).unwrap();
    compressor.set_progressive(is_progressive).unwrap();
    compressor
        .compress_to_vec(Image { pixels, width, pitch: 3 * width, height, format: PixelFormat::RGB })
        .unwrap()
}

fn jpeg(width: usize, height: usize, subsampling: Subsamp, is_progressive: bool) -> Vec<u8> {
    compressed(&waves(width, height, 3.5), (width, height), 90, subsampling, is_progressive)
}

/// Without waves that a quarter of the size could not show.
fn smooth_jpeg(width: usize, height: usize, subsampling: Subsamp, is_progressive: bool) -> Vec<u8> {
    compressed(&waves(width, height, 20.0), (width, height), 90, subsampling, is_progressive)
}

fn coarse_jpeg(quality: i32) -> Vec<u8> {
    compressed(&waves(800, 600, 3.5), (800, 600), quality, Subsamp::None, true)
}

fn own(bytes: &[u8], scale: Scale) -> Option<Pixels> {
    low_frequencies::decode(&mut bytes.to_vec(), scale)
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
                let ours = own(&bytes, Scale::Eighth).unwrap();
                let difference = mean_difference(&ours, &by_library(&bytes, ScalingFactor::ONE_EIGHTH));
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
    for (subsampling, tolerance) in [
        (Subsamp::None, 1.5),
        (Subsamp::Gray, 1.5),
        // The library takes colours that are subsampled as they are, we take half of that; so will WebP.
        (Subsamp::Sub2x2, 3.0),
        (Subsamp::Sub2x1, 3.0),
        (Subsamp::Sub1x2, 3.0),
    ] {
        for (width, height) in SIZES {
            for is_progressive in [false, true] {
                let bytes = smooth_jpeg(width, height, subsampling, is_progressive);
                let ours = own(&bytes, Scale::Quarter).unwrap();
                let difference = mean_difference(&ours, &by_library(&bytes, ScalingFactor::ONE_QUARTER));
                assert!(
                    difference <= tolerance,
                    "{subsampling:?} {width}x{height} {is_progressive}: {difference}"
                );
            }
        }
    }
}

#[test]
fn frequencies_that_are_not_fine_enough_are_left_to_the_library() {
    let coarse = coarse_jpeg(30);
    assert!(own(&coarse, Scale::Eighth).is_some());
    assert!(own(&coarse, Scale::Quarter).is_none());
}

#[test]
fn the_last_bits_are_left_out_where_they_do_not_show() {
    let bytes = smooth_jpeg(800, 600, Subsamp::Sub2x2, true);
    let end = last_bits::end_before(&bytes).unwrap();
    assert!(end < bytes.len() * 9 / 10, "{end} of {}", bytes.len());
    for factor in [ScalingFactor::ONE_HALF, ScalingFactor::ONE_QUARTER] {
        let mut decompressor = Decompressor::new().unwrap();
        let header = decompressor.read_header(&bytes).unwrap();
        let whole = reduced(&mut decompressor, &bytes, &header, factor).unwrap();
        let difference = mean_difference(&by_library(&bytes, factor), &whole);
        assert!(difference > 0.0 && difference < 1.5, "{factor:?}: {difference}");
    }
}

#[test]
fn the_last_bits_are_kept_where_they_would_be_missed() {
    assert!(last_bits::end_before(&jpeg(800, 600, Subsamp::Sub2x2, false)).is_none(), "there are none");
    let coarse = coarse_jpeg(20);
    assert!(last_bits::end_before(&coarse).is_none(), "each is a shade that shows");
    let bytes = jpeg(800, 600, Subsamp::Sub2x2, true);
    assert!(last_bits::end_before(&bytes[..bytes.len() - 2]).is_none(), "the file is cut off");
}

#[test]
fn what_is_rare_is_left_to_the_library() {
    let pixels = waves(64, 64, 3.5);
    let mut compressor = Compressor::new().unwrap();
    compressor.set_arithmetic(true).unwrap();
    let image = Image { pixels: &pixels[..], width: 64, pitch: 192, height: 64, format: PixelFormat::RGB };
    assert!(own(&compressor.compress_to_vec(image).unwrap(), Scale::Eighth).is_none());
    let mut compressor = Compressor::new().unwrap();
    compressor.set_colorspace(Colorspace::RGB).unwrap();
    compressor.set_subsamp(Subsamp::None).unwrap();
    assert!(own(&compressor.compress_to_vec(image).unwrap(), Scale::Eighth).is_none());
    assert!(own(&jpeg(400, 400, Subsamp::Sub4x1, false), Scale::Eighth).is_none());
}

#[test]
fn a_truncated_scan_is_left_to_the_library() {
    let bytes = jpeg(800, 600, Subsamp::Sub2x2, false);
    assert!(own(&bytes[..bytes.len() / 2], Scale::Quarter).is_none());
}

#[test]
fn truncations_and_bit_flips_never_panic() {
    for (is_progressive, scale) in
        [(false, Scale::Eighth), (true, Scale::Eighth), (false, Scale::Quarter), (true, Scale::Quarter)]
    {
        let bytes = jpeg(64, 48, Subsamp::Sub2x2, is_progressive);
        for cut in (0..bytes.len()).step_by(11) {
            let _ = own(&bytes[..cut], scale);
        }
        for at in (0..bytes.len()).step_by(3) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            let _ = own(&damaged, scale);
            damaged[at] = 0xFF;
            let _ = own(&damaged, scale);
        }
    }
}

#[test]
fn restarts_cut_a_scan_into_pieces() {
    let mut file = [1, 2, 0xFF, 0, 3, 0xFF, 0xD0, 4, 0xFF, 0xFF, 0xD1, 5, 0xFF, 0xD9, 6];
    assert_eq!(scan::Scan::end(&file, 0), 12);
    let scan = scan::Scan::unstuffed(&mut file, 0);
    assert_eq!(scan.pieces().collect::<Vec<_>>(), [&[1, 2, 0xFF, 3][..], &[4], &[5]]);
    assert_eq!(scan.end, 12);
}

#[test]
fn what_is_left_to_the_library_is_what_the_file_was() {
    let size = (1600, 1200);
    let bytes = compressed(&waves(size.0, size.1, 3.5), size, 30, Subsamp::None, true);
    assert!(own(&bytes, Scale::Quarter).is_none(), "too coarse, which shows after some scans only");
    let file = crate::fixtures::file_of(&bytes);
    let limits = MediaLimits::default();
    let source = Source::new(&file, limits.max_image_bytes).unwrap();
    let decoded = decode(source, None, FitTo::Inside(256), &limits).unwrap();
    assert!(mean_difference(&decoded.pixels, &by_library(&bytes, ScalingFactor::ONE_QUARTER)) == 0.0);
}
