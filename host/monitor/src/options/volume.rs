//! `-v HOST:GUEST[:ro]`.

use super::{OptionError, guest_path};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

const EXPECTED: &str = "-v HOST:GUEST[:ro], as in -v ./zones:/zones:ro";

/// A host file or directory that the program sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// On the host.
    pub host: PathBuf,
    /// Inside; absolute.
    pub guest: String,
    /// The program cannot change it.
    pub read_only: bool,
}

impl Volume {
    fn parse(text: &str) -> Result<Self, String> {
        let (rest, read_only) = match text.rsplit_once(':') {
            Some((rest, "ro")) => (rest, true),
            Some((rest, "rw")) => (rest, false),
            _ => (text, false),
        };
        let (host, guest) = rest.rsplit_once(':').ok_or("the path inside is missing")?;
        if host.is_empty() {
            return Err("the host's path is missing".into());
        }
        guest_path(guest)?;
        let trimmed = guest.trim_end_matches('/');
        if trimmed.is_empty() {
            return Err("a volume cannot take the place of the whole root".into());
        }
        Ok(Self { host: host.into(), guest: trimmed.into(), read_only })
    }
}

impl FromStr for Volume {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Self, OptionError> {
        Self::parse(text).map_err(|problem| OptionError::new("-v", text, problem, EXPECTED))
    }
}

impl fmt::Display for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = if self.read_only { ":ro" } else { "" };
        write!(f, "{}:{}{mode}", self.host.display(), self.guest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_read_and_shown() {
        let shown = |text: &str| text.parse::<Volume>().unwrap().to_string();
        assert_eq!(shown("./z:/zones:ro"), "./z:/zones:ro");
        assert_eq!(shown("/a:b:/c/"), "/a:b:/c");
        assert_eq!(shown("/a:/b:rw"), "/a:/b");
        for bad in ["", "/a", "/a:b", ":/b", "/a:/", "/a:/../b", "/a:/b:rx"] {
            assert!(bad.parse::<Volume>().is_err(), "{bad}");
        }
    }
}
