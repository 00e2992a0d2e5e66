//! Files that the broker opened.

use super::call::{number, retried};
use super::descriptor::Descriptor;
use crate::Errno;
use crate::program::within;
use kernlet_wire::broker::Stat;

/// An open file or directory of a volume.
#[derive(Debug)]
pub struct HostFile(Descriptor);

impl HostFile {
    pub(crate) fn new(descriptor: Descriptor) -> Self {
        Self(descriptor)
    }

    pub(crate) fn raw(&self) -> usize {
        self.0.raw()
    }

    /// pread(2).
    ///
    /// # Errors
    /// The host's.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
        let arguments = [self.0.raw(), buffer.as_mut_ptr() as usize, buffer.len(), offset as usize, 0, 0];
        // SAFETY: the host writes at most `len` bytes into the lent buffer.
        unsafe { retried(number::PREAD64, arguments) }
    }

    /// pwrite(2).
    ///
    /// # Errors
    /// The host's.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<usize, Errno> {
        let arguments = [self.0.raw(), bytes.as_ptr() as usize, bytes.len(), offset as usize, 0, 0];
        // SAFETY: the host only reads the lent bytes.
        unsafe { retried(number::PWRITE64, arguments) }
    }

    /// pread(2) right into the program's memory.
    ///
    /// # Errors
    /// EFAULT when the memory is not the program's or not there; the host's.
    pub fn read_to_program(&self, offset: u64, address: usize, length: usize) -> Result<usize, Errno> {
        within(address, length)?;
        // SAFETY: the host writes where only the program's memory may be, which nothing of ours refers to, and tells
        // EFAULT where nothing is mapped.
        unsafe { retried(number::PREAD64, [self.0.raw(), address, length, offset as usize, 0, 0]) }
    }

    /// pwrite(2) right from the program's memory.
    ///
    /// # Errors
    /// EFAULT when the memory is not the program's or not there; the host's.
    pub fn write_from_program(&self, offset: u64, address: usize, length: usize) -> Result<usize, Errno> {
        within(address, length)?;
        // SAFETY: the host only reads, where only the program's memory may be.
        unsafe { retried(number::PWRITE64, [self.0.raw(), address, length, offset as usize, 0, 0]) }
    }

    /// ftruncate(2).
    ///
    /// # Errors
    /// The host's.
    pub fn truncate(&self, length: u64) -> Result<(), Errno> {
        // SAFETY: touches no memory.
        unsafe { retried(number::FTRUNCATE, [self.0.raw(), length as usize, 0, 0, 0, 0]).map(drop) }
    }

    /// getdents64(2): raw `linux_dirent64` records; 0 bytes at the end.
    ///
    /// # Errors
    /// The host's.
    pub fn read_directory(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let arguments = [self.0.raw(), buffer.as_mut_ptr() as usize, buffer.len(), 0, 0, 0];
        // SAFETY: the host writes at most `len` bytes into the lent buffer.
        unsafe { retried(number::GETDENTS64, arguments) }
    }

    /// fstat(2).
    ///
    /// # Errors
    /// The host's.
    pub fn stat(&self) -> Result<Stat, Errno> {
        // struct stat of x86-64 is 144 bytes.
        let mut raw = [0u64; 18];
        // SAFETY: the host writes 144 bytes, which is the buffer's size.
        unsafe { retried(number::FSTAT, [self.0.raw(), raw.as_mut_ptr() as usize, 0, 0, 0, 0])? };
        let time = |at: usize| raw[at].wrapping_mul(1_000_000_000).wrapping_add(raw[at + 1]);
        Ok(Stat {
            mode: raw[3] as u32,
            links: raw[2] as u32,
            uid: (raw[3] >> 32) as u32,
            gid: raw[4] as u32,
            size: raw[6],
            blocks: raw[8],
            accessed: time(9),
            modified: time(11),
            changed: time(13),
            inode: raw[1],
        })
    }
}
