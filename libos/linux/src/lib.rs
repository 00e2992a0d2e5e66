//! The Linux ABI: what an unmodified program sees.
//!
//! 1. A program is a [`Process`](process::Process), its threads are [`Thread`](thread::Thread)s. Each thread is a task: its
//!    future runs the program's text until that needs something ([`kernlet_platform::program`]), and handles the call
//!    right there. What waits is awaited.
//! 2. One module a subject, each with a function `call` that handles its system calls; [`call`] knows which number belongs
//!    to which. Semantics and error numbers are Linux's (man-pages, and the kernel's source where they are silent).
//! 3. What belongs to a process hangs on the process, what belongs to a thread on the thread; nothing is global.
//! 4. Pointers from the program are never trusted: memory is reached by [`user`], which gives EFAULT.
//! 5. What is not implemented says so once and is ENOSYS; with `--strict` it ends the program.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod call;
pub mod files;
pub mod ipc;
pub mod load;
pub mod memory;
pub mod process;
pub mod signal;
pub mod sockets;
mod start;
pub mod system;
pub mod task;
#[cfg(test)]
mod testing;
pub mod thread;
pub mod time;
pub mod user;
pub mod wait;

pub use kernlet_platform::Errno;
pub use start::run;

/// Bytes of a page.
pub const PAGE: usize = 4096;

/// Reports something that whoever runs the program should know, as a line on standard error.
#[macro_export]
macro_rules! report {
    ($($text:tt)*) => { $crate::start::report(::core::format_args!($($text)*)) };
}
