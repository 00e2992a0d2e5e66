//! Locks on files: flock(2), record locks and open file description locks of fcntl(2).
//!
//! They hold within the instance. Record locks are a process's, so they meet only those of descriptions.

use super::about::About;
use super::description::Description;
use super::space;
use crate::call::Outcome;
use crate::thread::Thread;
use crate::wait::{Events, Watchers};
use crate::{Errno, user};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;
use kernlet_platform::cell::RefCell;
use kernlet_sync::SmallMap;

/// A file: its file system and number.
type File = (u64, u64);

/// Who has a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// A process.
    Process(u32),
    /// A description, by the number that it got.
    Description(u64),
}

/// A record lock on `start..end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Record {
    owner: Owner,
    start: u64,
    end: u64,
    exclusive: bool,
}

/// The locks of one file.
#[derive(Debug, Default)]
struct Locked {
    records: Vec<Record>,
    whole: Vec<(u64, bool)>,
}

impl Locked {
    /// A lock of somebody else's that keeps `wanted` from being had.
    fn conflict(&self, wanted: &Record) -> Option<Record> {
        let meets = |other: &&Record| {
            other.owner != wanted.owner
                && other.start < wanted.end
                && wanted.start < other.end
                && (other.exclusive || wanted.exclusive)
        };
        self.records.iter().filter(meets).min_by_key(|record| record.start).copied()
    }

    /// Takes `part` out of what its owner has, and puts a lock in its place when `lock`.
    fn set(&mut self, part: Record, lock: bool) {
        let mut kept = Vec::with_capacity(self.records.len() + 2);
        for record in self.records.drain(..) {
            if record.owner != part.owner || record.end <= part.start || part.end <= record.start {
                kept.push(record);
                continue;
            }
            if record.start < part.start {
                kept.push(Record { end: part.start, ..record });
            }
            if part.end < record.end {
                kept.push(Record { start: part.end, ..record });
            }
        }
        if lock {
            kept.push(part);
        }
        self.records = kept;
    }
}

/// All locks of an instance.
#[derive(Default)]
pub struct Locks(Rc<Shared>);

#[derive(Default)]
struct Shared {
    files: RefCell<SmallMap<File, Locked>>,
    next: Cell<u64>,
    watchers: Watchers,
}

/// What a description has of locks; they go with it.
pub struct Held {
    shared: Rc<Shared>,
    file: File,
    number: u64,
    process: Cell<Option<u32>>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut files = self.shared.files.borrow_mut();
        let Some(locked) = files.get_mut(&self.file) else { return };
        let process = self.process.get().map(Owner::Process);
        let own = Owner::Description(self.number);
        locked.records.retain(|record| record.owner != own && Some(record.owner) != process);
        locked.whole.retain(|(number, _)| *number != self.number);
        if locked.records.is_empty() && locked.whole.is_empty() {
            files.remove(&self.file);
        }
        drop(files);
        self.shared.watchers.notify(Events::IN);
    }
}

/// What a description has of locks, from its first lock on.
async fn held<'d>(thread: &Rc<Thread>, description: &'d Description) -> Result<&'d Held, Errno> {
    if let Some(held) = description.locks.get() {
        return Ok(held);
    }
    let about = About::open(&thread.process, description).await?;
    let shared = thread.process.files.tree.locks.0.clone();
    Ok(description.locks.get_or_init(|| {
        let number = shared.next.get();
        shared.next.set(number + 1);
        Held { shared, file: (about.device, about.inode), number, process: Cell::new(None) }
    }))
}

impl Held {
    /// Does something with the locks of its file.
    fn with<T>(&self, with: impl FnOnce(&mut Locked) -> T) -> T {
        let mut files = self.shared.files.borrow_mut();
        let result = with(files.get_or_insert_with(self.file, Locked::default));
        if files.get(&self.file).is_some_and(|f| f.records.is_empty() && f.whole.is_empty()) {
            files.remove(&self.file);
        }
        result
    }

    /// Does something that succeeds as soon as nobody is in the way; waits for that when `wait`.
    async fn take(
        &self,
        thread: &Thread,
        wait: bool,
        mut attempt: impl FnMut(&mut Locked) -> bool,
    ) -> Result<(), Errno> {
        if self.with(&mut attempt) {
            self.shared.watchers.notify(Events::IN);
            return Ok(());
        }
        if !wait {
            return Err(Errno::EAGAIN);
        }
        let free = self.shared.watchers.until(|| self.with(&mut attempt).then_some(()));
        thread.interruptible(free).await
    }
}

/// flock(2).
pub async fn flock(thread: &Rc<Thread>, descriptor: i32, operation: u32) -> Outcome {
    const SHARED: u32 = 1;
    const EXCLUSIVE: u32 = 2;
    const NO_WAIT: u32 = 4;
    const UNLOCK: u32 = 8;
    let description = thread.process.files.get(descriptor)?;
    if description.is_path() {
        return Err(Errno::EBADF);
    }
    let operation = (operation & !NO_WAIT, operation & NO_WAIT == 0);
    let (exclusive, wait) = match operation {
        (UNLOCK, _) => (None, false),
        (SHARED, wait) => (Some(false), wait),
        (EXCLUSIVE, wait) => (Some(true), wait),
        _ => return Err(Errno::EINVAL),
    };
    let held = held(thread, &description).await?;
    let number = held.number;
    // A lock that is to become another is given up first, as flock(2) says.
    held.with(|locked| locked.whole.retain(|(other, _)| *other != number));
    held.shared.watchers.notify(Events::IN);
    if let Some(exclusive) = exclusive {
        let attempt = |locked: &mut Locked| {
            let free = locked.whole.iter().all(|(_, other)| !other && !exclusive);
            if free {
                locked.whole.push((number, exclusive));
            }
            free
        };
        held.take(thread, wait, attempt).await?;
    }
    Ok(0)
}

