//! Addresses that are bound before it is known what for.

use super::{TcpListener, TcpStream};
use crate::ports::{self, Bound, Share};
use crate::{addr, loopback, stack};
use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use kernlet_platform::Errno;

/// The longest queue of connections that wait to be accepted (net.core.somaxconn).
const BACKLOG_MOST: usize = 4096;

/// A bound address of TCP, to listen at or to connect from.
pub struct TcpBinding(Bound);

impl TcpBinding {
    /// Binds `address`; port 0 chooses one.
    ///
    /// # Errors
    /// EADDRINUSE when others have the port and do not share it, EADDRNOTAVAIL when the address is not one of this instance.
    pub fn new(address: SocketAddr, share: Share) -> Result<Self, Errno> {
        let address = addr::canonical(address);
        addr::check_local(address.ip())?;
        ports::TCP.get().bind_shared(address, share).map(Self)
    }

    /// The address.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Listens here, with so many connections that wait to be accepted.
    ///
    /// # Errors
    /// EADDRINUSE when somebody else listens here; the binding stays.
    pub fn listen(self, backlog: usize) -> Result<TcpListener, (Self, Errno)> {
        match self.0.listens() {
            Ok(()) => {
                let listener = TcpListener::at(self.0);
                listener.set_backlog(backlog);
                Ok(listener)
            }
            Err(error) => Err((self, error)),
        }
    }

    /// Connects from here; see [`TcpStream::connect`].
    ///
    /// # Errors
    /// As there.
    pub async fn connect(self, to: SocketAddr) -> Result<TcpStream, Errno> {
        let to = addr::destination(to);
        loopback::tcp::choose(to, self.0.address().port());
        TcpStream::open(to, || Ok(self.0)).await
    }
}

impl TcpListener {
    /// Has so many connections wait to be accepted (listen(2)).
    pub fn set_backlog(&self, backlog: usize) {
        self.inside.set_backlog(backlog.clamp(1, BACKLOG_MOST));
    }
}

/// The address from which a socket that is bound to `bound` speaks to `to`; unspecified where the host decides.
pub fn source(bound: IpAddr, to: SocketAddr) -> IpAddr {
    let to = addr::destination(to).ip();
    if !bound.is_unspecified() {
        return bound;
    }
    if addr::is_inside(to) {
        return addr::source_inside(bound, to);
    }
    let own = stack::get().and_then(|stack| stack.source(to));
    own.unwrap_or(if to.is_ipv4() { bound } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) })
}

/// Whether a datagram to `to`, which stays inside the instance, would find nobody there.
pub fn nobody_at(to: SocketAddr) -> bool {
    let to = addr::destination(to);
    addr::is_inside(to.ip()) && !loopback::udp::is_taken(to)
}
