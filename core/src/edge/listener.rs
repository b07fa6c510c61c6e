//! Our own accept loop over hyper, because `axum::serve` has no timeouts at all: bounds on connections, on the time for
//! headers and for a stalled reader, and a drain that lets open requests finish. Never knows a route.

use super::body::Unread;
use super::compress;
use super::linger::Lingering;
use super::peer::Peer;
use crate::config::{Limits, ListenAddress};
use crate::error::chain;
use axum::Router;
use axum::body::Body;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::HashMap;
use std::convert::Infallible;
use std::fs::Permissions;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

/// A reader that takes nothing for so long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// hyper's read buffer; also bounds what one slow request can hold.
const BUFFER_BYTES: usize = 128 * 1024;
/// Pause after a failed accept (no descriptors left), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a connection without a request is kept when the process is to end.
const LINGER: Duration = Duration::from_millis(250);

/// A listening socket.
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A unix socket.
    Unix(UnixListener),
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Listener {
    /// Listens on an address; a stale unix socket file is replaced.
    ///
    /// # Errors
    /// When the address cannot be had.
    #[expect(clippy::disallowed_methods, reason = "a socket's name is not on the volume")]
    pub async fn bind(address: &ListenAddress) -> io::Result<Self> {
        match address {
            ListenAddress::Tcp(address) => Ok(Self::Tcp(TcpListener::bind(address).await?)),
            ListenAddress::Unix(path) => {
                if UnixStream::connect(path).await.is_ok() {
                    return Err(io::ErrorKind::AddrInUse.into());
                }
                match std::fs::remove_file(path) {
                    Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
                    _ => {}
                }
                let listener = UnixListener::bind(path)?;
                // The umask is for files; a proxy of the same group must be able to connect.
                std::fs::set_permissions(path, Permissions::from_mode(0o660))?;
                Ok(Self::Unix(listener))
            }
        }
    }

    /// The socket that systemd passed, if it passed one (`sd_listen_fds(3)`).
    ///
    /// # Errors
    /// When what was passed is no listening stream socket.
    pub fn from_systemd() -> io::Result<Option<Self>> {
        let mut passed = listenfd::ListenFd::from_env();
        if passed.len() == 0 {
            return Ok(None);
        }
        if let Ok(Some(unix)) = passed.take_unix_listener(0) {
            unix.set_nonblocking(true)?;
            return Ok(Some(Self::Unix(UnixListener::from_std(unix)?)));
        }
        let tcp = passed.take_tcp_listener(0)?.ok_or(io::ErrorKind::InvalidInput)?;
        tcp.set_nonblocking(true)?;
        Ok(Some(Self::Tcp(TcpListener::from_std(tcp)?)))
    }

    async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok((Stream::Tcp(stream), Peer::Address(address.ip().to_canonical())))
            }
            Self::Unix(listener) => Ok((Stream::Unix(listener.accept().await?.0), Peer::Unix)),
        }
    }
}

/// Serves connections until `stop`, then lets open requests finish for the drain time. Requests that hold the service
/// busy are counted by `connections`, which an idle exit looks at.
pub async fn serve_connections(
    listener: Listener,
    router: Router,
    limits: &Limits,
    stop: CancellationToken,
    connections: TaskTracker,
) {
    let total = Arc::new(Semaphore::new(limits.max_connections));
    let per_address =
        Arc::new(PerAddress { open: Mutex::default(), most: limits.max_connections_per_address });
    let header_timeout = limits.header_timeout;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(error = %chain(&error), "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Over a bound the connection is closed at once: the peer sees it and others are not held up.
        let Ok(permit) = Arc::clone(&total).try_acquire_owned() else { continue };
        let Some(place) = PerAddress::enter(&per_address, peer) else { continue };
        let (router, stop) = (router.clone(), stop.clone());
        connections.spawn(async move {
            let _held = (permit, place);
            match stream {
                Stream::Tcp(stream) => serve(stream, peer, router, header_timeout, stop).await,
                Stream::Unix(stream) => serve(stream, peer, router, header_timeout, stop).await,
            }
        });
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(limits.drain, connections.wait()).await.is_err() {
        tracing::warn!(open = connections.len(), "requests were still open when the drain time ended");
    }
}

async fn serve<S>(stream: S, peer: Peer, router: Router, header_timeout: Duration, stop: CancellationToken)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + 'static,
{
    let lingered = linger(stop.clone());
    let unread = Unread::default();
    let of_requests = unread.clone();
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(of_requests.clone());
        let accepts_gzip = compress::accepts_gzip(request.headers());
        let (answering, stop) = (router.clone().oneshot(request), stop.clone());
        async move {
            let mut response = answering.await?;
            if let Peer::Address(_) = peer {
                response = compress::json(response, accepts_gzip).await;
            }
            if stop.is_cancelled() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let mut stream = tokio_io_timeout::TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(Lingering::new(Box::pin(stream), unread)), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = lingered => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // Clients go away at any time: worth a line only to somebody who looks for it.
        tracing::debug!(error = %chain(&error), "a connection ended early");
    }
}

/// A request may be on its way over a connection that was accepted, or kept, before the end: it is waited for, and
/// answered with the word that it was the last one.
async fn linger(stop: CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(LINGER).await;
}

/// How many connections each address holds.
struct PerAddress {
    open: Mutex<HashMap<IpAddr, usize>>,
    most: usize,
}

/// One connection's place in the count, given back when dropped.
struct Place {
    counts: Arc<PerAddress>,
    address: Option<IpAddr>,
}

impl PerAddress {
    /// `None` when the address has its most. Peers over a unix socket are a proxy of ours and not counted.
    fn enter(counts: &Arc<Self>, peer: Peer) -> Option<Place> {
        let Peer::Address(address) = peer else {
            return Some(Place { counts: Arc::clone(counts), address: None });
        };
        let mut open = counts.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_default();
        if *count >= counts.most {
            return None;
        }
        *count += 1;
        Some(Place { counts: Arc::clone(counts), address: Some(address) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(address) = self.address else { return };
        let mut open = self.counts.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&address);
            }
        }
    }
}
