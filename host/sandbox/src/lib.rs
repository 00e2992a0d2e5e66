//! Starts an instance as a sandboxed process: the process door seen from outside.
//!
//! 1. An instance is a list of capabilities: the descriptors that [`launch`] grants, and the host calls of [`table`] on
//!    them. What is not in the list does not exist for it.
//! 2. The trusted loader (host/loader), embedded here, locks itself in before it runs the first instruction of the
//!    image. It needs no privilege; started by root it becomes an unprivileged identity.
//! 3. The filter holds alone: nothing else that happens inside is relied on.
//!
//! `unsafe` is confined to three modules, for system calls that have no safe interface.
#![deny(unsafe_code)]

#[allow(dead_code, missing_docs)]
#[path = "../../loader/src/config.rs"]
mod config;
mod filter;
#[allow(unsafe_code)]
mod kvm;
mod launch;
#[allow(unsafe_code)]
mod spawn;
#[allow(unsafe_code)]
mod system;
pub mod table;

pub use config::Segment;
pub use kvm::kvm_works;
pub use launch::{Instance, Launch, LaunchError, launch, start_failure};
pub use spawn::fork;
pub use system::open_tap;
