//! What a received frame is, decided once at the edge.

use super::checksum::Sum;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::ops::Range;
use kernlet_platform::nic::Offload;

/// An Ethernet header's length.
pub const ETHERNET: usize = 14;
/// A UDP header's length.
pub const UDP_HEADER: usize = 8;
/// IP protocol numbers.
pub const TCP: u8 = 6;
/// See [`TCP`].
pub const UDP: u8 = 17;
/// See [`TCP`].
pub const ICMP: u8 = 1;
/// See [`TCP`].
pub const ICMPV6: u8 = 58;
const HOP_BY_HOP: u8 = 0;
/// The protocol number of IPv6's fragment header.
pub const FRAGMENT: u8 = 44;
/// Its length.
pub const FRAGMENT_HEADER: usize = 8;
/// ICMPv6 types.
const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;

/// A frame that is worth looking at.
#[derive(Debug, PartialEq, Eq)]
pub enum Packet {
    /// A whole UDP datagram with a right checksum.
    Udp(Datagram),
    /// A reply of a DHCPv4 server.
    Dhcp,
    /// A whole TCP segment with a right checksum.
    Tcp(Segment),
    /// A fragment of a TCP segment, a UDP datagram or an ICMP message.
    Fragment(Fragment),
    /// A router advertisement from `router` (not validated further), at this place of the frame.
    RouterAdvertisement {
        /// Who sent it.
        router: Ipv6Addr,
        /// The ICMPv6 message.
        message: Range<usize>,
    },
    /// ARP or neighbour discovery: somebody may have become known.
    Neighbour,
    /// Anything else that smoltcp knows what to do with.
    Other,
}

/// A UDP datagram in a frame.
#[derive(Debug, PartialEq, Eq)]
pub struct Datagram {
    pub source: SocketAddr,
    pub destination: SocketAddr,
    /// The MAC address that sent the frame.
    pub mac: [u8; 6],
    /// Where the payload lies in the frame.
    pub payload: Range<usize>,
}

/// A fragment in a frame: what it holds lies within 64 KiB, and is a multiple of 8 bytes unless it is the last.
#[derive(Debug, PartialEq, Eq)]
pub struct Fragment {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub protocol: u8,
    /// The identification of the whole packet.
    pub id: u32,
    /// Where the data begins in what is behind the whole packet's IP header.
    pub start: usize,
    /// Whether it is not the last.
    pub more: bool,
    /// Where the data lies in the frame.
    pub data: Range<usize>,
}

impl Fragment {
    /// The fragment unless it could belong to no packet: `most` is the longest that is behind an IP header.
    fn checked(self, most: usize) -> Option<Packet> {
        let known = matches!(self.protocol, TCP | UDP) || self.protocol == icmp(self.source);
        let length = self.data.len();
        let fits = length > 0 && self.start + length <= most && (!self.more || length.is_multiple_of(8));
        (known && fits).then_some(Packet::Fragment(self))
    }
}

/// The protocol number of ICMP in the family of `address`.
pub fn icmp(address: IpAddr) -> u8 {
    if address.is_ipv4() { ICMP } else { ICMPV6 }
}

/// A TCP segment in a frame.
#[derive(Debug, PartialEq, Eq)]
pub struct Segment {
    pub source: SocketAddr,
    pub destination: SocketAddr,
    pub flags: Flags,
    /// The sequence number after this segment, and the one that it acknowledges.
    pub next: u32,
    pub acknowledged: u32,
    /// The MAC address that sent the frame.
    pub mac: [u8; 6],
}

/// A TCP header's flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(u8);

