//! Standard streams: ports of the virtio console, or the serial port.

use super::ports::{self, Role};
use super::serial;
use crate::Errno;
use crate::console::Stream;

/// See [`crate::console::write`].
pub fn write(stream: Stream, bytes: &[u8]) {
    let role = if stream == Stream::Out { Role::Output } else { Role::Error };
    if !ports::write(role, bytes) {
        serial::write(bytes);
    }
}

/// See [`crate::console::read`]. The serial port is for output alone.
pub fn read(buffer: &mut [u8]) -> Result<usize, Errno> {
    ports::read(Role::Input, buffer).unwrap_or(Err(Errno::EBADF))
}

/// See [`crate::console::watch`].
pub fn watch(token: u32) -> Result<(), Errno> {
    if ports::watch(Role::Input, token) { Ok(()) } else { Err(Errno::EBADF) }
}
