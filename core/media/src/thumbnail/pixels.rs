//! Pixels of eight bits per channel, row by row without padding.

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, RgbImage, RgbaImage};

/// What the channels are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    Gray,
    Rgb,
    /// Alpha is not multiplied in.
    Rgba,
    /// Ink: 255 is full.
    Cmyk,
}

impl Layout {
    /// Bytes in a pixel.
    pub(super) const fn channels(self) -> usize {
        match self {
            Self::Gray => 1,
            Self::Rgb => 3,
            Self::Rgba | Self::Cmyk => 4,
        }
    }
}

/// An image in memory.
#[derive(Debug, Clone)]
pub(super) struct Pixels {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) layout: Layout,
    /// `width * height * channels` bytes.
    pub(super) data: Vec<u8>,
}

impl Pixels {
    /// Rotated and mirrored so that it is upright. Only for RGB and RGBA.
    pub(super) fn upright(self, orientation: Orientation) -> Self {
        if orientation == Orientation::NoTransforms {
            return self;
        }
        let Some(mut image) = self.clone().into_dynamic() else { return self };
        image.apply_orientation(orientation);
        Self::from_dynamic(image)
    }

    /// Makes an image opaque whose alpha is zero everywhere: its writer left those bits unused.
    pub(super) fn show_if_invisible(&mut self) {
        let pixels = self.data.as_chunks_mut::<4>().0;
        if self.layout == Layout::Rgba && pixels.iter().all(|pixel| pixel[3] == 0) {
            pixels.iter_mut().for_each(|pixel| pixel[3] = 255);
        }
    }

    /// The same pixels for the `image` crate, which has no CMYK.
    fn into_dynamic(self) -> Option<DynamicImage> {
        let Self { width, height, layout, data } = self;
        match layout {
            Layout::Gray => GrayImage::from_raw(width, height, data).map(DynamicImage::from),
            Layout::Rgb => RgbImage::from_raw(width, height, data).map(DynamicImage::from),
            Layout::Rgba => RgbaImage::from_raw(width, height, data).map(DynamicImage::from),
            Layout::Cmyk => None,
        }
    }

    /// From the `image` crate; more than eight bits are cut to eight.
    pub(super) fn from_dynamic(image: DynamicImage) -> Self {
        let (width, height) = (image.width(), image.height());
        let (layout, data) = match (image.color().has_alpha(), image.color().has_color()) {
            (true, _) => (Layout::Rgba, image.into_rgba8().into_raw()),
            (false, true) => (Layout::Rgb, image.into_rgb8().into_raw()),
            (false, false) => (Layout::Gray, image.into_luma8().into_raw()),
        };
        Self { width, height, layout, data }
    }
}
