//! Locks on files: flock(2), record locks and open file description locks of fcntl(2).
//!
//! They are had in two places: in a table of the instance (`table`), and for files of volumes also at the host
//! (`held`), where they meet those of other instances and of the host's programs.

mod held;
mod table;

pub use held::{Held, Locks};

use super::description::Description;
use super::space;
use crate::call::Outcome;
use crate::thread::Thread;
use crate::{Errno, user};
use alloc::rc::Rc;
use held::held;
use kernlet_fs::volume::{Conflict, Lock, Part};
use table::{Locked, Owner, Record};

/// F_RDLCK, F_WRLCK and F_UNLCK.
const READ: i16 = 0;
const WRITE: i16 = 1;
const UNLOCK: i16 = 2;
/// Behind the last byte that a file can have.
const END: u64 = 1 << 63;

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
    let host = held.own(&description).await?;
    let lock = match exclusive {
        None => Lock::Unlock,
        Some(false) => Lock::Shared,
        Some(true) => Lock::Exclusive,
    };
    // A lock that is to become another is given up first, as flock(2) says.
    held.change(|locked| locked.whole.retain(|(other, _)| *other != number));
    let free = |locked: &Locked| {
        exclusive.is_none_or(|exclusive| locked.whole.iter().all(|(_, other)| !other && !exclusive))
    };
    held.take(thread, wait, (&host, lock, None), &free).await?;
    if let Some(exclusive) = exclusive {
        held.change(|locked| locked.whole.push((number, exclusive)));
    }
    Ok(0)
}

/// The lock commands of fcntl(2).
pub async fn control(thread: &Rc<Thread>, description: &Rc<Description>, command: i32, at: usize) -> Outcome {
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
    let host = if open {
        held.own(description).await?
    } else {
        held.of_process(description, thread.process.id).await?
    };
    let wanted = Record { owner, start, end, exclusive: kind == WRITE };
    let lock = match kind {
        READ => Lock::Shared,
        WRITE => Lock::Exclusive,
        _ => Lock::Unlock,
    };
    let part = Part { start, length: if end == END { 0 } else { end - start } };
    if get {
        let conflict = match held.with(|locked| locked.conflict(&wanted)) {
            Some(other) => {
                let id = match other.owner {
                    Owner::Process(id) => id as i32,
                    Owner::Description(_) => -1,
                };
                let length = if other.end == END { 0 } else { other.end - other.start };
                let part = Part { start: other.start, length };
                Some((Conflict { exclusive: other.exclusive, part }, id))
            }
            // Whose it is beyond this instance nobody here would know.
            None => match host.handle() {
                Some(handle) => {
                    let conflict = Conflict::decode(&handle.test_lock(lock, part).await?);
                    conflict.map_err(|_| Errno::EIO)?.map(|conflict| (conflict, -1))
                }
                None => None,
            },
        };
        return user::write(at, &answer(raw, conflict)).map(|()| 0);
    }
    let free = |locked: &Locked| kind == UNLOCK || locked.conflict(&wanted).is_none();
    held.take(thread, wait, (&host, lock, Some(part)), &free).await?;
    held.change(|locked| locked.set(wanted, kind != UNLOCK));
    Ok(0)
}

/// What F_GETLK makes of the `struct flock` that it was given.
fn answer(raw: [u8; 32], conflict: Option<(Conflict, i32)>) -> [u8; 32] {
    let mut answer = raw;
    let Some((Conflict { exclusive, part }, id)) = conflict else {
        answer[..2].copy_from_slice(&UNLOCK.to_le_bytes());
        return answer;
    };
    answer[..2].copy_from_slice(&if exclusive { WRITE } else { READ }.to_le_bytes());
    answer[2..4].copy_from_slice(&[0; 2]);
    answer[8..16].copy_from_slice(&part.start.to_le_bytes());
    answer[16..24].copy_from_slice(&part.length.to_le_bytes());
    answer[24..28].copy_from_slice(&id.to_le_bytes());
    answer
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
    Ok((start, end.map_or(END, |end| end as u64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_below_zero_lies_before_the_start() {
        assert_eq!(range(10, 0, -5), Ok((5, 10)));
        assert_eq!(range(10, -3, 0), Ok((7, 1 << 63)));
        assert_eq!(range(0, 2, -5), Err(Errno::EINVAL));
        assert_eq!(range(1, i64::MAX, 0), Err(Errno::EOVERFLOW));
    }
}
