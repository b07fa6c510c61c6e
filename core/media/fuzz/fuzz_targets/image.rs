//! Images of every type that is decoded in this process, by what their first bytes say: TIFF, PSD, raw images of cameras,
//! SVG, JPEG XL and the rest. What ffmpeg would decode is left out.
#![no_main]

use std::fs::File;
use std::io::Write;
use std::sync::Once;
use std::time::Duration;

use jam_media::{MediaLimits, ThumbnailFormat, decoded_thumbnail, sniff};
use jam_media::FitTo;
use libfuzzer_sys::fuzz_target;
use nix::sys::memfd::{MFdFlags, memfd_create};

/// The fuzzed function catches a panic of a library and returns an error: only a panic that escapes it is a bug.
static LET_PANICS_BE_CAUGHT: Once = Once::new();

/// What is decoded outside of this process, or fuzzed by itself.
const LEFT_OUT: [&str; 7] = [
    "image/avif",
    "image/heic",
    "image/heif",
    "image/jp2",
    "image/qoi",
    "image/vnd-ms.dds",
    "image/x-exr",
];

fuzz_target!(|content: &[u8]| {
    LET_PANICS_BE_CAUGHT.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    let mime = sniff(content, "").mime;
    if !mime.starts_with("image/") || LEFT_OUT.contains(&mime) {
        return;
    }
    let mut file = File::from(memfd_create("input", MFdFlags::empty()).expect("memory for a file"));
    file.write_all(content).expect("a file in memory takes everything");
    // The cost of large images is known; here they only take time.
    let limits = MediaLimits {
        max_pixels: 65_536,
        max_jpeg_pixels: 65_536,
        max_jxl_pixels: 65_536,
        max_jxl_bytes: 32 << 20,
        max_jxl_time: Duration::from_secs(2),
        max_decoder_bytes: 6 * 65_536,
        max_svg_work: 1e7,
        ..MediaLimits::default()
    };
    if let Ok(thumbnail) = decoded_thumbnail(&file, mime, FitTo::Inside(256), ThumbnailFormat::WebP, &limits) {
        assert!(thumbnail.width > 0 && thumbnail.height > 0 && !thumbnail.bytes.is_empty());
    }
});
