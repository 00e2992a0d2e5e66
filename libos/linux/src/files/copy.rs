//! From descriptor to descriptor: sendfile(2), copy_file_range(2), splice(2), tee(2), vmsplice(2).
//!
//! The bytes go through a buffer of the library OS: [`fetch`] fills it from a file, [`send`] takes it to whatever is written.

use super::description::{Description, Kind};
use super::flags::APPEND;
use super::space;
use super::transfer::CHUNK;
use crate::call::Outcome;
use crate::system::writable;
use crate::thread::Thread;
use crate::user::{Buffers, MOVED_MOST, Slice};
use crate::wait::Events;
use crate::{Errno, user};
use alloc::rc::Rc;
use alloc::vec::Vec;

/// Reads bytes of a file into a buffer of the library OS.
///
/// # Errors
/// Those of pread(2); EINVAL for what is no file.
pub async fn fetch(file: &Description, offset: u64, to: &mut [u8]) -> Result<usize, Errno> {
    match &file.kind {
        Kind::Regular(regular) => Ok(regular.content()?.borrow().read_at(offset, to)),
        Kind::Volume(opened) => opened.file().read_at(offset, to).await,
        Kind::Text(text) => Ok(text.copy(offset, to)),
        Kind::Directory(_) => Err(Errno::EISDIR),
        _ => Err(Errno::EINVAL),
    }
}

/// Writes bytes of a buffer of the library OS to a file; tells how many.
///
/// # Errors
/// Those of pwrite(2); EINVAL for what is no file.
pub async fn store(thread: &Thread, file: &Description, offset: u64, bytes: &[u8]) -> Result<usize, Errno> {
    let bytes = &bytes[..writable(thread, offset, bytes.len())?];
    match &file.kind {
        Kind::Regular(regular) => {
            regular.may_write(offset + bytes.len() as u64)?;
            let written = regular.content()?.borrow_mut().write_at(offset, bytes)?;
            regular.written();
            file.changed();
            Ok(written)
        }
        Kind::Volume(opened) => opened.file().write_at(offset, bytes).await,
        _ => Err(Errno::EINVAL),
    }
}

/// Where a call reads or writes: at an offset in the program's memory, or at the description's own.
struct Cursor<'d> {
    file: &'d Description,
    /// Where the offset stands in the program's memory; 0: it is the description's.
    place: usize,
    at: u64,
}

impl<'d> Cursor<'d> {
    fn new(file: &'d Description, place: usize) -> Result<Self, Errno> {
        let at = if place == 0 { file.offset.get() } else { user::read_u64(place)? };
        if at > i64::MAX as u64 { Err(Errno::EINVAL) } else { Ok(Self { file, place, at }) }
    }

    /// Stores how far it came.
    fn finish(&self) -> Result<(), Errno> {
        if self.place == 0 {
            self.file.offset.set(self.at);
            return Ok(());
        }
        user::write(self.place, &self.at.to_le_bytes())
    }
}

/// Sends bytes on to whatever a description is, at its offset when it has one; tells how many went.
///
/// # Errors
/// Those of write(2).
pub async fn send(thread: &Rc<Thread>, to: &Description, bytes: &[u8]) -> Result<usize, Errno> {
    match &to.kind {
        Kind::Regular(_) | Kind::Volume(_) => {
            let at = if to.appends() { space::length(to).await? } else { to.offset.get() };
            let length = store(thread, to, at, bytes).await?;
            to.offset.set(at + length as u64);
            Ok(length)
        }
        Kind::Pipe(pipe) => {
            pipe.draining(thread, to.non_blocking(), 1).await?;
            Ok(pipe.push(bytes))
        }
        Kind::Console(console) => console.write(thread, to.non_blocking(), &mut Slice(bytes)).await,
        Kind::Socket(socket) => socket.put(thread, to.non_blocking(), bytes).await,
        Kind::Device(device) => {
            // Neither null nor its neighbours look at what they get.
            device.write(&mut Buffers::one(0, bytes.len()))
        }
        _ => Err(Errno::EINVAL),
    }
}

