//! poll(2), ppoll(2).

use super::watchers::Events;
use super::{Deadline, deadline, mask, ready};
use crate::call::{Call, Outcome};
use crate::files::Description;
use crate::thread::Thread;
use crate::{Errno, user};
use alloc::rc::Rc;
use alloc::vec::Vec;

/// Bytes of a `struct pollfd`.
const ENTRY: usize = 8;

/// One `struct pollfd`.
struct Entry {
    /// Which of the open descriptions it is of; `None`: it is to be left out, or not open.
    file: Option<usize>,
    open: bool,
    wanted: u32,
}

/// poll(2).
pub async fn poll(thread: &Rc<Thread>, call: Call) -> Outcome {
    let until = Deadline::milliseconds(call.int(2));
    wait(thread, call.size(0), call.word(1), until).await.map_err(deadline::unless_handled)
}

/// ppoll(2).
pub async fn ppoll(thread: &Rc<Thread>, call: Call) -> Outcome {
    let until = Deadline::timespec(call.size(2))?;
    mask::set(thread, call.size(3), call.size(4))?;
    let outcome = wait(thread, call.size(0), call.word(1), until).await.map_err(deadline::unless_handled);
    until.tell_rest(call.size(2), false);
    mask::restore(thread, outcome)
}

async fn wait(thread: &Rc<Thread>, at: usize, count: u32, until: Deadline) -> Outcome {
    let count = count as usize;
    let table = &thread.process.files.table;
    if count > table.borrow().limit {
        return Err(Errno::EINVAL);
    }
    let mut entries = Vec::with_capacity(count);
    let mut files: Vec<Rc<Description>> = Vec::with_capacity(count);
    for i in 0..count {
        let [a, b, c, d, wanted_low, wanted_high, _, _] = user::read::<ENTRY>(at.wrapping_add(i * ENTRY))?;
        let descriptor = i32::from_le_bytes([a, b, c, d]);
        let wanted = u32::from(u16::from_le_bytes([wanted_low, wanted_high]));
        let file = table.borrow().get(descriptor).ok().map(|slot| slot.description.clone());
        let open = descriptor < 0 || file.is_some();
        let file = file.map(|file| {
            files.push(file);
            files.len() - 1
        });
        entries.push(Entry { file, open, wanted });
    }
    let seen = |entry: &Entry| match entry.file {
        Some(file) => ready::ask(&files[file], entry.wanted),
        None => Events::INVALID.when(!entry.open).0,
    };
    let any = || entries.iter().any(|e| seen(e) != 0).then_some(());
    ready::until(thread, &files, until, any).await?;
    let mut told = 0;
    for (i, entry) in entries.iter().enumerate() {
        let events = seen(entry);
        told += u64::from(events != 0);
        user::write(at.wrapping_add(i * ENTRY + 6), &(events as u16).to_le_bytes())?;
    }
    Ok(told)
}
