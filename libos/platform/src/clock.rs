//! Clocks, in nanoseconds.

/// Nanoseconds since some moment before this instance started; never goes back.
#[inline]
pub fn monotonic() -> u64 {
    at_door!(clock::monotonic())
}

/// Nanoseconds since 1970-01-01 00:00 UTC, by the host's clock.
pub fn wall() -> u64 {
    at_door!(clock::wall())
}
