//! Shared memory: pieces of one memory file that the launcher made, which has no end for practical purposes, and of which only
//! what is written takes memory.

use super::super::call::{call, number, retried};
use crate::Errno;
use crate::program::SHARED_MOST;
use core::sync::atomic::{AtomicU64, Ordering};

/// How many pieces the file has room for: numbers are not used again.
const PIECES: u64 = 1 << 23;
/// FALLOC_FL_KEEP_SIZE and FALLOC_FL_PUNCH_HOLE.
const PUNCH_HOLE: usize = 3;

static NEXT: AtomicU64 = AtomicU64::new(0);

/// The memory file.
pub fn descriptor() -> Result<usize, Errno> {
    usize::try_from(crate::boot::blob().descriptors().shared).map_err(|_| Errno::ENODEV)
}

/// Where a piece's offset lies in the file.
pub fn place(number: u64, offset: u64) -> u64 {
    number * SHARED_MOST + offset
}

pub fn new_shared() -> Result<u64, Errno> {
    descriptor()?;
    let number = NEXT.load(Ordering::Relaxed);
    if number == PIECES {
        return Err(Errno::ENOSPC);
    }
    NEXT.store(number + 1, Ordering::Relaxed);
    Ok(number)
}

pub fn read_shared(number: u64, offset: u64, mut to: &mut [u8]) -> Result<(), Errno> {
    let mut at = place(number, offset) as usize;
    while !to.is_empty() {
        let arguments = [descriptor()?, to.as_mut_ptr() as usize, to.len(), at, 0, 0];
        // SAFETY: the host writes at most so many bytes into the lent buffer.
        let length = unsafe { retried(number::PREAD64, arguments)? };
        if length == 0 {
            return Err(Errno::EIO);
        }
        to = to.get_mut(length..).unwrap_or_default();
        at += length;
    }
    Ok(())
}

pub fn write_shared(number: u64, offset: u64, mut from: &[u8]) -> Result<(), Errno> {
    let mut at = place(number, offset) as usize;
    while !from.is_empty() {
        let arguments = [descriptor()?, from.as_ptr() as usize, from.len(), at, 0, 0];
        // SAFETY: the host only reads the lent bytes.
        let length = unsafe { retried(number::PWRITE64, arguments)? };
        if length == 0 {
            return Err(Errno::ENOSPC);
        }
        from = from.get(length..).unwrap_or_default();
        at += length;
    }
    Ok(())
}

pub fn drop_shared(number: u64) {
    let Ok(descriptor) = descriptor() else { return };
    let arguments = [descriptor, PUNCH_HOLE, place(number, 0) as usize, SHARED_MOST as usize, 0, 0];
    // SAFETY: touches no memory of the library OS; what the program still maps of it becomes zeros.
    let _ = unsafe { call(number::FALLOCATE, arguments) };
}
