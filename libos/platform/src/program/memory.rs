//! The program's memory: what is mapped where.

use super::shared::Shared;
use crate::Errno;
use crate::broker::HostFile;
use core::ops::Range;

/// Page size, bytes.
const PAGE: usize = 4096;
/// The lowest address at which the program may have memory.
const LOWEST: usize = 0x1_0000;
/// All of the program's memory lies below; the library OS, its heap and stacks lie above.
const HIGHEST: usize = 0x6000_0000_0000;

/// What may be done with a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Protection {
    /// PROT_READ.
    pub read: bool,
    /// PROT_WRITE.
    pub write: bool,
    /// PROT_EXEC.
    pub execute: bool,
}

impl Protection {
    /// Nothing.
    pub const NONE: Self = Self { read: false, write: false, execute: false };
    /// Reading and writing.
    pub const READ_WRITE: Self = Self { read: true, write: true, execute: false };
    /// Reading and executing.
    pub const READ_EXECUTE: Self = Self { read: true, write: false, execute: true };

    /// From the bits of mmap(2).
    pub fn from_bits(bits: u64) -> Self {
        Self { read: bits & 1 != 0, write: bits & 2 != 0, execute: bits & 4 != 0 }
    }

    /// As the bits of mmap(2).
    pub fn bits(self) -> u64 {
        u64::from(self.read) | u64::from(self.write) << 1 | u64::from(self.execute) << 2
    }
}

/// What lies behind pages.
#[derive(Clone, Copy)]
pub enum Backing<'a> {
    /// Zeros, the program's own.
    Anonymous,
    /// What is sealed into the image (see [`crate::sealed::whole`]), from this offset on, a multiple of the page size. Written
    /// pages become the program's own. Pages behind the end do not exist.
    Sealed(usize),
    /// A volume's file of the process door, from this offset on; `shared`: writes go to the file.
    File {
        /// The file.
        file: &'a HostFile,
        /// The offset, a multiple of the page size.
        offset: u64,
        /// MAP_SHARED.
        shared: bool,
    },
    /// Memory that may appear at several places, from this offset on, a multiple of the page size.
    Shared(&'a Shared, u64),
    /// The vDSO (vdso(7)): one page, code that the program may call.
    Vdso,
}

/// Where the program's memory may lie.
pub const fn range() -> Range<usize> {
    LOWEST..HIGHEST
}

/// Checks that `length` bytes at `at` may be the program's; whether something is mapped there is not looked at.
///
/// # Errors
/// EFAULT.
pub fn within(at: usize, length: usize) -> Result<(), Errno> {
    let fits = at.checked_add(length).is_some_and(|end| end <= HIGHEST) && (at >= LOWEST || length == 0);
    if fits || cfg!(not(kernlet_image)) { Ok(()) } else { Err(Errno::EFAULT) }
}

fn checked(pages: &Range<usize>) -> Result<(), Errno> {
    let whole = pages.start.is_multiple_of(PAGE) && pages.end.is_multiple_of(PAGE) && pages.start < pages.end;
    if !whole || pages.start < LOWEST || pages.end > HIGHEST {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

/// Maps whole pages, in place of what is mapped there.
///
/// # Errors
/// EINVAL for a range that is none; ENOMEM; those of mmap(2) for a file.
pub fn map(pages: Range<usize>, protection: Protection, backing: Backing<'_>) -> Result<(), Errno> {
    checked(&pages)?;
    at_door!(program::map(pages, protection, backing))
}

/// Takes whole pages away; where nothing is mapped, nothing happens.
///
/// # Errors
/// EINVAL for a range that is none; ENOMEM.
pub fn unmap(pages: Range<usize>) -> Result<(), Errno> {
    checked(&pages)?;
    at_door!(program::unmap(pages))
}

/// Changes what may be done with whole pages, all of which must be mapped.
///
/// # Errors
/// EINVAL for a range that is none; ENOMEM; EACCES.
pub fn protect(pages: Range<usize>, protection: Protection) -> Result<(), Errno> {
    checked(&pages)?;
    at_door!(program::protect(pages, protection))
}

/// Forgets what was written to whole pages (MADV_DONTNEED): they are as when they were mapped.
///
/// # Errors
/// EINVAL for a range that is none.
pub fn discard(pages: Range<usize>) -> Result<(), Errno> {
    checked(&pages)?;
    at_door!(program::discard(pages))
}

/// Moves whole pages, all of one mapping, to `to`, in place of what is mapped there. Nothing is left where they were.
///
/// # Errors
/// EINVAL for ranges that are none or overlap; EFAULT when they are not one mapping; ENOMEM.
pub fn relocate(pages: Range<usize>, to: usize) -> Result<(), Errno> {
    checked(&pages)?;
    let end = to.checked_add(pages.end - pages.start).ok_or(Errno::EINVAL)?;
    checked(&(to..end))?;
    if to < pages.end && pages.start < end {
        return Err(Errno::EINVAL);
    }
    at_door!(program::relocate(pages, to))
}

/// Whether there are so many bytes, as far as the door can tell: a process finds out by the limit alone.
pub fn has(bytes: usize) -> bool {
    at_door!(program::has(bytes))
}

/// Bytes of the program's own memory that were touched and are held, as far as the door can tell quickly.
pub fn resident() -> usize {
    at_door!(program::resident())
}
