//! What a server decides for itself: what it tells about itself, and to whom it gives what.

use super::Cookies;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};
use core::str::FromStr;

/// How questions for the type ANY are answered (RFC 8482).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Any {
    /// With one RRset (section 4.1).
    #[default]
    One,
    /// With all.
    All,
}

/// The settings of a server. By default it tells nothing about itself, and gives nothing but answers.
#[derive(Default)]
pub struct Policy {
    /// What ANY means.
    pub any: Any,
    /// What NSID says (RFC 5001).
    pub nsid: Option<Box<[u8]>>,
    /// What id.server and hostname.bind say in the class CHAOS (RFC 4892).
    pub identity: Option<Box<[u8]>>,
    /// What version.server and version.bind say there.
    pub version: Option<Box<[u8]>>,
    /// Makes and checks server cookies (RFC 7873); without it the COOKIE option is not known.
    pub cookies: Option<Cookies>,
    /// Who has shown a client cookie only is asked to come again over UDP (BADCOOKIE).
    pub require_cookie: bool,
    /// Who may transfer zones.
    pub transfer: Networks,
    /// Whose NOTIFY is taken.
    pub notify: Networks,
}

/// Some networks.
#[derive(Clone, Debug, Default)]
pub struct Networks(pub Vec<Network>);

impl Networks {
    /// Whether an address is in one of them.
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = mapped(address);
        self.0
            .iter()
            .any(|network| (address ^ network.address).checked_shr(128 - network.bits).unwrap_or(0) == 0)
    }
}

/// A network as `ADDRESS/BITS`, or an address alone. IPv4 addresses are those that IPv6 maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: u128,
    bits: u32,
}

impl Network {
    /// All addresses.
    pub const ALL: Self = Self { address: 0, bits: 0 };
}

/// The text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotANetwork;

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(head, bits)| (head, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| NotANetwork)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse).ok().filter(|&bits| bits <= most).ok_or(NotANetwork)?;
        Ok(Self { address: mapped(address), bits: bits + 128 - most })
    }
}

/// An address as a number, IPv4 as IPv6 maps it.
pub(crate) fn mapped(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
    .into()
}

/// The octets of an address: four if it is one of IPv4, however it is written.
pub(crate) fn octets(address: IpAddr) -> ([u8; 16], usize) {
    let all = Ipv6Addr::from(mapped(address));
    match all.to_ipv4_mapped() {
        Some(four) => {
            let mut octets = [0; 16];
            octets[..4].copy_from_slice(&four.octets());
            (octets, 4)
        }
        None => (all.octets(), 16),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_their_addresses_however_written() {
        let list = |texts: &[&str]| Networks(texts.iter().map(|text| text.parse().unwrap()).collect());
        let some = list(&["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::1"]);
        for inside in ["10.255.0.1", "192.0.2.7", "2001:db8:ffff::1", "::1", "::ffff:10.1.2.3"] {
            assert!(some.contain(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["11.0.0.1", "192.0.2.6", "2001:db9::1", "::2", "0.0.0.1"] {
            assert!(!some.contain(outside.parse().unwrap()), "{outside}");
        }
        assert!(!list(&[]).contain("10.0.0.1".parse().unwrap()));
        let all = Networks([Network::ALL].into());
        assert!(all.contain("10.0.0.1".parse().unwrap()) && all.contain("fe80::1".parse().unwrap()));
        assert!(!list(&["0.0.0.0/0"]).contain("fe80::1".parse().unwrap()));
        for text in ["10.0.0.0/33", "10.0.0/8", "::/129", "x", "", "10.0.0.0/", "10.0.0.0/-1"] {
            assert_eq!(text.parse::<Network>(), Err(NotANetwork), "{text}");
        }
    }
}
