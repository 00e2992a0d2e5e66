//! A socket: what the kinds of them have in common.

use super::address::{Address, INET, INET6};
use super::message::{Ancillary, Received};
use super::netlink::Netlink;
use super::options::Options;
use super::tcp::Tcp;
use super::udp::Udp;
use super::unix::{End, Unix};
use crate::Errno;
use crate::user::Buffers;
use crate::wait::{Events, Relay, Watchers};
use alloc::rc::Rc;
use core::cell::Cell;
use core::task::Poll;
use kernlet_net::{IpAddr, Ipv4Addr, Ipv6Addr, Memory, Shutdown, SocketAddr};

/// SOCK_STREAM.
pub const STREAM: u32 = 1;
/// SOCK_DGRAM.
pub const DATAGRAM: u32 = 2;
/// SOCK_RAW.
pub const RAW: u32 = 3;
/// SOCK_SEQPACKET.
pub const PACKETS: u32 = 5;

/// What every socket has, whatever it speaks.
pub struct Common {
    /// Its family.
    pub family: u16,
    /// Its type: SOCK_STREAM and so on.
    pub kind: u32,
    /// Its protocol, as SO_PROTOCOL tells it.
    pub protocol: u32,
    /// Its options.
    pub options: Options,
    /// An error to be told by the next call (SO_ERROR).
    pub error: Cell<Option<Errno>>,
    /// Who is told when its readiness may have changed.
    pub relay: Relay,
}

impl Common {
    /// A socket's with no options set.
    pub fn new(family: u16, kind: u32, protocol: u32) -> Self {
        let (options, relay) = (Options::default(), Relay::new());
        Self { family, kind, protocol, options, error: Cell::new(None), relay }
    }

    /// The address that stands for any of its family.
    pub fn any(&self) -> SocketAddr {
        let ip: IpAddr =
            if self.family == INET6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        SocketAddr::new(ip, 0)
    }

    /// An IP address that a program gave to this socket.
    ///
    /// # Errors
    /// EAFNOSUPPORT when it is of another family; ENETUNREACH for IPv4 when the socket speaks only IPv6.
    pub fn ip(&self, address: &Address) -> Result<SocketAddr, Errno> {
        let Address::Ip(address) = address else { return Err(Errno::EAFNOSUPPORT) };
        let four = address.is_ipv4();
        if four != (self.family == INET) {
            return Err(Errno::EAFNOSUPPORT);
        }
        let inner = kernlet_net::canonical(*address);
        if !four && inner.is_ipv4() && self.options.six_only() {
            return Err(Errno::ENETUNREACH);
        }
        Ok(inner)
    }
}

/// What a socket speaks.
#[expect(clippy::large_enum_variant, reason = "most are of the large one, and none is moved")]
pub enum Speech {
    /// TCP.
    Tcp(Tcp),
    /// UDP.
    Udp(Udp),
    /// UNIX sockets.
    Unix(Unix),
    /// Netlink.
    Netlink(Netlink),
}

/// A socket.
pub struct Socket {
    /// What all have.
    pub common: Common,
    /// What it speaks.
    pub speech: Speech,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Speech::Tcp(tcp) = &self.speech
            && self.common.options.breaks_off()
        {
            tcp.break_off();
        }
    }
}

impl Socket {
    /// See [`crate::files::Description::readiness`].
    pub fn readiness(&self) -> Events {
        let events = match &self.speech {
            Speech::Tcp(tcp) => tcp.readiness(&self.common),
            Speech::Udp(udp) => udp.readiness(&self.common),
            Speech::Unix(unix) => unix.readiness(),
            Speech::Netlink(netlink) => netlink.readiness(),
        };
        Events(events).or(Events::ERROR.when(self.common.error.get().is_some()))
    }

    /// See [`crate::files::Description::watchers`].
    pub fn watchers(&self) -> &Watchers {
        match &self.speech {
            Speech::Unix(unix) => unix.watchers(),
            _ => self.common.relay.watchers(),
        }
    }

