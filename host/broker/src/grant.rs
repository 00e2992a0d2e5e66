//! Which connections an instance may make.

use kernlet_wire::boot::Protocol;
use kernlet_wire::broker::{HOST_ADDRESS, HOST_NAME};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::str::FromStr;
use thiserror::Error;

/// How many addresses of names are remembered.
const MOST_LEARNED: usize = 1024;

/// One `--allow-connect`: `HOST:PORT`, `HOST:PORT/tcp` or `HOST:PORT/udp`, where `*` stands for any host or port.
///
/// The host's own loopback is reached as `host.kernlet.internal` and in no other way: neither `*` nor a name that
/// resolves to 127.0.0.1 includes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    host: Host,
    port: Option<u16>,
    protocol: Protocol,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Any,
    Name(String),
    Address(IpAddr),
}

/// Why a text is no [`Grant`].
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum GrantError {
    /// There is no colon.
    #[error("expected HOST:PORT")]
    NoPort,
    /// The port is no number from 1 to 65535.
    #[error("the port must be a number from 1 to 65535, or *")]
    BadPort,
    /// The host is empty or has characters that no name has.
    #[error("the host must be a name, an address (IPv6 in brackets), or *")]
    BadHost,
    /// Something else than tcp or udp follows the slash.
    #[error("the protocol must be tcp or udp")]
    BadProtocol,
}

impl FromStr for Grant {
    type Err = GrantError;

    fn from_str(text: &str) -> Result<Self, GrantError> {
        let (place, protocol) = match text.rsplit_once('/') {
            None | Some((_, "tcp")) => (text.trim_end_matches("/tcp"), Protocol::Tcp),
            Some((place, "udp")) => (place, Protocol::Udp),
            Some(_) => return Err(GrantError::BadProtocol),
        };
        let (host, port) = place.rsplit_once(':').ok_or(GrantError::NoPort)?;
        let port = match port {
            "*" => None,
            number => Some(number.parse().ok().filter(|&p| p != 0).ok_or(GrantError::BadPort)?),
        };
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let host = match (bare, host) {
            (Some(address), _) => Host::Address(address.parse().map_err(|_| GrantError::BadHost)?),
            (None, "*") => Host::Any,
            (None, host) => match host.parse::<std::net::Ipv4Addr>() {
                Ok(address) => Host::Address(address.into()),
                Err(_) => Host::Name(name(host).ok_or(GrantError::BadHost)?),
            },
        };
        Ok(Self { host, port, protocol })
    }
}

/// A host name as it is compared: lower case, without the last dot.
fn name(text: &str) -> Option<String> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let fits = !text.is_empty() && text.len() <= kernlet_wire::broker::MAX_HOST && text.bytes().all(good);
    fits.then(|| text.to_ascii_lowercase())
}

/// Where a connection that was granted goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The host's loopback.
    Host,
    /// A name, yet to be resolved.
    Name(String),
    /// An address.
    Address(IpAddr),
}

/// All grants of an instance, and the addresses that it learned of granted names.
#[derive(Debug, Default)]
pub struct Grants {
    grants: Vec<Grant>,
    /// A program asks for a name first and connects to the address then: by this it is known for which name.
    learned: VecDeque<(IpAddr, String)>,
}

impl Grants {
    pub fn new(grants: Vec<Grant>) -> Self {
        Self { grants, learned: VecDeque::new() }
    }

    fn allows_name(&self, name: &str, matches: impl Fn(&Grant) -> bool) -> bool {
        self.grants.iter().any(|grant| {
            matches(grant)
                && match &grant.host {
                    Host::Any => name != HOST_NAME,
                    Host::Name(granted) => granted == name,
                    Host::Address(_) => false,
                }
        })
    }

    /// Where a connection to `host` goes; EACCES when it was not granted.
    pub fn connect(&self, host: &str, port: u16, protocol: Protocol) -> Result<Target, Errno> {
        let fits = |g: &Grant| g.protocol == protocol && g.port.is_none_or(|granted| granted == port);
        if port == 0 {
            return Err(Errno::INVAL);
        }
        let Ok(address) = host.parse::<IpAddr>() else {
            let name = name(host).ok_or(Errno::INVAL)?;
            return match self.allows_name(&name, fits) {
                true if name == HOST_NAME => Ok(Target::Host),
                true => Ok(Target::Name(name)),
                false => Err(Errno::ACCESS),
            };
        };
        let address = address.to_canonical();
        if address == IpAddr::V4(HOST_ADDRESS) {
            return if self.allows_name(HOST_NAME, fits) { Ok(Target::Host) } else { Err(Errno::ACCESS) };
        }
        let direct = |g: &Grant| match g.host {
            Host::Any => true,
            Host::Address(granted) => granted.to_canonical() == address,
            Host::Name(_) => false,
        };
        let granted = self.grants.iter().any(|g| fits(g) && direct(g))
            || self.learned.iter().any(|(known, name)| *known == address && self.allows_name(name, fits));
        if granted && is_elsewhere(address) { Ok(Target::Address(address)) } else { Err(Errno::ACCESS) }
    }

