//! Drawings in SVG by `resvg`, without text, scripts, files or network: shapes, gradients, patterns, masks and filters.
//! What drawing will cost is reckoned before it begins, because nothing can stop it.

use std::sync::Arc;

use image::metadata::Orientation;
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::filter::Kind;
use resvg::usvg::{Group, ImageHrefResolver, Node, Options, Paint, Rect, Tree, roxmltree};

use super::{Decoded, damaged, whole};
use crate::fit::{Fit, FitTo};
use crate::limits::{MediaError, MediaLimits};
use crate::source::Source;
use crate::thumbnail::alpha::divided;
use crate::thumbnail::pixels::{Layout, Pixels};

/// How deep elements may be nested; drawings have fewer than 30.
const MAX_DEPTH: u16 = 128;
/// Stack for the library, which calls itself for each level.
const STACK: usize = 64 << 20;
/// A drawing has no pixels of its own: it is drawn as large as the largest variant.
const LONGEST_SIDE: f64 = 1440.0;

pub(super) fn decode(
    mut source: Source<'_>,
    within: FitTo,
    limits: &MediaLimits,
) -> Result<Decoded, MediaError> {
    if source.len() > limits.max_svg_bytes {
        return Err(MediaError::permanent("the drawing's file is too large to draw"));
    }
    let bytes = whole(&mut source)?;
    let work = || draw(&bytes, within, limits);
    let thread = std::thread::Builder::new().stack_size(STACK);
    std::thread::scope(|scope| {
        let started = thread.spawn_scoped(scope, work);
        let started = started.map_err(|_| MediaError::temporary("there was no thread to draw in"))?;
        started.join().unwrap_or_else(|_| Err(damaged()))
    })
}

fn draw(bytes: &[u8], within: FitTo, limits: &MediaLimits) -> Result<Decoded, MediaError> {
    let tree = tree(bytes, limits)?;
    let (width, height) = (f64::from(tree.size().width()), f64::from(tree.size().height()));
    let zoom = LONGEST_SIDE / width.max(height);
    let side = |length: f64| ((length * zoom).round() as u32).max(1);
    let full = (side(width), side(height));
    let fit = Fit::new(within, full, Orientation::NoTransforms);
    let (output, shown) = (fit.output, fit.shown);
    // From the drawing's units to the part of it that is shown.
    let scale = f64::from(output.0) / shown.0 * zoom;
    let left = (f64::from(full.0) - shown.0) / 2.0 / zoom;
    let top = (f64::from(full.1) - shown.1) / 2.0 / zoom;
    let canvas = Rect::from_xywh(
        left as f32,
        top as f32,
        (f64::from(output.0) / scale) as f32,
        (f64::from(output.1) / scale) as f32,
    )
    .ok_or_else(damaged)?;
    let mut cost =
        Cost { canvas, pixels_per_unit: scale * scale, scale, most: limits.max_svg_work, spent: 0.0 };
    cost.group(tree.root(), 0)?;
    let mut pixmap = Pixmap::new(output.0, output.1).ok_or_else(damaged)?;
    let transform =
        Transform::from_scale(scale as f32, scale as f32).pre_translate(-left as f32, -top as f32);
    resvg::render(&tree, transform, &mut pixmap.as_mut());
    let mut data = pixmap.take();
    for [red, green, blue, alpha] in data.as_chunks_mut::<4>().0 {
        (*red, *green, *blue) = (divided(*red, *alpha), divided(*green, *alpha), divided(*blue, *alpha));
    }
    let pixels = Pixels { width: output.0, height: output.1, layout: Layout::Rgba, data };
    let extent = (f64::from(output.0), f64::from(output.1));
    let fit = Fit::whole(output);
    Ok(Decoded { pixels, extent, fit, orientation: Orientation::NoTransforms, matrix: None, icc: None })
}

/// The drawing with all its references followed, none of which leads out of the file.
fn tree(bytes: &[u8], limits: &MediaLimits) -> Result<Tree, MediaError> {
    let text = std::str::from_utf8(bytes).map_err(|_| damaged())?;
    let parsing = roxmltree::ParsingOptions {
        allow_dtd: true,
        nodes_limit: limits.max_svg_nodes,
        ..roxmltree::ParsingOptions::default()
    };
    let document = roxmltree::Document::parse_with_options(text, parsing).map_err(|fault| match fault {
        roxmltree::Error::NodesLimitReached => too_complex(),
        _ => damaged(),
    })?;
    // A parent comes before its children.
    let mut depths = vec![0u16; 1];
    for node in document.descendants().skip(1) {
        let depth =
            node.parent().and_then(|parent| depths.get(parent.id().get_usize())).map_or(0, |depth| depth + 1);
        if depth > MAX_DEPTH {
            return Err(too_complex());
        }
        depths.resize(node.id().get_usize(), 0);
        depths.push(depth);
    }
    let options = Options {
        image_href_resolver: ImageHrefResolver {
            resolve_data: Box::new(|_, _: Arc<Vec<u8>>, _| None),
            resolve_string: Box::new(|_, _| None),
        },
        ..Options::default()
    };
    Tree::from_xmltree(&document, &options).map_err(|_| damaged())
}

