//! Memory (mmap(2), mprotect(2), brk(2)).

mod advice;
mod area;
pub mod limit;
mod map;
mod patches;
mod remap;
pub mod rewrite;
pub mod sites;
mod space;

pub use advice::madvise;
pub use area::{Area, Mapped, Object};
pub use map::{copy, to_write_back};
pub use space::Space;

use crate::call::{Call, Outcome, WAITS, boxed, number, unknown};
use crate::files::{self, seal};
use crate::thread::Thread;
use crate::{Errno, PAGE, user};
use alloc::rc::Rc;
use core::ops::Range;
use kernlet_platform::program::{self, Backing, Protection};

/// Handles the calls of this subject that never wait.
#[inline(never)]
pub fn at_once(thread: &Rc<Thread>, call: Call) -> Outcome {
    let space = &thread.process.space;
    match call.number {
        number::MUNMAP => {
            let pages = pages(call.size(0), call.size(1))?;
            if !map::to_write_back(&space.borrow(), &pages).is_empty() {
                return Err(WAITS);
            }
            space.borrow_mut().unmap(pages).map(|()| 0)
        }
        number::MPROTECT => {
            if !call.size(0).is_multiple_of(PAGE) {
                return Err(Errno::EINVAL);
            }
            if call.arguments[1] == 0 {
                return Ok(0);
            }
            // PROT_READ, WRITE, EXEC, SEM; GROWSDOWN and GROWSUP have no use here, and not both at once anywhere.
            if call.arguments[2] & !0x300_000f != 0 || call.arguments[2] & 0x300_0000 == 0x300_0000 {
                return Err(Errno::EINVAL);
            }
            let pages = pages(call.size(0), call.size(1)).map_err(|_| Errno::ENOMEM)?;
            space.borrow_mut().protect(pages, Protection::from_bits(call.arguments[2])).map(|()| 0)
        }
        number::BRK => Ok(brk(thread, call.size(0)) as u64),
        number::MEMFD_CREATE => memfd_create(thread, call),
        number::MREMAP => remap::mremap(thread, call),
        number::MADVISE => advice::madvise(thread, call),
        number::MINCORE => advice::mincore(thread, call),
        number::MLOCK | number::MLOCK2 | number::MUNLOCK => advice::lock(thread, call),
        number::MLOCKALL => advice::lock_all(thread, call.word(0)),
        number::MUNLOCKALL => Ok(0),
        number::MEMBARRIER => advice::membarrier(call),
        // One node, whose policy is the default's.
        number::MBIND | number::SET_MEMPOLICY | number::GET_MEMPOLICY => Err(Errno::ENOSYS),
        number::PKEY_ALLOC => Err(Errno::ENOSPC),
        _ => Err(WAITS),
    }
}

/// Handles those that may wait.
pub async fn call(thread: &Rc<Thread>, call: Call) -> Outcome {
    match call.number {
        number::MMAP => boxed(map::mmap(thread, call)).await,
        number::MUNMAP => boxed(unmap(thread, call)).await,
        number::MSYNC => boxed(advice::msync(thread, call)).await,
        _ => unknown(thread, call),
    }
}

/// munmap(2) of files that are written back first, though that fails.
async fn unmap(thread: &Rc<Thread>, call: Call) -> Outcome {
    let pages = pages(call.size(0), call.size(1))?;
    let _ = map::written_back(thread, &pages).await;
    thread.process.space.borrow_mut().unmap(pages).map(|()| 0)
}

/// Writes back what was written to files of volumes where no host does that: the program ends.
pub async fn finish(thread: &Rc<Thread>) {
    let _ = map::written_back(thread, &program::range()).await;
}

/// Whether there is any of that.
pub fn is_finished(thread: &Thread) -> bool {
    map::to_write_back(&thread.process.space.borrow(), &program::range()).is_empty()
}

/// Whole pages from `start` on.
///
/// # Errors
/// EINVAL when `start` is not aligned, or `length` is 0 or too large.
fn pages(start: usize, length: usize) -> Result<Range<usize>, Errno> {
    let length = length.checked_next_multiple_of(PAGE).filter(|&n| n > 0).ok_or(Errno::EINVAL)?;
    let end = start.checked_add(length).filter(|&end| end <= program::range().end).ok_or(Errno::EINVAL)?;
    if start.is_multiple_of(PAGE) { Ok(start..end) } else { Err(Errno::EINVAL) }
}

const MFD_CLOEXEC: u32 = 1;
const MFD_ALLOW_SEALING: u32 = 2;
const MFD_NOEXEC_SEAL: u32 = 8;
const MFD_EXEC: u32 = 16;
/// The longest name (mm/memfd.c).
const MFD_NAME_MOST: usize = 249;

fn memfd_create(thread: &Rc<Thread>, call: Call) -> Outcome {
    let flags = call.word(1);
    let known = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC;
    if flags & !known != 0 || flags & (MFD_NOEXEC_SEAL | MFD_EXEC) == MFD_NOEXEC_SEAL | MFD_EXEC {
        return Err(Errno::EINVAL);
    }
    let (mode, seals) = match flags {
        _ if flags & MFD_NOEXEC_SEAL != 0 => (0o666, seal::EXECUTE),
        _ if flags & MFD_ALLOW_SEALING != 0 => (0o777, 0),
        _ => (0o777, seal::SEAL),
    };
    let name = user::string(call.size(0), MFD_NAME_MOST + 1).map_err(|error| match error {
        Errno::ENAMETOOLONG => Errno::EINVAL,
        other => other,
    })?;
    let file = files::anonymous(thread, &name, mode, seals)?;
    let table = &thread.process.files.table;
    let number = table.borrow_mut().insert(file, flags & MFD_CLOEXEC != 0, 0)?;
    Ok(number as u64)
}

/// Moves the program's break; tells where it is then (brk(2) as the kernel has it).
fn brk(thread: &Thread, to: usize) -> usize {
    let space = &mut *thread.process.space.borrow_mut();
    let old = space.heap.end;
    if to < space.heap.start {
        return old;
    }
    let (mapped, wanted) = (old.next_multiple_of(PAGE), to.next_multiple_of(PAGE));
    if wanted > mapped {
        let pages = mapped..wanted;
        let area = Area {
            pages: pages.clone(),
            protection: Protection::READ_WRITE,
            shared: false,
            object: Object::Heap,
            offset: 0,
        };
        if wanted > program::range().end
            || !space.is_free(&pages)
            || limit::check(wanted - mapped).is_err()
            || limit::expand(&thread.process, space, wanted - mapped, true, 0..0).is_err()
            || space.map(area, Backing::Anonymous).is_err()
        {
            return old;
        }
    } else if wanted < mapped && space.unmap(wanted..mapped).is_err() {
        return old;
    }
    space.heap.end = to;
    to
}
