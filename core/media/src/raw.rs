//! Raw images of cameras: the size that the camera says, how to turn it, and the JPEG images in the file, of which the
//! largest is what is shown. Reads headers only: TIFF's directories (DNG, NEF, ARW, CR2, ORF, RW2, PEF, SRW), the boxes
//! of CR3, the header of RAF.
//! Never develops a raw image.

use std::io::Cursor;

use image::metadata::Orientation;

use super::ifd::{Directories, Directory};
use super::jpeg_header::JpegHeader;
use super::source::Source;

/// The media types of raw images.
pub(super) const MIMES: [&str; 11] = [
    "image/x-adobe-dng",
    "image/x-nikon-nef",
    "image/x-sony-arw",
    "image/x-canon-cr2",
    "image/x-canon-cr3",
    "image/x-panasonic-rw2",
    "image/x-fuji-raf",
    "image/x-olympus-orf",
    "image/x-pentax-pef",
    "image/x-samsung-srw",
    "image/x-raw",
];

/// Most directories of a file that are read, and most JPEG images of it that are looked at.
const MAX_DIRECTORIES: usize = 24;
const MAX_PREVIEWS: usize = 12;
/// How much of a JPEG is read for its size.
const MAX_JPEG_HEADER: u64 = 128 << 10;

/// What a raw image says.
#[derive(Debug, Default)]
pub(super) struct Raw {
    /// Width and height as the camera says them, before it is turned.
    pub(super) size: Option<(u32, u32)>,
    /// How it is to be turned; `None` where only its JPEG says so.
    pub(super) orientation: Option<Orientation>,
    /// Its JPEG images, the largest first.
    pub(super) previews: Vec<Preview>,
}

/// A JPEG within a file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Preview {
    pub(super) start: u64,
    /// In bytes.
    pub(super) length: u64,
    pub(super) size: (u32, u32),
    pub(super) orientation: Orientation,
}

impl Raw {
    /// Reads the headers of a file that was sniffed as `mime`.
    pub(super) fn read(source: &mut Source<'_>, mime: &str) -> Option<Self> {
        let mut headers = Headers::default();
        match mime {
            "image/x-fuji-raf" => headers.fuji(source)?,
            "image/x-canon-cr3" => headers.canon(source)?,
            "image/x-canon-cr2" => {
                headers.directories(source, 0)?;
                // No directory has the size of what is stored, and the first that of its JPEG, which may be small.
                headers.cropped = headers.stated.filter(|size| area(*size) > 0);
            }
            _ => headers.directories(source, 0)?,
        }
        Some(headers.into_raw(source))
    }

    /// How the image is to be turned.
    pub(super) fn orientation(&self) -> Orientation {
        let of_preview = || self.previews.first().map(|preview| preview.orientation);
        self.orientation.or_else(of_preview).unwrap_or(Orientation::NoTransforms)
    }
}

/// The content of the headers, before the best of it is chosen.
#[derive(Default)]
struct Headers {
    /// The largest size of pixels that are stored.
    stored: (u32, u32),
    /// The part of them that is shown.
    cropped: Option<(u32, u32)>,
    /// What EXIF says.
    stated: Option<(u32, u32)>,
    orientation: Option<Orientation>,
    /// Where JPEG images may be, and how long they are.
    places: Vec<(u64, u64)>,
}

impl Headers {
    fn into_raw(self, source: &mut Source<'_>) -> Raw {
        let mut previews = Vec::new();
        for (start, length) in self.places.into_iter().take(MAX_PREVIEWS) {
            previews.extend(preview(source, start, length));
        }
        previews.sort_by_key(|preview| std::cmp::Reverse(area(preview.size)));
        // What a camera calls its size is a little less than what it stores.
        let is_like_stored = |size: &(u32, u32)| {
            let near =
                |side: u32, stored: u32| side <= stored && u64::from(side) * 10 >= u64::from(stored) * 9;
            self.stored == (0, 0) || (near(size.0, self.stored.0) && near(size.1, self.stored.1))
        };
        let of_preview = previews.first().map(|preview| preview.size).filter(is_like_stored);
        let stored = Some(self.stored).filter(|size| area(*size) > 0);
        let size = self.cropped.or(self.stated.filter(is_like_stored)).or(of_preview).or(stored);
        Raw { size, orientation: self.orientation, previews }
    }

    /// The directories of a TIFF: one after another, those below them, and those of EXIF.
    fn directories(&mut self, source: &mut Source<'_>, base: u64) -> Option<()> {
        const SUB_DIRECTORIES: u16 = 0x14A;
        const EXIF: u16 = 0x8769;
        let format = Directories::open(source, base)?;
        let mut waiting = vec![format.first];
        let mut read = Vec::new();
        while let Some(at) = waiting.pop() {
            if at == 0 || read.contains(&at) || read.len() >= MAX_DIRECTORIES {
                continue;
            }
            read.push(at);
            let Some(directory) = format.read(source, at) else { continue };
            waiting.push(directory.next);
            waiting.extend(directory.numbers(source, SUB_DIRECTORIES, 16).unwrap_or_default());
            waiting.extend(directory.number(source, EXIF));
            self.directory(source, &directory, format);
        }
        Some(())
    }