fn too_complex() -> MediaError {
    MediaError::permanent("the drawing is too complex to draw")
}

/// The work of drawing, in pixels that are written, and how much is allowed.
struct Cost {
    /// The part of the drawing that is shown, in its units.
    canvas: Rect,
    pixels_per_unit: f64,
    scale: f64,
    most: f64,
    spent: f64,
}

impl Cost {
    fn add(&mut self, work: f64) -> Result<(), MediaError> {
        self.spent += if work.is_finite() { work } else { f64::MAX };
        if self.spent > self.most { Err(too_complex()) } else { Ok(()) }
    }

    /// Pixels of the canvas within a rectangle.
    fn pixels(&self, of: Rect) -> f64 {
        of.intersect(&self.canvas)
            .map_or(0.0, |part| f64::from(part.width()) * f64::from(part.height()) * self.pixels_per_unit)
    }

    fn group(&mut self, group: &Group, depth: usize) -> Result<(), MediaError> {
        /// A layer of its own is cleared, drawn and put back.
        const LAYER: f64 = 4.0;
        /// Masks in masks, patterns in patterns.
        const MAX_NESTING: usize = 1024;
        if depth > MAX_NESTING {
            return Err(too_complex());
        }
        if group.should_isolate() {
            self.add(LAYER * self.whole())?;
        }
        for filter in group.filters() {
            for primitive in filter.primitives() {
                self.add(self.filtered(primitive.kind()))?;
            }
        }
        let clip = group.clip_path().map(|clip| clip.root());
        let mask = group.mask().map(|mask| mask.root());
        for of in clip.into_iter().chain(mask) {
            self.add(LAYER * self.whole())?;
            self.group(of, depth + 1)?;
        }
        for node in group.children() {
            match node {
                Node::Group(group) => self.group(group, depth + 1)?,
                Node::Path(path) => self.path(path, depth)?,
                Node::Image(_) | Node::Text(_) => {}
            }
        }
        Ok(())
    }

    fn whole(&self) -> f64 {
        self.pixels(self.canvas)
    }

    /// A filter works on a region of up to five times the canvas across and down, which is seldom so large.
    fn filtered(&self, kind: &Kind) -> f64 {
        const REGION: f64 = 4.0;
        let radius = |radius: f32| (f64::from(radius) * self.scale).max(1.0);
        let for_each_pixel = match kind {
            Kind::Turbulence(noise) => 100.0 * f64::from(noise.num_octaves().max(1)),
            Kind::ConvolveMatrix(matrix) => {
                4.0 * f64::from(matrix.matrix().columns()) * f64::from(matrix.matrix().rows())
            }
            Kind::Morphology(shape) => 4.0 * radius(shape.radius_x().get()) * radius(shape.radius_y().get()),
            Kind::DiffuseLighting(_) | Kind::SpecularLighting(_) => 50.0,
            Kind::GaussianBlur(_) | Kind::DropShadow(_) => 30.0,
            _ => 10.0,
        };
        REGION * for_each_pixel * self.whole()
    }

    fn path(&mut self, path: &resvg::usvg::Path, depth: usize) -> Result<(), MediaError> {
        const OVERHEAD: f64 = 500.0;
        const FOR_A_POINT: f64 = 100.0;
        let points = path.data().points().len() as f64;
        let covered = self.pixels(path.abs_stroke_bounding_box());
        self.add(OVERHEAD + points * FOR_A_POINT + covered)?;
        let stroke = path.stroke();
        if let Some(dashes) = stroke.and_then(|stroke| stroke.dasharray()) {
            let bounds = path.bounding_box();
            let length = points * f64::from(bounds.width() + bounds.height());
            let dash = dashes.iter().copied().map(f64::from).sum::<f64>() / dashes.len().max(1) as f64;
            self.add(FOR_A_POINT * 10.0 * (length / dash.max(1e-6)).min(1e6))?;
        }
        let paints =
            path.fill().map(|fill| fill.paint()).into_iter().chain(stroke.map(|stroke| stroke.paint()));
        for paint in paints {
            match paint {
                Paint::Pattern(pattern) => {
                    self.add(4.0 * self.whole())?;
                    self.group(pattern.root(), depth + 1)?;
                }
                Paint::LinearGradient(_) | Paint::RadialGradient(_) => self.add(8.0 * covered)?,
                Paint::Color(_) => {}
            }
        }
        Ok(())
    }
}
