//! Serves what an instance may reach by name: files in its volumes, and the connections that were granted.
//!
//! An instance on the process door can use descriptors that it was given, and make none. What needs a name it asks
//! for here, by the messages of [`kernlet_wire::broker`]. Rules:
//!
//! 1. A path is resolved by the kernel beneath the volume's root (`openat2`, `RESOLVE_BENEATH`), in one step, for
//!    every operation. So no link, no `..` and no race with whoever moves directories leads out of a volume.
//! 2. Only regular files and directories are opened, with the access that was asked for and no more. Set-user-id
//!    and set-group-id bits are never set.
//! 3. Nothing that an instance sends is trusted or kept: requests are bounded, handles are, and so is the work that
//!    waits. A descriptor that it sends is never received.
//! 4. What can take long (names, connections, fsync) is done by a few threads, made when the first such request
//!    comes; [`Service::drive`] never blocks on them.
//!
//! A monitor makes a [`Broker`] of [`Volume`]s and [`Grant`]s, puts it on its end of the socket pair as a
//! [`Service`], waits until that is readable, and calls [`Service::drive`].
#![forbid(unsafe_code)]

mod broker;
mod files;
mod grant;
mod handles;
mod network;
mod pool;
mod service;
mod volume;

pub use broker::{Answer, Broker};
pub use grant::{Grant, GrantError};
pub use service::{Service, Status};
pub use volume::Volume;
