//! Stateless IPv6 addresses: router solicitations out, router advertisements in (RFC 4861, RFC 4862).
//!
//! smoltcp's own asks to be polled for ever where no router answers, and keeps one prefix.

use super::checksum::Sum;
use alloc::vec::Vec;
use core::net::Ipv6Addr;
use core::time::Duration;
use kernlet_time::Instant;

/// How often routers are asked, and how long each time is waited (RFC 4861, 10).
const SOLICITATIONS: u8 = 3;
const INTERVAL: Duration = Duration::from_secs(4);
/// Prefixes and routers that are kept: a link has few, and strangers may advertise.
const MOST_PREFIXES: usize = 4;
const MOST_ROUTERS: usize = 2;
/// A remaining lifetime is not shortened below this by an advertisement, which anybody can send (RFC 4862, 5.5.3).
const TWO_HOURS: Duration = Duration::from_secs(7200);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
/// The length of a router solicitation with the source's link-layer address, as a frame.
pub const SOLICITATION: usize = 14 + 40 + 16;

/// The address of the interface with `mac` in the /64 of `prefix` (RFC 4291, appendix A).
pub fn address(prefix: Ipv6Addr, mac: [u8; 6]) -> Ipv6Addr {
    let mut bytes = prefix.octets();
    let [a, b, c, d, e, f] = mac;
    bytes[8..].copy_from_slice(&[a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
    Ipv6Addr::from(bytes)
}

/// The link-local address of the interface with `mac`.
pub fn link_local(mac: [u8; 6]) -> Ipv6Addr {
    address(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), mac)
}

/// Writes the headers of a neighbour discovery message, all but the destination's MAC address, into zeroes.
pub fn write_headers(frame: &mut [u8], mac: [u8; 6], source: Ipv6Addr, destination: Ipv6Addr) {
    let length = (frame.len() - 54) as u8;
    frame[6..12].copy_from_slice(&mac);
    frame[12..15].copy_from_slice(&[0x86, 0xdd, 0x60]);
    frame[18..22].copy_from_slice(&[0, length, 58, 255]);
    frame[22..38].copy_from_slice(&source.octets());
    frame[38..54].copy_from_slice(&destination.octets());
}

/// What routers have told.
pub struct Slaac {
    mac: [u8; 6],
    left: u8,
    solicit_at: Option<Instant>,
    /// Prefixes of 64 bits, and until when they are valid.
    prefixes: Vec<(Ipv6Addr, Instant)>,
    routers: Vec<(Ipv6Addr, Instant)>,
}

impl Slaac {
    /// Starts to ask at `now`.
    pub fn new(mac: [u8; 6], now: Instant) -> Self {
        Self { mac, left: SOLICITATIONS, solicit_at: Some(now), prefixes: Vec::new(), routers: Vec::new() }
    }

    /// The addresses that follow from what routers have told; all have prefixes of 64 bits.
    pub fn addresses(&self) -> impl Iterator<Item = Ipv6Addr> + '_ {
        self.prefixes.iter().map(|(prefix, _)| address(*prefix, self.mac))
    }

    /// The default router.
    pub fn router(&self) -> Option<Ipv6Addr> {
        self.routers.first().map(|(router, _)| *router)
    }

    /// When [`Self::expire`] or [`Self::solicit`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        let ends = self.prefixes.iter().chain(&self.routers).map(|(_, until)| *until);
        ends.chain(self.solicit_at).min()
    }

    /// Forgets what is out of date; tells whether something was.
    pub fn expire(&mut self, now: Instant) -> bool {
        let before = self.prefixes.len() + self.routers.len();
        self.prefixes.retain(|(_, until)| *until > now);
        self.routers.retain(|(_, until)| *until > now);
        before != self.prefixes.len() + self.routers.len()
    }

    /// Whether a solicitation is to be sent now; counts it as sent.
    pub fn solicit(&mut self, now: Instant) -> bool {
        if self.solicit_at.is_none_or(|at| at > now) {
            return false;
        }
        if self.left == 0 {
            self.solicit_at = None;
            return false;
        }
        self.left -= 1;
        self.solicit_at = Some(now + INTERVAL);
        true
    }

    /// Writes a router solicitation as a frame of [`SOLICITATION`] bytes.
    pub fn write_solicitation(&self, frame: &mut [u8]) {
        let source = link_local(self.mac);
        frame.fill(0);
        frame[..6].copy_from_slice(&[0x33, 0x33, 0, 0, 0, 2]);
        write_headers(frame, self.mac, source, ALL_ROUTERS);
        // Type 133; option 1, one unit of 8 bytes: the source's link-layer address.
        frame[54] = 133;
        frame[62..64].copy_from_slice(&[1, 1]);
        frame[64..70].copy_from_slice(&self.mac);
        let sum =
            Sum::default().pseudo_header(source.into(), ALL_ROUTERS.into(), 58, 16).bytes(&frame[54..70]);
        frame[56..58].copy_from_slice(&sum.checksum().to_be_bytes());
    }

    /// Takes in a router advertisement (an ICMPv6 message whose checksum and hop limit were checked); tells whether
    /// addresses or the router have changed.
    pub fn advertised(&mut self, router: Ipv6Addr, message: &[u8], now: Instant) -> bool {
        if !router.is_unicast_link_local() || message.len() < 16 || message[1] != 0 || !options_fit(message) {
            return false;
        }
        self.solicit_at = None;
        let lifetime = Duration::from_secs(u64::from(u16::from_be_bytes([message[6], message[7]])));
        let before = self.router();
        self.routers.retain(|(known, _)| *known != router);
        if !lifetime.is_zero() && self.routers.len() < MOST_ROUTERS {
            let place = if before == Some(router) { 0 } else { self.routers.len() };
            self.routers.insert(place, (router, now + lifetime));
        }
        let mut changed = before != self.router();
        for option in options(message) {
            changed |= self.prefix(option, now);
        }
        changed
    }

    /// Takes in a prefix information option (RFC 4861, 4.6.2).
    fn prefix(&mut self, option: &[u8], now: Instant) -> bool {
        let Some(option) = option.first_chunk::<32>().filter(|o| o[0] == 3) else { return false };
        let autonomous = option[3] & 0x40 != 0;
        let prefix = Ipv6Addr::from(option[16..].first_chunk::<16>().copied().unwrap_or_default());
        let seconds =
            |at: usize| u32::from_be_bytes([option[at], option[at + 1], option[at + 2], option[at + 3]]);
        let (valid, preferred) = (seconds(4), seconds(8));
        let usable = !prefix.is_multicast() && !prefix.is_unicast_link_local() && !prefix.is_unspecified();
        if option[2] != 64 || !autonomous || !usable || preferred > valid || prefix.is_loopback() {
            return false;
        }
        let prefix = Ipv6Addr::from_bits(prefix.to_bits() >> 64 << 64);
        // All ones mean for ever, which a century comes close to.
        let until = now + Duration::from_secs(u64::from(valid));
        if let Some((_, known)) = self.prefixes.iter_mut().find(|(p, _)| *p == prefix) {
            if until > *known || Duration::from_secs(u64::from(valid)) > TWO_HOURS {
                *known = until;
            } else {
                *known = (*known).min(now + TWO_HOURS);
            }
            return false;
        }
        if valid == 0 || self.prefixes.len() >= MOST_PREFIXES {
            return false;
        }
        self.prefixes.push((prefix, until));
        true
    }
}

