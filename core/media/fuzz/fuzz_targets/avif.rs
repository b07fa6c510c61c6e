//! AVIF images: our parser of the file and the library's decoder of the frames, which is partly assembly.
#![no_main]

use std::fs::File;
use std::io::Write;
use std::sync::{LazyLock, Once};

use jam_media::{MediaLimits, ThumbnailFormat, image_thumbnail};
use jam_media::FitTo;
use libfuzzer_sys::fuzz_target;
use nix::sys::memfd::{MFdFlags, memfd_create};
use tokio::runtime::{Builder, Runtime};

/// The fuzzed function catches a panic of a library and returns an error: only a panic that escapes it is a bug.
static LET_PANICS_BE_CAUGHT: Once = Once::new();

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime needs nothing"));

fuzz_target!(|content: &[u8]| {
    LET_PANICS_BE_CAUGHT.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    let mut file = File::from(memfd_create("input", MFdFlags::empty()).expect("memory for a file"));
    file.write_all(content).expect("a file in memory takes everything");
    // The cost of large images is known; here they only take time.
    let limits = MediaLimits { max_pixels: 65_536, max_decoder_bytes: 6 * 65_536, ..MediaLimits::default() };
    for frame in [FitTo::Inside(256), FitTo::Inside(1440)] {
        let file = file.try_clone().expect("a descriptor is free");
        let made = image_thumbnail(file, "image/avif", frame, ThumbnailFormat::WebP, &limits);
        if let Ok(thumbnail) = RUNTIME.block_on(made) {
            assert!(thumbnail.width > 0 && thumbnail.height > 0 && !thumbnail.bytes.is_empty());
        }
    }
});
