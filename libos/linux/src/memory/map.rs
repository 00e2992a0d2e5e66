//! mmap(2).

use super::area::{Area, Object};
use super::space::Space;
use super::{limit, pages, patches, rewrite};
use crate::call::{Call, Outcome};
use crate::files::Description;
use crate::files::cached::Cached;
use crate::thread::Thread;
use crate::user::Buffers;
use crate::{Errno, PAGE};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::ops::Range;
use kernlet_platform::cell::RefCell;
use kernlet_platform::program::{self, Backing, Protection};

const MAP_SHARED: u64 = 0x1;
const MAP_TYPE: u64 = 0xf;
const MAP_SHARED_VALIDATE: u64 = 0x3;
const MAP_FIXED: u64 = 0x10;
const MAP_ANONYMOUS: u64 = 0x20;
const MAP_FIXED_NOREPLACE: u64 = 0x10_0000;
const MAP_NORESERVE: u64 = 0x4000;

/// Handles mmap(2).
pub async fn mmap(thread: &Rc<Thread>, call: Call) -> Outcome {
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
    // What shows zeros is memory like any other.
    let file = file.filter(|file| !file.is_zeros());
    let mapped = match &file {
        Some(file) => Some(file.mapped(&thread.process).await?),
        None => None,
    };
    let protection = Protection::from_bits(bits);
    if let (Some(file), Some(mapped), true) = (&file, &mapped, shared) {
        if let Some(opened) = file.volume() {
            let _ = mapped.volume.set(opened.clone());
        }
        let end = offset.checked_add(length as u64).ok_or(Errno::EOVERFLOW)?;
        // What may be made writable later is the file's as well.
        if let Some(cached) = file.cached(file.writable(), offset..end).await? {
            let _ = mapped.shared.set(cached.memory.clone());
            let _ = mapped.cached.set(cached);
        }
    }
    let fixed = flags & (MAP_FIXED | MAP_FIXED_NOREPLACE) != 0;
    // A library is mapped whole first, where its rewritten code then finds room behind it.
    let reserve = mapped.as_ref().filter(|_| !fixed).map_or(0, |m| rewrite::reserve(m.device, m.inode));
    let space = &thread.process.space;
    let start = if fixed {
        let pages = pages(hint as usize, length).map_err(|error| {
            let beyond = hint.is_multiple_of(PAGE as u64);
            if beyond { Errno::ENOMEM } else { error }
        })?;
        if pages.start < program::range().start {
            return Err(Errno::EPERM);
        }
        written_back(thread, &pages).await?;
        if flags & MAP_FIXED_NOREPLACE != 0 && !space.borrow().is_free(&pages) {
            return Err(Errno::EEXIST);
        }
        pages.start
    } else {
        space.borrow().place(hint as usize, length + reserve)?
    };
    if protection.write && !shared && flags & MAP_NORESERVE == 0 {
        limit::check(length)?;
    }
    let pages = start..start + length;
    let instead = if fixed { pages.clone() } else { 0..0 };
    let own = protection.write && !shared;
    limit::expand(&thread.process, &space.borrow(), length, own, instead)?;
    match (file, mapped) {
        (Some(file), Some(mapped)) => {
            rewrite::keep(&mut space.borrow_mut(), pages.end, reserve);
            let object = Object::File(mapped);
            map_file(thread, Area { pages, protection, shared, object, offset }, &file).await?;
        }
        _ => {
            let area = Area { pages, protection, shared, object: Object::Anonymous, offset: 0 };
            space.borrow_mut().map(area, Backing::Anonymous)?;
        }
    }
    Ok(start as u64)
}

/// Maps a file: out of the image, or the host's own file; what is in neither is copied.
async fn map_file(thread: &Rc<Thread>, area: Area, file: &Description) -> Result<(), Errno> {
    let Object::File(mapped) = &area.object else { return Err(Errno::ENODEV) };
    if area.shared && area.protection.write && !file.writable() {
        return Err(Errno::EACCES);
    }
    if area.shared && area.protection.write && !file.may_be_mapped() {
        return Err(Errno::EPERM);
    }
    let space = &thread.process.space;
    let changes = area.shared && area.protection.write;
    if let Some(sealed) = mapped.sealed.clone().filter(|s| s.start.is_multiple_of(PAGE) && !changes) {
        return space.borrow_mut().map_sealed(area, sealed);
    }
    let known = mapped.shared.get().cloned();
    if area.shared
        && let Some(shared) = if known.is_some() { known } else { file.shared()? }
    {
        let backing = Backing::Shared(mapped.shared.get_or_init(|| shared), area.offset);
        return space.borrow_mut().map(area.clone(), backing);
    }
    if let Some(host) = file.host_file() {
        let backing = Backing::File { file: host, offset: area.offset, shared: area.shared };
        let done = space.borrow_mut().map(area.clone(), backing);
        match done {
            Ok(()) => {
                patches::replace(&mut space.borrow_mut(), &area);
                return Ok(());
            }
            // A VM has no host to map for it.
            Err(Errno::ENODEV | Errno::ENOSYS) => {}
            other => return other,
        }
    }
    copy(space, area, file).await
}

/// What files of volumes are mapped in `pages` whose pages are to be written back.
pub fn to_write_back(space: &Space, pages: &Range<usize>) -> Vec<Rc<Cached>> {
    let cached = |area: &Area| match &area.object {
        Object::File(mapped) => mapped.cached.get().cloned(),
        _ => None,
    };
    space.meeting_areas(pages).iter().filter_map(cached).collect()
}

/// Writes them back.
///
/// # Errors
/// The server's.
pub async fn written_back(thread: &Thread, pages: &Range<usize>) -> Result<(), Errno> {
    let all = to_write_back(&thread.process.space.borrow(), pages);
    for cached in all {
        cached.write_back().await?;
    }
    Ok(())
}

/// Brings files of volumes that are mapped shared to the disk.
///
/// # Errors
/// Those of fsync(2).
pub async fn synchronised(thread: &Thread, pages: &Range<usize>) -> Result<(), Errno> {
    let file = |area: &Area| match &area.object {
        Object::File(mapped) if area.shared => mapped.volume.get().cloned(),
        _ => None,
    };
    let files: Vec<_> = thread.process.space.borrow().meeting_areas(pages).iter().filter_map(file).collect();
    for file in files {
        file.file().sync(true).await?;
    }
    Ok(())
}

/// Maps memory with a copy of a part of a file.
///
/// # Errors
/// ENOMEM; those of read(2).
pub async fn copy(space: &RefCell<Space>, area: Area, file: &Description) -> Result<(), Errno> {
    let (pages, protection, offset) = (area.pages.clone(), area.protection, area.offset);
    space.borrow_mut().map(Area { protection: Protection::READ_WRITE, ..area }, Backing::Anonymous)?;
    let mut to = Buffers::one(pages.start, pages.len());
    while to.remaining() > 0 {
        let done = (pages.len() - to.remaining()) as u64;
        if file.read_at(offset + done, &mut to).await? == 0 {
            break;
        }
    }
    space.borrow_mut().protect(pages, protection)
}