/// The options of an advertisement.
fn options(message: &[u8]) -> impl Iterator<Item = &[u8]> {
    options_in(message.get(16..).unwrap_or(&[]))
}

/// The options of neighbour discovery (RFC 4861, 4.6) in `rest`, up to one that does not fit.
pub fn options_in(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    core::iter::from_fn(move || {
        let length = usize::from(*rest.get(1)?) * 8;
        let option = rest.get(..length).filter(|o| !o.is_empty())?;
        rest = &rest[length..];
        Some(option)
    })
}

/// Whether the options fill the message exactly; RFC 4861, 6.1.2 has all others dropped whole.
fn options_fit(message: &[u8]) -> bool {
    message.len() == 16 + options(message).map(<[u8]>::len).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];
    const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

    fn advertisement(lifetime: u16, prefix: [u8; 16], length: u8, flags: u8, valid: u32) -> Vec<u8> {
        let mut message = alloc::vec![134, 0, 0, 0, 64, 0];
        message.extend_from_slice(&lifetime.to_be_bytes());
        message.extend_from_slice(&[0; 8]);
        message.extend_from_slice(&[5, 1, 0, 0, 0, 0, 5, 220]);
        message.extend_from_slice(&[3, 4, length, flags]);
        message.extend_from_slice(&valid.to_be_bytes());
        message.extend_from_slice(&valid.to_be_bytes());
        message.extend_from_slice(&[0; 4]);
        message.extend_from_slice(&prefix);
        message
    }

    fn prefix(last: u8) -> [u8; 16] {
        [0x20, 1, 0xd, 0xb8, 0, 0, 0, last, 0, 0, 0, 0, 0, 0, 0, 0]
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_nanoseconds(seconds * 1_000_000_000)
    }

    #[test]
    fn an_unanswered_solicitation_is_repeated_and_then_given_up() {
        let mut slaac = Slaac::new(MAC, at(1));
        let mut sent = Vec::new();
        while let Some(next) = slaac.deadline() {
            if slaac.solicit(next) {
                sent.push(next);
            }
        }
        assert_eq!(sent, [at(1), at(5), at(9)]);
    }

    #[test]
    fn advertised_prefixes_become_addresses_until_they_expire() {
        let mut slaac = Slaac::new(MAC, at(1));
        assert!(slaac.advertised(ROUTER, &advertisement(1800, prefix(1), 64, 0xc0, 10_000), at(2)));
        assert!(!slaac.advertised(ROUTER, &advertisement(1800, prefix(1), 64, 0xc0, 10_000), at(3)));
        assert!(slaac.addresses().eq([Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0xff, 0xfe00, 9)]));
        assert_eq!(slaac.router(), Some(ROUTER));
        assert!(!slaac.solicit(at(100)));
        // A short lifetime from a stranger does not take the address away at once.
        assert!(!slaac.advertised(ROUTER, &advertisement(1800, prefix(1), 64, 0xc0, 1), at(4)));
        assert_eq!(slaac.addresses().count(), 1);
        assert!(slaac.expire(at(1804)) && slaac.router().is_none());
        assert!(slaac.expire(at(7204)) && slaac.addresses().count() == 0);
        assert_eq!(slaac.deadline(), None);
    }

    #[test]
    fn a_router_that_says_goodbye_is_dropped_and_the_other_stays() {
        let other = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
        let mut slaac = Slaac::new(MAC, at(1));
        let bare = |lifetime| advertisement(lifetime, prefix(1), 64, 0, 0);
        assert!(slaac.advertised(ROUTER, &bare(60), at(1)));
        assert!(!slaac.advertised(other, &bare(60), at(2)));
        assert!(slaac.advertised(ROUTER, &bare(0), at(3)));
        assert_eq!(slaac.router(), Some(other));
        assert_eq!(slaac.addresses().count(), 0);
    }

    #[test]
    fn what_is_not_from_a_router_of_this_link_or_not_usable_is_ignored() {
        let mut slaac = Slaac::new(MAC, at(1));
        let good = advertisement(60, prefix(1), 64, 0xc0, 100);
        assert!(!slaac.advertised("2001:db8::1".parse().unwrap(), &good, at(1)));
        assert!(!slaac.advertised(ROUTER, &good[..40], at(1)));
        assert!(slaac.advertised(ROUTER, &advertisement(60, prefix(1), 48, 0xc0, 100), at(1)));
        for last in 0..10 {
            slaac.advertised(ROUTER, &advertisement(60, prefix(last), 64, 0xc0, 100), at(1));
        }
        assert_eq!(slaac.addresses().count(), MOST_PREFIXES);
    }

    proptest! {
        #[test]
        fn no_advertisement_panics(message in proptest::collection::vec(any::<u8>(), 0..120)) {
            let mut slaac = Slaac::new(MAC, at(1));
            slaac.advertised(ROUTER, &message, at(2));
            slaac.expire(at(3));
        }
    }
}
