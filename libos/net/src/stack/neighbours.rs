//! Neighbours' MAC addresses: what the stack sends itself goes there. Whoever serves a local network needs many at once,
//! while smoltcp asks for one a second in all: the stack asks, and smoltcp, which TCP goes through, learns from the same
//! answers.

use super::checksum::Sum;
use super::inner::{Inner, is_group};
use super::packet::{ETHERNET, ICMPV6};
use super::slaac;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;
use kernlet_platform::nic::Offload;
use kernlet_sync::SmallMap;
use kernlet_time::Instant;
use smoltcp::wire::IpAddress;

/// A neighbour is not asked for again within this time.
const AGAIN: Duration = Duration::from_secs(1);
/// An answer is believed for so long, as smoltcp does.
const LIFETIME: Duration = Duration::from_secs(60);
/// How many are remembered: as many as smoltcp remembers (`iface-neighbor-cache-count`).
const MOST: usize = 256;

/// What is known of a neighbour.
#[derive(Clone, Copy, Default)]
struct Neighbour {
    mac: [u8; 6],
    /// When the MAC address was learnt, if it was.
    learnt: Option<Instant>,
    asked: Option<Instant>,
}

impl Neighbour {
    fn mac(&self, now: Instant) -> Option<[u8; 6]> {
        self.learnt.filter(|at| now.since(*at) < LIFETIME).map(|_| self.mac)
    }
}

/// The neighbours.
#[derive(Default)]
pub struct Neighbours(SmallMap<IpAddr, Neighbour>);

impl Neighbours {
    /// Whether to ask for `address` now; counts it as asked for.
    fn is_new(&mut self, address: IpAddr, now: Instant) -> bool {
        let recent = |at: Option<Instant>| at.is_some_and(|at| now.since(at) < AGAIN);
        if self.0.get(&address).is_some_and(|neighbour| recent(neighbour.asked)) {
            return false;
        }
        // A flood of questions does not drive out those that wait for an answer.
        if self.oldest(address).is_some_and(|(_, touched)| recent(touched)) {
            return false;
        }
        self.entry(address).asked = Some(now);
        true
    }

    /// When there is room for `address` only in another's place: whose, and when something was last heard of it.
    fn oldest(&self, address: IpAddr) -> Option<(IpAddr, Option<Instant>)> {
        if self.0.len() < MOST || self.0.contains_key(&address) {
            return None;
        }
        let all = self.0.iter().map(|(address, neighbour)| (*address, neighbour.learnt.max(neighbour.asked)));
        all.min_by_key(|(_, touched)| *touched)
    }

    fn entry(&mut self, address: IpAddr) -> &mut Neighbour {
        if let Some((oldest, _)) = self.oldest(address) {
            self.0.remove(&oldest);
        }
        self.0.get_or_insert_with(address, Neighbour::default)
    }

    fn learn(&mut self, address: IpAddr, mac: [u8; 6], now: Instant) {
        let entry = self.entry(address);
        *entry = Neighbour { mac, learnt: Some(now), ..*entry };
    }

    /// How many are remembered.
    #[cfg(any(test, fuzzing))]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// Somebody's word about a MAC address.
struct Claim {
    about: IpAddr,
    mac: [u8; 6],
    /// Whose it was to hear, if it was one address.
    to: Option<IpAddr>,
    /// Whether it counts against another MAC address that is known.
    overrides: bool,
}

impl Inner {
    /// Believes what an ARP packet or a message of neighbour discovery says to us.
    pub fn learn(&mut self, frame: &[u8], now: Instant) {
        let Some(claim) = arp(frame).or_else(|| discovery(frame)) else { return };
        let known = self.neighbours.0.get(&claim.about);
        let other = known.and_then(|k| k.mac(now)).is_some_and(|mac| mac != claim.mac);
        let expected = known.is_some_and(|known| known.asked.is_some());
        let ours = match claim.to {
            Some(to) => self.is_own(to) && (expected || self.is_on_link(claim.about)),
            None => expected,
        };
        let sane = claim.mac[0] & 1 == 0
            && !(claim.about.is_unspecified() || claim.about.is_loopback())
            && !(self.is_own(claim.about) || is_group(&self.iface, claim.about));
        if ours && sane && (claim.overrides || !other) {
            self.neighbours.learn(claim.about, claim.mac, now);
        }
    }

