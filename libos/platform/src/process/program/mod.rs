//! The process door's half of [`crate::program`].
//!
//! The program runs in the same host thread as the library OS, on stacks of its own. It comes back by a call of the
//! entry (from rewritten code) or by a host signal: SIGSYS, when the filter traps a system call that was made anywhere but
//! in the library OS's text; SIGSEGV and its like for faults; SIGPROF or SIGALRM when the turn is over. The handlers run on an
//! alternate stack, copy the interrupted registers to the thread's context, and go on behind `enter`, never to
//! return to the signal frame. So the stack is free again, and no signal is ever blocked.

#[cfg(kernlet_image)]
mod enter;
mod memory;
mod shared;
#[cfg(kernlet_image)]
mod signal;
mod state;
#[cfg(kernlet_image)]
mod turn;

#[cfg(kernlet_image)]
pub use memory::USAGE;
pub use memory::{discard, map, protect, relocate, resident, rest_sealed, unmap};
pub use shared::{drop_shared, new_shared, read_shared, write_shared};
pub use state::{extended_features, extended_length, save};
#[cfg(kernlet_image)]
pub use {crate::program::enter::forget, enter::enter};

#[cfg(kernlet_image)]
pub use turn::{ticks, turn};

/// See [`crate::program::has`].
pub fn has(_: usize) -> bool {
    true
}

/// A host build runs no program.
#[cfg(not(kernlet_image))]
pub fn turn(_: Option<u64>) {}

/// A host build runs no program.
#[cfg(not(kernlet_image))]
pub fn ticks() -> [u64; 2] {
    [0; 2]
}

/// A host build runs no program.
#[cfg(not(kernlet_image))]
pub fn forget(_: &mut crate::program::Context) {}

/// See [`crate::program::prepare`].
pub fn prepare() -> Result<(), &'static str> {
    #[cfg(kernlet_image)]
    {
        enter::prepare()?;
        signal::install();
    }
    Ok(())
}
