//! `--allow-connect HOST:PORT[/tcp or /udp]`.

use super::{OptionError, protocol_name, split_protocol};
use kernlet_wire::boot::Protocol;
use std::fmt;
use std::str::FromStr;

const EXPECTED: &str =
    "--allow-connect HOST:PORT[/tcp or /udp], `*` for any host or port, as in example.com:443";

/// An outgoing connection that the program may make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// A name or an address (IPv6 without brackets); `None` is any.
    pub host: Option<String>,
    /// `None` is any.
    pub port: Option<u16>,
    /// The transport protocol.
    pub protocol: Protocol,
}

impl Connect {
    fn parse(text: &str) -> Result<Self, String> {
        let (rest, protocol) = split_protocol(text)?;
        let (host, port) = rest.rsplit_once(':').ok_or("the port is missing")?;
        let host = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
            Some(v6) if v6.parse::<std::net::Ipv6Addr>().is_ok() => v6,
            Some(_) => return Err(format!("{host:?} is no IPv6 address")),
            None if host.is_empty() => return Err("the host is missing".into()),
            None if host.contains(|c: char| c.is_whitespace() || ":/[]".contains(c)) => {
                return Err(format!("{host:?} is no host"));
            }
            None => host,
        };
        let port = match port {
            "*" => None,
            _ => Some(port.parse().ok().filter(|&p| p != 0).ok_or_else(|| format!("{port:?} is no port"))?),
        };
        Ok(Self { host: (host != "*").then(|| host.to_ascii_lowercase()), port, protocol })
    }
}

impl FromStr for Connect {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Self, OptionError> {
        Self::parse(text).map_err(|problem| OptionError::new("--allow-connect", text, problem, EXPECTED))
    }
}

impl fmt::Display for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            None => f.write_str("*:")?,
            Some(host) if host.contains(':') => write!(f, "[{host}]:")?,
            Some(host) => write!(f, "{host}:")?,
        }
        match self.port {
            None => f.write_str("*")?,
            Some(port) => write!(f, "{port}")?,
        }
        write!(f, "/{}", protocol_name(self.protocol))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_read_and_shown() {
        let shown = |text: &str| text.parse::<Connect>().unwrap().to_string();
        assert_eq!(shown("Example.com:443"), "example.com:443/tcp");
        assert_eq!(shown("*:*"), "*:*/tcp");
        assert_eq!(shown("[::1]:53/udp"), "[::1]:53/udp");
        assert_eq!(shown("host.kernlet.internal:*"), "host.kernlet.internal:*/tcp");
        for bad in ["", "host", ":80", "host:0", "host:x", "::1:80", "a b:1", "h:1/icmp", "[x]:1"] {
            assert!(bad.parse::<Connect>().is_err(), "{bad}");
        }
    }
}
