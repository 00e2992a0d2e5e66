//! Instants of the monotonic clock, and the time of day.
#![no_std]
#![forbid(unsafe_code)]

pub use core::time::Duration;
use kernlet_platform::clock;

/// A moment of the monotonic clock, which never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// Now.
    pub fn now() -> Self {
        Self(clock::monotonic())
    }

    /// The moment at `nanoseconds` of the platform's monotonic clock.
    pub const fn from_nanoseconds(nanoseconds: u64) -> Self {
        Self(nanoseconds)
    }

    /// As nanoseconds of the platform's monotonic clock.
    pub const fn nanoseconds(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero when it is not earlier.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// How long ago this was.
    pub fn elapsed(self) -> Duration {
        Self::now().since(self)
    }
}

impl core::ops::Add<Duration> for Instant {
    type Output = Self;

    /// The moment `after` this one; the end of time when that is too far.
    fn add(self, after: Duration) -> Self {
        Self(u64::try_from(after.as_nanos()).map_or(u64::MAX, |n| self.0.saturating_add(n)))
    }
}

/// The time of day by the host's clock, as the time since 1970-01-01 00:00 UTC. It may jump.
pub fn unix_time() -> Duration {
    Duration::from_nanos(clock::wall())
}
