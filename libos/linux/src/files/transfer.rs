//! Moving bytes: read(2), write(2) and their relatives, lseek(2).

use super::description::{Description, Kind};
use super::flags::{APPEND, DATA_SYNC, NON_BLOCKING, SYNC};
use super::tree::Seek;
use crate::call::{Call, Outcome, WAITS, number};
use crate::thread::Thread;
use crate::user::Buffers;
use crate::{Errno, PAGE};
use alloc::rc::Rc;

/// Counts what was read (0) or written (1).
fn moved(thread: &Thread, direction: usize, bytes: usize) -> u64 {
    let counts = &thread.process.facts.moved;
    counts[direction].update(|count| count + bytes as u64);
    counts[direction + 2].update(|count| count + 1);
    bytes as u64
}

/// read(2), readv(2).
pub async fn read(thread: &Rc<Thread>, descriptor: i32, to: &mut Buffers) -> Outcome {
    let file = thread.process.files.get(descriptor)?;
    file.read(thread, to).await.map(|n| moved(thread, 0, n))
}

/// write(2), writev(2).
pub async fn write(thread: &Rc<Thread>, descriptor: i32, from: &mut Buffers) -> Outcome {
    let file = thread.process.files.get(descriptor)?;
    file.write(thread, from).await.map(|n| moved(thread, 1, n))
}

/// An offset that the program gave.
fn offset(value: u64) -> Result<u64, Errno> {
    if value > i64::MAX as u64 { Err(Errno::EINVAL) } else { Ok(value) }
}

/// pread64(2), preadv(2).
pub async fn read_at(thread: &Rc<Thread>, descriptor: i32, at: u64, to: &mut Buffers) -> Outcome {
    let file = thread.process.files.get(descriptor)?;
    let at = offset(at)?;
    seekable(&file)?;
    file.read_at(at, to).await.map(|n| moved(thread, 0, n))
}

/// pwrite64(2), pwritev(2).
pub async fn write_at(thread: &Rc<Thread>, descriptor: i32, at: u64, from: &mut Buffers) -> Outcome {
    let file = thread.process.files.get(descriptor)?;
    let at = offset(at)?;
    seekable(&file)?;
    file.write_at(thread, at, from).await.map(|(n, _)| moved(thread, 1, n))
}

fn seekable(file: &Description) -> Result<(), Errno> {
    if file.seekable() {
        return Ok(());
    }
    Err(if file.is_path() { Errno::EBADF } else { Errno::ESPIPE })
}

/// preadv2(2), pwritev2(2): at an offset, or with -1 at the description's own.
pub async fn extended(thread: &Rc<Thread>, call: Call) -> Outcome {
    const HIGH_PRIORITY: u32 = 0x1;
    const DSYNC: u32 = 0x2;
    const SYNCHRONOUS: u32 = 0x4;
    const NO_WAIT: u32 = 0x8;
    const AT_END: u32 = 0x10;
    let flags = call.word(5);
    if flags & !(HIGH_PRIORITY | DSYNC | SYNCHRONOUS | NO_WAIT | AT_END) != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    let mut buffers = Buffers::vector(call.size(1), call.size(2))?;
    let (descriptor, at) = (call.int(0), call.arguments[3]);
    let file = thread.process.files.get(descriptor)?;
    // The flags hold for this call alone.
    let before = file.flags.get();
    let mut with = before;
    if flags & NO_WAIT != 0 {
        with |= NON_BLOCKING;
    }
    if call.number == number::PREADV2 {
        if flags & AT_END != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        if with != before {
            // Whether it would wait is asked first, so that nobody else sees the flag.
            return match (&file.kind, at) {
                (_, u64::MAX) if file.readiness().and(READY).is_none() => Err(Errno::EAGAIN),
                (_, u64::MAX) => read(thread, descriptor, &mut buffers).await,
                _ => read_at(thread, descriptor, at, &mut buffers).await,
            };
        }
        return match at {
            u64::MAX => read(thread, descriptor, &mut buffers).await,
            _ => read_at(thread, descriptor, at, &mut buffers).await,
        };
    }
    if flags & NO_WAIT != 0 && at == u64::MAX && file.readiness().and(ROOM).is_none() {
        return Err(Errno::EAGAIN);
    }
    let length = match (at, flags & AT_END != 0 && before & APPEND == 0 && file.seekable()) {
        (_, true) => {
            let end = super::space::length(&file).await?;
            let (length, to) = file.write_at(thread, end, &mut buffers).await?;
            if at == u64::MAX {
                file.offset.set(to);
            }
            length as u64
        }
        (u64::MAX, false) => write(thread, descriptor, &mut buffers).await?,
        (_, false) => write_at(thread, descriptor, at, &mut buffers).await?,
    };
    if flags & (DSYNC | SYNCHRONOUS) != 0 && before & (SYNC | DATA_SYNC) == 0 {
        super::space::synchronise(&file, flags & SYNCHRONOUS == 0).await?;
    }
    Ok(length)
}

const READY: crate::wait::Events = crate::wait::Events(0x19);
const ROOM: crate::wait::Events = crate::wait::Events(0x1c);

/// lseek(2) from the start or from where the file is now; [`WAITS`] for what has to be asked for.
pub fn seek_at_once(thread: &Rc<Thread>, descriptor: i32, by: i64, whence: u32) -> Outcome {
    let file = thread.process.files.get(descriptor)?;
    seekable(&file)?;
    match whence {
        0 => move_to(&file, u64::try_from(by).ok()),
        1 => move_to(&file, file.offset.get().checked_add_signed(by)),
        _ => Err(WAITS),
    }
}

fn move_to(file: &Description, to: Option<u64>) -> Outcome {
    let to = to.filter(|&to| to <= i64::MAX as u64).ok_or(Errno::EINVAL)?;
    // Where reading a device goes on makes no difference.
    let to = if matches!(file.kind, Kind::Device(_)) { 0 } else { to };
    file.offset.set(to);
    Ok(to)
}

/// lseek(2) otherwise.
pub async fn seek(thread: &Rc<Thread>, descriptor: i32, by: i64, whence: u32) -> Outcome {
    let file = thread.process.files.get(descriptor)?;
    seekable(&file)?;
    let to = match whence {
        2 => match &file.kind {
            // There is no end that a directory could be sought from.
            Kind::Directory(_) => return Err(Errno::EINVAL),
            _ => super::space::length(&file).await?.checked_add_signed(by),
        },
        3 | 4 => {
            let (from, what) = (u64::try_from(by).map_err(|_| Errno::ENXIO)?, whence);
            let what = if what == 3 { Seek::Data } else { Seek::Hole };
            Some(match &file.kind {
                Kind::Regular(regular) => regular.content()?.borrow().seek(from, what)?,
                Kind::Directory(_) | Kind::Device(_) => return Err(Errno::EINVAL),
                Kind::Volume(opened) => opened.seek(from, what == Seek::Hole).await?,
                // All of it is data: what lseek(2) allows where holes are not known.
                _ => match super::space::length(&file).await? {
                    length if from >= length => return Err(Errno::ENXIO),
                    length => {
                        if what == Seek::Data {
                            from
                        } else {
                            length
                        }
                    }
                },
            })
        }
        _ => return Err(Errno::EINVAL),
    };
    move_to(&file, to)
}

/// What is moved at a time between two files.
pub const CHUNK: usize = 16 * PAGE;
