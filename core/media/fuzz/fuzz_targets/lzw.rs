//! Our own decoder of LZW compared with the usual one. The first byte sets the dialect and the width.
#![no_main]

use jam_media::lzw_decoded;
use libfuzzer_sys::fuzz_target;
use weezl::BitOrder;
use weezl::decode::Decoder;

const MOST: usize = 1 << 16;

fuzz_target!(|content: &[u8]| {
    let Some((first, codes)) = content.split_first() else { return };
    let is_tiff = first >> 7 == 1;
    let width = if is_tiff { 8 } else { first & 15 };
    let Some(decoded) = lzw_decoded(codes, width, is_tiff, MOST) else { return };
    let mut peer = if is_tiff {
        Decoder::with_tiff_size_switch(BitOrder::Msb, width)
    } else {
        Decoder::new(BitOrder::Lsb, width)
    };
    let mut expected = Vec::new();
    let result = peer.into_vec(&mut expected).decode_all(codes);
    expected.truncate(MOST);
    // Where a code has no meaning, the peer may have withheld earlier bytes.
    let is_whole = result.status.is_ok();
    assert!(if is_whole { decoded == expected } else { decoded.starts_with(&expected) }, "{is_whole}");
});