    /// The MAC address that leads to `to`. When it is not known it is asked for: then when to look again at the latest,
    /// or nothing if nothing leads there.
    pub fn mac_towards(&mut self, to: IpAddr, now: Instant) -> Result<[u8; 6], Option<Instant>> {
        if is_group(&self.iface, to) {
            return Ok(group_mac(to));
        }
        let next = self.next_hop(to).ok_or(None)?;
        if let Some(mac) = self.neighbours.0.get(&next).and_then(|neighbour| neighbour.mac(now)) {
            return Ok(mac);
        }
        self.ask_for_neighbour(to, now);
        let asked = self.neighbours.0.get(&next).and_then(|neighbour| neighbour.asked);
        Err(Some(asked.unwrap_or(now) + AGAIN))
    }

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

    /// Where packets to `to` go first; `None` for groups, and where nothing leads.
    fn next_hop(&self, to: IpAddr) -> Option<IpAddr> {
        if is_group(&self.iface, to) {
            return None;
        }
        if self.is_on_link(to) {
            return Some(to);
        }
        let (four, six) = self.config.routers();
        if to.is_ipv4() { four.map(IpAddr::V4) } else { six.map(IpAddr::V6) }
    }
}

/// The MAC address of a group or of all (RFC 1112, 6.4; RFC 2464, 7).
fn group_mac(group: IpAddr) -> [u8; 6] {
    match group {
        IpAddr::V4(v4) if v4.is_multicast() => {
            let [_, b, c, d] = v4.octets();
            [1, 0, 0x5e, b & 0x7f, c, d]
        }
        IpAddr::V4(_) => [0xff; 6],
        IpAddr::V6(v6) => {
            let [.., a, b, c, d] = v6.octets();
            [0x33, 0x33, a, b, c, d]
        }
    }
}

/// What the sender of an ARP packet says of itself (RFC 826).
fn arp(frame: &[u8]) -> Option<Claim> {
    let packet = frame.get(12..ARP)?.first_chunk::<30>()?;
    let known = packet[..9] == [8, 6, 0, 1, 8, 0, 6, 4, 0] && matches!(packet[9], 1 | 2);
    let address = |at: usize| packet[at..].first_chunk::<4>().map(|bytes| Ipv4Addr::from(*bytes).into());
    let (about, to) = (address(16)?, address(26)?);
    let mac = *packet[10..].first_chunk()?;
    known.then_some(Claim { about, mac, to: Some(to), overrides: true })
}

/// What a neighbour solicitation says of its sender, and an advertisement of its target (RFC 4861, 7.1, 7.2).
fn discovery(frame: &[u8]) -> Option<Claim> {
    let header = frame.get(ETHERNET..)?.first_chunk::<40>()?;
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let message = frame.get(ETHERNET + 40..ETHERNET + 40 + length)?;
    let address = |bytes: &[u8]| bytes.first_chunk::<16>().map(|b| Ipv6Addr::from(*b));
    let (source, destination) = (address(&header[8..])?, address(&header[24..])?);
    let target = address(message.get(8..)?)?;
    let sum = Sum::default().pseudo_header(source.into(), destination.into(), ICMPV6, length).bytes(message);
    // What passed a router has fewer hops left.
    if frame[12..14] != [0x86, 0xdd] || header[6..8] != [ICMPV6, 255] || message[1] != 0 || !sum.is_right() {
        return None;
    }
    let option = |kind: u8| {
        let all = &mut slaac::options_in(&message[24..]);
        all.find(|o| o[0] == kind && o.len() == 8).and_then(|o| o[2..].first_chunk().copied())
    };
    match message[0] {
        135 => {
            Some(Claim { about: source.into(), mac: option(1)?, to: Some(target.into()), overrides: true })
        }
        136 if !(destination.is_multicast() && message[4] & 0x40 != 0) => {
            Some(Claim { about: target.into(), mac: option(2)?, to: None, overrides: message[4] & 0x20 != 0 })
        }
        _ => None,
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