    /// Receives what is there, or is pending; the watchers are told then.
    pub fn poll_receive(
        &self,
        to: &mut Buffers,
        peek: bool,
        ancillary: bool,
    ) -> Poll<Result<Received, Errno>> {
        if let Some(error) = self.common.error.take() {
            return Poll::Ready(Err(error));
        }
        match &self.speech {
            Speech::Tcp(tcp) => tcp.poll_receive(&self.common, to, peek).map_ok(Received::bytes),
            Speech::Udp(udp) => udp.poll_receive(&self.common, to, peek, ancillary),
            Speech::Unix(unix) => unix.poll_receive(&self.common, to, peek),
            Speech::Netlink(netlink) => netlink.poll_receive(to, peek),
        }
    }

    /// Sends what fits, or is pending; the watchers are told then. `there` is who has the name of a UNIX socket that is
    /// sent to.
    pub fn poll_send(
        &self,
        there: Option<&Rc<End>>,
        from: &mut dyn Memory,
        address: Option<&Address>,
        ancillary: &mut Ancillary,
    ) -> Poll<Result<usize, Errno>> {
        if let Some(error) = self.common.error.take() {
            return Poll::Ready(Err(error));
        }
        match &self.speech {
            Speech::Tcp(tcp) => tcp.poll_send(&self.common, from),
            Speech::Udp(udp) => udp.poll_send(&self.common, from, address),
            Speech::Unix(unix) => unix.poll_send(there, from, address, ancillary),
            Speech::Netlink(netlink) => Poll::Ready(netlink.send(from)),
        }
    }

    /// Its own address.
    pub fn local(&self) -> Address {
        match &self.speech {
            Speech::Tcp(tcp) => Address::of(self.common.family, tcp.local(&self.common)),
            Speech::Udp(udp) => Address::of(self.common.family, udp.local(&self.common)),
            Speech::Unix(unix) => Address::Unix(unix.name()),
            Speech::Netlink(netlink) => netlink.local(),
        }
    }

    /// The other end's address.
    ///
    /// # Errors
    /// ENOTCONN.
    pub fn peer(&self) -> Result<Address, Errno> {
        match &self.speech {
            Speech::Tcp(tcp) => tcp.peer().map(|peer| Address::of(self.common.family, peer)),
            Speech::Udp(udp) => udp.peer().map(|peer| Address::of(self.common.family, peer)),
            Speech::Unix(unix) => unix.peer_name().map(Address::Unix),
            Speech::Netlink(_) => Ok(Address::Netlink(0, 0)),
        }
    }

    /// Ends one or both directions.
    ///
    /// # Errors
    /// ENOTCONN.
    pub fn shutdown(&self, how: Shutdown) -> Result<(), Errno> {
        match &self.speech {
            Speech::Tcp(tcp) => tcp.shutdown(how),
            Speech::Udp(udp) => udp.shutdown(how),
            Speech::Unix(unix) => unix.shutdown(how),
            Speech::Netlink(_) => Err(Errno::EOPNOTSUPP),
        }?;
        self.watchers().notify(Events::IN);
        self.watchers().notify(Events::OUT);
        Ok(())
    }

    /// The error to be told (SO_ERROR), which is told once.
    pub fn take_error(&self) -> Option<Errno> {
        let other = match &self.speech {
            Speech::Tcp(tcp) => tcp.take_error(),
            Speech::Unix(unix) => unix.take_error(),
            Speech::Udp(_) | Speech::Netlink(_) => None,
        };
        self.common.error.take().or(other)
    }

    /// Bytes that can be read at once (FIONREAD).
    ///
    /// # Errors
    /// EINVAL when it listens.
    pub fn available(&self) -> Result<usize, Errno> {
        match &self.speech {
            Speech::Tcp(tcp) => tcp.available(),
            Speech::Udp(udp) => Ok(udp.available(&self.common)),
            Speech::Unix(unix) => unix.available(),
            Speech::Netlink(netlink) => Ok(netlink.available()),
        }
    }

    /// Bytes that were written and not taken by the other end (SIOCOUTQ).
    pub fn unsent(&self) -> usize {
        match &self.speech {
            Speech::Tcp(tcp) => tcp.unsent(),
            Speech::Unix(unix) => unix.unsent(),
            Speech::Udp(_) | Speech::Netlink(_) => 0,
        }
    }
}
