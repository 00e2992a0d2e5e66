//! mremap(2).

use super::area::{Area, Object};
use super::space::Space;
use super::{limit, pages, patches};
use crate::call::{Call, Outcome};
use crate::thread::Thread;
use crate::{Errno, PAGE};
use alloc::rc::Rc;
use core::ops::Range;
use kernlet_platform::program::{self, Backing, Protection};

const MAY_MOVE: u64 = 1;
const FIXED: u64 = 2;
const DONT_UNMAP: u64 = 4;
/// What is copied at a time.
const CHUNK: usize = 16 << 10;

/// Handles mremap(2).
pub fn mremap(thread: &Rc<Thread>, call: Call) -> Outcome {
    let [start, old, new, flags, to, _] = call.arguments;
    let fixed = flags & FIXED != 0;
    if flags & !(MAY_MOVE | FIXED | DONT_UNMAP) != 0
        || (flags & (FIXED | DONT_UNMAP) != 0 && flags & MAY_MOVE == 0)
    {
        return Err(Errno::EINVAL);
    }
    let (start, to) = (start as usize, to as usize);
    if !start.is_multiple_of(PAGE) || new == 0 {
        return Err(Errno::EINVAL);
    }
    let new = pages(start & (PAGE - 1), new as usize).map_err(|_| Errno::ENOMEM)?.end;
    // A length of 0 makes a second mapping of shared pages, which are not there.
    let old = pages(start, old as usize).map_err(|error| if old == 0 { error } else { Errno::EFAULT })?;
    let space = &mut thread.process.space.borrow_mut();
    let area = space.find(start).ok_or(Errno::EFAULT)?.clone();
    if area.pages.end < old.end {
        return Err(Errno::EFAULT);
    }
    if flags & DONT_UNMAP != 0 && (new != old.len() || !matches!(area.object, Object::Anonymous)) {
        return Err(Errno::EINVAL);
    }
    if fixed {
        let target = pages(to, new)?;
        if target.start < program::range().start || (target.start < old.end && old.start < target.end) {
            return Err(Errno::EINVAL);
        }
    } else if new <= old.len() && flags & DONT_UNMAP == 0 {
        if new < old.len() {
            space.unmap(start + new..old.end)?;
        }
        return Ok(start as u64);
    }
    if new > old.len() && area.protection.write && !area.shared {
        limit::check(new - old.len())?;
    }
    if new > old.len() {
        let own = area.protection.write && !area.shared;
        limit::expand(&thread.process, space, new - old.len(), own, 0..0)?;
    }
    if !fixed && flags & DONT_UNMAP == 0 {
        let more = old.end..start + new;
        if more.end <= program::range().end && area.pages.end == old.end && space.is_free(&more) {
            extend(space, &area, more)?;
            return Ok(start as u64);
        }
        if flags & MAY_MOVE == 0 {
            return Err(Errno::ENOMEM);
        }
    }
    let target = if fixed { to } else { space.place(0, new)? };
    move_to(space, &area.part(&old), target, new)?;
    if flags & DONT_UNMAP != 0 {
        space.map(area.part(&old), Backing::Anonymous)?;
    }
    Ok(target as u64)
}

/// Maps more of what an area shows right behind it.
fn extend(space: &mut Space, area: &Area, pages: Range<usize>) -> Result<(), Errno> {
    let offset = area.offset + (pages.start - area.pages.start) as u64;
    map_alike(space, area, Area { pages, offset, ..area.clone() })
}

/// Maps `wanted`, which shows what `area` does.
fn map_alike(space: &mut Space, area: &Area, wanted: Area) -> Result<(), Errno> {
    match &area.object {
        Object::File(mapped) => match mapped.sealed.clone() {
            // What lies behind a segment would be memory that nobody has counted.
            _ if mapped.attachment.get().is_some_and(|attachment| !attachment.has(&wanted)) => {
                Err(Errno::ENOMEM)
            }
            _ if area.shared && mapped.shared.get().is_some() => {
                let shared = mapped.shared.get().ok_or(Errno::ENOMEM)?;
                space.map(wanted.clone(), Backing::Shared(shared, wanted.offset))
            }
            Some(sealed) => space.map_sealed(wanted, sealed),
            // The rest of a file that was copied is not there.
            None => Err(Errno::ENOMEM),
        },
        Object::Stubs(_) | Object::Reserved | Object::Vdso => Err(Errno::EFAULT),
        Object::Anonymous | Object::Heap | Object::Stack => space.map(wanted, Backing::Anonymous),
    }
}

/// Moves an area to `to`, where it is `length` bytes long.
fn move_to(space: &mut Space, area: &Area, to: usize, length: usize) -> Result<(), Errno> {
    let moved = area.length().min(length);
    let target = Area { pages: to..to + moved, ..area.clone() };
    let source = area.pages.start..area.pages.start + moved;
    patches::restore(space, &area.pages, false);
    match program::relocate(source.clone(), to) {
        Ok(()) => space.moved(&source, target.clone()),
        Err(_) => copy(space, area, &source, &target)?,
    }
    if area.pages.end > source.end {
        space.unmap(source.end..area.pages.end)?;
    }
    if length > moved { extend(space, &target, to + moved..to + length) } else { Ok(()) }
}

/// Moves by copying, where the platform cannot move.
fn copy(space: &mut Space, area: &Area, source: &Range<usize>, target: &Area) -> Result<(), Errno> {
    let open = Area { protection: Protection::READ_WRITE, ..target.clone() };
    space.map(open, Backing::Anonymous)?;
    if !area.protection.read {
        space.protect(source.clone(), Protection::READ_WRITE)?;
    }
    let mut chunk = alloc::vec![0; CHUNK];
    for at in (0..source.len()).step_by(CHUNK) {
        let piece = &mut chunk[..CHUNK.min(source.len() - at)];
        // What cannot be read (behind a file's end) is not there to be moved.
        if program::read(source.start + at, piece).is_ok() {
            program::write(target.pages.start + at, piece)?;
        }
    }
    space.protect(target.pages.clone(), area.protection)?;
    space.unmap(source.clone())
}