/// sendfile(2).
pub async fn send_file(thread: &Rc<Thread>, to: i32, from: i32, place: usize, count: usize) -> Outcome {
    let files = &thread.process.files;
    let (from, to) = (files.get(from)?, files.get(to)?);
    if !from.readable() || !to.writable() {
        return Err(Errno::EBADF);
    }
    if to.appends() || !matches!(from.kind, Kind::Regular(_) | Kind::Volume(_) | Kind::Text(_)) {
        return Err(Errno::EINVAL);
    }
    let mut cursor = Cursor::new(&from, place)?;
    let mut chunk = Vec::new();
    let (mut done, count) = (0, count.min(MOVED_MOST));
    while done < count {
        chunk.resize(CHUNK.min(count - done), 0);
        let moved = match fetch(&from, cursor.at, &mut chunk).await {
            Ok(0) => break,
            Ok(read) => send(thread, &to, &chunk[..read]).await.map(|sent| (sent, read)),
            Err(error) => Err(error),
        };
        match moved {
            Ok((sent, read)) => {
                cursor.at += sent as u64;
                done += sent;
                if sent < read && to.non_blocking() {
                    break;
                }
            }
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        }
    }
    cursor.finish()?;
    Ok(done as u64)
}

/// copy_file_range(2).
pub async fn copy_range(
    thread: &Rc<Thread>,
    (from, from_place): (i32, usize),
    (to, to_place): (i32, usize),
    count: usize,
    flags: u32,
) -> Outcome {
    let files = &thread.process.files;
    let (from, to) = (files.get(from)?, files.get(to)?);
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    for file in [&from, &to] {
        match &file.kind {
            Kind::Regular(_) | Kind::Volume(_) => {}
            Kind::Directory(_) => return Err(Errno::EISDIR),
            _ => return Err(Errno::EINVAL),
        }
    }
    if !from.readable() || !to.writable() || to.flags.get() & APPEND != 0 {
        return Err(Errno::EBADF);
    }
    let (mut source, mut target) = (Cursor::new(&from, from_place)?, Cursor::new(&to, to_place)?);
    let count = count.min(MOVED_MOST);
    let same = match (&from.kind, &to.kind) {
        (Kind::Regular(one), Kind::Regular(other)) => Rc::ptr_eq(one.node(), other.node()),
        _ => false,
    };
    if same && source.at < target.at + count as u64 && target.at < source.at + count as u64 {
        return Err(Errno::EINVAL);
    }
    let mut chunk = Vec::new();
    let mut done = 0;
    while done < count {
        chunk.resize(CHUNK.min(count - done), 0);
        let moved = match fetch(&from, source.at, &mut chunk).await {
            Ok(0) => break,
            Ok(read) => store(thread, &to, target.at, &chunk[..read]).await,
            Err(error) => Err(error),
        };
        match moved {
            Ok(0) => break,
            Ok(moved) => {
                source.at += moved as u64;
                target.at += moved as u64;
                done += moved;
            }
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        }
    }
    source.finish()?;
    target.finish()?;
    Ok(done as u64)
}

/// SPLICE_F_NONBLOCK.
const NO_WAIT: u32 = 2;
/// All flags of splice(2).
const SPLICE_ALL: u32 = 15;