    fn directory(&mut self, source: &mut Source<'_>, directory: &Directory, format: Directories) {
        const ORIENTATION: u16 = 0x112;
        const EXIF_WIDTH: u16 = 0xA002;
        const EXIF_HEIGHT: u16 = 0xA003;
        const CROP_SIZE: u16 = 0xC620;
        let mut number = |tag| directory.number(source, tag).and_then(|value| u32::try_from(value).ok());
        if self.orientation.is_none() {
            self.orientation = number(ORIENTATION).and_then(|value| Orientation::from_exif(value as u8));
        }
        let size = number(0x100).zip(number(0x101)).filter(|size| area(*size) > 0);
        if let Some(stated) = number(EXIF_WIDTH).zip(number(EXIF_HEIGHT)) {
            self.stated = Some(stated);
        }
        // Panasonic says where the image begins and ends on the sensor.
        let borders = [4, 5, 6, 7].map(&mut number);
        if let ([Some(top), Some(left), Some(bottom), Some(right)], None) = (borders, size) {
            let size = (right.saturating_sub(left), bottom.saturating_sub(top));
            self.cropped = Some(size).filter(|size| area(*size) > 0);
        }
        if let Some(size) = size
            && area(size) > area(self.stored)
        {
            self.stored = size;
            if let Some(&[width, height]) = directory.numbers(source, CROP_SIZE, 2).as_deref() {
                let cropped = u32::try_from(width).ok().zip(u32::try_from(height).ok());
                self.cropped = cropped.filter(|size| area(*size) > 0);
            }
        }
        self.jpegs(source, directory);
        self.places.extend(olympus(source, directory, format));
    }

    /// Places at which a directory says that a JPEG is.
    fn jpegs(&mut self, source: &mut Source<'_>, directory: &Directory) {
        const PHOTOMETRIC: u16 = 0x106;
        const SENSOR: [u64; 2] = [32_803, 34_892];
        const JPEG_FROM_RAW: u16 = 0x2E;
        if directory.number(source, PHOTOMETRIC).is_some_and(|kind| SENSOR.contains(&kind)) {
            return;
        }
        for (start, length) in [(0x201, 0x202), (0x111, 0x117)] {
            let place = directory.numbers(source, start, 1).zip(directory.numbers(source, length, 1));
            self.places.extend(place.map(|(start, length)| (start[0], length[0])));
        }
        self.places.extend(directory.place(JPEG_FROM_RAW).filter(|(_, length)| *length > 8));
    }

    /// Fuji's header says where the JPEG is, and where a list with the size is.
    fn fuji(&mut self, source: &mut Source<'_>) -> Option<()> {
        const CROPPED_SIZE: u16 = 0x111;
        let head: [u8; 100] = source.bytes(0)?;
        let four = |at: usize| Some(u32::from_be_bytes(*head.get(at..)?.first_chunk()?));
        self.places.push((four(84)?.into(), four(88)?.into()));
        let list = source.up_to(four(92)?.into(), u64::from(four(96)?).min(64 << 10))?;
        let mut rest = list.get(4..).unwrap_or_default();
        while let [t1, t0, l1, l0, content @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*l1, *l0]));
            let Some(value) = content.get(..length) else { break };
            if let (CROPPED_SIZE, [h1, h0, w1, w0]) = (u16::from_be_bytes([*t1, *t0]), value) {
                let size = (u16::from_be_bytes([*w1, *w0]).into(), u16::from_be_bytes([*h1, *h0]).into());
                self.cropped = Some(size).filter(|size| area(*size) > 0);
            }
            rest = &content[length..];
        }
        Some(())
    }

    /// Canon's CR3 is an ISO base media file: TIFF's directories and a small JPEG in boxes, the large JPEG as a track.
    fn canon(&mut self, source: &mut Source<'_>) -> Option<()> {
        const UUID_OF_DIRECTORIES: [u8; 16] =
            [0x85, 0xC0, 0xB6, 0x87, 0x82, 0x0F, 0x11, 0xE0, 0x81, 0x11, 0xF4, 0xCE, 0x46, 0x2B, 0x6A, 0x48];
        const UUID_OF_PREVIEW: [u8; 16] =
            [0xEA, 0xF4, 0x2B, 0x5E, 0x1C, 0x98, 0x4B, 0x88, 0xB9, 0xFB, 0xB7, 0xDC, 0x40, 0x6E, 0x4D, 0x16];
        let whole = (0, source.len());
        for (kind, start, end) in boxes(source, whole) {
            match &kind {
                b"moov" => {
                    for (kind, start, end) in boxes(source, (start, end)) {
                        if &kind == b"trak" {
                            self.places.extend(first_sample(source, (start, end)));
                        } else if &kind == b"uuid" && source.bytes(start) == Some(UUID_OF_DIRECTORIES) {
                            for (kind, start, _) in boxes(source, (start + 16, end)) {
                                if matches!(&kind, b"CMT1" | b"CMT2") {
                                    let _ = self.directories(source, start);
                                }
                            }
                        }
                    }
                }
                b"uuid" if source.bytes(start) == Some(UUID_OF_PREVIEW) => {
                    // A count comes before the box, whose JPEG comes after its size.
                    for (kind, start, end) in boxes(source, (start + 24, end)) {
                        if &kind == b"PRVW" && end > start + 16 {
                            self.places.push((start + 16, end - start - 16));
                        }
                    }
                }
                _ => {}
            }
        }
        // Its first directory names the size of the image, not of what is stored.
        self.cropped = Some(self.stored).filter(|size| area(*size) > 0);
        Some(())
    }
}

