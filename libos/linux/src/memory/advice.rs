//! What a program says of its memory, and asks about it (madvise(2), mincore(2), msync(2), mlock(2), membarrier(2)).

use super::area::{Area, Object};
use super::{limit, pages};
use crate::call::{Call, Outcome, number};
use crate::thread::Thread;
use crate::{Errno, PAGE, user};
use alloc::rc::Rc;
use core::ops::Range;
use kernlet_platform::program;

const MADV_DONTNEED: i32 = 4;
const MADV_FREE: i32 = 8;
const MADV_REMOVE: i32 = 9;
const MADV_POPULATE_READ: i32 = 22;
const MADV_POPULATE_WRITE: i32 = 23;
const MADV_DONTNEED_LOCKED: i32 = 24;
const MADV_HWPOISON: i32 = 100;
const MADV_SOFT_OFFLINE: i32 = 101;
const MS_ASYNC: u32 = 1;
const MS_INVALIDATE: u32 = 2;
const MS_SYNC: u32 = 4;
/// MEMBARRIER_CMD_QUERY, and the commands that are there: GLOBAL, GLOBAL_EXPEDITED and PRIVATE_EXPEDITED with their
/// registrations. With one vCPU every thread has passed a barrier when another runs.
const MEMBARRIER_QUERY: i32 = 0;
const MEMBARRIER_THERE: i32 = 0b1_1111;

/// Whole pages from an aligned address on; `None` when there are none.
///
/// # Errors
/// EINVAL when it is not aligned or too long.
fn some_pages(start: usize, length: usize) -> Result<Option<Range<usize>>, Errno> {
    if !start.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    if length == 0 { Ok(None) } else { pages(start, length).map(Some) }
}

/// Handles madvise(2).
pub fn madvise(thread: &Rc<Thread>, call: Call) -> Outcome {
    let advice = call.int(2);
    if !matches!(advice, 0..=4 | 8..=25 | 100 | 101) {
        return Err(Errno::EINVAL);
    }
    let Some(pages) = some_pages(call.size(0), call.size(1))? else { return Ok(0) };
    let space = thread.process.space.borrow();
    match advice {
        MADV_DONTNEED | MADV_FREE | MADV_DONTNEED_LOCKED => {
            for area in space.meeting_areas(&pages) {
                match area.object {
                    Object::Anonymous | Object::Heap | Object::Stack => {
                        program::discard(area.part(&pages).pages)?
                    }
                    // Shared pages stay what they are, and what was copied from a file would be lost.
                    Object::File(ref file)
                        if file.sealed.is_some() && !area.shared && !area.protection.execute =>
                    {
                        program::discard(area.part(&pages).pages)?;
                    }
                    Object::File(_) | Object::Vdso | Object::Stubs(_) | Object::Reserved
                        if advice == MADV_FREE =>
                    {
                        return Err(Errno::EINVAL);
                    }
                    Object::File(_) | Object::Vdso | Object::Stubs(_) | Object::Reserved => {}
                }
            }
        }
        MADV_REMOVE => {
            for area in space.meeting_areas(&pages) {
                match area.object {
                    Object::File(_) if area.shared && area.protection.write => {
                        let part = area.part(&pages).pages;
                        program::zero(part.start, part.len())?;
                    }
                    Object::File(_) => return Err(Errno::EACCES),
                    _ => return Err(Errno::EINVAL),
                }
            }
        }
        MADV_POPULATE_READ | MADV_POPULATE_WRITE => {
            let allows = |area: &Area| match advice {
                MADV_POPULATE_READ => area.protection.read,
                _ => area.protection.write,
            };
            if !space.meeting_areas(&pages).iter().all(allows) {
                return Err(Errno::EINVAL);
            }
        }
        // Only who administers the machine spoils its memory.
        MADV_HWPOISON | MADV_SOFT_OFFLINE => return Err(Errno::EPERM),
        _ => {}
    }
    if space.is_mapped(&pages) { Ok(0) } else { Err(Errno::ENOMEM) }
}

/// Handles mincore(2): what is mapped counts as resident, as it comes without waiting.
pub fn mincore(thread: &Rc<Thread>, call: Call) -> Outcome {
    let Some(pages) = some_pages(call.size(0), call.size(1))? else { return Ok(0) };
    if !thread.process.space.borrow().is_mapped(&pages) {
        return Err(Errno::ENOMEM);
    }
    let ones = [1; 256];
    let count = pages.len() / PAGE;
    for at in (0..count).step_by(ones.len()) {
        user::write(call.size(2).wrapping_add(at), &ones[..ones.len().min(count - at)])?;
    }
    Ok(0)
}

/// Checks the range of mlock(2) and its like. Nothing is ever swapped, so there is nothing to do.
pub fn lock(thread: &Rc<Thread>, call: Call) -> Outcome {
    let start = call.size(0) & !(PAGE - 1);
    let length = call.size(1).checked_add(call.size(0) - start).ok_or(Errno::EINVAL)?;
    let locks = call.number != number::MUNLOCK;
    if call.number == number::MLOCK2 && call.word(2) & !1 != 0 {
        return Err(Errno::EINVAL);
    }
    if locks {
        limit::lock(&thread.process, length.next_multiple_of(PAGE))?;
    }
    let Some(pages) = some_pages(start, length)? else { return Ok(0) };
    if thread.process.space.borrow().is_mapped(&pages) { Ok(0) } else { Err(Errno::ENOMEM) }
}

/// Handles mlockall(2).
pub fn lock_all(thread: &Rc<Thread>, flags: u32) -> Outcome {
    const CURRENT: u32 = 1;
    const ON_FAULT: u32 = 4;
    if flags == 0 || flags > 7 || flags == ON_FAULT {
        return Err(Errno::EINVAL);
    }
    let space = thread.process.space.borrow();
    let all = if flags & CURRENT != 0 { space.areas().iter().map(Area::length).sum() } else { 0 };
    limit::lock(&thread.process, all).map(|()| 0)
}

/// Handles msync(2). The pages of volumes' files are the host's own, and reach them by themselves, or in a VM are written back
/// here. MS_SYNC brings them to the disk.
pub async fn msync(thread: &Rc<Thread>, call: Call) -> Outcome {
    let flags = call.word(2);
    if flags & !(MS_ASYNC | MS_INVALIDATE | MS_SYNC) != 0
        || flags & (MS_ASYNC | MS_SYNC) == MS_ASYNC | MS_SYNC
    {
        return Err(Errno::EINVAL);
    }
    let Some(pages) = some_pages(call.size(0), call.size(1))? else { return Ok(0) };
    super::map::written_back(thread, &pages).await?;
    if flags & MS_SYNC != 0 {
        super::map::synchronised(thread, &pages).await?;
    }
    if thread.process.space.borrow().is_mapped(&pages) { Ok(0) } else { Err(Errno::ENOMEM) }
}

/// Handles membarrier(2).
pub fn membarrier(call: Call) -> Outcome {
    match (call.int(0), call.word(1)) {
        (_, flags) if flags != 0 => Err(Errno::EINVAL),
        (MEMBARRIER_QUERY, _) => Ok(MEMBARRIER_THERE as u64),
        (command, _) if command.count_ones() == 1 && command & MEMBARRIER_THERE != 0 => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}
