//! `--allow-connect HOST:PORT[/tcp or /udp]`.

use super::OptionError;
use kernlet_broker::Grant;
use std::fmt;
use std::str::FromStr;

const EXPECTED: &str =
    "--allow-connect HOST:PORT[/tcp or /udp], `*` for any host or port, as in example.com:443";

/// An outgoing connection that the program may make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    text: String,
    grant: Grant,
}

impl Connect {
    /// What the broker is told.
    pub(crate) fn grant(&self) -> Grant {
        self.grant.clone()
    }
}

impl FromStr for Connect {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Self, OptionError> {
        match text.parse() {
            Ok(grant) => Ok(Self { text: text.into(), grant }),
            Err(error) => Err(OptionError::new("--allow-connect", text, error.to_string(), EXPECTED)),
        }
    }
}

impl fmt::Display for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_read_and_shown_as_given() {
        for text in ["example.com:443", "*:*", "[::1]:53/udp", "host.kernlet.internal:*"] {
            assert_eq!(text.parse::<Connect>().unwrap().to_string(), text);
        }
        for bad in ["", "host", ":80", "host:0", "host:x", "h:1/icmp", "[x]:1"] {
            assert!(bad.parse::<Connect>().is_err(), "{bad}");
        }
    }
}
