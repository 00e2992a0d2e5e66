//! `--restart`, and how long to wait before the next start.

use super::OptionError;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

const EXPECTED: &str = "--restart no, on-failure, on-failure:N or always";
/// The pause before the first new start; it doubles with each one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// An instance that lived this long has recovered: the pause begins anew.
const RECOVERED: Duration = Duration::from_secs(10);

/// When an instance that ended is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restart {
    /// Never.
    #[default]
    No,
    /// After a status other than 0, at most so many times.
    OnFailure(Option<u32>),
    /// After every end that the user did not ask for.
    Always,
}

impl Restart {
    /// Whether to start again after `status`, having done so `restarts` times.
    #[must_use]
    pub fn wants(self, status: u8, restarts: u32) -> bool {
        match self {
            Self::No => false,
            Self::OnFailure(most) => status != 0 && most.is_none_or(|most| restarts < most),
            Self::Always => true,
        }
    }
}

impl FromStr for Restart {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Self, OptionError> {
        match text.split_once(':') {
            None if text == "no" => Ok(Self::No),
            None if text == "always" => Ok(Self::Always),
            None if text == "on-failure" => Ok(Self::OnFailure(None)),
            Some(("on-failure", n)) => match n.parse() {
                Ok(n) => Ok(Self::OnFailure(Some(n))),
                Err(_) => Err(OptionError::new("--restart", text, "N is no number", EXPECTED)),
            },
            _ => Err(OptionError::new("--restart", text, "there is no such policy", EXPECTED)),
        }
    }
}

impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::No => f.write_str("no"),
            Self::OnFailure(None) => f.write_str("on-failure"),
            Self::OnFailure(Some(n)) => write!(f, "on-failure:{n}"),
            Self::Always => f.write_str("always"),
        }
    }
}

/// The pauses between starts.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(crate) const fn new() -> Self {
        Self { next: FIRST_PAUSE }
    }

    /// The pause after a life of this length.
    pub(crate) fn pause(&mut self, lived: Duration) -> Duration {
        if lived >= RECOVERED {
            self.next = FIRST_PAUSE;
        }
        let pause = self.next;
        self.next = (pause * 2).min(LONGEST_PAUSE);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_and_shown() {
        for text in ["no", "always", "on-failure", "on-failure:3"] {
            assert_eq!(text.parse::<Restart>().unwrap().to_string(), text);
        }
        for bad in ["", "yes", "always:3", "on-failure:", "on-failure:x", "on-failure:-1"] {
            assert!(bad.parse::<Restart>().is_err(), "{bad}");
        }
    }

    #[test]
    fn each_policy_restarts_what_it_says() {
        assert!(!Restart::No.wants(1, 0));
        assert!(Restart::Always.wants(0, 1000));
        assert!(!Restart::OnFailure(None).wants(0, 0));
        assert!(Restart::OnFailure(Some(2)).wants(1, 1));
        assert!(!Restart::OnFailure(Some(2)).wants(1, 2));
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_begin_anew_after_a_good_life() {
        let mut backoff = Backoff::new();
        let short = Duration::from_secs(1);
        let pauses: Vec<_> = (0..12).map(|_| backoff.pause(short).as_millis()).collect();
        assert_eq!(pauses[..4], [100, 200, 400, 800]);
        assert_eq!(pauses[11], 60_000);
        assert_eq!(backoff.pause(Duration::from_secs(10)).as_millis(), 100);
    }
}
