//! Reading and writing open files for an instance that cannot be handed descriptors. The functions may wait for a disk:
//! they run on the broker's threads.

use crate::files::wire_stat;
use kernlet_wire::broker::{MAX_DATA, Stat};
use rustix::fs::{fstat, ftruncate};
use rustix::io::{Errno, pread, pwrite};
use std::os::fd::OwnedFd;

/// What is at `offset`, at most `length` bytes of it.
pub fn read(file: &OwnedFd, offset: u64, length: u32) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(MAX_DATA).min(MAX_DATA)];
    let count = pread(file, &mut bytes[..], offset)?;
    bytes.truncate(count);
    Ok(bytes)
}

/// Writes at `offset`, or at the end of a file that was opened for appending; tells how much.
pub fn write(file: &OwnedFd, offset: u64, bytes: &[u8]) -> Result<u32, Errno> {
    pwrite(file, bytes, offset).map(|count| u32::try_from(count).unwrap_or(u32::MAX))
}

pub fn stat(file: &OwnedFd) -> Result<Stat, Errno> {
    Ok(wire_stat(&fstat(file)?))
}

pub fn truncate(file: &OwnedFd, length: u64) -> Result<(), Errno> {
    ftruncate(file, length)
}
