//! Locates the coded image in a HEIF file (ISO 23008-12): HEIC of phones, AVIF.
//! Returns a stream for a video decoder: an image is a video of one frame, an image in tiles a video of tiles.
//! Never decodes; every number of the file is checked before it is used.

mod shape;
mod stream;

use std::ops::Range;

use image::metadata::Orientation;

pub(super) use self::shape::Rectangle;
use self::shape::both;
use self::stream::{av1_frame, hevc_frame};
use super::limits::{MediaError, MediaLimits};
use super::source::Source;

/// How the image is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    Hevc,
    Av1,
}

/// Frames that make up one layer of an image: its colours or its alpha.
#[derive(Debug)]
pub(super) struct Layer {
    /// The frames of the tiles, row by row.
    pub(super) stream: Vec<u8>,
    /// Tiles across and down.
    pub(super) tiles: (u32, u32),
    /// Size in pixels, before it is cut and turned.
    pub(super) size: (u32, u32),
}

/// A coded image, ready for a decoder.
#[derive(Debug)]
pub(super) struct CodedImage {
    pub(super) codec: Codec,
    pub(super) colours: Layer,
    /// Its brightness is the alpha of the image.
    pub(super) alpha: Option<Layer>,
    /// Whether the colours are multiplied by alpha already.
    pub(super) is_premultiplied: bool,
    /// The part of the colours that is shown, before it is turned.
    pub(super) shown: Rectangle,
    /// How it is to be turned.
    pub(super) orientation: Orientation,
    /// The ICC profile, if there is one.
    pub(super) icc: Option<Vec<u8>>,
}

/// Largest description of the items that is read, in bytes.
const MAX_META: u64 = 4 << 20;
/// Most tiles of an image; phones write fewer than 100.
const MAX_TILES: u32 = 1024;

/// Size before rotation, and the orientation, of the file's main image.
pub(super) fn facts(source: &mut Source<'_>) -> Option<((u32, u32), Orientation)> {
    let meta = Meta::read(source)?;
    let item = meta.primary()?;
    Some((meta.shown(item)?.size, meta.orientation(item)))
}

/// The main image, or the smaller copy that the file may have, if that is large enough.
/// `reduction` is how many times smaller than the main image the result may be.
pub(super) fn coded_image(
    source: &mut Source<'_>,
    reduction: impl FnOnce((u32, u32), Orientation) -> f64,
    limits: &MediaLimits,
) -> Result<CodedImage, MediaError> {
    let damaged = || MediaError::permanent("the image's data is damaged");
    let meta = Meta::read(source).ok_or_else(damaged)?;
    let primary = meta.primary().ok_or_else(damaged)?;
    let (width, height) = meta.shown(primary).ok_or_else(damaged)?.size;
    limits.check_dimensions(width, height)?;
    let needed = f64::from(width.max(height)) / reduction((width, height), meta.orientation(primary));
    let is_cut = |item: u32| meta.property(item, b"clap").is_some();
    let is_enough = |item: &u32| {
        meta.shown(*item).is_some_and(|shown| f64::from(shown.size.0.max(shown.size.1)) >= needed)
            && is_cut(*item) == is_cut(primary)
            && meta.alpha_of(*item).is_some() == meta.alpha_of(primary).is_some()
    };
    let item = meta.references_to(primary, *b"thmb").find(is_enough).unwrap_or(primary);
    let coded = meta.coded(source, item, primary, limits.max_image_bytes);
    let coded = coded.ok_or_else(|| MediaError::permanent("the image's encoding is not supported"))?;
    // What is shown may be a small part of what is decoded.
    for layer in std::iter::once(&coded.colours).chain(&coded.alpha) {
        limits.check_dimensions(layer.size.0, layer.size.1)?;
    }
    Ok(coded)
}

/// An item of the file: its type and where its bytes are.
#[derive(Default)]
struct Item {
    kind: [u8; 4],
    /// Pieces in the file, or in `Meta::idat` if `is_inside`.
    extents: Vec<Range<u64>>,
    is_inside: bool,
    /// Indices of properties, from 1.
    properties: Vec<usize>,
}

/// An image in tiles.
struct Grid {
    /// Tiles across and down.
    tiles: (u32, u32),
    /// The items of the tiles, row by row.
    items: Vec<u32>,
    /// Size of the whole in pixels.
    size: (u32, u32),
}

