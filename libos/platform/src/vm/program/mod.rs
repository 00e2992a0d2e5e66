//! The VM door's half of [`crate::program`].
//!
//! The program runs in ring 0 beside the library OS, with interrupts let in, on stacks of its own. It comes back by a call
//! of the entry, by SYSCALL, or by an exception or interrupt, whose handlers ([`vectors`]) are in place once a program
//! is to run. Each of them saves the registers in the thread's context and goes on behind `enter`. The library OS runs with
//! interrupts off, as always.

mod areas;
mod enter;
mod frame;
mod memory;
mod place;
mod shared;
mod state;
mod tables;
mod vdso;
mod vectors;

pub use crate::program::enter::forget;
pub use enter::enter;
pub use memory::{discard, map, protect, relocate, resident, unmap};
pub use shared::{drop_shared, new_shared, read_shared, write_shared};
pub use state::{extended_features, extended_length, save};

/// See [`crate::program::prepare`].
pub fn prepare() -> Result<(), &'static str> {
    place::prepare();
    let image = crate::sealed::segment().as_ptr_range().end.addr();
    let whole = super::frames::RAM.lock().reaches(super::paging::physical_in_image(image) as usize);
    memory::prepare().filter(|()| whole).ok_or("there is not enough memory to run a program in (-m)")?;
    state::prepare();
    enter::prepare();
    vectors::install();
    Ok(())
}

/// See [`crate::program::has`].
pub fn has(bytes: usize) -> bool {
    super::frames::RAM.lock().has(bytes)
}

/// See [`crate::program::turn`].
pub fn turn(until: Option<u64>) {
    if let Some(at) = until {
        super::clock::strike_by(at);
    }
}

/// See [`crate::program::ticks`]: interrupts are only let in while the program runs, or nothing does.
pub fn ticks() -> [u64; 2] {
    [0; 2]
}

/// See [`crate::sealed::rest`]: what is sealed lies in memory once, or goes by itself.
pub fn rest_sealed() {}
