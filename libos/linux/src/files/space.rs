//! Length and room: truncate(2), fallocate(2), fsync(2), posix_fadvise(2).

use super::about::About;
use super::description::{Description, Kind};
use super::notify::{self, Mask};
use super::path;
use super::regular::Regular;
use super::tree::node::{S_IFDIR, S_IFREG};
use super::tree::{Access, Location, Who};
use crate::call::Outcome;
use crate::system::resizable;
use crate::thread::Thread;
use crate::{Errno, user};
use alloc::rc::Rc;
use kernlet_fs::volume::Part;

/// Bytes of an open file.
///
/// # Errors
/// EIO.
pub async fn length(file: &Description) -> Result<u64, Errno> {
    Ok(match &file.kind {
        Kind::Regular(regular) => regular.content()?.borrow().length(),
        Kind::Volume(opened) => opened.metadata().await?.size,
        Kind::Text(text) => text.length(),
        _ => 0,
    })
}

/// A length that the program gave.
fn valid(length: i64) -> Result<u64, Errno> {
    u64::try_from(length).map_err(|_| Errno::EINVAL)
}

/// truncate(2).
pub async fn truncate(thread: &Rc<Thread>, path: usize, length: i64) -> Outcome {
    let length = valid(length)?;
    let process = &thread.process;
    let text = user::path(path)?;
    let place = path::walk(process, path::start(process), &text, true)?;
    match place.existing()? {
        Location::Node(node) => {
            match node.sort() {
                S_IFREG => {}
                S_IFDIR => return Err(Errno::EISDIR),
                _ => return Err(Errno::EINVAL),
            }
            Who::of(&process.credentials).may(node, Access::WRITE)?;
            if !node.system.in_memory() {
                return Err(Errno::EACCES);
            }
            cut(thread, &Regular::open(node.clone())?, length)?;
            notify::at(&place, Mask::MODIFY);
        }
        Location::Volume(top, inner) => {
            let about = About::at(process, place.existing()?, true).await?;
            match about.sort() {
                S_IFREG => {}
                S_IFDIR => return Err(Errno::EISDIR),
                _ => return Err(Errno::EINVAL),
            }
            resizable(thread, about.size, length)?;
            let volume = top.system.volume().ok_or(Errno::EIO)?;
            volume.names().truncate(inner, length).await?;
            notify::at(&place, Mask::MODIFY);
        }
        Location::Open(description) => set_length(thread, description, length).await?,
    }
    Ok(0)
}

fn cut(thread: &Thread, file: &Regular, length: u64) -> Result<(), Errno> {
    resizable(thread, file.content()?.borrow().length(), length)?;
    file.may_have(length)?;
    file.content()?.borrow_mut().set_len(length)?;
    file.written();
    Ok(())
}

/// ftruncate(2).
pub async fn truncate_open(thread: &Rc<Thread>, descriptor: i32, length: i64) -> Outcome {
    let length = valid(length)?;
    let file = thread.process.files.get(descriptor)?;
    if file.is_path() {
        return Err(Errno::EBADF);
    }
    if !file.writable() {
        return Err(Errno::EINVAL);
    }
    set_length(thread, &file, length).await.map(|()| 0)
}

async fn set_length(thread: &Thread, file: &Description, length: u64) -> Result<(), Errno> {
    match &file.kind {
        Kind::Regular(regular) => {
            cut(thread, regular, length)?;
            file.changed();
            Ok(())
        }
        Kind::Volume(opened) => {
            resizable(thread, opened.metadata().await?.size, length)?;
            opened.set_len(length).await?;
            file.changed();
            Ok(())
        }
        _ => Err(Errno::EINVAL),
    }
}

