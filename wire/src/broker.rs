//! Requests to the broker: what needs a name.
//!
//! On the process door instance and monitor have a SOCK_SEQPACKET socket pair between them; each request and each
//! reply is one message of at most [`MAX_MESSAGE`] bytes.
//!
//! 1. A request carries an id that its reply repeats; replies come in any order. At most [`MAX_OUTSTANDING`] requests
//!    wait for one: the broker reads no further until it has answered some.
//! 2. A path is relative to its volume, bytes without NUL; the empty path is the volume itself. The broker resolves
//!    it beneath the volume and nowhere else.
//! 3. What is opened or connected comes as the one descriptor of its reply. An opened file also has a handle in the
//!    broker, for what is done there ([`Request::Sync`]), until [`Request::Close`]. A UDP socket could send anywhere,
//!    so that of a UDP connection stays in the broker, which relays: what comes is one end of a SOCK_SEQPACKET pair,
//!    whose every message is [`DATAGRAM`] and a datagram. In a VM
//!    the messages travel on the [`crate::trunk`]: there a connection comes as a channel, and a file is read and written
//!    by its handle.
//! 4. An error is a Linux error number.
//!
//! All numbers are little-endian. A request is `id: u32, op: u16, 0: u16`, the operands' numbers, then each text with
//! its length (`u16`) before it. A reply is `id: u32, error: u32`, and, when there was none, its kind and values. A
//! message with bytes left over is malformed.

mod cursor;
mod linux;
mod reply;
mod request;
#[cfg(test)]
mod tests;

pub use linux::{Conflict, Entry, LEAVE, LinuxRequest, Lock, Object, Part};
pub use reply::{Addresses, FileSystem, Reply, Stat};
pub use request::{At, OpenFlags, Request};

/// The largest message either way: two paths of the longest kind (`PATH_MAX`) fit.
pub const MAX_MESSAGE: usize = 8448;
/// The most bytes of a file in one message.
pub const MAX_DATA: usize = 8192;
/// How many requests may wait for their replies.
pub const MAX_OUTSTANDING: usize = 64;
/// How many handles an instance can have: a process may usually have as many descriptors.
pub const MAX_HANDLES: usize = 1024;
/// The longest path, as in Linux (without its NUL).
pub const MAX_PATH: usize = 4095;
/// The longest host name (RFC 1035).
pub const MAX_HOST: usize = 255;
/// How many addresses a reply to [`Request::Resolve`] tells at most.
pub const MAX_ADDRESSES: usize = 16;

/// The longest datagram of a relayed connection, in bytes, as UDP over IPv4 has it.
pub const MAX_DATAGRAM: usize = 65_507;
/// The byte before each datagram on the socket of a relayed connection: an empty datagram would look like the end.
pub const DATAGRAM: u8 = 0;

/// The name by which an instance knows the host's own loopback.
pub const HOST_NAME: &str = "host.kernlet.internal";
/// The address that [`HOST_NAME`] resolves to: a link-local one that stands for the host and is never on a wire.
/// (127.0.0.1 is always the instance's own.)
pub const HOST_ADDRESS: core::net::Ipv4Addr = core::net::Ipv4Addr::new(169, 254, 1, 2);

/// Bytes that are no message of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl core::fmt::Display for Malformed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("malformed broker message")
    }
}

impl core::error::Error for Malformed {}
