//! The logic of a web server for static files: HTTP/1.1 and 1.0 (RFC 9110, 9112), as far as that needs no system.
//!
//! 1. *No system*: bytes come in, bytes go out. Sockets, files, clocks and timers belong to the program on top.
//! 2. *No allocation* for a request whose answer is known: its head is read in place, its answer is written into the
//!    caller's buffer.
//! 3. *Hostile bytes* cost time in proportion to their length and memory within limits ([`head::LARGEST`],
//!    [`body::MOST`], [`range::MOST`]), and never panic. Where a message can be read in two ways it is refused.
//!
//! Start with [`head::parse`], which reads the head of a request, and [`respond::respond`], which answers it with a
//! [`Representation`].
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod body;
pub mod condition;
pub mod date;
pub mod encoding;
pub mod etag;
pub mod head;
pub mod listing;
pub mod mime;
pub mod number;
pub mod range;
pub mod representation;
pub mod respond;
pub mod status;
pub mod target;

pub use representation::Representation;
pub use status::Status;
