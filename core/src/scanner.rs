//! The client of ClamAV's daemon: a file's bytes go there and its verdict comes back (`INSTREAM`, clamd(8)).
//! Never decides what a verdict means.

use crate::config::ListenAddress;
use crate::error::{Error, Result, chain};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

/// The daemon scans a file once it has all of it.
const MAX_TIME: Duration = Duration::from_secs(150);
/// A verdict is one line.
const MAX_REPLY_BYTES: u64 = 1024;

/// What the scanner says about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing was found.
    Clean,
    /// The name of what was found.
    Infected(String),
    /// The file is larger than the daemon accepts (`StreamMaxLength`).
    TooLarge,
}

/// Sends a file to the daemon.
///
/// # Errors
/// [`Error::Unavailable`] when it does not answer in time, or with an error; why the file cannot be read.
pub(crate) async fn scan(
    address: &ListenAddress,
    content: impl Stream<Item = io::Result<Bytes>> + Unpin,
) -> Result<Verdict> {
    let scanned = tokio::time::timeout(MAX_TIME, async {
        match address {
            ListenAddress::Unix(path) => exchange(UnixStream::connect(path).await?, content).await,
            ListenAddress::Tcp(address) => exchange(TcpStream::connect(address).await?, content).await,
        }
    });
    let reply = scanned.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    match reply.map(|reply| verdict(&reply).ok_or(reply)) {
        Ok(Ok(verdict)) => Ok(verdict),
        Ok(Err(reply)) => {
            tracing::warn!(reply, "the virus scanner failed");
            Err(Error::Unavailable { part: "virus scanner" })
        }
        Err(cause) => {
            tracing::warn!(error = %chain(&cause), "the virus scanner does not answer");
            Err(Error::Unavailable { part: "virus scanner" })
        }
    }
}

async fn exchange(
    mut socket: impl AsyncRead + AsyncWrite + Unpin,
    mut content: impl Stream<Item = io::Result<Bytes>> + Unpin,
) -> io::Result<String> {
    let sent = async {
        socket.write_all(b"zINSTREAM\0").await?;
        while let Some(chunk) = content.next().await {
            let chunk = chunk?;
            socket.write_u32(u32::try_from(chunk.len()).map_err(io::Error::other)?).await?;
            socket.write_all(&chunk).await?;
        }
        socket.write_u32(0).await
    }
    .await;
    // Of a stream that is too long the daemon reads no more and says so.
    match sent {
        Err(cause) if !matches!(cause.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => {
            return Err(cause);
        }
        _ => {}
    }
    let mut reply = String::new();
    socket.take(MAX_REPLY_BYTES).read_to_string(&mut reply).await?;
    Ok(reply.trim_end_matches(['\0', '\n']).to_owned())
}

fn verdict(reply: &str) -> Option<Verdict> {
    let text = reply.strip_prefix("stream: ").unwrap_or(reply);
    if text == "OK" {
        Some(Verdict::Clean)
    } else if let Some(name) = text.strip_suffix(" FOUND") {
        Some(Verdict::Infected(name.to_owned()))
    } else if text.starts_with("INSTREAM size limit exceeded") {
        Some(Verdict::TooLarge)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{Verdict, verdict};

    #[test]
    fn only_what_the_daemon_says_in_so_many_words_is_a_verdict() {
        assert_eq!(verdict("stream: OK"), Some(Verdict::Clean));
        let found = Verdict::Infected("Win.Test.EICAR_HDB-1".to_owned());
        assert_eq!(verdict("stream: Win.Test.EICAR_HDB-1 FOUND"), Some(found));
        assert_eq!(verdict("INSTREAM size limit exceeded. ERROR"), Some(Verdict::TooLarge));
        for reply in ["", "stream: ", "stream: Can't allocate memory ERROR", "UNKNOWN COMMAND"] {
            assert_eq!(verdict(reply), None, "{reply}");
        }
    }
}
