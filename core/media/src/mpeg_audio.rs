//! Frames of MPEG audio (ISO 11172-3, 13818-3: MP2, MP3) and of AAC in ADTS (ISO 13818-7): their headers.
//! Never decodes one.

/// What a frame's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) codec: Codec,
    /// With its header, in bytes.
    pub(super) length: usize,
    /// How many bytes a second of such frames has, if they are all as long (some padded by one).
    pub(super) bytes_per_second: Option<u32>,
    /// How many samples it holds of each channel.
    pub(super) samples: u32,
    /// Samples in a second; never 0.
    pub(super) hertz: u32,
    /// How many bytes of a Layer III frame are between its header and a table of contents (Xing, LAME), at least.
    pub(super) side_information: usize,
}

/// What a frame is coded with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    /// Layer II or III.
    Mpeg,
    Aac,
}

/// The size of the header that describes a frame, in bytes.
pub(super) const HEADER: usize = 7;

/// The frame that `bytes` start with.
pub(super) fn frame(bytes: &[u8]) -> Option<Frame> {
    let &[0xFF, b1, b2, b3, ..] = bytes else { return None };
    if b1 & 0xF6 == 0xF0 { adts(bytes) } else { mpeg([b1, b2, b3]) }
}

fn adts(bytes: &[u8]) -> Option<Frame> {
    const HERTZ: [u32; 13] = [
        96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
    ];
    let &[_, _, b2, b3, b4, b5, b6, ..] = bytes else { return None };
    let hertz = *HERTZ.get(usize::from(b2 >> 2 & 15))?;
    let length = usize::from(b3 & 3) << 11 | usize::from(b4) << 3 | usize::from(b5 >> 5);
    let samples = 1024 * (u32::from(b6 & 3) + 1);
    let frame =
        Frame { codec: Codec::Aac, length, bytes_per_second: None, samples, hertz, side_information: 0 };
    (length > HEADER).then_some(frame)
}

fn mpeg([b1, b2, b3]: [u8; 3]) -> Option<Frame> {
    const LAYER_2: [u32; 15] = [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384];
    const LAYER_3: [u32; 15] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
    const LOW_RATE: [u32; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
    let (version, layer) = (b1 >> 3 & 3, b1 >> 1 & 3);
    let (bitrate, rate, padding) = (usize::from(b2 >> 4), usize::from(b2 >> 2 & 3), u32::from(b2 >> 1 & 1));
    // Layer I is not supported: it is not in use, and a UTF-16 byte order mark looks like it.
    if b1 & 0xE0 != 0xE0
        || version == 1
        || !matches!(layer, 1 | 2)
        || !(1..15).contains(&bitrate)
        || rate == 3
    {
        return None;
    }
    let is_mpeg1 = version == 3;
    let kilobits = match (is_mpeg1, layer) {
        (true, 2) => LAYER_2[bitrate],
        (true, _) => LAYER_3[bitrate],
        (false, _) => LOW_RATE[bitrate],
    };
    let hertz = [44_100, 48_000, 32_000][rate] >> [2, 0, 1, 0][usize::from(version)];
    let samples = if layer == 1 && !is_mpeg1 { 576 } else { 1152 };
    let length = (samples / 8 * kilobits * 1000 / hertz + padding) as usize;
    let is_mono = b3 >> 6 == 3;
    let side_information = match (is_mpeg1, is_mono) {
        (true, false) => 32,
        (true, true) | (false, false) => 17,
        (false, true) => 9,
    };
    let bytes_per_second = Some(kilobits * 125);
    Some(Frame { codec: Codec::Mpeg, length, bytes_per_second, samples, hertz, side_information })
}

/// How many bytes of an ID3v2 tag `bytes` start with, header and footer included.
pub(super) fn id3_length(bytes: &[u8]) -> Option<u64> {
    let &[b'I', b'D', b'3', _, _, flags, s3, s2, s1, s0, ..] = bytes else { return None };
    const FOOTER: u8 = 0x10;
    let size = [s3, s2, s1, s0].iter().fold(0, |size, byte| size << 7 | u64::from(byte & 0x7F));
    Some(10 + size + if flags & FOOTER == 0 { 0 } else { 10 })
}
