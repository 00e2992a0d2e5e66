//! Standard input, output and error.

use crate::Errno;

/// An output stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Writes all of `bytes`, waiting where the host is slow. What cannot be written any more is dropped.
pub fn write(stream: Stream, bytes: &[u8]) {
    at_door!(console::write(stream, bytes))
}

/// Writes as much of `bytes` as there is room for now.
///
/// # Errors
/// EAGAIN when there is none, EPIPE when nobody reads.
pub fn offer(stream: Stream, bytes: &[u8]) -> Result<usize, Errno> {
    at_door!(console::offer(stream, bytes))
}

/// Whether there is room for more.
///
/// # Errors
/// EAGAIN when there is none, EPIPE when nobody reads.
pub fn room(stream: Stream) -> Result<(), Errno> {
    at_door!(console::room(stream))
}

/// Whether reading standard input would give something now, an end or an error included.
pub fn has_input() -> bool {
    at_door!(console::has_input())
}

/// Reports under `token` (see [`crate::event`]) when there may be room again.
///
/// # Errors
/// EPERM when it is a file, which always has room; EBADF when there is none.
pub fn watch_output(stream: Stream, token: u32) -> Result<(), Errno> {
    at_door!(console::watch_output(stream, token))
}

/// Reads what is there of standard input; 0 bytes at its end.
///
/// # Errors
/// EAGAIN when nothing is there yet, EBADF when there is no standard input.
pub fn read(buffer: &mut [u8]) -> Result<usize, Errno> {
    at_door!(console::read(buffer))
}

/// Reports under `token` (see [`crate::event`]) when standard input may be read.
///
/// # Errors
/// EPERM when it is a file, which is always ready; EBADF when there is none.
pub fn watch(token: u32) -> Result<(), Errno> {
    at_door!(console::watch(token))
}
