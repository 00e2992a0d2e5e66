//! The trunk: many sockets on one line between a virtual machine and its monitor.
//!
//! A process of the host is handed descriptors, a virtual machine cannot be. There the monitor keeps the sockets, and
//! each is a channel on one virtio-console port named [`PORT_NAME`]: a stream of frames both ways.
//!
//! 1. A frame is [`HEADER`] bytes (kind `u8`, length in 3 bytes, channel `u32`, little-endian) and as many bytes as
//!    `length` says, at most [`LONGEST`]. Broker messages ([`crate::broker`]) travel as [`kind::BROKER`]; what a reply grants is its channel.
//! 2. The monitor numbers channels: those of published ports are in the boot blob
//!    ([`crate::boot::Published::descriptor`], see [`published`]), others begin with [`kind::OPEN`]. A channel ends when
//!    the instance sends [`kind::CLOSE`]; what comes for it later is ignored. Published ports stay open.
//! 3. Nobody sends more than the other side has room for. A stream begins with a credit of [`STREAM_WINDOW`] bytes each
//!    way, a datagram socket with [`DATAGRAM_WINDOW`] towards the instance (a datagram costs its whole frame), a
//!    listener with none: its credit counts connections. [`kind::CREDIT`] gives more. Datagrams from the instance need
//!    none, and are dropped where the host has no room.
//! 4. The monitor trusts nothing of this: an instance that breaks a rule loses the trunk.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr, SocketAddrV6};

/// The name of the virtio-console port.
pub const PORT_NAME: &str = "kernlet.trunk";
/// The length of a frame's header.
pub const HEADER: usize = 8;
/// The most bytes behind a header: the largest datagram with what goes before it.
pub const LONGEST: usize = 65_527 + ADDRESS + NOTE;
/// How many bytes of a stream may be on their way, each way.
pub const STREAM_WINDOW: u32 = 64 << 10;
/// How many bytes of datagrams may be on their way to an instance.
pub const DATAGRAM_WINDOW: u32 = 160 << 10;
/// The length of an address in a frame: 16 bytes (IPv4 mapped to IPv6), port, scope.
pub const ADDRESS: usize = 22;
/// The length of the note on a datagram: at which address and interface of the host it came in. It goes back with the
/// answer as it is, so that a socket bound to all addresses answers from the one that was asked.
pub const NOTE: usize = 20;

/// The first channel that is not a published port's.
pub const FIRST: u32 = 1 << 16;
/// Marks the channels of published ports whose socket speaks IPv6.
const SIX: u32 = 1 << 15;

/// The channel of the published port of this index; `None` with more ports than there can be.
pub fn published(index: usize, six: bool) -> Option<u32> {
    let number = u32::try_from(index).ok()?.checked_add(1).filter(|n| *n < SIX)?;
    Some(if six { number | SIX } else { number })
}

/// Whether the published port with this channel speaks IPv6.
pub fn is_six(channel: u32) -> bool {
    channel & SIX != 0
}

/// What a frame is.
pub mod kind {
    /// Either way: a broker message. Towards the instance its channel is what was granted, 0 for nothing.
    pub const BROKER: u8 = 1;
    /// To the instance: there is a channel: the listener's number or 0 (`u32`), the local address, the peer's.
    pub const OPEN: u8 = 2;
    /// Either way: bytes of a stream.
    pub const DATA: u8 = 3;
    /// Either way: a datagram: the peer's address, a note, the payload.
    pub const DATAGRAM: u8 = 4;
    /// Either way: so much more (`u32`) may come.
    pub const CREDIT: u8 = 5;
    /// Either way: no more data will come.
    pub const END: u8 = 6;
    /// To the instance: the socket failed with this Linux error number (`u32`).
    pub const ERROR: u8 = 7;
    /// To the monitor: the channel is not used any more. One byte: 1 if something that came was not read.
    pub const CLOSE: u8 = 8;
    /// To the monitor: TCP_NODELAY on (1) or off (0).
    pub const NO_DELAY: u8 = 9;
    /// To the monitor: an option of the socket ([`crate::options::encode`]).
    pub const OPTION: u8 = 10;
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// One of [`kind`].
    pub kind: u8,
    /// How many bytes follow.
    pub length: u32,
    /// Which channel it is about.
    pub channel: u32,
}

