//! Size, length and tracks of images, videos and audio files, by their headers.
#![no_main]

use std::fs::File;
use std::io::{Seek, Write};
use std::sync::Once;

use jam_media::{MediaLimits, conversion, examine};
use libfuzzer_sys::fuzz_target;
use nix::sys::memfd::{MFdFlags, memfd_create};

/// The fuzzed function catches a panic of a library and returns no facts: only a panic that escapes it is a bug.
static LET_PANICS_BE_CAUGHT: Once = Once::new();

fuzz_target!(|content: &[u8]| {
    LET_PANICS_BE_CAUGHT.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    let mut file = File::from(memfd_create("input", MFdFlags::empty()).expect("memory for a file"));
    file.write_all(content).and_then(|()| file.rewind()).expect("a file in memory takes everything");
    let (sniffed, facts) = examine(&file, &MediaLimits::default()).expect("a file in memory can be read");
    assert!(facts.width.is_none_or(|width| width > 0) && facts.height.is_none_or(|height| height > 0));
    assert!(facts.duration_seconds.is_none_or(|seconds| seconds.is_finite() && seconds > 0.0));
    let _ = conversion(sniffed.mime, &facts);
});
