//! The memory of decoders is returned to the system, however many threads they ran in.

use std::sync::{Barrier, Mutex};
use std::time::{Duration, Instant};

use image::ImageFormat;

use super::fixtures::{encoded, file_of};
use super::{MediaLimits, ThumbnailFormat, decoded_thumbnail};
use crate::FitTo;

/// How many threads make thumbnails, one after another, and stay alive, as those of a server do.
const THREADS: usize = 8;
/// What may stay, in bytes: the C library's allocator kept all that a thread had ever freed.
const KEPT: u64 = 32 << 20;

/// How much memory of this process is in use, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[test]
fn the_memory_of_many_thumbnails_is_returned() {
    let kinds = [(ImageFormat::Jpeg, "image/jpeg"), (ImageFormat::WebP, "image/webp")];
    let images = kinds.map(|(format, mime)| (file_of(&encoded(format, 1800, 1400)), mime));
    let (drawn, checked) = (Barrier::new(THREADS + 1), Barrier::new(THREADS + 1));
    let turn = Mutex::new(());
    let before = resident();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let my_turn = turn.lock().unwrap();
                for (file, mime) in &images {
                    let limits = MediaLimits::default();
                    decoded_thumbnail(file, mime, FitTo::Cover(400, 225), ThumbnailFormat::WebP, &limits)
                        .unwrap();
                }
                drop(my_turn);
                drawn.wait();
                checked.wait();
            });
        }
        drawn.wait();
        let patience = Instant::now() + Duration::from_secs(60);
        let mut kept = resident().saturating_sub(before);
        while kept > KEPT && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(200));
            kept = resident().saturating_sub(before);
        }
        checked.wait();
        assert!(kept <= KEPT, "{} MiB are kept", kept >> 20);
    });
}
