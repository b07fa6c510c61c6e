//! How a decoded image is cropped, rotated and mirrored before it is shown.

use image::metadata::Orientation;

use super::number;

/// A part of an image, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rectangle {
    /// Left and upper edge.
    pub(crate) corner: (u32, u32),
    pub(crate) size: (u32, u32),
}

impl Rectangle {
    pub(crate) const fn whole(size: (u32, u32)) -> Self {
        Self { corner: (0, 0), size }
    }

    /// The clean aperture (ISO 14496-12, 12.1.4): width, height and how far its middle is from the middle of the
    /// image, as fractions. `None` where it has no pixels or reaches beyond the image.
    pub(super) fn of_aperture(mut aperture: &[u8], size: (u32, u32)) -> Option<Self> {
        let mut fraction = || {
            let (above, below) = (number(&mut aperture, 4)? as u32 as i32, number(&mut aperture, 4)? as u32);
            (below > 0).then(|| f64::from(above) / f64::from(below))
        };
        let (width, height, right, down) = (fraction()?, fraction()?, fraction()?, fraction()?);
        let side = |whole: u32, part: f64, offset: f64| {
            let start = ((f64::from(whole) - part) / 2.0 + offset).round();
            let part = part.round();
            let is_inside = part >= 1.0 && start >= 0.0 && start + part <= f64::from(whole);
            is_inside.then_some((start as u32, part as u32))
        };
        let (left, width) = side(size.0, width, right)?;
        let (top, height) = side(size.1, height, down)?;
        Some(Self { corner: (left, top), size: (width, height) })
    }

    /// Whether it is a part of an image of this size.
    pub(super) fn is_within(&self, size: (u32, u32)) -> bool {
        let fits = |start: u32, part: u32, whole: u32| {
            part > 0 && start.checked_add(part).is_some_and(|end| end <= whole)
        };
        fits(self.corner.0, self.size.0, size.0) && fits(self.corner.1, self.size.1, size.1)
    }

    /// The same part of an image that is stored at another size.
    pub(crate) fn scaled(&self, from: (u32, u32), to: (u32, u32)) -> Self {
        let along = |start: u32, part: u32, from: u32, to: u32| {
            let ratio = f64::from(to) / f64::from(from.max(1));
            let start = ((f64::from(start) * ratio).round() as u32).min(to.saturating_sub(1));
            (start, ((f64::from(part) * ratio).round() as u32).clamp(1, to.saturating_sub(start).max(1)))
        };
        let (left, width) = along(self.corner.0, self.size.0, from.0, to.0);
        let (top, height) = along(self.corner.1, self.size.1, from.1, to.1);
        Self { corner: (left, top), size: (width, height) }
    }
}

/// One turn after another.
pub(super) fn both(first: Orientation, then: Orientation) -> Orientation {
    // An orientation is a mirroring across followed or not by quarters with the clock; mirroring reverses a turn.
    let parts = |orientation| match orientation {
        Orientation::NoTransforms => (false, 0),
        Orientation::Rotate90 => (false, 1),
        Orientation::Rotate180 => (false, 2),
        Orientation::Rotate270 => (false, 3),
        Orientation::FlipHorizontal => (true, 0),
        Orientation::Rotate270FlipH => (true, 1),
        Orientation::FlipVertical => (true, 2),
        Orientation::Rotate90FlipH => (true, 3),
    };
    let ((first_mirrors, first_quarters), (then_mirrors, then_quarters)) = (parts(first), parts(then));
    let kept = if then_mirrors { 4 - first_quarters } else { first_quarters };
    match (first_mirrors != then_mirrors, (kept + then_quarters) % 4) {
        (false, 0) => Orientation::NoTransforms,
        (false, 1) => Orientation::Rotate90,
        (false, 2) => Orientation::Rotate180,
        (false, _) => Orientation::Rotate270,
        (true, 0) => Orientation::FlipHorizontal,
        (true, 1) => Orientation::Rotate270FlipH,
        (true, 2) => Orientation::FlipVertical,
        (true, _) => Orientation::Rotate90FlipH,
    }
}
