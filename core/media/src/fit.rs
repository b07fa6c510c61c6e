//! How large a variant is, and which part of the image it shows.

use image::metadata::Orientation;

use crate::facts::exchanges_sides;

/// How a whole image becomes a variant, in the orientation in which the pixels are stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fit {
    /// Size of the whole image in pixels.
    pub(crate) full: (u32, u32),
    /// Size of the part that is shown, around the middle, in pixels of the whole image.
    pub(crate) shown: (f64, f64),
    /// Size of the result in pixels.
    pub(crate) output: (u32, u32),
}

/// How large a thumbnail is, in pixels as it is displayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FitTo {
    /// This width and height, cropped to fill.
    Cover(u32, u32),
    /// The whole image, at most this long on its longer side.
    Inside(u32),
}

impl Fit {
    /// Nothing is ever enlarged: an image smaller than the box to fill becomes a thumbnail of the box's shape that is
    /// smaller than the box.
    pub(crate) fn new(frame: FitTo, full: (u32, u32), orientation: Orientation) -> Self {
        let (width, height) = (f64::from(full.0), f64::from(full.1));
        match frame {
            FitTo::Inside(longest) => {
                let scale = (f64::from(longest) / width.max(height)).min(1.0);
                Self { full, shown: (width, height), output: (pixels(width * scale), pixels(height * scale)) }
            }
            FitTo::Cover(box_width, box_height) => {
                let (box_width, box_height) = (f64::from(box_width), f64::from(box_height));
                let (box_width, box_height) = if exchanges_sides(orientation) {
                    (box_height, box_width)
                } else {
                    (box_width, box_height)
                };
                let zoom = (width / box_width).min(height / box_height);
                let shown = (box_width * zoom, box_height * zoom);
                let scale = (1.0 / zoom).min(1.0);
                Self { full, shown, output: (pixels(shown.0 * scale), pixels(shown.1 * scale)) }
            }
        }
    }

    /// An image that has its size already.
    pub(crate) fn whole(full: (u32, u32)) -> Self {
        Self { full, shown: (f64::from(full.0), f64::from(full.1)), output: full }
    }

    /// How many times smaller than stored the image may be decoded without losing detail of the result.
    pub(crate) fn reduction(&self) -> f64 {
        let across = self.shown.0 / f64::from(self.output.0);
        let down = self.shown.1 / f64::from(self.output.1);
        across.min(down).max(1.0)
    }

    /// Whether the edges of a codec's blocks vanish in the means, so that the decoder need not smooth them.
    pub(crate) fn hides_blocks(&self) -> bool {
        const REDUCTION: f64 = 4.0;
        self.reduction() >= REDUCTION
    }
}

fn pixels(length: f64) -> u32 {
    (length.round() as u32).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(frame: FitTo, full: (u32, u32), output: (u32, u32)) {
        assert_eq!(Fit::new(frame, full, Orientation::NoTransforms).output, output);
    }

    #[test]
    fn named_variants_stay_inside_their_box_and_keep_the_shape() {
        check(FitTo::Inside(256), (4000, 3000), (256, 192));
        check(FitTo::Inside(640), (3000, 4000), (480, 640));
        check(FitTo::Inside(1440), (4000, 3000), (1440, 1080));
        check(FitTo::Inside(256), (30_000, 1), (256, 1));
    }

    #[test]
    fn nothing_is_enlarged() {
        check(FitTo::Inside(1440), (100, 50), (100, 50));
        check(FitTo::Cover(400, 225), (160, 90), (160, 90));
        check(FitTo::Cover(400, 225), (1, 1), (1, 1));
    }

    #[test]
    fn the_default_fills_its_box_from_the_middle() {
        check(FitTo::Cover(400, 225), (4000, 3000), (400, 225));
        check(FitTo::Cover(400, 225), (3000, 4000), (400, 225));
        let fit = Fit::new(FitTo::Cover(400, 225), (4000, 3000), Orientation::NoTransforms);
        assert_eq!(fit.shown, (4000.0, 2250.0));
        assert_eq!(fit.reduction(), 10.0);
        check(FitTo::Cover(400, 225), (300, 300), (300, 169));
    }

    #[test]
    fn a_turned_image_fills_the_box_after_turning() {
        let fit = Fit::new(FitTo::Cover(400, 225), (4000, 3000), Orientation::Rotate90);
        assert_eq!(fit.output, (225, 400));
    }
}