/// A box: its type and its content.
type Part<'a> = ([u8; 4], &'a [u8]);

/// What the `meta` box says.
#[derive(Default)]
struct Meta {
    primary: u32,
    items: std::collections::BTreeMap<u32, Item>,
    properties: Vec<([u8; 4], Vec<u8>)>,
    /// Kind, from, to.
    references: Vec<([u8; 4], u32, Vec<u32>)>,
    idat: Vec<u8>,
}

impl Meta {
    fn read(source: &mut Source<'_>) -> Option<Self> {
        let mut at = 0;
        let content = loop {
            let head: [u8; 8] = source.bytes(at)?;
            let size = u64::from(number(&mut &head[..4], 4)? as u32);
            if &head[4..] == b"meta" {
                // A version and flags come before the boxes.
                break source.up_to(at + 12, size.checked_sub(12)?.min(MAX_META))?;
            }
            at += if size >= 8 { size } else { return None };
        };
        let mut meta = Self::default();
        for (kind, content) in parts(&content) {
            match &kind {
                b"pitm" => {
                    meta.primary =
                        versioned(content, |version, rest| number(rest, wide_from(1, version)))? as u32
                }
                b"iinf" => meta.item_types(content)?,
                b"iloc" => meta.item_places(content)?,
                b"iref" => meta.item_references(content)?,
                b"iprp" => meta.item_properties(content)?,
                b"idat" => meta.idat = content.to_vec(),
                _ => {}
            }
        }
        Some(meta)
    }

    fn item_types(&mut self, content: &[u8]) -> Option<()> {
        let skip = if content.first()? == &0 { 6 } else { 8 };
        for (_, entry) in parts(content.get(skip..)?).filter(|(kind, _)| kind == b"infe") {
            versioned(entry, |version, rest| {
                let id = number(rest, wide_from(3, version))? as u32;
                // A protection index comes before the type.
                self.items.entry(id).or_default().kind = *rest.get(2..)?.first_chunk()?;
                Some(())
            })?;
        }
        Some(())
    }

    fn item_places(&mut self, content: &[u8]) -> Option<()> {
        versioned(content, |version, rest| {
            let sizes = number(rest, 2)?;
            let size = |shift: u32| (sizes >> shift & 15) as usize;
            let (offset_size, length_size, base_size) = (size(12), size(8), size(4));
            let index_size = if version == 0 { 0 } else { size(0) };
            for _ in 0..number(rest, wide_from(2, version))? {
                let id = number(rest, wide_from(2, version))? as u32;
                let method = if version == 0 { 0 } else { number(rest, 2)? & 15 };
                let _data_reference = number(rest, 2)?;
                let base = number(rest, base_size)?;
                let mut extents = Vec::new();
                for _ in 0..number(rest, 2)? {
                    let _index = number(rest, index_size)?;
                    let start = base.checked_add(number(rest, offset_size)?)?;
                    let length = number(rest, length_size)?;
                    extents.push(start..start.checked_add(length)?);
                }
                let item = self.items.entry(id).or_default();
                item.extents = extents;
                item.is_inside = method == 1;
            }
            Some(())
        })
    }

    fn item_references(&mut self, content: &[u8]) -> Option<()> {
        let width = wide_from(1, *content.first()?);
        for (kind, mut rest) in parts(content.get(4..)?) {
            let from = number(&mut rest, width)? as u32;
            let count = number(&mut rest, 2)?;
            let to =
                (0..count).map(|_| number(&mut rest, width).map(|id| id as u32)).collect::<Option<_>>()?;
            self.references.push((kind, from, to));
        }
        Some(())
    }

    fn item_properties(&mut self, content: &[u8]) -> Option<()> {
        for (kind, content) in parts(content) {
            match &kind {
                b"ipco" => {
                    self.properties = parts(content).map(|(kind, content)| (kind, content.to_vec())).collect()
                }
                b"ipma" => self.property_associations(content)?,
                _ => {}
            }
        }
        Some(())
    }

    fn property_associations(&mut self, content: &[u8]) -> Option<()> {
        let is_wide = content.get(3)? & 1 == 1;
        versioned(content, |version, rest| {
            for _ in 0..number(rest, 4)? {
                let id = number(rest, wide_from(1, version))? as u32;
                for _ in 0..number(rest, 1)? {
                    // The top bit says that the property is essential.
                    let index = if is_wide { number(rest, 2)? & 0x7FFF } else { number(rest, 1)? & 0x7F };
                    self.items.entry(id).or_default().properties.push(index as usize);
                }
            }
            Some(())
        })
    }

