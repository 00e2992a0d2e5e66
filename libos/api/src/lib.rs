//! What a native kernlet program sees.
//!
//! A program is a crate that depends on this one, with an async main function. It is sealed into an image with
//! `kernlet build DIR -o IMAGE` and run with `kernlet run DIR` or `kernlet run IMAGE`; `kernlet new NAME` makes one.
//!
//! ```no_run
//! #![cfg_attr(kernlet_image, no_std, no_main)]
//!
//! #[kernlet::main]
//! async fn main() -> Result<(), kernlet::Error> {
//!     let listener = kernlet::net::TcpListener::bind(([0, 0, 0, 0], 7)).await?;
//!     loop {
//!         let (stream, peer) = listener.accept().await?;
//!         kernlet::println!("hello, {peer}");
//!         kernlet::task::spawn("greeter", async move { stream.write_all(b"hello\n").await });
//!     }
//! }
//! ```
//!
//! | module | what |
//! | --- | --- |
//! | [`net`] | UDP and TCP sockets |
//! | [`fs`] | files: the image's read-only root, memory files, volumes |
//! | [`task`] | tasks, channels, waiting |
//! | [`time`] | clocks, timers, time limits |
//! | [`mod@env`] | arguments, environment, identity |
//! | [`signal`] | signals from `kernlet kill` and `kernlet stop` |
//! | [`io`] | standard input and output |
//! | [`random`] | random numbers |
//! | [`mod@log`] | log lines with a level |
//!
//! Nothing runs in parallel: tasks take turns where they await. A program holds only what it uses of all this.
#![no_std]
#![forbid(unsafe_code)]

pub extern crate alloc;

#[cfg(not(kernlet_image))]
extern crate std;

pub mod env;
pub mod io;
mod run;
pub mod signal;

pub use kernlet_macros::main;
#[doc(hidden)]
pub use run::{__not_an_image, __run};
pub use run::{Termination, exit};

/// An error of the operating system: an error number of Linux, with its name and text.
pub use kernlet_platform::Errno as Error;

/// UDP and TCP sockets: one interface over the instance's own loopback, published host ports, and kernlet's own
/// TCP/IP on an Ethernet device.
pub use kernlet_net as net;

/// Files: the image's read-only root, memory files (such as /tmp), and volumes.
pub use kernlet_fs as fs;

/// Log lines with a level, on standard error.
pub use kernlet_log as log;

/// Random numbers that cannot be guessed.
pub use kernlet_entropy as random;

/// Tasks and what they share.
pub mod task {
    pub use kernlet_exec::{Task, spawn, yield_now};
    pub use kernlet_sync::{Receiver, Sender, WaitQueue, channel, poll_fn};
}

/// Clocks, timers and time limits.
pub mod time {
    pub use kernlet_exec::{Elapsed, Sleep, sleep, sleep_until, timeout};
    pub use kernlet_time::{Duration, Instant, unix_time};
}

/// How much memory the heap takes, in bytes.
pub fn heap_size() -> usize {
    kernlet_memory::heap_size()
}

/// How large the heap may become, in bytes (`-m`, less what the image itself takes in a VM); `None` when the
/// instance was not told.
///
/// ```no_run
/// # #[kernlet::main]
/// # async fn main() {
/// let cache = kernlet::memory_limit().unwrap_or(256 << 20) / 8;
/// # let _ = cache;
/// # }
/// ```
pub fn memory_limit() -> Option<u64> {
    kernlet_platform::boot::blob().memory()
}

/// Prints to standard output, with a newline.
#[macro_export]
macro_rules! println {
    ($($text:tt)*) => { $crate::io::__print($crate::io::Stream::Out, ::core::format_args!($($text)*), true) };
}

/// Prints to standard output.
#[macro_export]
macro_rules! print {
    ($($text:tt)*) => { $crate::io::__print($crate::io::Stream::Out, ::core::format_args!($($text)*), false) };
}

/// Prints to standard error, with a newline.
#[macro_export]
macro_rules! eprintln {
    ($($text:tt)*) => { $crate::io::__print($crate::io::Stream::Err, ::core::format_args!($($text)*), true) };
}
