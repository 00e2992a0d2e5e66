//! The program's memory is mappings of the host.

use super::super::call::{call, number};
use crate::Errno;
use crate::program::{Backing, Protection};
use core::ops::Range;

const MAP_SHARED: usize = 0x01;
const MAP_PRIVATE: usize = 0x02;
const MAP_FIXED: usize = 0x10;
const MAP_ANONYMOUS: usize = 0x20;
const MAP_NORESERVE: usize = 0x4000;
const MADV_DONTNEED: usize = 4;
/// MREMAP_MAYMOVE and MREMAP_FIXED.
const MREMAP_MAYMOVE_FIXED: usize = 3;

/// See [`crate::program::map`].
pub fn map(pages: Range<usize>, protection: Protection, backing: Backing<'_>) -> Result<(), Errno> {
    let (flags, descriptor, offset) = match backing {
        Backing::Anonymous => (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, usize::MAX, 0),
        Backing::Sealed(offset) => {
            let (descriptor, start) = sealed()?;
            (MAP_PRIVATE, descriptor, start + offset)
        }
        Backing::Shared(shared, offset) => {
            (MAP_SHARED, super::shared::descriptor()?, super::shared::place(shared.number(), offset) as usize)
        }
        Backing::Vdso => {
            let (descriptor, offset) = vdso()?;
            (MAP_PRIVATE, descriptor, offset)
        }
        Backing::File { file, offset, shared } => {
            (if shared { MAP_SHARED } else { MAP_PRIVATE }, file.raw(), offset as usize)
        }
    };
    let length = pages.end - pages.start;
    let arguments = [pages.start, length, protection.bits() as usize, flags | MAP_FIXED, descriptor, offset];
    // SAFETY: the range was checked to be where only the program's memory lies, on which nothing of Rust's relies.
    unsafe { call(number::MMAP, arguments).map(drop) }
}

/// The image's descriptor, and where in it lies what is sealed.
#[cfg(kernlet_image)]
fn sealed() -> Result<(usize, usize), Errno> {
    Ok((image()?, crate::entry::sealed_offset().ok_or(Errno::ENODEV)?))
}

/// The image's descriptor, and where in it lies the vDSO.
#[cfg(kernlet_image)]
fn vdso() -> Result<(usize, usize), Errno> {
    Ok((image()?, crate::entry::offset_of(crate::program::vdso::page()).ok_or(Errno::ENODEV)?))
}

#[cfg(kernlet_image)]
fn image() -> Result<usize, Errno> {
    usize::try_from(crate::boot::blob().descriptors().image).map_err(|_| Errno::ENODEV)
}

/// A host build has no image.
#[cfg(not(kernlet_image))]
fn sealed() -> Result<(usize, usize), Errno> {
    Err(Errno::ENODEV)
}

/// A host build has no image.
#[cfg(not(kernlet_image))]
fn vdso() -> Result<(usize, usize), Errno> {
    Err(Errno::ENODEV)
}

/// See [`crate::program::unmap`].
pub fn unmap(pages: Range<usize>) -> Result<(), Errno> {
    // SAFETY: as for `map`.
    unsafe { call(number::MUNMAP, [pages.start, pages.end - pages.start, 0, 0, 0, 0]).map(drop) }
}

/// See [`crate::program::protect`].
pub fn protect(pages: Range<usize>, protection: Protection) -> Result<(), Errno> {
    let arguments = [pages.start, pages.end - pages.start, protection.bits() as usize, 0, 0, 0];
    // SAFETY: as for `map`.
    unsafe { call(number::MPROTECT, arguments).map(drop) }
}

/// See [`crate::program::discard`].
pub fn discard(pages: Range<usize>) -> Result<(), Errno> {
    // SAFETY: as for `map`.
    unsafe { call(number::MADVISE, [pages.start, pages.end - pages.start, MADV_DONTNEED, 0, 0, 0]).map(drop) }
}

/// See [`crate::program::relocate`].
pub fn relocate(pages: Range<usize>, to: usize) -> Result<(), Errno> {
    let length = pages.end - pages.start;
    // SAFETY: as for `map`; both ranges were checked.
    unsafe { call(number::MREMAP, [pages.start, length, length, MREMAP_MAYMOVE_FIXED, to, 0]).map(drop) }
}

/// The descriptor of /proc/self/statm.
#[cfg(kernlet_image)]
pub static USAGE: core::sync::atomic::AtomicI64 = core::sync::atomic::AtomicI64::new(-1);

/// See [`crate::program::resident`]: what is resident but for what files back (proc(5), statm).
pub fn resident() -> usize {
    #[cfg(kernlet_image)]
    {
        let descriptor = USAGE.load(core::sync::atomic::Ordering::Relaxed);
        let mut text = [0u8; 64];
        if descriptor < 0 {
            return 0;
        }
        let arguments = [descriptor as usize, text.as_mut_ptr() as usize, text.len(), 0, 0, 0];
        // SAFETY: the host writes at most 64 bytes into a live local.
        let length = unsafe { call(number::PREAD64, arguments) }.unwrap_or(0);
        let mut numbers = text[..length.min(64)].split(|&b| b == b' ').map(|word| {
            word.iter()
                .take_while(|b| b.is_ascii_digit())
                .fold(0usize, |n, &b| n * 10 + usize::from(b - b'0'))
        });
        let (resident, shared) = (numbers.nth(1).unwrap_or(0), numbers.next().unwrap_or(0));
        resident.saturating_sub(shared) << 12
    }
    #[cfg(not(kernlet_image))]
    {
        0
    }
}

/// See [`crate::sealed::rest`]. The library OS's own code counts as well: most of it is for the start.
pub fn rest_sealed() {
    #[cfg(kernlet_image)]
    {
        const PAGE: usize = 4096;
        let whole = crate::sealed::whole().as_ptr_range();
        for range in [whole.start.addr()..whole.end.addr(), crate::entry::text()] {
            let (start, end) = (range.start.next_multiple_of(PAGE), range.end & !(PAGE - 1));
            if start < end {
                // SAFETY: pages of the image's file that nobody ever writes to: they are the same when they come back.
                let _ = unsafe { call(number::MADVISE, [start, end - start, MADV_DONTNEED, 0, 0, 0]) };
            }
        }
    }
}
