//! `--net auto, none, tap=IFNAME[,ip=ADDR/LEN][,gw=ADDR][,mac=MAC]`.

use super::OptionError;
use kernlet_wire::boot::{Address, NicConfig};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

const EXPECTED: &str = "--net auto, none or tap=IFNAME[,ip=ADDR/LEN][,gw=ADDR][,mac=MAC], as in tap=tap0,ip=10.0.0.2/24,gw=10.0.0.1";
/// IFNAMSIZ without the terminator.
const LONGEST_NAME: usize = 15;

/// An Ethernet device of the host for kernlet's own TCP/IP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tap {
    /// The interface.
    pub interface: String,
    /// What the program's side is configured with.
    pub nic: NicConfig,
}

impl Tap {
    /// Gives the program's side a locally administered hardware address, unless one was asked for.
    pub(crate) fn name_hardware(&mut self, random: [u8; 8]) {
        self.nic.mac.get_or_insert_with(|| {
            let [_, second, third, fourth, fifth, sixth, ..] = random;
            [2, second, third, fourth, fifth, sixth]
        });
    }
}

/// An instance's network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Net {
    /// Published ports and allowed connections.
    #[default]
    Auto,
    /// Its own loopback only.
    None,
    /// An Ethernet device.
    Tap(Box<Tap>),
}

impl Net {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "auto" => return Ok(Self::Auto),
            "none" => return Ok(Self::None),
            _ => {}
        }
        let mut parts = text.split(',');
        let interface =
            parts.next().and_then(|p| p.strip_prefix("tap=")).ok_or("there is no such network")?;
        let fits = !interface.is_empty() && interface.len() <= LONGEST_NAME;
        if !fits || interface.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control()) {
            return Err(format!("{interface:?} is no name of an interface"));
        }
        let mut nic = NicConfig { descriptor: -1, ..NicConfig::default() };
        for part in parts {
            match part.split_once('=') {
                Some(("ip", value)) => nic.addresses.push(address(value, true)?),
                Some(("gw", value)) => nic.gateways.push(address(value, false)?),
                Some(("mac", value)) => nic.mac = Some(mac(value)?),
                _ => return Err(format!("{part:?} is none of ip=, gw= and mac=")),
            }
        }
        Ok(Self::Tap(Box::new(Tap { interface: interface.into(), nic })))
    }
}

fn address(text: &str, with_prefix: bool) -> Result<Address, String> {
    let bad =
        || format!("{text:?} is no address{}", if with_prefix { " with its prefix length" } else { "" });
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) if with_prefix => (address, prefix.parse::<u8>().map_err(|_| bad())?),
        None if !with_prefix => (text, 0),
        _ => return Err(bad()),
    };
    match address.parse().map_err(|_| bad())? {
        IpAddr::V4(v4) if prefix <= 32 => Ok(Address::V4(v4.octets(), prefix)),
        IpAddr::V6(v6) if prefix <= 128 => Ok(Address::V6(v6.octets(), prefix)),
        _ => Err(bad()),
    }
}

fn mac(text: &str) -> Result<[u8; 6], String> {
    let bad = || format!("{text:?} is no MAC address");
    let mut bytes = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut bytes {
        let part = parts.next().filter(|p| p.len() == 2).ok_or_else(bad)?;
        *byte = u8::from_str_radix(part, 16).map_err(|_| bad())?;
    }
    if parts.next().is_some() || bytes[0] & 1 != 0 {
        return Err(bad());
    }
    Ok(bytes)
}

impl FromStr for Net {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Self, OptionError> {
        Self::parse(text).map_err(|problem| OptionError::new("--net", text, problem, EXPECTED))
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::None => f.write_str("none"),
            Self::Tap(tap) => {
                write!(f, "tap={}", tap.interface)?;
                for (key, list) in [("ip", &tap.nic.addresses), ("gw", &tap.nic.gateways)] {
                    for address in list {
                        let (address, prefix) = match *address {
                            Address::V4(bytes, prefix) => (IpAddr::from(bytes), prefix),
                            Address::V6(bytes, prefix) => (IpAddr::from(bytes), prefix),
                        };
                        write!(f, ",{key}={address}")?;
                        if key == "ip" {
                            write!(f, "/{prefix}")?;
                        }
                    }
                }
                let Some([a, b, c, d, e, g]) = tap.nic.mac else { return Ok(()) };
                write!(f, ",mac={a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_and_shown() {
        for text in [
            "auto",
            "none",
            "tap=tap0",
            "tap=tap0,ip=10.0.0.2/24,gw=10.0.0.1,mac=02:00:00:00:00:01",
            "tap=t,ip=10.0.0.2/24,ip=fd00::2/64,gw=fd00::1",
        ] {
            assert_eq!(text.parse::<Net>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for bad in [
            "",
            "bridge",
            "tap=",
            "tap=abcdefghijklmnop",
            "tap=a/b",
            "tap=t,ip=10.0.0.2",
            "tap=t,ip=10.0.0.2/33",
            "tap=t,gw=10.0.0.1/24",
            "tap=t,mac=01:00:00:00:00:01",
            "tap=t,mac=02:00",
            "tap=t,dns=1",
        ] {
            assert!(bad.parse::<Net>().is_err(), "{bad}");
        }
    }
}
