//! JPEG XL by `jxl-oxide`, in pure Rust, with bounds on its memory and its time.
//! A lossy image is decoded in strips: whole, one of 24 megapixels takes 569 MiB, in strips 240 and a third more time;
//! of 40 megapixels 941 and 220, of 29,900 by 1,330 pixels 398. A lossless one is whole in the decoder's memory anyway,
//! as integers of two or four bytes: 24 megapixels of 8 bits take 185 MiB, of 16 bits 321, 40 of 8 bits 305.
//! Refused for their memory are 40 lossless megapixels of 16 bits, and the lossy mode for drawings from about 20 on.
//! Only the first frame is fed to the decoder, without its container: it would unpack metadata in Brotli unbounded.

use std::error::Error;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use image::metadata::Orientation;
use jxl_oxide::frame::Encoding;
use jxl_oxide::{
    AllocTracker, CropInfo, EnumColourEncoding, InitializeResult, JxlImage, JxlThreadPool, Render,
    RenderingIntent, UninitializedJxlImage,
};

use super::{Decoded, damaged};
use crate::facts::{JXL_CODESTREAM as CODESTREAM, JxlParts};
use crate::fit::{Fit, FitTo};
use crate::limits::{MediaError, MediaLimits};
use crate::source::Source;
use crate::thumbnail::pixels::Layout;
use crate::thumbnail::shrink::Shrinker;

/// Pixels of a strip. The decoder adds a row of groups above and below.
const STRIP: u32 = 8 << 20;
/// Rows of a group: a strip begins where one does.
const GROUP: u32 = 256;

pub(super) fn decode(source: Source<'_>, within: FitTo, limits: &MediaLimits) -> Result<Decoded, MediaError> {
    let memory = AllocTracker::with_limit(usize::try_from(limits.max_jxl_bytes).unwrap_or(usize::MAX));
    let deadline = Instant::now() + limits.max_jxl_time;
    let (running, ended) = channel::<()>();
    std::thread::scope(|scope| {
        let starved = memory.clone();
        scope.spawn(move || {
            let mut patience = limits.max_jxl_time;
            // The decoder knows no deadline, but it asks for memory for each group.
            while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(patience) {
                starve(&starved);
                patience = Duration::from_millis(5);
            }
        });
        // Dropped when the work is done or panics, which ends the other thread.
        let _running = running;
        Bounds { deadline, memory, limits }.decode(source, within)
    })
}

/// Takes all memory that is left.
fn starve(memory: &AllocTracker) {
    for bit in (0..usize::BITS).rev() {
        let _ = memory.shrink_limit(1 << bit);
    }
}

/// What limits a decoder.
struct Bounds<'a> {
    deadline: Instant,
    memory: AllocTracker,
    limits: &'a MediaLimits,
}