    fn primary(&self) -> Option<u32> {
        self.items.contains_key(&self.primary).then_some(self.primary)
    }

    /// The items that refer to `item` in this way.
    fn references_to(&self, item: u32, kind: [u8; 4]) -> impl Iterator<Item = u32> {
        let matching =
            self.references.iter().filter(move |(found, _, to)| *found == kind && to.contains(&item));
        matching.map(|(_, from, _)| *from)
    }

    /// The properties of an item in their order.
    fn properties(&self, item: u32) -> impl Iterator<Item = Part<'_>> {
        let indices = self.items.get(&item).into_iter().flat_map(|item| &item.properties);
        let found = indices.filter_map(|index| self.properties.get(index.checked_sub(1)?));
        found.map(|(kind, content)| (*kind, &content[..]))
    }

    fn property(&self, item: u32, kind: &[u8; 4]) -> Option<&[u8]> {
        self.properties(item).find(|(found, _)| found == kind).map(|(_, content)| content)
    }

    fn size(&self, item: u32) -> Option<(u32, u32)> {
        let mut rest = self.property(item, b"ispe")?.get(4..)?;
        Some((number(&mut rest, 4)? as u32, number(&mut rest, 4)? as u32))
    }

    /// The part of an item that is shown.
    fn shown(&self, item: u32) -> Option<Rectangle> {
        let size = self.size(item)?;
        let aperture = self.property(item, b"clap");
        let part = aperture.and_then(|aperture| Rectangle::of_aperture(aperture, size));
        Some(part.unwrap_or(Rectangle::whole(size)))
    }

    /// The counterclockwise quarter turns and the mirroring, in their order, as an EXIF orientation.
    fn orientation(&self, item: u32) -> Orientation {
        let mut orientation = Orientation::NoTransforms;
        for (kind, content) in self.properties(item) {
            let value = content.first().copied().unwrap_or(0);
            let then = match (&kind, value & 3) {
                (b"irot", 1) => Orientation::Rotate270,
                (b"irot", 2) => Orientation::Rotate180,
                (b"irot", 3) => Orientation::Rotate90,
                // Top and bottom are swapped, or left and right (ISO 23008-12, 6.5.12).
                (b"imir", 0) => Orientation::FlipVertical,
                (b"imir", _) => Orientation::FlipHorizontal,
                _ => continue,
            };
            orientation = both(orientation, then);
        }
        orientation
    }

    fn icc(&self, item: u32) -> Option<Vec<u8>> {
        let profiles = self.properties(item).filter(|(kind, _)| kind == b"colr");
        profiles.filter_map(|(_, content)| content.strip_prefix(b"prof")).map(<[u8]>::to_vec).next()
    }

    /// The bytes of an item, at most `most`.
    fn content(&self, source: &mut Source<'_>, item: u32, most: u64) -> Option<Vec<u8>> {
        let item = self.items.get(&item)?;
        let mut content = Vec::new();
        for extent in &item.extents {
            let left = most.checked_sub(content.len() as u64)?;
            let length = (extent.end - extent.start).min(left);
            if item.is_inside {
                let start = usize::try_from(extent.start).ok()?;
                content.extend_from_slice(
                    self.idat.get(start..start.checked_add(usize::try_from(length).ok()?)?)?,
                );
            } else {
                content.extend(source.up_to(extent.start, length)?);
            }
        }
        Some(content)
    }

    /// `item` as a stream; turned as `primary` is, for a thumbnail of its own is stored alike.
    fn coded(&self, source: &mut Source<'_>, item: u32, primary: u32, most: u64) -> Option<CodedImage> {
        let grid = self.tiles(source, item)?;
        let icc = self.icc(primary).or_else(|| self.icc(*grid.items.first()?));
        let shown = self.shown(item).filter(|shown| shown.is_within(grid.size));
        let shown = shown.unwrap_or(Rectangle::whole(grid.size));
        let (codec, colours) = self.layer(source, grid, most)?;
        let alpha_item = self.alpha_of(item);
        let alpha = alpha_item.and_then(|alpha| self.tiles(source, alpha));
        let alpha = alpha.and_then(|alpha| self.layer(source, alpha, most));
        let alpha = alpha.filter(|(alpha_codec, _)| *alpha_codec == codec).map(|(_, layer)| layer);
        let is_premultiplied = alpha.is_some()
            && self.references.iter().any(|(kind, from, to)| {
                kind == b"prem" && *from == item && alpha_item.is_some_and(|alpha| to.contains(&alpha))
            });
        let orientation = self.orientation(primary);
        Some(CodedImage { codec, colours, alpha, is_premultiplied, shown, orientation, icc })
    }

    /// The frames of the tiles.
    fn layer(&self, source: &mut Source<'_>, grid: Grid, most: u64) -> Option<(Codec, Layer)> {
        let (codec, stream) = self.stream(source, &grid.items, most)?;
        Some((codec, Layer { stream, tiles: grid.tiles, size: grid.size }))
    }

    /// The item with the alpha of `item` (AV1 Image File Format, 4.1; ISO 23008-12, B.2.4).
    fn alpha_of(&self, item: u32) -> Option<u32> {
        const ALPHA: [&[u8]; 2] =
            [b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0", b"urn:mpeg:hevc:2015:auxid:1\0"];
        let is_alpha = |auxiliary: &u32| {
            let kind = self.property(*auxiliary, b"auxC").and_then(|content| content.get(4..));
            kind.is_some_and(|kind| ALPHA.iter().any(|alpha| kind.starts_with(alpha)))
        };
        self.references_to(item, *b"auxl").find(is_alpha)
    }

    fn tiles(&self, source: &mut Source<'_>, item: u32) -> Option<Grid> {
        match &self.items.get(&item)?.kind {
            b"grid" => self.grid(source, item),
            _ => Some(Grid { tiles: (1, 1), items: vec![item], size: self.size(item)? }),
        }
    }

    /// The frames of some items, one behind the other.
    fn stream(&self, source: &mut Source<'_>, items: &[u32], most: u64) -> Option<(Codec, Vec<u8>)> {
        let codec = match &self.items.get(items.first()?)?.kind {
            b"hvc1" => Codec::Hevc,
            b"av01" => Codec::Av1,
            _ => return None,
        };
        let mut stream = Vec::new();
        for tile in items {
            let left = most.checked_sub(stream.len() as u64)?;
            let content = self.content(source, *tile, left)?;
            match codec {
                Codec::Hevc => hevc_frame(self.property(*tile, b"hvcC")?, &content, &mut stream)?,
                Codec::Av1 => av1_frame(&content, &mut stream)?,
            }
        }
        Some((codec, stream))
    }

    fn grid(&self, source: &mut Source<'_>, item: u32) -> Option<Grid> {
        let content = self.content(source, item, 64)?;
        let [_version, flags, rows, columns, ..] = content[..] else { return None };
        let (rows, columns) = (u32::from(rows) + 1, u32::from(columns) + 1);
        let mut rest = content.get(4..)?;
        let width = if flags & 1 == 0 { 2 } else { 4 };
        let size = (number(&mut rest, width)? as u32, number(&mut rest, width)? as u32);
        let (_, _, tiles) =
            self.references.iter().find(|(kind, from, _)| kind == b"dimg" && *from == item)?;
        let is_whole = rows * columns <= MAX_TILES && tiles.len() == (rows * columns) as usize;
        (is_whole && size.0 > 0 && size.1 > 0).then(|| Grid {
            tiles: (columns, rows),
            items: tiles.clone(),
            size,
        })
    }
}

/// The boxes in `content`, one after another.
fn parts(mut content: &[u8]) -> impl Iterator<Item = Part<'_>> {
    std::iter::from_fn(move || {
        let length = number(&mut &content[..], 4)? as usize;
        let kind = *content.get(4..)?.first_chunk()?;
        let part = content.get(8..length)?;
        content = &content[length..];
        Some((kind, part))
    })
}

/// The result of `read` behind a version and flags.
fn versioned<T>(content: &[u8], read: impl FnOnce(u8, &mut &[u8]) -> Option<T>) -> Option<T> {
    read(*content.first()?, &mut content.get(4..)?)
}

/// Identifiers and counts have two bytes, and from some version on four.
const fn wide_from(first_wide: u8, version: u8) -> usize {
    if version < first_wide { 2 } else { 4 }
}

/// The next big-endian number of `size` bytes, at most 8.
fn number(rest: &mut &[u8], size: usize) -> Option<u64> {
    let bytes = rest.split_off(..size)?;
    (size <= 8).then(|| bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests;
