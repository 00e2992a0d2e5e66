//! A host descriptor that is owned, and the operations that every kind of descriptor has.

use super::call::{call, number, retried};
use crate::Errno;

/// An open host descriptor; closed when dropped.
#[derive(Debug, PartialEq, Eq)]
pub struct Descriptor(i32);

impl Descriptor {
    /// Takes over a descriptor that the loader granted or the host just made.
    pub fn own(descriptor: i32) -> Option<Self> {
        (descriptor >= 0).then(|| Self(descriptor))
    }

    /// Its number.
    pub fn number(&self) -> i32 {
        self.0
    }

    pub fn raw(&self) -> usize {
        self.0 as usize
    }

    /// read(2); a result of 0 is the end.
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        // SAFETY: the host writes at most `len` bytes into the lent buffer.
        unsafe { retried(number::READ, [self.raw(), buffer.as_mut_ptr() as usize, buffer.len(), 0, 0, 0]) }
    }

    /// write(2), which may write less than asked.
    pub fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        // SAFETY: the host only reads the lent bytes.
        unsafe { retried(number::WRITE, [self.raw(), bytes.as_ptr() as usize, bytes.len(), 0, 0, 0]) }
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: the descriptor is owned, so nobody else uses the number; no memory is touched.
        let _ = unsafe { call(number::CLOSE, [self.raw(), 0, 0, 0, 0, 0]) };
    }
}
