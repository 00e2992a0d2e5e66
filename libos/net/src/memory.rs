//! Memory of a program, which sockets fill and take from without a buffer between.

use kernlet_platform::Errno;

/// How many pieces are handed to the host at a time.
pub const PIECES: usize = 16;

/// Memory of a program in one or several pieces, front to back.
pub trait Memory {
    /// Bytes that are left.
    fn remaining(&self) -> usize;

    /// The next pieces that are not empty, as address and length; how many they are.
    fn pieces(&self, into: &mut [[usize; 2]; PIECES]) -> usize;

    /// Leaves out so many bytes.
    fn advance(&mut self, length: usize);

    /// Fills from `bytes`, as far as there is room; tells how much was.
    ///
    /// # Errors
    /// EFAULT when not even the first byte could be written.
    fn fill(&mut self, bytes: &[u8]) -> Result<usize, Errno>;

    /// As [`Self::take`], but what is copied stays there.
    ///
    /// # Errors
    /// As there.
    fn look(&self, bytes: &mut [u8]) -> Result<usize, Errno>;

    /// What is left, when it is memory of the library OS itself.
    fn bytes(&self) -> Option<&[u8]> {
        None
    }

    /// Takes as much as `bytes` has room for; tells how much it was.
    ///
    /// # Errors
    /// EFAULT when not even the first byte could be read.
    fn take(&mut self, bytes: &mut [u8]) -> Result<usize, Errno>;
}
