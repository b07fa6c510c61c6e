//! Limits on the cost of an image, an audio file or a video, and the error type for a failure.
//! Invariant: every limit has a unit and is checked before memory or time is spent.
//! Never decides what to do about a failure.

use std::time::Duration;

/// Bounds on what one file may cost. `Default` suits untrusted uploads.
#[derive(Debug, Clone)]
pub struct MediaLimits {
    /// Most pixels of an image that is decoded, as its header states them.
    pub max_pixels: u64,
    /// Longest side of an image that is decoded, in pixels.
    pub max_side: u32,
    /// Most pixels of a JPEG, which is decoded at an eighth or a quarter where it is large.
    pub max_jpeg_pixels: u64,
    /// Longest side of a JPEG, in pixels: what its header can say.
    pub max_jpeg_side: u32,
    /// Most pixels of a JPEG XL, of which all are decoded, and slowly.
    pub max_jxl_pixels: u64,
    /// Most memory that its decoder may allocate, in bytes, with the compressed image.
    pub max_jxl_bytes: u64,
    /// How long its decoder may run.
    pub max_jxl_time: Duration,
    /// Largest drawing in SVG, in bytes.
    pub max_svg_bytes: u64,
    /// Most nodes of a drawing, as XML counts them.
    pub max_svg_nodes: u32,
    /// Most work of drawing one, in pixels that are written: about a nanosecond each.
    pub max_svg_work: f64,
    /// Largest compressed image file that is decoded, in bytes.
    pub max_image_bytes: u64,
    /// Most memory a decoder may allocate for one image, in bytes.
    pub max_decoder_bytes: u64,
    /// Most bytes that reading a file's facts may fetch from it.
    pub max_header_bytes: u64,
    /// How long one ffmpeg may run, in wall-clock time.
    pub ffmpeg_wall_clock: Duration,
    /// How much processor time one ffmpeg may use.
    pub ffmpeg_cpu: Duration,
    /// Whether ffmpeg may run where the kernel has no Landlock to keep it from other files.
    pub may_be_unconfined: bool,
    /// Address space of one ffmpeg, in bytes.
    pub ffmpeg_address_space: u64,
    /// How much of an audio file its waveform shows.
    pub waveform: Duration,
    /// How long the conversion of one video may run, in wall-clock time.
    pub conversion_wall_clock: Duration,
    /// How much processor time it may use.
    pub conversion_cpu: Duration,
    /// How many threads decode in it, and how many encode.
    pub conversion_threads: u32,
    /// Largest video that may come out of it, in bytes.
    pub converted_bytes: u64,
}

impl Default for MediaLimits {
    fn default() -> Self {
        Self {
            max_pixels: 100_000_000,
            max_side: 30_000,
            max_jpeg_pixels: 400_000_000,
            max_jpeg_side: 65_535,
            max_jxl_pixels: 40_000_000,
            max_jxl_bytes: 400 << 20,
            max_jxl_time: Duration::from_secs(60),
            max_svg_bytes: 8 << 20,
            max_svg_nodes: 200_000,
            max_svg_work: 4e9,
            max_image_bytes: 256 << 20,
            max_decoder_bytes: 512 << 20,
            max_header_bytes: 16 << 20,
            ffmpeg_wall_clock: Duration::from_secs(60),
            ffmpeg_cpu: Duration::from_secs(60),
            may_be_unconfined: false,
            ffmpeg_address_space: 4 << 30,
            waveform: Duration::from_secs(600),
            conversion_wall_clock: Duration::from_secs(4 * 3600),
            conversion_cpu: Duration::from_secs(8 * 3600),
            conversion_threads: 2,
            converted_bytes: 16 << 30,
        }
    }
}

impl MediaLimits {
    /// Refuses an image by the dimensions in its header.
    pub(super) fn check_dimensions(&self, width: u32, height: u32) -> Result<(), MediaError> {
        check(width, height, self.max_pixels, self.max_side)
    }

    /// The same for JPEG, of which large images cost less.
    pub(super) fn check_jpeg(&self, width: u32, height: u32) -> Result<(), MediaError> {
        check(width, height, self.max_jpeg_pixels, self.max_jpeg_side)
    }

    /// The same for JPEG XL, of which they cost more.
    pub(super) fn check_jxl(&self, width: u32, height: u32) -> Result<(), MediaError> {
        check(width, height, self.max_jxl_pixels, self.max_side)
    }
}

fn check(width: u32, height: u32, max_pixels: u64, max_side: u32) -> Result<(), MediaError> {
    if width == 0 || height == 0 {
        return Err(MediaError::permanent("the image has no pixels"));
    }
    if width > max_side || height > max_side {
        return Err(MediaError::permanent(format!("a side of the image is longer than {max_side} pixels")));
    }
    if u64::from(width) * u64::from(height) > max_pixels {
        return Err(MediaError::permanent(format!(
            "the image has more than {} megapixels",
            max_pixels / 1_000_000
        )));
    }
    Ok(())
}

/// Why a file could not be processed: a short clause for a person, without a trailing dot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct MediaError {
    /// The clause, such as `the image's data is damaged`.
    pub reason: String,
    /// Whether the same bytes may succeed later (no memory, no ffmpeg, out of time).
    pub retryable: bool,
}

impl MediaError {
    /// A failure caused by the content: the same bytes will fail again.
    pub(super) fn permanent(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), retryable: false }
    }

    /// A failure caused by the circumstances: the same bytes may succeed later.
    pub(super) fn temporary(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), retryable: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_promises_too_much_is_refused() {
        let limits = MediaLimits::default();
        assert!(limits.check_dimensions(60_000, 60_000).is_err());
        assert!(limits.check_dimensions(30_001, 1).is_err());
        assert!(limits.check_dimensions(10_001, 10_000).is_err());
        assert!(limits.check_dimensions(0, 10).is_err());
        assert!(limits.check_dimensions(10_000, 10_000).is_ok());
        assert!(limits.check_jpeg(20_001, 20_000).is_err());
        assert!(limits.check_jpeg(65_535, 6_000).is_ok());
    }
}
