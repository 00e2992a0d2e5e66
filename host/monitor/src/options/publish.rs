//! `-p [ADDR:]PORT:PORT[/tcp or /udp]`.

use super::{OptionError, protocol_name, split_protocol};
use kernlet_wire::boot::Protocol;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

const EXPECTED: &str = "-p [ADDR:]PORT:PORT[/tcp or /udp], as in -p 8080:80 or -p [::1]:5353:53/udp";

/// A port of the program that the host's side of a published port leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish {
    /// Where the host listens; port 0 picks a free one.
    pub host: SocketAddr,
    /// The program's port.
    pub port: u16,
    /// The transport protocol.
    pub protocol: Protocol,
}

impl Publish {
    fn parse(text: &str) -> Result<Self, String> {
        let (rest, protocol) = split_protocol(text)?;
        let (rest, port) = rest.rsplit_once(':').ok_or("the program's port is missing")?;
        let (address, host_port) = match rest.rsplit_once(':') {
            None => (IpAddr::V4(Ipv4Addr::LOCALHOST), rest),
            Some((address, host_port)) => {
                let bare = address.strip_prefix('[').and_then(|a| a.strip_suffix(']'));
                let parsed = match bare {
                    Some(v6) => v6.parse().map(IpAddr::V6).ok(),
                    None => address.parse().map(IpAddr::V4).ok(),
                };
                (parsed.ok_or_else(|| format!("{address:?} is no address"))?, host_port)
            }
        };
        let number = |port: &str| port.parse::<u16>().map_err(|_| format!("{port:?} is no port"));
        let (host_port, port) = (number(host_port)?, number(port)?);
        if port == 0 {
            return Err("the program's port cannot be 0".into());
        }
        Ok(Self { host: SocketAddr::new(address, host_port), port, protocol })
    }
}

impl FromStr for Publish {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Self, OptionError> {
        Self::parse(text).map_err(|problem| OptionError::new("-p", text, problem, EXPECTED))
    }
}

impl fmt::Display for Publish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.host, self.port, protocol_name(self.protocol))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ports_are_read_and_shown() {
        let shown = |text: &str| text.parse::<Publish>().unwrap().to_string();
        assert_eq!(shown("8080:80"), "127.0.0.1:8080:80/tcp");
        assert_eq!(shown("0:53/udp"), "127.0.0.1:0:53/udp");
        assert_eq!(shown("0.0.0.0:80:80/tcp"), "0.0.0.0:80:80/tcp");
        assert_eq!(shown("[::1]:5353:53/udp"), "[::1]:5353:53/udp");
    }

    #[test]
    fn what_is_no_port_is_refused() {
        for bad in ["", "80", "80:0", "80:65536", "x:80", "::1:80:80", "a:80:80", "80:80/sctp", "1:2:3:4"] {
            assert!(bad.parse::<Publish>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,40}") {
            let _ = text.parse::<Publish>();
            let _ = text.parse::<crate::options::Connect>();
            let _ = text.parse::<crate::options::Net>();
            let _ = text.parse::<crate::options::Size>();
            let _ = text.parse::<crate::options::Volume>();
        }
    }
}