/// fallocate(2).
pub async fn allocate(thread: &Rc<Thread>, descriptor: i32, mode: u32, offset: i64, length: i64) -> Outcome {
    const KEEP_SIZE: u32 = 0x1;
    const PUNCH_HOLE: u32 = 0x2;
    const ZERO_RANGE: u32 = 0x10;
    let file = thread.process.files.get(descriptor)?;
    if offset < 0 || length <= 0 {
        return Err(Errno::EINVAL);
    }
    let (start, length) = (offset as u64, length as u64);
    let end = start.checked_add(length).filter(|&end| end <= i64::MAX as u64).ok_or(Errno::EFBIG)?;
    if !file.writable() {
        return Err(Errno::EBADF);
    }
    let regular = match &file.kind {
        Kind::Regular(regular) => regular,
        Kind::Volume(opened) => {
            if mode & KEEP_SIZE == 0 {
                resizable(thread, opened.metadata().await?.size, end)?;
            }
            let part = Part { start, length };
            opened.handle(true).await?.allocate(mode, part).await?;
            file.changed();
            return Ok(0);
        }
        Kind::Pipe(_) | Kind::Console(_) => return Err(Errno::ESPIPE),
        Kind::Directory(_) => return Err(Errno::EISDIR),
        _ => return Err(Errno::ENODEV),
    };
    let longer = mode & KEEP_SIZE == 0 && regular.content()?.borrow().length() < end;
    if mode & (PUNCH_HOLE | ZERO_RANGE) != 0 {
        regular.may_write(0)?;
    } else if longer {
        regular.may_have(end)?;
    }
    let mut content = regular.content()?.borrow_mut();
    let before = content.length();
    if mode & KEEP_SIZE == 0 {
        resizable(thread, before, end)?;
    }
    match mode {
        0 | KEEP_SIZE => content.reserve(start, end)?,
        mode if mode == PUNCH_HOLE | KEEP_SIZE => content.zero(start, end)?,
        mode if mode & !KEEP_SIZE == ZERO_RANGE => {
            content.zero(start, end)?;
            content.reserve(start, end)?;
        }
        _ => return Err(Errno::EOPNOTSUPP),
    }
    if mode & KEEP_SIZE == 0 && end > before {
        content.set_len(end)?;
    }
    drop(content);
    regular.written();
    file.changed();
    Ok(0)
}

/// fsync(2), fdatasync(2), syncfs(2).
pub async fn sync(thread: &Rc<Thread>, descriptor: i32, data_only: bool) -> Outcome {
    let file = thread.process.files.get(descriptor)?;
    if file.is_path() {
        return Err(Errno::EBADF);
    }
    synchronise(&file, data_only).await.map(|()| 0)
}

/// Returns when what was written is where it survives.
///
/// # Errors
/// EINVAL for what cannot be synchronised; EIO, ENOSPC.
pub async fn synchronise(file: &Description, data_only: bool) -> Result<(), Errno> {
    match &file.kind {
        Kind::Regular(_) | Kind::Path => Ok(()),
        Kind::Volume(opened) => {
            opened.settle().await?;
            opened.file().sync(data_only).await
        }
        Kind::Directory(listing) => match listing.location() {
            Location::Volume(top, path) => {
                let volume = top.system.volume().ok_or(Errno::EIO)?;
                volume.names().keep(path, false).await?.handle.sync(data_only).await
            }
            _ => Ok(()),
        },
        _ => Err(Errno::EINVAL),
    }
}

/// sync(2): every file of a volume that is open.
pub async fn sync_all(thread: &Rc<Thread>) -> Outcome {
    let open: alloc::vec::Vec<_> =
        thread.process.files.table.borrow().open().map(|(_, slot)| slot.description.clone()).collect();
    for file in open {
        if let Kind::Volume(opened) = &file.kind {
            // sync(2) has no way to tell of an error.
            let _ = opened.file().sync(false).await;
        }
    }
    Ok(0)
}

/// posix_fadvise(2), readahead(2): everything is where it is read from.
pub fn advise(thread: &Rc<Thread>, descriptor: i32, length: i64, advice: u32) -> Outcome {
    let file = thread.process.files.get(descriptor)?;
    match &file.kind {
        _ if file.is_path() => Err(Errno::EBADF),
        Kind::Pipe(_) | Kind::Console(_) => Err(Errno::ESPIPE),
        _ if advice > 5 || length < 0 => Err(Errno::EINVAL),
        _ => Ok(0),
    }
}

/// readahead(2).
pub fn read_ahead(thread: &Rc<Thread>, descriptor: i32) -> Outcome {
    let file = thread.process.files.get(descriptor)?;
    match &file.kind {
        _ if !file.readable() => Err(Errno::EBADF),
        Kind::Regular(_) | Kind::Volume(_) => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

/// sync_file_range(2).
pub async fn sync_range(
    thread: &Rc<Thread>,
    descriptor: i32,
    offset: i64,
    length: i64,
    flags: u32,
) -> Outcome {
    let file = thread.process.files.get(descriptor)?;
    if flags & !7 != 0 || offset < 0 || length < 0 || offset.checked_add(length).is_none() {
        return Err(Errno::EINVAL);
    }
    match &file.kind {
        _ if file.is_path() => Err(Errno::EBADF),
        Kind::Regular(_) | Kind::Directory(_) => Ok(0),
        // Waiting for what was written is more than what is asked for, never less.
        Kind::Volume(opened) if flags & 5 != 0 => opened.file().sync(true).await.map(|()| 0),
        Kind::Volume(_) => Ok(0),
        _ => Err(Errno::ESPIPE),
    }
}
