//! Faults in host calls, for tests: on a host build, host calls of this thread fail or do only a part, as a host may
//! at any time, drawn from a seed.

pub use crate::process::inject::{Call, Fault, Injection};

/// From now on, of 1000 host calls that `rules` speak of, `share` meet one of their faults. Ends when the result is
/// dropped; the same seed gives the same faults to the same calls.
///
/// A fault of EAGAIN is over at the next wait: what is watched is then reported again if it is ready, as a host would.
pub fn inject(seed: u64, share: u32, rules: &[(Call, Fault)]) -> Injection {
    Injection::start(seed, share, rules)
}
