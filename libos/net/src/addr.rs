//! Which addresses are whose.

use crate::stack;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use kernlet_platform::Errno;

/// An IPv4 address inside IPv6 (`::ffff:a.b.c.d`) as IPv4, all else as it is.
pub fn canonical(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => SocketAddr::from((v4, v6.port())),
            None => address,
        },
        SocketAddr::V4(_) => address,
    }
}

/// The address as a socket of the other family would have it: IPv4 mapped into IPv6.
pub fn mapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => SocketAddr::from((v4.ip().to_ipv6_mapped(), v4.port())),
        SocketAddr::V6(_) => address,
    }
}

/// Whether a socket bound to `bound` takes what is sent to `to`. `[::]` takes both families.
pub fn takes(bound: IpAddr, to: IpAddr) -> bool {
    match bound {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => true,
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => to.is_ipv4(),
        _ => bound == to,
    }
}

/// Whether two sockets bound to these addresses cannot share a port.
pub fn conflict(a: IpAddr, b: IpAddr) -> bool {
    takes(a, b) || takes(b, a)
}

/// Whether traffic to this address never leaves the instance: loopback's and the interface's own.
pub fn is_inside(address: IpAddr) -> bool {
    address.is_loopback() || stack::started().is_some_and(|s| s.is_own(address))
}

/// Checks that a socket may be bound to this address.
///
/// # Errors
/// EADDRNOTAVAIL when it is not one of ours.
pub fn check_local(address: IpAddr) -> Result<(), Errno> {
    // The first socket starts the network, so that its addresses are known.
    let stack = stack::get();
    let own = address.is_unspecified() || address.is_loopback() || stack.is_some_and(|s| s.is_own(address));
    if own { Ok(()) } else { Err(Errno::EADDRNOTAVAIL) }
}

/// The address from which a socket bound to `bound` speaks to `to` inside the instance.
pub fn source_inside(bound: IpAddr, to: IpAddr) -> IpAddr {
    if !bound.is_unspecified() {
        return bound;
    }
    match to {
        IpAddr::V4(v4) if v4.is_loopback() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        _ => to,
    }
}

/// The destination that is meant by `to`: an unspecified one is this instance itself, as on Linux.
pub fn destination(to: SocketAddr) -> SocketAddr {
    let mut to = canonical(to);
    match to.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => to.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => to.set_ip(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        _ => {}
    }
    to
}
