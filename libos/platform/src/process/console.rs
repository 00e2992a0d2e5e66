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
    let to = descriptor(if stream == Stream::Out { 1 } else { 2 });
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

fn wait_writable(descriptor: i32) {
    // struct pollfd: descriptor, then POLLOUT.
    let mut poll = u64::from(descriptor as u32) | 4 << 32;
    // SAFETY: the host reads and writes one pollfd of 8 bytes.
    let _ = unsafe { call(number::POLL, [&raw mut poll as usize, 1, usize::MAX, 0, 0, 0]) };
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