impl Bounds<'_> {
    fn decode(&self, source: Source<'_>, within: FitTo) -> Result<Decoded, MediaError> {
        let mut image = self.read(source)?;
        // As it is shown: the decoder turns it.
        let full = (image.width(), image.height());
        if image.hdr_type().is_some() {
            image.request_color_encoding(EnumColourEncoding::srgb(RenderingIntent::Relative));
        }
        let fit = Fit::new(within, full, Orientation::NoTransforms);
        let header = image.frame_header(0).ok_or_else(damaged)?;
        let is_whole_anyway = header.encoding == Encoding::Modular;
        if is_whole_anyway {
            // What is untouched may take as much as all the rest at most.
            let most = usize::try_from(self.limits.max_jxl_bytes).unwrap_or(usize::MAX);
            self.memory.expand_limit(untouched_bytes(&image).min(most));
        }
        let strip = if is_whole_anyway { full.1 } else { (STRIP / full.0 / GROUP).max(1) * GROUP };
        let mut shrinker = None;
        for top in (0..full.1).step_by(strip as usize) {
            let height = strip.min(full.1 - top);
            if height < full.1 {
                image.set_image_region(CropInfo { left: 0, top, width: full.0, height });
            }
            let render = image.render_frame(0).map_err(|fault| self.failure(&*fault))?;
            let is_ink = image.pixel_format().has_black();
            let new = |layout| Shrinker::new(full.0, layout, fit.reduction());
            push(&render, is_ink, (full.0, height), &mut shrinker, new)?;
            if Instant::now() > self.deadline {
                return Err(overdue());
            }
        }
        let (pixels, extent) = shrinker.ok_or_else(damaged)?.finish();
        let orientation = Orientation::NoTransforms;
        Ok(Decoded { pixels, extent, fit, orientation, matrix: None, icc: Some(image.rendered_icc()) })
    }

    /// Feeds the first frame that is shown, and those that it is made from.
    fn read(&self, mut source: Source<'_>) -> Result<JxlImage, MediaError> {
        let builder = JxlImage::builder().pool(JxlThreadPool::none()).alloc_tracker(self.memory.clone());
        let mut state = State::Header(builder.build_uninit());
        let mut parts = JxlParts::of(&mut source).ok_or_else(damaged)?;
        let mut is_first = true;
        // The decoder reads a header from its start again whenever more is fed: each time twice as much.
        let mut next = 4 << 10;
        while let Some(part) = parts.next(&mut source) {
            // A container in a container is none.
            if std::mem::take(&mut is_first) && source.bytes(part.start) != Some(CODESTREAM) {
                return Err(damaged());
            }
            let mut at = part.start;
            while at < part.end {
                let chunk = source.up_to(at, next.min(part.end - at)).ok_or_else(damaged)?;
                if chunk.is_empty() {
                    break;
                }
                at += chunk.len() as u64;
                next = (next * 2).min(self.limits.max_header_bytes);
                state = self.feed(state, &chunk)?;
                match state {
                    State::Frames(image) if image.num_loaded_keyframes() > 0 => return Ok(image),
                    _ if Instant::now() > self.deadline => return Err(overdue()),
                    _ => {}
                }
            }
        }
        Err(damaged())
    }

    fn feed(&self, state: State, chunk: &[u8]) -> Result<State, MediaError> {
        let fault = |fault: Box<dyn Error + Send + Sync>| self.failure(&*fault);
        let mut image = match state {
            State::Frames(image) => image,
            State::Header(mut image) => {
                if image.feed_bytes(chunk).map_err(fault)? < chunk.len() {
                    return Err(damaged());
                }
                return match image.try_init().map_err(fault)? {
                    InitializeResult::NeedMoreData(image) => Ok(State::Header(image)),
                    InitializeResult::Initialized(image) => {
                        self.limits.check_jxl(image.width(), image.height())?;
                        Ok(State::Frames(image))
                    }
                };
            }
        };
        if image.feed_bytes(chunk).map_err(fault)? < chunk.len() {
            return Err(damaged());
        }
        Ok(State::Frames(image))
    }

    fn failure(&self, fault: &(dyn Error + Send + Sync)) -> MediaError {
        if Instant::now() > self.deadline {
            return overdue();
        }
        // The only name that the error has here.
        if fault.to_string().contains("failed to allocate") {
            return MediaError::permanent("the image needs too much memory to decode");
        }
        damaged()
    }
}

/// The decoder allocates the integers of a frame twice, and writes to one of them only: the other takes no memory. That
/// does not hold for what fits into a group, nor for what other frames need.
fn untouched_bytes(image: &JxlImage) -> usize {
    const LARGEST_GROUP: u32 = 1024;
    if image.num_loaded_frames() != 1 || image.width().max(image.height()) <= LARGEST_GROUP {
        return 0;
    }
    let metadata = &image.image_header().metadata;
    let channels = metadata.ec_info.len() + if metadata.grayscale() { 1 } else { 3 };
    let number = if metadata.modular_16bit_buffers { 2 } else { 4 };
    let pixels = image.width() as usize * image.height() as usize;
    pixels.saturating_mul(channels * number)
}

/// How far the decoder is.
enum State {
    Header(UninitializedJxlImage),
    Frames(JxlImage),
}

fn overdue() -> MediaError {
    MediaError::temporary("decoding the image takes too long")
}

/// Gives the rows of a strip to the shrinker, which the first strip makes.
fn push(
    render: &Render,
    is_ink: bool,
    (width, height): (u32, u32),
    shrinker: &mut Option<Shrinker>,
    new: impl FnOnce(Layout) -> Shrinker,
) -> Result<(), MediaError> {
    let mut stream = render.stream();
    let channels = stream.channels() as usize;
    let layout = match (channels, is_ink) {
        (1, _) => Layout::Gray,
        (3, _) => Layout::Rgb,
        (4 | 5, true) => Layout::Cmyk,
        (2 | 4, false) => Layout::Rgba,
        _ => return Err(damaged()),
    };
    let shrinker = shrinker.get_or_insert_with(|| new(layout));
    let mut samples = vec![0u8; width as usize * channels];
    let mut row = Vec::new();
    for _ in 0..height {
        if stream.write_to_buffer(&mut samples) < samples.len() {
            return Err(damaged());
        }
        row.clear();
        match (channels, layout) {
            // Of ink, 0 is full.
            (_, Layout::Cmyk) => {
                row.extend(samples.chunks_exact(channels).flat_map(|pixel| &pixel[..4]).map(|ink| 255 - ink));
            }
            (2, _) => {
                let pixels = samples.as_chunks::<2>().0.iter();
                row.extend(pixels.flat_map(|[light, alpha]| [*light, *light, *light, *alpha]));
            }
            _ => row.extend_from_slice(&samples),
        }
        shrinker.push(&row);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
