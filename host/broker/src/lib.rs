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
//! 4. Anything with a name can hang: a file system whose server is gone, a host that does not answer. It is done by
//!    threads of the broker's own, never by the monitor's loop, and what hangs in a volume holds up requests to that
//!    volume only.
//! 5. What is handed out reaches what was granted and nothing else. A UDP socket could send anywhere, so it stays here
//!    and its datagrams are relayed.
//!
//! A monitor makes a [`Broker`] of [`Volume`]s and [`Grant`]s and puts it on its end of the socket pair as a
//! [`Service`], which works until it is dropped.
#![forbid(unsafe_code)]

mod broker;
mod contents;
mod crew;
mod files;
mod grant;
mod handles;
mod linux;
mod locks;
mod network;
mod relay;
mod service;
mod volume;

pub use broker::{Answer, Broker};
pub use grant::{Grant, GrantError};
pub use service::Service;
pub use volume::Volume;
