//! Running a Linux program: a thread's registers, the way in and out, the program's memory.
//!
//! 1. A thread of the program is a [`Context`]. [`Context::enter`] runs it until it needs the library OS and tells why;
//!    the library OS is never entered in any other way, so nothing of it is re-entered or preempted.
//! 2. All of the program's memory lies in [`range`]; nothing of the library OS does. What is done with addresses is
//!    checked against it, so a wrong address harms nobody but the program, and the functions here are safe.
//! 3. An access to the program's memory that faults is an error value, never a fault of the library OS.
//!
//! On a host build there is no program: `enter` does not exist, and memory is the test's own.

mod context;
mod copy;
#[cfg(kernlet_image)]
pub(crate) mod enter;
mod features;
mod memory;
pub(crate) mod quick;
mod shared;
#[cfg(kernlet_image)]
pub(crate) mod state;
#[cfg(kernlet_image)]
pub(crate) mod vdso;

pub use context::{Context, EXTENDED_MOST, Exit, Registers, Trap};
#[cfg(kernlet_image)]
pub(crate) use context::{Held, initial};
#[cfg(kernlet_image)]
pub(crate) use copy::fixup;
pub use copy::{
    add_u32, and_u32, compare_exchange_u32, exchange_u32, load_u32, or_u32, read, read_words, string, write,
    xor_u32, zero,
};
#[cfg(kernlet_image)]
pub(crate) use enter::Block;
#[cfg(kernlet_image)]
pub(crate) use features::known;
pub use features::{capabilities, lacks, model};
pub use memory::{Backing, Protection, discard, has, map, protect, range, relocate, resident, unmap, within};
pub use quick::{Known, answer};
pub use shared::{SHARED_MOST, Shared};

/// How long a thread runs before others have their turn, nanoseconds.
pub const TURN: u64 = 10_000_000;

/// Gets this vCPU ready to run a program's threads: once, before the first [`Context::enter`].
///
/// # Errors
/// What the CPU or the host lacks for it, in words.
pub fn prepare() -> Result<(), &'static str> {
    at_door!(program::prepare())
}

/// A thread's turn begins. It ends ([`Exit::Preempted`]) by itself after [`TURN`] nanoseconds, or earlier: at `until`, a moment
/// of [`crate::clock::monotonic`], for what is to happen then.
pub fn turn(until: Option<u64>) {
    at_door!(program::turn(until))
}

/// How often a look at the CPU found the program, and how often it found the library OS at work for it, at equal distances of
/// CPU time. A VM does not look.
pub fn ticks() -> [u64; 2] {
    at_door!(program::ticks())
}

/// Bytes of the extended state in a signal frame; see [`Context::extended`].
pub fn extended_length() -> usize {
    at_door!(program::extended_length())
}

/// Which parts of the extended state are kept, as bits of XCR0.
pub fn extended_features() -> u64 {
    at_door!(program::extended_features())
}
