//! Media: bytes in; type, facts, pixels and videos out, bounded.
//! Invariant: every answer comes from the content alone, and no input can make it panic or outgrow `MediaLimits`.
//! Never knows a user, a row, the name of a size, HTTP or where a file lives.

pub mod facts;
pub mod limits;
pub mod playback;
pub mod sniff;
pub mod thumbnail;
pub mod video;

mod audio;
mod blocking;
#[cfg(test)]
mod corpus;
mod demuxer;
mod ffmpeg;
mod fit;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod fuzzed;
mod heif;
mod ifd;
#[cfg(test)]
mod image_corpus;
mod jpeg_header;
#[cfg(test)]
mod memory;
mod mpeg_audio;
#[cfg(test)]
mod odd_images;
mod raw;
mod source;
mod still;
mod tracks;

/// The service's allocator: without it, the memory of C decoders is kept by the threads that they ran in.
#[cfg(test)]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

pub use facts::{Facts, HighDynamicRange, examine, facts, settle, settle_bytes};
pub use fit::FitTo;
pub use limits::{MediaError, MediaLimits};
pub use playback::{Conversion, conversion};
pub use sniff::{Class, Sniffed, is_audio_alone, is_container, is_inline_safe, sniff};
pub use still::image_thumbnail;
pub use thumbnail::{Thumbnail, ThumbnailFormat, decoded_thumbnail, jpeg_by_low_frequencies, lzw_decoded};
pub use video::{VideoSource, convert, poster, probe};
