//! From the platform's entry to the program and back.

use core::fmt::Debug;
use core::future::Future;
use kernlet_platform::control::{Message, send};
use kernlet_platform::power;

/// What a main function may return: the exit status of the program.
pub trait Termination {
    /// The exit status.
    fn status(self) -> u8;
}

impl Termination for () {
    fn status(self) -> u8 {
        0
    }
}

impl Termination for u8 {
    fn status(self) -> u8 {
        self
    }
}

impl<T: Termination, E: Debug> Termination for Result<T, E> {
    /// The status of the value; an error is printed to standard error and gives 1.
    fn status(self) -> u8 {
        match self {
            Ok(value) => value.status(),
            Err(error) => {
                crate::eprintln!("error: {error:?}");
                1
            }
        }
    }
}

/// Ends the program at once with `status`.
pub fn exit(status: u8) -> ! {
    power::exit(status)
}

/// Runs a program: what `#[kernlet::main]` calls.
#[doc(hidden)]
pub fn __run<T: Termination + 'static, F: Future<Output = T> + 'static>(main: fn() -> F) -> ! {
    send(Message::Entered);
    crate::signal::listen();
    exit(kernlet_exec::block_on(main()).status())
}

/// What a host program made of the crate says.
#[doc(hidden)]
#[cfg(not(kernlet_image))]
pub fn __not_an_image() {
    std::eprintln!(
        "this program runs on kernlet; start it with: kernlet run DIR (the folder of its Cargo.toml)"
    );
    std::process::exit(126);
}

/// There is no host program here.
#[doc(hidden)]
#[cfg(kernlet_image)]
pub fn __not_an_image() {}
