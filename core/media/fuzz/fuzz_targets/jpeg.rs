//! Our own decoder of JPEG at an eighth and at a quarter.
#![no_main]

use jam_media::{MediaLimits, jpeg_by_low_frequencies};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|content: &[u8]| {
    // The cost of an image of a hundred megapixels is known; here it only takes time.
    let limits = MediaLimits { max_pixels: 1_000_000, ..MediaLimits::default() };
    for is_quarter in [false, true] {
        if let Some((width, height, samples)) = jpeg_by_low_frequencies(content, is_quarter, &limits) {
            let pixels = width as usize * height as usize;
            assert!(samples.len() == pixels || samples.len() == 3 * pixels, "{width}x{height}");
        }
    }
});
