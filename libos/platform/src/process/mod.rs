//! The process door: a sandboxed Linux process. Everything goes through the few host calls of [`call`], on
//! descriptors that the loader left open; the table of what the filter lets pass is in the host's `sandbox`.

pub mod broker;
pub mod call;
pub mod clock;
pub mod console;
pub mod control;
pub mod descriptor;
pub mod entropy;
pub mod event;
#[cfg(kernlet_image)]
pub mod fault;
pub mod file;
pub mod heap;
#[cfg(not(kernlet_image))]
pub mod inject;
pub mod nic;
pub mod p9;
pub mod power;
pub mod program;
pub mod socket;
#[cfg(kernlet_image)]
pub mod start;