impl Header {
    /// The header as bytes.
    pub fn encode(self) -> [u8; HEADER] {
        let ([l0, l1, l2, _], [c0, c1, c2, c3]) = (self.length.to_le_bytes(), self.channel.to_le_bytes());
        [self.kind, l0, l1, l2, c0, c1, c2, c3]
    }
}

/// Reads the header at the start of `bytes`, if it is there whole.
pub fn header(bytes: &[u8]) -> Option<Header> {
    let &[kind, l0, l1, l2, c0, c1, c2, c3] = bytes.first_chunk::<HEADER>()?;
    let (length, channel) = (u32::from_le_bytes([l0, l1, l2, 0]), u32::from_le_bytes([c0, c1, c2, c3]));
    Some(Header { kind, length, channel })
}

/// Splits the first frame off: its header, its bytes, and what follows. `None` when more bytes are needed.
pub fn split(bytes: &[u8]) -> Option<(Header, &[u8], &[u8])> {
    let header = header(bytes)?;
    let (payload, rest) = bytes.get(HEADER..)?.split_at_checked(header.length as usize)?;
    Some((header, payload, rest))
}

/// Writes an address.
pub fn put_address(address: SocketAddr) -> [u8; ADDRESS] {
    let mut bytes = [0; ADDRESS];
    let (ip, scope) = match address {
        SocketAddr::V4(v4) => (v4.ip().to_ipv6_mapped(), 0),
        SocketAddr::V6(v6) => (*v6.ip(), v6.scope_id()),
    };
    bytes[..16].copy_from_slice(&ip.octets());
    bytes[16..18].copy_from_slice(&address.port().to_le_bytes());
    bytes[18..].copy_from_slice(&scope.to_le_bytes());
    bytes
}

/// Reads the address at the start of `bytes`, and what follows it.
pub fn take_address(bytes: &[u8]) -> Option<(SocketAddr, &[u8])> {
    let (ip, rest) = bytes.split_first_chunk::<16>()?;
    let (port, rest) = rest.split_first_chunk::<2>()?;
    let (scope, rest) = rest.split_first_chunk::<4>()?;
    let port = u16::from_le_bytes(*port);
    let address = match IpAddr::from(*ip).to_canonical() {
        IpAddr::V4(v4) => SocketAddr::from((v4, port)),
        IpAddr::V6(v6) => SocketAddrV6::new(v6, port, 0, u32::from_le_bytes(*scope)).into(),
    };
    Some((address, rest))
}

/// The number that a frame of four bytes carries.
pub fn number(payload: &[u8]) -> Option<u32> {
    payload.try_into().ok().map(u32::from_le_bytes)
}

/// The bytes of a [`kind::OPEN`].
pub fn opening(listener: u32, local: SocketAddr, peer: SocketAddr) -> Vec<u8> {
    [&listener.to_le_bytes()[..], &put_address(local), &put_address(peer)].concat()
}

/// Reads a [`kind::OPEN`]: the listener, the local address, the peer's.
pub fn read_opening(payload: &[u8]) -> Option<(u32, SocketAddr, SocketAddr)> {
    let (listener, rest) = payload.split_first_chunk::<4>()?;
    let (local, rest) = take_address(rest)?;
    let (peer, rest) = take_address(rest)?;
    rest.is_empty().then_some((u32::from_le_bytes(*listener), local, peer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn frames_are_split_where_they_end() {
        let longest = Header { kind: kind::DATAGRAM, length: LONGEST as u32, channel: 1 };
        assert_eq!(header(&longest.encode()), Some(longest));
        let header = Header { kind: kind::DATA, length: 3, channel: 70_000 };
        let bytes = [&header.encode()[..], b"abcde"].concat();
        assert_eq!(split(&bytes), Some((header, &b"abc"[..], &b"de"[..])));
        assert_eq!(split(&bytes[..10]), None);
        assert_eq!(split(&bytes[..5]), None);
    }

    #[test]
    fn addresses_keep_their_family_port_and_scope() {
        for text in ["127.0.0.1:53", "[2001:db8::1]:80", "[fe80::1%7]:5353"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(take_address(&put_address(address)), Some((address, &[][..])));
            assert_eq!(read_opening(&opening(9, address, address)), Some((9, address, address)));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = (split(&bytes), take_address(&bytes), number(&bytes), read_opening(&bytes));
        }
    }
}
