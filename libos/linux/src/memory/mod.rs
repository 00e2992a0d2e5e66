//! Memory (mmap(2), mprotect(2), brk(2)).

mod advice;
mod area;
pub mod limit;
mod remap;
pub mod rewrite;
mod space;

pub use area::{Area, Mapped, Object};
pub use space::Space;

use crate::call::{Call, Outcome, number, unknown};
use crate::files::Description;
use crate::thread::Thread;
use crate::{Errno, PAGE};
use alloc::rc::Rc;
use core::ops::Range;
use kernlet_platform::program::{self, Backing, Protection};

const MAP_SHARED: u64 = 0x1;
const MAP_TYPE: u64 = 0xf;
const MAP_SHARED_VALIDATE: u64 = 0x3;
const MAP_FIXED: u64 = 0x10;
const MAP_ANONYMOUS: u64 = 0x20;
const MAP_FIXED_NOREPLACE: u64 = 0x10_0000;
const MAP_NORESERVE: u64 = 0x4000;

/// Handles the calls of this subject.
pub async fn call(thread: &Rc<Thread>, call: Call) -> Outcome {
    let space = &thread.process.space;
    match call.number {
        number::MMAP => mmap(thread, call).await,
        number::MUNMAP => {
            let pages = pages(call.size(0), call.size(1))?;
            space.borrow_mut().unmap(pages).map(|()| 0)
        }
        number::MPROTECT => {
            if !call.size(0).is_multiple_of(PAGE) {
                return Err(Errno::EINVAL);
            }
            if call.arguments[1] == 0 {
                return Ok(0);
            }
            let pages = pages(call.size(0), call.size(1)).map_err(|_| Errno::ENOMEM)?;
            space.borrow_mut().protect(pages, Protection::from_bits(call.arguments[2])).map(|()| 0)
        }
        number::BRK => Ok(brk(&mut space.borrow_mut(), call.size(0)) as u64),
        number::MREMAP => remap::mremap(thread, call),
        number::MADVISE => advice::madvise(thread, call),
        number::MINCORE => advice::mincore(thread, call),
        number::MSYNC => advice::msync(thread, call),
        number::MLOCK | number::MLOCK2 | number::MUNLOCK => advice::lock(thread, call),
        number::MLOCKALL | number::MUNLOCKALL => Ok(0),
        number::MEMBARRIER => advice::membarrier(call),
        // One node, whose policy is the default's.
        number::MBIND | number::SET_MEMPOLICY | number::GET_MEMPOLICY => Err(Errno::ENOSYS),
        number::PKEY_ALLOC => Err(Errno::ENOSPC),
        _ => unknown(thread, call),
    }
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

async fn mmap(thread: &Rc<Thread>, call: Call) -> Outcome {
    let [hint, length, bits, flags, _, offset] = call.arguments;
    let shared = match flags & MAP_TYPE {
        MAP_SHARED | MAP_SHARED_VALIDATE => true,
        2 => false,
        _ => return Err(Errno::EINVAL),
    };
    if length == 0 || !offset.is_multiple_of(PAGE as u64) {
        return Err(Errno::EINVAL);
    }
    let length = (length as usize).checked_next_multiple_of(PAGE).ok_or(Errno::ENOMEM)?;
    let file = if flags & MAP_ANONYMOUS != 0 { None } else { Some(thread.process.files.get(call.int(4))?) };
    let space = &thread.process.space;
    let start = if flags & (MAP_FIXED | MAP_FIXED_NOREPLACE) != 0 {
        let pages = pages(hint as usize, length)?;
        if pages.start < program::range().start {
            return Err(Errno::EPERM);
        }
        if flags & MAP_FIXED_NOREPLACE != 0 && !space.borrow().is_free(&pages) {
            return Err(Errno::EEXIST);
        }
        pages.start
    } else {
        space.borrow().place(hint as usize, length)?
    };
    let protection = Protection::from_bits(bits);
    if protection.write && !shared && flags & MAP_NORESERVE == 0 {
        limit::check(length)?;
    }
    let area = Area { pages: start..start + length, protection, shared, object: Object::Anonymous, offset };
    match file {
        None => space.borrow_mut().map(Area { offset: 0, ..area }, Backing::Anonymous)?,
        Some(file) => map_file(thread, area, &file).await?,
    }
    Ok(start as u64)
}

async fn map_file(_thread: &Rc<Thread>, _area: Area, _file: &Description) -> Result<(), Errno> {
    Err(Errno::ENODEV)
}

/// Moves the program's break; tells where it is then (brk(2) as the kernel has it).
fn brk(space: &mut Space, to: usize) -> usize {
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
