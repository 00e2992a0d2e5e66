//! Standard streams: ports of the virtio console, or the serial port.

use super::ports::{self, Role};
use super::serial;
use crate::Errno;
use crate::console::Stream;

/// See [`crate::console::write`].
pub fn write(stream: Stream, bytes: &[u8]) {
    if !ports::write(role(stream), bytes) {
        serial::write(bytes);
    }
}

fn role(stream: Stream) -> Role {
    if stream == Stream::Out { Role::Output } else { Role::Error }
}

/// See [`crate::console::offer`]. The serial port always has room.
pub fn offer(stream: Stream, bytes: &[u8]) -> Result<usize, Errno> {
    ports::offer(role(stream), bytes).unwrap_or_else(|| {
        serial::write(bytes);
        Ok(bytes.len())
    })
}

/// See [`crate::console::room`].
pub fn room(stream: Stream) -> Result<(), Errno> {
    ports::room(role(stream)).unwrap_or(Ok(()))
}

/// See [`crate::console::has_input`].
pub fn has_input() -> bool {
    ports::has_input(Role::Input).unwrap_or(true)
}

/// See [`crate::console::watch_output`].
pub fn watch_output(stream: Stream, token: u32) -> Result<(), Errno> {
    if ports::watch(role(stream), token) { Ok(()) } else { Err(Errno::EBADF) }
}

/// See [`crate::console::read`]. The serial port is for output alone.
pub fn read(buffer: &mut [u8]) -> Result<usize, Errno> {
    ports::read(Role::Input, buffer).unwrap_or(Err(Errno::EBADF))
}

/// See [`crate::console::watch`].
pub fn watch(token: u32) -> Result<(), Errno> {
    if ports::watch(Role::Input, token) { Ok(()) } else { Err(Errno::EBADF) }
}
