//! Runs instances on a backend and keeps their state and logs.
//!
//! There is no daemon. [`run`] *is* the monitor of its instance, in the foreground or detached:
//!
//! 1. [`options`] says what is wanted; `grants` opens it: sockets, volumes, devices. What is granted is a list of
//!    descriptors, and nothing else of the host reaches the instance.
//! 2. `backend` starts the instance, as a sandboxed process or as a virtual machine.
//! 3. `monitor` waits, in one poll loop, for what the instance writes ([`log`], relay to the terminal), says (control
//!    messages) and asks (broker), for signals, for other kernlet commands ([`control`]), and for its end.
//! 4. [`home`] and [`state`] keep what is known in files that are true even after a monitor was killed.
#![forbid(unsafe_code)]

mod backend;
pub mod control;
mod end;
mod error;
mod grants;
pub mod home;
pub mod log;
mod monitor;
mod name;
pub mod options;
pub mod signals;
pub mod state;
mod symbolise;
pub mod terminal;
pub mod usage;

pub use error::Error;
pub use home::{Directory, Home, StateError};
pub use kernlet_sandbox::fork;
pub use monitor::{Ready, run};
pub use options::Options;
pub use state::{Phase, State};
