//! The two doors of an image, behind one safe interface.
//!
//! An image is one ELF file with two entries: a PVH note by which a virtual machine monitor starts it (`vm`),
//! and an ordinary ELF entry by which the trusted loader starts it as a sandboxed Linux process (`process`).
//! Everything above this crate is the same code in both. Rules:
//!
//! 1. `unsafe` and `core::arch` live here (and in `memory`), in small modules behind safe functions.
//! 2. Each module of this file is one subject; it asks [`door`] and calls the door's module of the same name.
//!    Nothing is dispatched through tables of functions, so that the linker drops what a program does not reach.
//! 3. Waiting is one call, [`event::wait`]. Interrupt handlers only note that something happened; all else runs
//!    outside of them, so the library OS is never re-entered.
//! 4. What comes from outside (blob, rings, host calls' results) is checked here before it goes up.
//!
//! Compiled without `--cfg kernlet_image` it is an ordinary host library whose only door is the process door
//! without loader and filter, so that everything above can be unit-tested and fuzzed without booting anything.
#![no_std]

#[cfg(not(kernlet_image))]
extern crate std;

extern crate alloc;

/// Calls a function of the door that this instance came in by.
macro_rules! at_door {
    ($module:ident :: $function:ident ( $($argument:expr),* )) => {{
        match $crate::door() {
            $crate::Door::Process => $crate::process::$module::$function($($argument),*),
            #[cfg(kernlet_image)]
            $crate::Door::Vm => $crate::vm::$module::$function($($argument),*),
            #[cfg(not(kernlet_image))]
            $crate::Door::Vm => unreachable!("a host build has only the process door"),
        }
    }};
}

mod process;
#[cfg(kernlet_image)]
mod vm;
#[cfg(all(any(test, fuzzing), not(kernlet_image)))]
#[path = "vm/on_host.rs"]
mod vm;

#[cfg(kernlet_image)]
mod entry;
#[cfg(kernlet_image)]
mod fault;
#[cfg(kernlet_image)]
mod panic;
#[cfg(kernlet_image)]
mod string;

pub mod backtrace;
pub mod boot;
pub mod broker;
pub mod cell;
pub mod clock;
pub mod console;
pub mod control;
pub mod cpu;
pub mod entropy;
mod errno;
pub mod event;
#[cfg(not(kernlet_image))]
pub mod faults;
pub mod heap;
pub mod nic;
pub mod p9;
pub mod power;
pub mod program;
pub mod sealed;
pub mod socket;
pub mod waker;

pub use errno::Errno;
#[cfg(all(fuzzing, not(kernlet_image)))]
#[doc(hidden)]
pub use vm::exercise::exercise as exercise_devices;

/// The way by which an instance was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// A sandboxed Linux process, started by the trusted loader.
    Process,
    /// A virtual machine, started through PVH.
    Vm,
}

/// The door that this instance came in by. On a host build: [`Door::Process`].
pub fn door() -> Door {
    #[cfg(kernlet_image)]
    {
        entry::door()
    }
    #[cfg(not(kernlet_image))]
    {
        Door::Process
    }
}
