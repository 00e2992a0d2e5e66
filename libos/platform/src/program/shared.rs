//! Memory of the program that may appear at several places: what files in memory become that are mapped shared.

use crate::Errno;

/// The longest one, bytes.
pub const SHARED_MOST: u64 = 1 << 36;

/// Pages that are zeros until they are written, and may be mapped at several places.
#[derive(Debug)]
pub struct Shared(u64);

impl Shared {
    /// New ones.
    ///
    /// # Errors
    /// ENODEV when the instance has none; ENOSPC when there were too many.
    pub fn new() -> Result<Self, Errno> {
        at_door!(program::new_shared()).map(Self)
    }

    /// Its number, which no other has.
    pub(crate) fn number(&self) -> u64 {
        self.0
    }

    /// Reads from `offset` on; what was never written is zeros.
    ///
    /// # Errors
    /// EINVAL beyond [`SHARED_MOST`]; EIO.
    pub fn read(&self, offset: u64, to: &mut [u8]) -> Result<(), Errno> {
        checked(offset, to.len())?;
        at_door!(program::read_shared(self.0, offset, to))
    }

    /// Writes from `offset` on.
    ///
    /// # Errors
    /// EINVAL beyond [`SHARED_MOST`]; ENOSPC.
    pub fn write(&self, offset: u64, from: &[u8]) -> Result<(), Errno> {
        checked(offset, from.len())?;
        at_door!(program::write_shared(self.0, offset, from))
    }
}

impl Drop for Shared {
    /// What is mapped still stays until it is unmapped.
    fn drop(&mut self) {
        at_door!(program::drop_shared(self.0));
    }
}

fn checked(offset: u64, length: usize) -> Result<(), Errno> {
    let end = offset.checked_add(length as u64).filter(|&end| end <= SHARED_MOST);
    end.map(drop).ok_or(Errno::EINVAL)
}
