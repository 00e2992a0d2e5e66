//! What crosses the boundary between an image and its host.
//!
//! Both sides link this crate, so that there is one definition of every byte that passes:
//!
//! 1. [`manifest`]: what an image says of itself (written at build, read by the monitor and inside).
//! 2. [`boot`]: what an instance is told when it starts (arguments, addresses, capabilities).
//! 3. [`control`]: the small messages between monitor and instance while it runs.
//! 4. [`broker`]: what needs a name: files in volumes, outgoing connections.
//! 5. [`trunk`]: host sockets and broker messages of a VM, on one line.
//! 6. [`rewrite`]: pages of program code in which system calls were replaced.
//! 7. [`calls`]: the names of Linux system calls, and which the library OS has.
//! 8. [`options`]: which options of host sockets a Linux program may set.
//! 9. [`trace`]: which files of its root a program has used.
//!
//! And what both have to know alike: [`instruction`], the lengths of instructions.
//!
//! Readers borrow from the bytes, allocate nothing, and never trust what they read: every length is checked,
//! and no input makes them panic.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod boot;
pub mod broker;
pub mod calls;
pub mod control;
pub mod instruction;
pub mod launch;
pub mod manifest;
pub mod options;
pub mod rewrite;
pub mod tlv;
pub mod trace;
pub mod trunk;
