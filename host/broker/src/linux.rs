//! What only Linux programs ask for ([`LinuxRequest`]): owners, named pipes, room, holes, and locks. A lock is an open file
//! description's, so it goes with its handle, and meets those of other instances and of the host's own programs.

use crate::broker::{Answer, Broker};
use crate::files;
use crate::handles::OpenFile;
use crate::locks::Ranges;
use crate::volume::{Volume, by_descriptor};
use kernlet_wire::broker::{Conflict, Entry, LEAVE, LinuxRequest, Lock, MAX_DATA, Object, Part, Reply};
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc::{F_RDLCK, F_UNLCK, F_WRLCK, flock};
use rustix::fs::{
    self, AtFlags, FallocateFlags, FileType, FlockOperation, Gid, Mode, OFlags, RenameFlags, Uid,
};
use rustix::io::Errno;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// Does what `request` says; `open` is the file of the handle that it is about, if it is about one.
pub(crate) fn perform(
    broker: &Broker,
    id: u32,
    request: &LinuxRequest<'_>,
    open: Option<&Arc<OpenFile>>,
) -> Answer {
    let bytes;
    let reply = match *request {
        LinuxRequest::Seek { offset, hole, .. } => file(open).and_then(|file| seek(file, offset, hole)),
        LinuxRequest::Entries { .. } => file(open).and_then(entries),
        LinuxRequest::TestLock { lock, part, .. } => file(open).and_then(|file| test(file, lock, part)),
        _ => return Answer::new(id, without_data(broker, request, open), None),
    };
    let reply = match reply {
        Ok(read) => {
            bytes = read;
            Ok(Reply::Data(&bytes))
        }
        Err(error) => Err(error),
    };
    Answer::new(id, reply, None)
}

fn file(open: Option<&Arc<OpenFile>>) -> Result<&OwnedFd, Errno> {
    open.map(|file| &file.descriptor).ok_or(Errno::BADF)
}

fn without_data(
    broker: &Broker,
    request: &LinuxRequest<'_>,
    open: Option<&Arc<OpenFile>>,
) -> Result<Reply<'static>, Errno> {
    let done = match *request {
        LinuxRequest::Keep { at, flags } => {
            let (file, stat) = files::open(broker.volume(at.volume)?, at.path, flags, 0)?;
            return Ok(Reply::Opened { handle: broker.keep(at.volume, file)?, stat });
        }
        LinuxRequest::KeepAgain { .. } => {
            let open = open.ok_or(Errno::BADF)?;
            let file = again(broker.volume(open.volume)?, &open.descriptor)?;
            let stat = files::wire_stat(&fs::fstat(&file)?);
            return Ok(Reply::Opened { handle: broker.keep(open.volume, file)?, stat });
        }
        LinuxRequest::Rename { from, to, flags } => rename(broker.volume(from.volume)?, from.path, to, flags),
        LinuxRequest::MakeNode { at, mode } => make_node(broker.volume(at.volume)?, at.path, mode),
        LinuxRequest::SetMode { what, mode } => with(broker, what, open, |file| files::mode_of(file, mode)),
        LinuxRequest::SetOwner { what, user, group } => with(broker, what, open, |file| {
            let user = (user != LEAVE).then(|| Uid::from_raw(user));
            let group = (group != LEAVE).then(|| Gid::from_raw(group));
            fs::chownat(file, "", user, group, AtFlags::EMPTY_PATH)
        }),
        LinuxRequest::SetTimes { what, accessed, modified } => {
            with(broker, what, open, |file| files::times_of(file, accessed, modified))
        }
        LinuxRequest::Allocate { mode, part, .. } => {
            fs::fallocate(file(open)?, FallocateFlags::from_bits_retain(mode), part.start, part.length)
        }
        LinuxRequest::Lock { lock, part, .. } => {
            let open = open.ok_or(Errno::BADF)?;
            open.locks(|ranges| set(&open.descriptor, ranges, lock, part))
        }
        LinuxRequest::LockWhole { lock, .. } => {
            let operation = match lock {
                Lock::Shared => FlockOperation::NonBlockingLockShared,
                Lock::Exclusive => FlockOperation::NonBlockingLockExclusive,
                Lock::Unlock => FlockOperation::NonBlockingUnlock,
            };
            fs::flock(file(open)?, operation)
        }
        LinuxRequest::Seek { .. } | LinuxRequest::TestLock { .. } | LinuxRequest::Entries { .. } => {
            Err(Errno::NOSYS)
        }
    };
    done.map(|()| Reply::Done)
}