    /// The name that `host` is resolved by; EACCES when no connection to it was granted.
    pub fn resolve(&self, host: &str) -> Result<Target, Errno> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(Target::Address(address.to_canonical()));
        }
        let name = name(host).ok_or(Errno::INVAL)?;
        match self.allows_name(&name, |_| true) {
            true if name == HOST_NAME => Ok(Target::Host),
            true => Ok(Target::Name(name)),
            false => Err(Errno::ACCESS),
        }
    }

    /// Remembers the addresses of a name; the oldest are forgotten.
    pub fn learn(&mut self, name: &str, addresses: &[IpAddr]) {
        for address in addresses {
            self.learned.retain(|(known, of)| known != address || of != name);
            self.learned.push_back((*address, name.into()));
        }
        let surplus = self.learned.len().saturating_sub(MOST_LEARNED);
        self.learned.drain(..surplus);
    }
}

/// Whether an address is not this host's loopback, under any of its names: that is reached as
/// `host.kernlet.internal` only, whatever a name server says.
pub fn is_elsewhere(address: IpAddr) -> bool {
    let address = address.to_canonical();
    // Linux connects to itself when asked for the unspecified address.
    let itself = match address {
        IpAddr::V4(v4) => v4.octets()[0] == 0,
        IpAddr::V6(v6) => v6.is_unspecified() || v6.to_ipv4().is_some_and(|v4| v4.is_loopback()),
    };
    !address.is_loopback() && !itself
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(list: &[&str]) -> Grants {
        Grants::new(list.iter().map(|g| g.parse().unwrap()).collect())
    }

    #[test]
    fn a_grant_is_read_and_what_is_wrong_with_one_is_said() {
        let grant = |text: &str| text.parse::<Grant>();
        assert_eq!(grant("Example.COM.:443"), grant("example.com:443/tcp"));
        assert!(grant("[::1]:80").is_ok() && grant("*:*/udp").is_ok() && grant("10.0.0.1:*").is_ok());
        let errors = [
            ("example.com", GrantError::NoPort),
            ("example.com:0", GrantError::BadPort),
            ("example.com:65536", GrantError::BadPort),
            ("example.com:80/sctp", GrantError::BadProtocol),
            (":80", GrantError::BadHost),
            ("a b:80", GrantError::BadHost),
            ("::1:80", GrantError::BadHost),
            ("[x]:80", GrantError::BadHost),
        ];
        for (text, error) in errors {
            assert_eq!(grant(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_connection_is_allowed_exactly_where_it_was_granted() {
        let g = grants(&["example.com:443", "10.1.1.1:*/udp", "*:53/udp"]);
        let name = Target::Name("example.com".into());
        assert_eq!(g.connect("EXAMPLE.com.", 443, Protocol::Tcp), Ok(name));
        assert_eq!(g.connect("example.com", 80, Protocol::Tcp), Err(Errno::ACCESS));
        assert_eq!(g.connect("example.com", 443, Protocol::Udp), Err(Errno::ACCESS));
        assert_eq!(g.connect("example.org", 443, Protocol::Tcp), Err(Errno::ACCESS));
        assert!(g.connect("10.1.1.1", 99, Protocol::Udp).is_ok());
        assert!(g.connect("::ffff:10.1.1.1", 99, Protocol::Udp).is_ok());
        assert_eq!(g.connect("10.1.1.2", 99, Protocol::Udp), Err(Errno::ACCESS));
        assert!(g.connect("10.1.1.2", 53, Protocol::Udp).is_ok());
        assert_eq!(grants(&[]).connect("10.1.1.2", 53, Protocol::Udp), Err(Errno::ACCESS));
    }

    #[test]
    fn an_address_is_allowed_once_its_granted_name_was_resolved() {
        let mut g = grants(&["example.com:443"]);
        let address: IpAddr = "192.0.2.7".parse().unwrap();
        assert_eq!(g.connect("192.0.2.7", 443, Protocol::Tcp), Err(Errno::ACCESS));
        g.learn("example.com", &[address]);
        assert_eq!(g.connect("192.0.2.7", 443, Protocol::Tcp), Ok(Target::Address(address)));
        assert_eq!(g.connect("192.0.2.7", 80, Protocol::Tcp), Err(Errno::ACCESS));
        for n in 0..2000u32 {
            g.learn("example.com", &[IpAddr::from(n.to_be_bytes())]);
        }
        assert_eq!(g.learned.len(), MOST_LEARNED);
    }

    #[test]
    fn the_host_s_loopback_is_reached_by_its_own_name_only() {
        let mut g = grants(&["*:*", "localhost:80", "127.0.0.1:80"]);
        g.learn("localhost", &["127.0.0.1".parse().unwrap()]);
        for host in ["127.0.0.1", "127.9.9.9", "::1", "::", "0.0.0.0", "::ffff:127.0.0.1", HOST_NAME] {
            assert_eq!(g.connect(host, 80, Protocol::Tcp), Err(Errno::ACCESS), "{host}");
        }
        let g = grants(&["host.kernlet.internal:80"]);
        assert_eq!(g.connect(HOST_NAME, 80, Protocol::Tcp), Ok(Target::Host));
        assert_eq!(g.connect(&HOST_ADDRESS.to_string(), 80, Protocol::Tcp), Ok(Target::Host));
        assert_eq!(g.connect(HOST_NAME, 81, Protocol::Tcp), Err(Errno::ACCESS));
        assert_eq!(g.resolve("example.com"), Err(Errno::ACCESS));
    }
}