impl Flags {
    pub fn fin(self) -> bool {
        self.0 & 1 != 0
    }
    pub fn rst(self) -> bool {
        self.0 & 4 != 0
    }
    /// Opens a connection.
    pub fn opens(self) -> bool {
        self.0 & 0b1_0111 == 2
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.first_chunk().copied().map(u16::from_be_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.first_chunk().copied().map(u32::from_be_bytes)
}

/// Whether no host may send from this address over a wire.
fn is_bad_source(address: IpAddr) -> bool {
    address.is_loopback() || address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// Says what `frame` is; `None` for what is to be dropped: not for `mac`, malformed, a wrong checksum (looked at
/// unless `offload` says that it was), addresses that cannot be.
///
/// `checksums` tells whether smoltcp leaves transport checksums to us.
pub fn parse(frame: &[u8], mac: [u8; 6], offload: Offload, checksums: bool) -> Option<Packet> {
    let to: [u8; 6] = *frame.first_chunk()?;
    let from: [u8; 6] = *frame.get(6..)?.first_chunk()?;
    // The low bit of the first byte marks groups.
    if (to != mac && to[0] & 1 == 0) || from[0] & 1 != 0 {
        return None;
    }
    match u16_at(frame, 12)? {
        0x0800 => parse_ipv4(frame, from, offload, checksums),
        0x86dd => parse_ipv6(frame, from, offload, checksums),
        0x0806 => Some(Packet::Neighbour),
        _ => None,
    }
}

fn parse_ipv4(frame: &[u8], mac: [u8; 6], offload: Offload, checksums: bool) -> Option<Packet> {
    let ip = frame.get(ETHERNET..)?;
    let header_length = usize::from(ip.first()? & 0xf) * 4;
    let header = ip.get(..header_length).filter(|h| h.len() >= 20 && h[0] >> 4 == 4)?;
    let total = usize::from(u16_at(header, 2)?);
    if total < header_length || total > ip.len() || !Sum::default().bytes(header).is_right() {
        return None;
    }
    let source = IpAddr::V4(Ipv4Addr::from(u32_at(header, 12)?));
    let destination = IpAddr::V4(Ipv4Addr::from(u32_at(header, 16)?));
    if is_bad_source(source) || destination.is_loopback() {
        return None;
    }
    let part = ETHERNET + header_length..ETHERNET + total;
    let place = u16_at(header, 6)?;
    if place & 0x3fff != 0 {
        let (protocol, id) = (header[9], u16_at(header, 4)?.into());
        let (start, more) = (usize::from(place & 0x1fff) * 8, place & 0x2000 != 0);
        return Fragment { source, destination, protocol, id, start, more, data: part }.checked(0xffff - 20);
    }
    parse_transport(frame, part, header[9], source, destination, mac, offload, checksums)
}

fn parse_ipv6(frame: &[u8], mac: [u8; 6], offload: Offload, checksums: bool) -> Option<Packet> {
    let ip = frame.get(ETHERNET..)?;
    let header = ip.first_chunk::<40>().filter(|h| h[0] >> 4 == 6)?;
    let length = usize::from(u16_at(header, 4)?);
    let address = |at: usize| header[at..].first_chunk::<16>().map(|b| IpAddr::V6(Ipv6Addr::from(*b)));
    let (source, destination) = (address(8)?, address(24)?);
    if 40 + length > ip.len() || is_bad_source(source) || destination.is_loopback() {
        return None;
    }
    let part = ETHERNET + 40..ETHERNET + 40 + length;
    match (header[6], frame.get(part.start)) {
        (ICMPV6, Some(&ROUTER_ADVERTISEMENT)) if header[7] == 255 => {
            let message = frame.get(part.clone())?;
            let sum = Sum::default().pseudo_header(source, destination, ICMPV6, length).bytes(message);
            match source {
                IpAddr::V6(router) if sum.is_right() => {
                    Some(Packet::RouterAdvertisement { router, message: part })
                }
                _ => None,
            }
        }
        (ICMPV6, Some(&(NEIGHBOUR_SOLICITATION | NEIGHBOUR_ADVERTISEMENT))) => Some(Packet::Neighbour),
        (ICMPV6, _) => Some(Packet::Other),
        (FRAGMENT, _) => {
            let header = frame.get(part.clone())?.first_chunk::<FRAGMENT_HEADER>()?;
            let (protocol, place, id) = (header[0], u16_at(header, 2)?, u32_at(header, 4)?);
            let (start, more) = (usize::from(place & !7), place & 1 != 0);
            let data = part.start + FRAGMENT_HEADER..part.end;
            Fragment { source, destination, protocol, id, start, more, data }.checked(0xffff)
        }
        // Of what else lies behind extension headers only multicast listener queries matter.
        (HOP_BY_HOP, Some(&ICMPV6)) => Some(Packet::Other),
        (protocol @ (TCP | UDP), _) => {
            parse_transport(frame, part, protocol, source, destination, mac, offload, checksums)
        }
        _ => None,
    }
}

#[expect(clippy::too_many_arguments, reason = "the facts of one IP header")]
fn parse_transport(
    frame: &[u8],
    part: Range<usize>,
    protocol: u8,
    source: IpAddr,
    destination: IpAddr,
    mac: [u8; 6],
    offload: Offload,
    checksums: bool,
) -> Option<Packet> {
    let bytes = frame.get(part.clone())?;
    let is_right = |length: usize| {
        let sum = Sum::default().pseudo_header(source, destination, protocol, length);
        offload == Offload::Valid || bytes.get(..length).is_some_and(|b| sum.bytes(b).is_right())
    };
    let ends = || {
        Some((SocketAddr::new(source, u16_at(bytes, 0)?), SocketAddr::new(destination, u16_at(bytes, 2)?)))
    };
    match protocol {
        UDP => {
            let (source, destination) = ends()?;
            let length = usize::from(u16_at(bytes, 4)?);
            if length < UDP_HEADER || length > bytes.len() {
                return None;
            }
            let none = u16_at(bytes, 6)? == 0 && source.is_ipv4();
            if !none && !is_right(length) {
                return None;
            }
            if source.is_ipv4() && (source.port(), destination.port()) == (67, 68) {
                return Some(Packet::Dhcp);
            }
            let payload = part.start + UDP_HEADER..part.start + length;
            Some(Packet::Udp(Datagram { source, destination, mac, payload }))
        }
        TCP => {
            let (source, destination) = ends()?;
            let header = usize::from(bytes.get(12)? >> 4) * 4;
            if header < 20 || header > bytes.len() || destination.ip().is_multicast() {
                return None;
            }
            // Without offload smoltcp sums.
            if checksums && !is_right(bytes.len()) {
                return None;
            }
            let flags = Flags(bytes[13]);
            let ends = u32::from(flags.fin()) + u32::from(bytes[13] >> 1 & 1);
            let next = u32_at(bytes, 4)?.wrapping_add((bytes.len() - header) as u32).wrapping_add(ends);
            let acknowledged = u32_at(bytes, 8)?;
            Some(Packet::Tcp(Segment { source, destination, flags, next, acknowledged, mac }))
        }
        _ => Some(Packet::Other),
    }
}
