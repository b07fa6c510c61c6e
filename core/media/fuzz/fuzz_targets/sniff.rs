//! Detection of the type by any first bytes: no refused type may ever be shown in place.
#![no_main]

use jam_media::{Class, is_inline_safe, sniff};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|head: &[u8]| {
    for name in ["a", "a.json", "a.gltf"] {
        let sniffed = sniff(head, name);
        assert!(sniffed.class != Class::Refused || !is_inline_safe(sniffed.mime), "{sniffed:?}");
    }
});
