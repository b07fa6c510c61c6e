//! Pictures of AV1: our reading of the file, and the library's of the frames, which is assembly in part.
#![no_main]

use std::fs::File;
use std::io::Write;
use std::sync::Once;

use jam_core::media::{MediaLimits, ThumbnailFormat, image_thumbnail};
use jam_core::model::ThumbnailSize;
use libfuzzer_sys::fuzz_target;
use nix::sys::memfd::{MFdFlags, memfd_create};

/// A library's panic is caught by what is fuzzed, and gives no picture: only one that comes out of it is a fault.
static LET_PANICS_BE_CAUGHT: Once = Once::new();

fuzz_target!(|content: &[u8]| {
    LET_PANICS_BE_CAUGHT.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    let mut file = File::from(memfd_create("input", MFdFlags::empty()).expect("memory for a file"));
    file.write_all(content).expect("a file in memory takes everything");
    // What large pictures take is known; here they only cost time.
    let limits = MediaLimits { max_pixels: 65_536, max_decoder_bytes: 6 * 65_536, ..MediaLimits::default() };
    for kind in [ThumbnailSize::Small, ThumbnailSize::Large] {
        if let Ok(picture) = image_thumbnail(&file, "image/avif", kind, ThumbnailFormat::WebP, &limits) {
            assert!(picture.width > 0 && picture.height > 0 && !picture.bytes.is_empty());
        }
    }
});