/// Changes something in a volume that can be written, by path or by handle.
fn with(
    broker: &Broker,
    what: Object<'_>,
    open: Option<&Arc<OpenFile>>,
    change: impl FnOnce(BorrowedFd<'_>) -> Result<(), Errno>,
) -> Result<(), Errno> {
    match what {
        Object::At { at, follow } => {
            let volume = broker.volume(at.volume)?;
            volume.writable()?;
            change(files::look(volume, at.path, follow)?.as_fd())
        }
        Object::Open(_) => {
            let open = open.ok_or(Errno::BADF)?;
            broker.volume(open.volume)?.writable()?;
            change(open.descriptor.as_fd())
        }
    }
}

/// Opens what is open once more, to write it too where that is allowed: an exclusive lock asks for that.
fn again(volume: &Volume, file: &OwnedFd) -> Result<OwnedFd, Errno> {
    let path = by_descriptor(file.as_fd());
    let quietly = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let reopen = |access| fs::open(&path, access | quietly, Mode::empty());
    if volume.writable().is_ok()
        && let Ok(file) = reopen(OFlags::RDWR)
    {
        return Ok(file);
    }
    reopen(fs::fcntl_getfl(file)? & OFlags::RWMODE)
}

fn rename(volume: &Volume, from: &[u8], to: &[u8], flags: u32) -> Result<(), Errno> {
    volume.writable()?;
    let flags = match flags {
        0 => RenameFlags::empty(),
        1 => RenameFlags::NOREPLACE,
        2 => RenameFlags::EXCHANGE,
        _ => return Err(Errno::INVAL),
    };
    let (old_folder, old) = volume.parent(from)?;
    let (new_folder, new) = volume.parent(to)?;
    fs::renameat_with(old_folder, old, new_folder, new, flags)
}

fn make_node(volume: &Volume, path: &[u8], mode: u32) -> Result<(), Errno> {
    volume.writable()?;
    let sort = FileType::from_raw_mode(mode);
    if !matches!(sort, FileType::Fifo | FileType::Socket) {
        return Err(Errno::PERM);
    }
    let (folder, name) = volume.parent(path)?;
    fs::mknodat(folder, name, sort, Mode::from_raw_mode(mode & files::FILE_MODE), 0)
}

fn seek(file: &OwnedFd, offset: u64, hole: bool) -> Result<Vec<u8>, Errno> {
    // Who reads and writes the file says where, so that its own place is nobody's.
    let to = if hole { fs::SeekFrom::Hole(offset) } else { fs::SeekFrom::Data(offset) };
    Ok(fs::seek(file, to)?.to_le_bytes().to_vec())
}

/// What one getdents64(2) tells, whose records are longer than ours.
fn entries(folder: &OwnedFd) -> Result<Vec<u8>, Errno> {
    let mut room = [MaybeUninit::uninit(); MAX_DATA];
    let mut records = fs::RawDir::new(folder, &mut room);
    let mut bytes = Vec::new();
    while let Some(record) = records.next() {
        let record = record?;
        let kind = match record.file_type() {
            FileType::RegularFile => 8,
            FileType::Directory => 4,
            FileType::Symlink => 10,
            FileType::Fifo => 1,
            FileType::Socket => 12,
            _ => 0,
        };
        Entry { inode: record.ino(), kind, name: record.file_name().to_bytes() }.put(&mut bytes);
        if records.is_buffer_empty() {
            break;
        }
    }
    Ok(bytes)
}

/// As fcntl(2) has it.
fn record(lock: Lock, part: Part) -> Result<flock, Errno> {
    let number = |n: u64| i64::try_from(n).map_err(|_| Errno::INVAL);
    let kind = match lock {
        Lock::Shared => F_RDLCK,
        Lock::Exclusive => F_WRLCK,
        Lock::Unlock => F_UNLCK,
    };
    let (l_start, l_len) = (number(part.start)?, number(part.length)?);
    Ok(flock { l_type: kind as i16, l_whence: 0, l_start, l_len, l_pid: 0 })
}

fn set(file: &OwnedFd, ranges: &mut Ranges, lock: Lock, part: Part) -> Result<(), Errno> {
    let record = record(lock, part)?;
    let after = ranges.with(lock, part)?;
    fcntl(file, FcntlArg::F_OFD_SETLK(&record)).map_err(|error| Errno::from_raw_os_error(error as i32))?;
    *ranges = after;
    Ok(())
}

fn test(file: &OwnedFd, lock: Lock, part: Part) -> Result<Vec<u8>, Errno> {
    let mut record = record(lock, part)?;
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut record))
        .map_err(|error| Errno::from_raw_os_error(error as i32))?;
    if i32::from(record.l_type) == F_UNLCK {
        return Ok(Vec::new());
    }
    let number = |n: i64| u64::try_from(n).unwrap_or(0);
    let part = Part { start: number(record.l_start), length: number(record.l_len) };
    Ok(Conflict { exclusive: i32::from(record.l_type) == F_WRLCK, part }.encode().to_vec())
}