/// Olympus keeps its JPEG in the maker's notes, whose offsets count from their start.
fn olympus(source: &mut Source<'_>, directory: &Directory, format: Directories) -> Option<(u64, u64)> {
    const NOTES: u16 = 0x927C;
    const SETTINGS: u16 = 0x2020;
    const MARKS: [(&[u8], u64); 2] = [(b"OLYMPUS\0", 12), (b"OM SYSTEM\0", 16)];
    let (notes, _) = directory.place(NOTES)?;
    let head = source.up_to(notes, 16)?;
    let (_, at) = MARKS.into_iter().find(|(mark, _)| head.starts_with(mark))?;
    let format = format.based_at(notes);
    let maker = format.read(source, at)?;
    let settings = match maker.place(SETTINGS)? {
        // Either where it is, or the directory itself.
        (_, 4) => maker.number(source, SETTINGS)?,
        (place, _) => place.checked_sub(notes)?,
    };
    let settings = format.read(source, settings)?;
    let start = notes.checked_add(settings.number(source, 0x101)?)?;
    Some((start, settings.number(source, 0x102)?))
}

/// The boxes between two places, each with its kind and where its content begins and ends.
fn boxes(source: &mut Source<'_>, (mut at, end): (u64, u64)) -> Vec<([u8; 4], u64, u64)> {
    const MAX_BOXES: usize = 64;
    let mut found = Vec::new();
    while found.len() < MAX_BOXES
        && at + 8 <= end
        && let Some([s3, s2, s1, s0, kind @ ..]) = source.bytes::<8>(at)
    {
        let (size, head) = match u32::from_be_bytes([s3, s2, s1, s0]) {
            0 => (end - at, 8),
            1 => (source.bytes(at + 8).map_or(0, u64::from_be_bytes), 16),
            size => (size.into(), 8),
        };
        let Some(behind) = at.checked_add(size).filter(|behind| size >= head && *behind <= end) else {
            break;
        };
        found.push((kind, at + head, behind));
        at = behind;
    }
    found
}

/// Where the first sample of a track is, and its length.
fn first_sample(source: &mut Source<'_>, track: (u64, u64)) -> Option<(u64, u64)> {
    let mut within = track;
    for wanted in [b"mdia", b"minf", b"stbl"] {
        let (_, start, end) = boxes(source, within).into_iter().find(|(kind, ..)| kind == wanted)?;
        within = (start, end);
    }
    let (mut start, mut length) = (None, None);
    for (kind, at, _) in boxes(source, within) {
        match &kind {
            b"co64" => start = source.bytes(at + 8).map(u64::from_be_bytes),
            b"stco" => start = source.bytes(at + 8).map(u32::from_be_bytes).map(u64::from),
            b"stsz" => {
                let [common, _, first]: [u32; 3] =
                    [at + 4, at + 8, at + 12].map(|at| source.bytes(at).map_or(0, u32::from_be_bytes));
                length = Some(u64::from(if common > 0 { common } else { first }));
            }
            _ => {}
        }
    }
    start.zip(length)
}

/// The JPEG at a place, if there is one that is shown: raw data may be coded as JPEG without loss.
fn preview(source: &mut Source<'_>, start: u64, length: u64) -> Option<Preview> {
    let head = source.up_to(start, length.min(MAX_JPEG_HEADER))?;
    if !head.starts_with(&[0xFF, 0xD8, 0xFF]) {
        return None;
    }
    let header = JpegHeader::read(Cursor::new(&head)).filter(|header| !header.is_lossless)?;
    Some(Preview { start, length, size: header.size, orientation: header.orientation })
}

fn area((width, height): (u32, u32)) -> u64 {
    u64::from(width) * u64::from(height)
}

#[cfg(test)]
mod tests;
