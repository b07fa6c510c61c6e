//! The seeds of the fuzzers and the inputs that once failed, read again in a build by the stable compiler.
//! The files are in `fuzz/seeds` and `fuzz/found`; the fuzzers in `fuzz` mutate them.
#![expect(clippy::disallowed_methods, reason = "the files are in the repository")]

use std::path::{Path, PathBuf};

use super::fixtures::blocking_thumbnail;
use super::{MediaLimits, ThumbnailFormat, conversion, examine, jpeg_by_low_frequencies, lzw_decoded, sniff};
use crate::FitTo;

/// Every file for this fuzzer, with its content.
fn files(fuzzer: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folders =
        ["seeds", "found"].map(|kind| Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(kind));
    let entries =
        folders.iter().flat_map(|folder| std::fs::read_dir(folder.join(fuzzer)).into_iter().flatten());
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

#[test]
fn every_seed_is_told_apart() {
    let files = files("sniff");
    assert!(files.len() > 20);
    for (path, content) in files {
        let label = sniff(&content, "a").label;
        assert_ne!(label, "file of an unknown kind", "{}", path.display());
    }
}

#[test]
fn every_file_gives_facts_or_none() {
    let files = files("facts");
    assert!(files.len() > 20);
    for (path, _) in files {
        let (sniffed, facts) =
            examine(&std::fs::File::open(&path).unwrap(), &MediaLimits::default()).unwrap();
        let _ = conversion(sniffed.mime, &facts);
        if path.components().any(|part| part.as_os_str() == "seeds") {
            let is_known =
                facts.width.is_some() || facts.duration_seconds.is_some() || facts.is_audio_alone();
            assert!(is_known, "{}: {sniffed:?}", path.display());
        }
    }
}

#[test]
fn every_jpeg_is_decoded_or_left_to_the_library() {
    let files = files("jpeg");
    assert!(files.len() > 10);
    for (path, content) in files {
        let size = |is_quarter| {
            let decoded = jpeg_by_low_frequencies(&content, is_quarter, &MediaLimits::default());
            decoded.map(|(width, height, _)| (width, height))
        };
        let (eighth, quarter) = (size(false), size(true));
        if path.components().any(|part| part.as_os_str() == "seeds") {
            assert_eq!(eighth, Some((5, 3)), "{}", path.display());
            assert!(quarter.is_none_or(|size| size == (10, 6)), "{}", path.display());
        }
    }
}

#[test]
fn every_code_of_lzw_has_an_end() {
    let files = files("lzw");
    assert!(files.len() > 1);
    for (path, content) in files {
        let decoded = lzw_decoded(&content[1..], 8, content[0] >> 7 == 1, 1000).unwrap();
        assert!(decoded.len() <= 1000, "{}", path.display());
    }
}

#[test]
fn every_avif_gives_an_image_or_a_reason() {
    let files = files("avif");
    assert!(files.len() > 4);
    for (path, _) in files {
        let file = std::fs::File::open(&path).unwrap();
        let limits = MediaLimits::default();
        let made =
            blocking_thumbnail(&file, "image/avif", FitTo::Inside(256), ThumbnailFormat::WebP, &limits);
        if path.components().any(|part| part.as_os_str() == "seeds") {
            assert_eq!(made.map(|thumbnail| thumbnail.width).ok(), Some(72), "{}", path.display());
        }
    }
}

#[test]
fn every_image_gives_a_thumbnail_or_a_reason() {
    let files = files("image");
    assert!(files.len() > 20);
    for (path, content) in files {
        let (limits, file) = (MediaLimits::default(), std::fs::File::open(&path).unwrap());
        let mime = sniff(&content, "").mime;
        let made = blocking_thumbnail(&file, mime, FitTo::Inside(256), ThumbnailFormat::WebP, &limits);
        if path.components().any(|part| part.as_os_str() == "seeds") {
            assert!(made.is_ok(), "{}, {mime}: {made:?}", path.display());
        }
    }
}

/// What a fuzzer does, for a moment: bytes of each seed are changed, by numbers that are always the same.
#[test]
fn changed_images_give_a_thumbnail_or_a_reason_in_time() {
    let limits = MediaLimits {
        max_pixels: 65_536,
        max_jpeg_pixels: 65_536,
        max_jxl_pixels: 65_536,
        max_jxl_time: std::time::Duration::from_secs(5),
        ..MediaLimits::default()
    };
    let mut state = 1u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for (path, content) in files("image") {
        let mime = sniff(&content, "").mime;
        for _ in 0..20 {
            let mut changed = content.clone();
            for _ in 0..=random(4) {
                let at = random(changed.len());
                changed[at] = [0, 0xFF, 0x7F, 0x80, random(256) as u8][random(5)];
            }
            changed.truncate(changed.len() - random(2) * random(changed.len()));
            let start = std::time::Instant::now();
            let file = super::fixtures::file_of(&changed);
            let _ = blocking_thumbnail(&file, mime, FitTo::Inside(256), ThumbnailFormat::WebP, &limits);
            assert!(start.elapsed().as_secs() < 20, "{}: {:?}", path.display(), start.elapsed());
        }
    }
}