/// The lock commands of fcntl(2).
pub async fn control(thread: &Rc<Thread>, description: &Rc<Description>, command: i32, at: usize) -> Outcome {
    const READ: i16 = 0;
    const WRITE: i16 = 1;
    const UNLOCK: i16 = 2;
    // F_GETLK, F_SETLK, F_SETLKW, and the same for open file descriptions.
    let (get, wait, open) = match command {
        5 => (true, false, false),
        6 => (false, false, false),
        7 => (false, true, false),
        36 => (true, false, true),
        37 => (false, false, true),
        38 => (false, true, true),
        _ => return Err(Errno::EINVAL),
    };
    let raw: [u8; 32] = user::read(at)?;
    let half = |at: usize| i16::from_le_bytes([raw[at], raw[at + 1]]);
    let word = |at: usize| i64::from_le_bytes(*raw[at..].first_chunk().unwrap_or(&[0; 8]));
    let (kind, whence, start, length) = (half(0), half(2), word(8), word(16));
    let process = i32::from_le_bytes([raw[24], raw[25], raw[26], raw[27]]);
    if open && process != 0 {
        return Err(Errno::EINVAL);
    }
    let base = match whence {
        0 => 0,
        1 => description.offset.get() as i64,
        2 => space::length(description).await? as i64,
        _ => return Err(Errno::EINVAL),
    };
    let (start, end) = range(base, start, length)?;
    match kind {
        READ if !get && !description.readable() => return Err(Errno::EBADF),
        WRITE if !get && !description.writable() => return Err(Errno::EBADF),
        UNLOCK if get => return Err(Errno::EINVAL),
        READ | WRITE | UNLOCK => {}
        _ => return Err(Errno::EINVAL),
    }
    let held = held(thread, description).await?;
    let owner = if open { Owner::Description(held.number) } else { Owner::Process(thread.process.id) };
    let wanted = Record { owner, start, end, exclusive: kind == WRITE };
    if get {
        let mut answer = raw;
        match held.with(|locked| locked.conflict(&wanted)) {
            None => answer[..2].copy_from_slice(&UNLOCK.to_le_bytes()),
            Some(other) => {
                let kind = if other.exclusive { WRITE } else { READ };
                let length = if other.end > i64::MAX as u64 { 0 } else { other.end - other.start };
                let id = match other.owner {
                    Owner::Process(id) => id as i32,
                    Owner::Description(_) => -1,
                };
                answer[..2].copy_from_slice(&kind.to_le_bytes());
                answer[2..4].copy_from_slice(&[0; 2]);
                answer[8..16].copy_from_slice(&other.start.to_le_bytes());
                answer[16..24].copy_from_slice(&length.to_le_bytes());
                answer[24..28].copy_from_slice(&id.to_le_bytes());
            }
        }
        return user::write(at, &answer).map(|()| 0);
    }
    if !open && kind != UNLOCK {
        held.process.set(Some(thread.process.id));
    }
    let attempt = |locked: &mut Locked| {
        let free = kind == UNLOCK || locked.conflict(&wanted).is_none();
        if free {
            locked.set(wanted, kind != UNLOCK);
        }
        free
    };
    held.take(thread, wait, attempt).await.map(|()| 0)
}

/// The bytes that a `struct flock` means, up to but not with the end.
fn range(base: i64, start: i64, length: i64) -> Result<(u64, u64), Errno> {
    let start = base.checked_add(start).ok_or(Errno::EOVERFLOW)?;
    let (start, end) = match length {
        0 => (start, None),
        1.. => (start, Some(start.checked_add(length).ok_or(Errno::EOVERFLOW)?)),
        _ => (start.checked_add(length).ok_or(Errno::EINVAL)?, Some(start)),
    };
    let start = u64::try_from(start).map_err(|_| Errno::EINVAL)?;
    Ok((start, end.map_or(1 << 63, |end| end as u64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(owner: u32, start: u64, end: u64, exclusive: bool) -> Record {
        Record { owner: Owner::Process(owner), start, end, exclusive }
    }

    #[test]
    fn a_part_that_is_unlocked_leaves_what_is_around_it() {
        let mut locked = Locked::default();
        locked.set(record(1, 0, 100, true), true);
        locked.set(record(1, 40, 60, false), false);
        assert_eq!(locked.conflict(&record(2, 40, 60, true)), None);
        assert_eq!(locked.conflict(&record(2, 39, 60, false)), Some(record(1, 0, 40, true)));
        assert_eq!(locked.conflict(&record(2, 50, 61, false)), Some(record(1, 60, 100, true)));
        assert_eq!(locked.conflict(&record(1, 0, 100, true)), None);
        locked.set(record(1, 0, 100, false), true);
        assert_eq!(locked.conflict(&record(2, 0, 100, false)), None);
    }

    #[test]
    fn a_length_below_zero_lies_before_the_start() {
        assert_eq!(range(10, 0, -5), Ok((5, 10)));
        assert_eq!(range(10, -3, 0), Ok((7, 1 << 63)));
        assert_eq!(range(0, 2, -5), Err(Errno::EINVAL));
        assert_eq!(range(1, i64::MAX, 0), Err(Errno::EOVERFLOW));
    }
}
