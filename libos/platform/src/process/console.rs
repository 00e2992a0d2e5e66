//! Standard streams: descriptors of the monitor's making.

use super::call::{call, number, retried};
use super::event;
use crate::console::Stream;
use crate::{Errno, boot};

fn descriptor(index: usize) -> i32 {
    if cfg!(kernlet_image) { boot::blob().descriptors().stdio[index] } else { index as i32 }
}

/// See [`crate::console::write`].
pub fn write(stream: Stream, mut bytes: &[u8]) {
    let to = output(stream);
    if to < 0 {
        return;
    }
    while !bytes.is_empty() {
        // SAFETY: the host only reads the lent bytes.
        match unsafe { retried(number::WRITE, [to as usize, bytes.as_ptr() as usize, bytes.len(), 0, 0, 0]) }
        {
            Ok(n) => bytes = &bytes[n.min(bytes.len())..],
            Err(Errno::EAGAIN) => wait_writable(to),
            Err(_) => return,
        }
    }
}

const POLLIN: u64 = 1;
const POLLOUT: u64 = 4;
const POLLERR: u64 = 8;

/// poll(2) of one descriptor: what it is ready for, after at most so many milliseconds.
fn poll(descriptor: i32, wanted: u64, timeout: i32) -> u64 {
    // struct pollfd.
    let mut poll = u64::from(descriptor as u32) | wanted << 32;
    // SAFETY: the host reads and writes one pollfd of 8 bytes.
    let _ = unsafe { call(number::POLL, [&raw mut poll as usize, 1, timeout as usize, 0, 0, 0]) };
    poll >> 48
}

fn wait_writable(descriptor: i32) {
    poll(descriptor, POLLOUT, -1);
}

fn output(stream: Stream) -> i32 {
    descriptor(if stream == Stream::Out { 1 } else { 2 })
}

/// See [`crate::console::offer`]. The monitor has made the descriptor one that does not wait.
pub fn offer(stream: Stream, bytes: &[u8]) -> Result<usize, Errno> {
    let to = output(stream);
    if to < 0 {
        return Ok(bytes.len());
    }
    // SAFETY: the host only reads the lent bytes.
    let done =
        unsafe { retried(number::WRITE, [to as usize, bytes.as_ptr() as usize, bytes.len(), 0, 0, 0]) };
    match done {
        Err(Errno::EAGAIN | Errno::EPIPE) | Ok(_) => done.map(|n| n.min(bytes.len())),
        // What cannot be written is dropped.
        Err(_) => Ok(bytes.len()),
    }
}

/// See [`crate::console::room`].
pub fn room(stream: Stream) -> Result<(), Errno> {
    match output(stream) {
        ..0 => Ok(()),
        to => match poll(to, POLLOUT, 0) {
            ready if ready & POLLERR != 0 => Err(Errno::EPIPE),
            0 => Err(Errno::EAGAIN),
            _ => Ok(()),
        },
    }
}

/// See [`crate::console::has_input`].
pub fn has_input() -> bool {
    let from = descriptor(0);
    from < 0 || poll(from, POLLIN, 0) != 0
}

/// See [`crate::console::watch_output`].
pub fn watch_output(stream: Stream, token: u32) -> Result<(), Errno> {
    event::watch(output(stream), token)
}

/// See [`crate::console::read`].
pub fn read(buffer: &mut [u8]) -> Result<usize, Errno> {
    let from = descriptor(0);
    if from < 0 {
        return Err(Errno::EBADF);
    }
    // SAFETY: the host writes at most `len` bytes into the lent buffer.
    unsafe { retried(number::READ, [from as usize, buffer.as_mut_ptr() as usize, buffer.len(), 0, 0, 0]) }
}

/// See [`crate::console::watch`].
pub fn watch(token: u32) -> Result<(), Errno> {
    event::watch(descriptor(0), token)
}
