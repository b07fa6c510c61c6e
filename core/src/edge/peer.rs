//! Who is at the other end of a connection.
//! Never says who the client is: a proxy may be in between.

use std::net::IpAddr;

/// Who is at the other end of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// A TCP peer.
    Address(IpAddr),
    /// Somebody on this machine, over a unix socket.
    Unix,
}
