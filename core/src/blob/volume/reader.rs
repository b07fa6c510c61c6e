//! The read path: a range of a file as a stream of chunks, the next one read while this one is sent.
//! Memory is bounded: at most two chunks are held. Never decides who may read.

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::pin::Pin;
use tokio::task::{JoinHandle, spawn_blocking};

/// Bytes read at a time.
const CHUNK_BYTES: u64 = 512 * 1024;

/// Chunks of a file in order. Ends with an error when the file is shorter than the range.
pub type ByteStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

struct Reading {
    next: Option<JoinHandle<io::Result<(File, Bytes)>>>,
    left_bytes: u64,
}

/// Reads the first chunk at once (the caller is on a blocking thread) and the others as they are asked for.
pub(super) fn stream(mut file: File, range: Range<u64>) -> io::Result<ByteStream> {
    if range.is_empty() {
        return Ok(Box::pin(stream::empty()));
    }
    file.seek(SeekFrom::Start(range.start))?;
    let total_bytes = range.end - range.start;
    let (file, first) = read_chunk(file, total_bytes)?;
    let left_bytes = total_bytes - first.len() as u64;
    let next = (left_bytes > 0).then(|| spawn_blocking(move || read_chunk(file, left_bytes)));
    let rest = stream::unfold(Reading { next, left_bytes }, |mut reading| async move {
        let handle = reading.next.take()?;
        let read = handle.await.map_err(io::Error::other).and_then(|read| read);
        let (file, chunk) = match read {
            Ok(read) => read,
            Err(cause) => return Some((Err(cause), reading)),
        };
        reading.left_bytes -= chunk.len() as u64;
        let left_bytes = reading.left_bytes;
        reading.next = (left_bytes > 0).then(|| spawn_blocking(move || read_chunk(file, left_bytes)));
        Some((Ok(chunk), reading))
    });
    Ok(Box::pin(stream::once(async { Ok(first) }).chain(rest)))
}

fn read_chunk(mut file: File, left_bytes: u64) -> io::Result<(File, Bytes)> {
    let want = left_bytes.min(CHUNK_BYTES);
    let mut chunk = Vec::with_capacity(want as usize);
    let read = (&mut file).take(want).read_to_end(&mut chunk)?;
    if (read as u64) < want {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok((file, Bytes::from(chunk)))
}
