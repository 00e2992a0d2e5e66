//! What /proc/net tells of a socket.

use super::address::{Address, Name};
use super::socket::{Socket, Speech};
use alloc::vec::Vec;
use kernlet_net::SocketAddr;

/// The first number of a socket.
const FIRST: u64 = 1000;
/// TCP_ESTABLISHED, TCP_CLOSE and TCP_LISTEN of include/net/tcp_states.h.
const ESTABLISHED: u8 = 1;
const CLOSED: u8 = 7;
const LISTENING: u8 = 10;

impl Socket {
    /// Its number (st_ino).
    pub fn number(&self) -> u64 {
        FIRST + self.common.relay.number()
    }

    /// Whether it takes connections.
    pub fn listens(&self) -> bool {
        match &self.speech {
            Speech::Tcp(tcp) => tcp.listens(),
            Speech::Unix(unix) => unix.listens(),
            Speech::Udp(_) | Speech::Netlink(_) => false,
        }
    }

    /// The addresses of both ends, and the state; `None` when it has no port.
    pub fn ends(&self) -> Option<(SocketAddr, SocketAddr, u8)> {
        let Address::Ip(local) = self.local() else { return None };
        let peer = match self.peer() {
            Ok(Address::Ip(peer)) => Some(peer),
            _ => None,
        };
        let state = match peer {
            Some(_) => ESTABLISHED,
            None if self.listens() => LISTENING,
            None => CLOSED,
        };
        (local.port() != 0).then(|| (local, peer.unwrap_or(self.common.any()), state))
    }

    /// The path or abstract name of a UNIX socket, the latter behind an `@`.
    pub fn path(&self) -> Option<Vec<u8>> {
        match self.local() {
            Address::Unix(Name::Path(path)) => Some(path),
            Address::Unix(Name::Abstract(name)) => Some([b"@", &name[..]].concat()),
            _ => None,
        }
    }
}
