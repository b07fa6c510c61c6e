//! Raw images of cameras, most of which are TIFF files that only their first directory distinguishes.

use super::{Class, Sniffed};
use crate::ifd::Directories;
use crate::source::Source;

const fn raw(mime: &'static str, extension: &'static str, label: &'static str) -> Sniffed {
    Sniffed::new(mime, extension, Class::Image, label)
}

const DNG: Sniffed = raw("image/x-adobe-dng", "dng", "DNG raw image");
const CR2: Sniffed = raw("image/x-canon-cr2", "cr2", "Canon raw image");
pub(super) const CR3: Sniffed = raw("image/x-canon-cr3", "cr3", "Canon raw image");
const RW2: Sniffed = raw("image/x-panasonic-rw2", "rw2", "Panasonic raw image");
const RAF: Sniffed = raw("image/x-fuji-raf", "raf", "Fujifilm raw image");
const ORF: Sniffed = raw("image/x-olympus-orf", "orf", "Olympus raw image");
const OTHER: Sniffed = raw("image/x-raw", "raw", "raw image");
const BY_MAKER: [(&[u8], Sniffed); 5] = [
    (b"NIKON", raw("image/x-nikon-nef", "nef", "Nikon raw image")),
    (b"SONY", raw("image/x-sony-arw", "arw", "Sony raw image")),
    (b"PENTAX", raw("image/x-pentax-pef", "pef", "Pentax raw image")),
    (b"RICOH", raw("image/x-pentax-pef", "pef", "Pentax raw image")),
    (b"SAMSUNG", raw("image/x-samsung-srw", "srw", "Samsung raw image")),
];

pub(super) fn sniff(head: &[u8]) -> Option<Sniffed> {
    match head.get(..4)? {
        b"FUJI" if head.starts_with(b"FUJIFILMCCD-RAW") => Some(RAF),
        b"IIRO" | b"IIRS" | b"MMOR" => Some(ORF),
        b"IIU\0" => Some(RW2),
        b"II*\0" if head.get(8..10)? == b"CR" => Some(CR2),
        b"II*\0" | b"MM\0*" => tiff(head),
        // BigTIFF, which the library does not know.
        b"II+\0" | b"MM\0+" => super::media("image/tiff"),
        _ => None,
    }
}

/// A TIFF that says who made it, and that its first image is what a sensor saw or only a small one of it.
fn tiff(head: &[u8]) -> Option<Sniffed> {
    const SUBFILE_TYPE: u16 = 0xFE;
    const PHOTOMETRIC: u16 = 0x106;
    const MAKE: u16 = 0x10F;
    const SUB_DIRECTORIES: u16 = 0x14A;
    const DNG_VERSION: u16 = 0xC612;
    const SENSOR: u64 = 32_803;
    let mut source = Source::of_bytes(head);
    let format = Directories::open(&mut source, 0)?;
    let directory = format.read(&mut source, format.first)?;
    if directory.has(DNG_VERSION) {
        return Some(DNG);
    }
    let make = directory.bytes(&mut source, MAKE, 64)?.to_ascii_uppercase();
    let is_reduced = directory.number(&mut source, SUBFILE_TYPE).is_some_and(|kind| kind & 1 == 1);
    let is_sensor = directory.number(&mut source, PHOTOMETRIC) == Some(SENSOR);
    let is_raw = is_sensor || (is_reduced && directory.has(SUB_DIRECTORIES));
    let by_maker = BY_MAKER.into_iter().find(|(maker, _)| make.starts_with(maker));
    is_raw.then(|| by_maker.map_or(OTHER, |(_, kind)| kind))
}
