//! Who is at the other end of a connection, and which client that is as far as proxies in between can be believed.

use std::net::IpAddr;

/// Who is at the other end of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// A TCP peer.
    Address(IpAddr),
    /// Somebody on this machine, over a unix socket.
    Unix,
}

/// The client's address as far as it can be believed.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClientAddress(pub(super) Option<IpAddr>);