/// splice(2).
pub async fn splice(
    thread: &Rc<Thread>,
    (from, from_place): (i32, usize),
    (to, to_place): (i32, usize),
    count: usize,
    flags: u32,
) -> Outcome {
    if flags & !SPLICE_ALL != 0 {
        return Err(Errno::EINVAL);
    }
    let files = &thread.process.files;
    let (from, to) = (files.get(from)?, files.get(to)?);
    if !from.readable() || !to.writable() {
        return Err(Errno::EBADF);
    }
    let no_wait = flags & NO_WAIT != 0;
    if count == 0 {
        return Ok(0);
    }
    match (&from.kind, &to.kind) {
        (Kind::Pipe(one), Kind::Pipe(other)) => {
            if from_place != 0 || to_place != 0 {
                return Err(Errno::ESPIPE);
            }
            if one.is_same(other) {
                return Err(Errno::EINVAL);
            }
            one.filling(thread, no_wait || from.non_blocking()).await?;
            if one.filled() == 0 {
                return Ok(0);
            }
            other.draining(thread, no_wait || to.non_blocking(), 1).await?;
            Ok(other.pull(one, count, false) as u64)
        }
        (Kind::Pipe(pipe), _) => {
            if from_place != 0 {
                return Err(Errno::ESPIPE);
            }
            if to_place != 0 && !to.seekable() {
                return Err(Errno::ESPIPE);
            }
            if to.appends() {
                return Err(Errno::EINVAL);
            }
            pipe.filling(thread, no_wait || from.non_blocking()).await?;
            let mut chunk = alloc::vec![0; count.min(pipe.filled())];
            let length = pipe.peek(&mut chunk);
            if length == 0 {
                return Ok(0);
            }
            let sent = if to.seekable() && !matches!(to.kind, Kind::Device(_)) {
                let mut cursor = Cursor::new(&to, to_place)?;
                let sent = store(thread, &to, cursor.at, &chunk[..length]).await?;
                cursor.at += sent as u64;
                cursor.finish()?;
                sent
            } else {
                send(thread, &to, &chunk[..length]).await?
            };
            pipe.skip(sent);
            Ok(sent as u64)
        }
        (_, Kind::Pipe(pipe)) => {
            if to_place != 0 || (from_place != 0 && !from.seekable()) {
                return Err(Errno::ESPIPE);
            }
            pipe.draining(thread, no_wait || to.non_blocking(), 1).await?;
            let mut chunk = alloc::vec![0; count.min(pipe.room())];
            let mut cursor = Cursor::new(&from, from_place)?;
            let length = fetch(&from, cursor.at, &mut chunk).await?;
            let moved = pipe.push(&chunk[..length]);
            cursor.at += moved as u64;
            cursor.finish()?;
            Ok(moved as u64)
        }
        _ => Err(Errno::EINVAL),
    }
}

/// tee(2).
pub async fn tee(thread: &Rc<Thread>, from: i32, to: i32, count: usize, flags: u32) -> Outcome {
    if flags & !SPLICE_ALL != 0 {
        return Err(Errno::EINVAL);
    }
    let files = &thread.process.files;
    let (from, to) = (files.get(from)?, files.get(to)?);
    let (Kind::Pipe(one), Kind::Pipe(other)) = (&from.kind, &to.kind) else { return Err(Errno::EINVAL) };
    if !from.readable() || !to.writable() {
        return Err(Errno::EBADF);
    }
    if one.is_same(other) {
        return Err(Errno::EINVAL);
    }
    let no_wait = flags & NO_WAIT != 0;
    if count == 0 {
        return Ok(0);
    }
    one.filling(thread, no_wait || from.non_blocking()).await?;
    if one.filled() == 0 {
        return Ok(0);
    }
    other.draining(thread, no_wait || to.non_blocking(), 1).await?;
    Ok(other.pull(one, count, true) as u64)
}

/// vmsplice(2): what is in a pipe is copied, as the kernel does where it cannot move pages.
pub async fn from_memory(
    thread: &Rc<Thread>,
    descriptor: i32,
    at: usize,
    count: usize,
    flags: u32,
) -> Outcome {
    if flags & !SPLICE_ALL != 0 {
        return Err(Errno::EINVAL);
    }
    let file = thread.process.files.get(descriptor)?;
    let Kind::Pipe(pipe) = &file.kind else { return Err(Errno::EBADF) };
    let mut buffers = Buffers::vector(at, count)?;
    let no_wait = flags & NO_WAIT != 0;
    let blocked = |wanted: Events| no_wait && pipe.readiness().and(wanted).is_none();
    if file.writable() {
        if blocked(Events::OUT.or(Events::ERROR)) {
            return Err(Errno::EAGAIN);
        }
        pipe.write(thread, no_wait || file.non_blocking(), &mut buffers).await.map(|n| n as u64)
    } else {
        pipe.read(thread, no_wait || file.non_blocking(), &mut buffers).await.map(|n| n as u64)
    }
}
