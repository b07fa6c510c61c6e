//! Frames as ffmpeg writes them: binary PPM, one after another.

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

use crate::limits::{MediaError, MediaLimits};

/// A frame in RGB of eight bits, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) data: Vec<u8>,
}

impl Frame {
    /// Whether it shows nothing.
    pub(crate) fn is_dark(&self) -> bool {
        brightness(self) < DARK
    }

    /// The brighter one of two.
    pub(crate) fn or_brighter(self, other: Self) -> Self {
        if brightness(&other) > brightness(&self) { other } else { self }
    }

    /// White on black becomes one colour on another.
    pub(crate) fn tinted(mut self, ground: [u8; 3], ink: [u8; 3]) -> Self {
        for pixel in self.data.as_chunks_mut::<3>().0 {
            let share = u32::from(pixel[0]);
            for channel in 0..3 {
                let mixed = u32::from(ground[channel]) * (255 - share) + u32::from(ink[channel]) * share;
                pixel[channel] = (mixed / 255) as u8;
            }
        }
        self
    }
}

/// Mean brightness, of 255, below which a frame shows nothing.
const DARK: u64 = 20;

/// The first frame that is not dark, or else the brightest. `None` if there is no whole frame.
pub(crate) async fn choose(
    output: impl AsyncRead + Unpin,
    limits: &MediaLimits,
) -> Result<Option<Frame>, MediaError> {
    let mut output = BufReader::new(output);
    let mut best: Option<(u64, Frame)> = None;
    while let Some(frame) = next(&mut output, limits).await? {
        let brightness = brightness(&frame);
        if best.as_ref().is_none_or(|(so_far, _)| brightness > *so_far) {
            best = Some((brightness, frame));
        }
        if brightness >= DARK {
            break;
        }
    }
    Ok(best.map(|(_, frame)| frame))
}

/// The next frame; `None` where the output ends.
async fn next(
    output: &mut BufReader<impl AsyncRead + Unpin>,
    limits: &MediaLimits,
) -> Result<Option<Frame>, MediaError> {
    let Some((width, height)) = header(output).await else { return Ok(None) };
    limits.check_dimensions(width, height)?;
    let mut data = vec![0; 3 * width as usize * height as usize];
    Ok(output.read_exact(&mut data).await.ok().map(|_| Frame { width, height, data }))
}

/// `P6`, width and height, 255, each on a line.
async fn header(output: &mut BufReader<impl AsyncRead + Unpin>) -> Option<(u32, u32)> {
    const MAX_LINE: u64 = 32;
    let mut lines = [const { String::new() }; 3];
    for line in &mut lines {
        output.take(MAX_LINE).read_line(line).await.ok()?;
    }
    let [magic, size, depth] = lines;
    let (width, height) = size.trim().split_once(' ')?;
    let is_ppm = magic.trim() == "P6" && depth.trim() == "255";
    is_ppm.then_some((width.parse().ok()?, height.parse().ok()?))
}

/// Mean of the green channel, which carries most of the light.
fn brightness(frame: &Frame) -> u64 {
    let green = frame.data.as_chunks::<3>().0.iter().map(|[_, green, _]| u64::from(*green));
    green.sum::<u64>() / (u64::from(frame.width) * u64::from(frame.height))
}
