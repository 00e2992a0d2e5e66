//! Asking for neighbours' MAC addresses. smoltcp asks for one a second in all; whoever serves a local network needs
//! many at once, so the stack asks for itself, and smoltcp learns from the answers.

use super::checksum::Sum;
use super::inner::{Inner, is_group};
use super::packet::ETHERNET;
use super::slaac;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;
use kernlet_platform::nic::Offload;
use kernlet_sync::SmallMap;
use kernlet_time::Instant;
use smoltcp::wire::IpAddress;

/// A neighbour is not asked for again within this time; smoltcp believes an answer for a minute.
const AGAIN: Duration = Duration::from_secs(1);
/// How many are remembered as asked for: as many as smoltcp remembers (`iface-neighbor-cache-count`).
const MOST: usize = 256;

/// Which neighbours were asked for lately.
#[derive(Default)]
pub struct Neighbours(SmallMap<IpAddr, Instant>);

impl Neighbours {
    /// Whether to ask for `address` now; counts it as asked for.
    fn is_new(&mut self, address: IpAddr, now: Instant) -> bool {
        if self.0.get(&address).is_some_and(|asked| now.since(*asked) < AGAIN) {
            return false;
        }
        if self.0.len() >= MOST {
            self.0.retain(|_, asked| now.since(*asked) < AGAIN);
        }
        self.0.len() < MOST && self.0.insert(address, now).is_none_or(|asked| asked < now)
    }
}

impl Inner {
    /// Asks for the next hop towards `to`.
    pub fn ask_for_neighbour(&mut self, to: IpAddr, now: Instant) {
        let Some(next) = self.next_hop(to) else { return };
        if !self.neighbours.is_new(next, now) {
            return;
        }
        let mac = self.link.facts().mac;
        // A question that finds no room is asked again, by smoltcp if not here.
        let _ = match (next, self.iface.get_source_address(&IpAddress::from(next)).map(IpAddr::from)) {
            (IpAddr::V4(next), Some(IpAddr::V4(own))) => self.link.transmit(ARP, &mut |frame| {
                write_arp(frame, mac, own, next);
                Offload::None
            }),
            (IpAddr::V6(next), Some(IpAddr::V6(own))) => self.link.transmit(SOLICITATION, &mut |frame| {
                write_solicitation(frame, mac, own, next);
                Offload::None
            }),
            _ => return,
        };
    }

    fn next_hop(&self, to: IpAddr) -> Option<IpAddr> {
        let wanted = IpAddress::from(to);
        if is_group(&self.iface, to) {
            return None;
        }
        if self.iface.ip_addrs().iter().any(|cidr| cidr.contains_addr(&wanted)) {
            return Some(to);
        }
        let (four, six) = self.config.routers();
        if to.is_ipv4() { four.map(IpAddr::V4) } else { six.map(IpAddr::V6) }
    }
}

/// The length of an ARP packet for IPv4 as a frame.
const ARP: usize = ETHERNET + 28;

/// Writes an ARP request (RFC 826).
fn write_arp(frame: &mut [u8], mac: [u8; 6], own: Ipv4Addr, wanted: Ipv4Addr) {
    frame[..6].fill(0xff);
    frame[6..12].copy_from_slice(&mac);
    frame[12..22].copy_from_slice(&[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    frame[22..28].copy_from_slice(&mac);
    frame[28..32].copy_from_slice(&own.octets());
    frame[32..38].fill(0);
    frame[38..42].copy_from_slice(&wanted.octets());
}

/// The length of a neighbour solicitation with the source's link-layer address, as a frame.
const SOLICITATION: usize = ETHERNET + 40 + 32;

/// Writes a neighbour solicitation (RFC 4861, 4.3).
fn write_solicitation(frame: &mut [u8], mac: [u8; 6], own: Ipv6Addr, wanted: Ipv6Addr) {
    let low = wanted.octets();
    let mut group = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0];
    group[13..].copy_from_slice(&low[13..]);
    let group = Ipv6Addr::from(group);
    frame.fill(0);
    frame[..6].copy_from_slice(&[0x33, 0x33, 0xff, low[13], low[14], low[15]]);
    slaac::write_headers(frame, mac, own, group);
    frame[54] = 135;
    frame[62..78].copy_from_slice(&low);
    frame[78..80].copy_from_slice(&[1, 1]);
    frame[80..86].copy_from_slice(&mac);
    let sum = Sum::default().pseudo_header(own.into(), group.into(), 58, 32).bytes(&frame[54..86]);
    frame[56..58].copy_from_slice(&sum.checksum().to_be_bytes());
}
