//! select(2), pselect(2).

use super::watchers::Events;
use super::{Deadline, deadline, mask, ready};
use crate::call::{Call, Outcome};
use crate::files::Description;
use crate::thread::Thread;
use crate::{Errno, user};
use alloc::rc::Rc;
use alloc::vec::Vec;

/// What makes a descriptor ready in each of the three sets (fs/select.c).
const SETS: [u32; 3] = [
    Events::IN.0 | ready::READ_NORMAL | ready::READ_BAND | Events::HANG_UP.0 | Events::ERROR.0,
    Events::OUT.0 | ready::WRITE_NORMAL | ready::WRITE_BAND | Events::ERROR.0,
    Events::PRIORITY.0,
];

/// select(2).
pub async fn select(thread: &Rc<Thread>, call: Call) -> Outcome {
    let until = Deadline::timeval(call.size(4))?;
    let outcome = wait(thread, call, until).await.map_err(deadline::unless_handled);
    until.tell_rest(call.size(4), true);
    outcome
}

/// pselect6(2).
pub async fn pselect(thread: &Rc<Thread>, call: Call) -> Outcome {
    let [mask, size] = if call.size(5) == 0 { [0; 2] } else { user::read_words(call.size(5))? };
    let until = Deadline::timespec(call.size(4))?;
    mask::set(thread, mask as usize, size as usize)?;
    let outcome = wait(thread, call, until).await.map_err(deadline::unless_handled);
    until.tell_rest(call.size(4), false);
    mask::restore(thread, outcome)
}

/// A descriptor in at least one of the sets.
struct Entry {
    descriptor: usize,
    file: usize,
    wanted: u32,
    /// In which sets it is.
    sets: [bool; 3],
}

async fn wait(thread: &Rc<Thread>, call: Call, until: Deadline) -> Outcome {
    let count = usize::try_from(call.int(0)).map_err(|_| Errno::EINVAL)?;
    let table = &thread.process.files.table;
    // Beyond the table there is nothing open (fs/select.c cuts likewise).
    let open = table.borrow().open().last().map_or(0, |(last, _)| last as usize + 1);
    let words = count.min(open.next_multiple_of(64)).div_ceil(64);
    let mut sets = [const { Vec::new() }; 3];
    for (i, set) in sets.iter_mut().enumerate() {
        let address = call.size(i + 1);
        for word in 0..words {
            let bits = if address == 0 { 0 } else { user::read_u64(address.wrapping_add(8 * word))? };
            let valid = count - 64 * word;
            set.push(if valid < 64 { bits & ((1 << valid) - 1) } else { bits });
        }
    }
    let mut entries = Vec::new();
    let mut files: Vec<Rc<Description>> = Vec::new();
    for descriptor in 0..64 * words {
        let (word, bit) = (descriptor / 64, 1u64 << (descriptor % 64));
        let within: [bool; 3] = core::array::from_fn(|i| sets[i][word] & bit != 0);
        if within == [false; 3] {
            continue;
        }
        files.push(thread.process.files.get(descriptor as i32)?);
        let wanted = SETS.iter().zip(within).filter(|(_, w)| *w).fold(0, |all, (events, _)| all | events);
        entries.push(Entry { descriptor, file: files.len() - 1, wanted, sets: within });
    }
    let seen = |entry: &Entry| {
        let events = ready::ask(&files[entry.file], entry.wanted);
        core::array::from_fn::<bool, 3, _>(|i| entry.sets[i] && events & SETS[i] != 0)
    };
    let any = || entries.iter().any(|e| seen(e) != [false; 3]).then_some(());
    ready::until(thread, &files, until, any).await?;
    sets.iter_mut().for_each(|set| set.fill(0));
    let mut told = 0;
    for entry in &entries {
        for (set, _) in sets.iter_mut().zip(seen(entry)).filter(|(_, seen)| *seen) {
            set[entry.descriptor / 64] |= 1 << (entry.descriptor % 64);
            told += 1;
        }
    }
    for (i, set) in sets.iter().enumerate() {
        if call.size(i + 1) != 0 {
            user::write_words(call.size(i + 1), set)?;
            // What lies behind the table is not ready.
            let rest = count.div_ceil(64) - words;
            kernlet_platform::program::zero(call.size(i + 1).wrapping_add(8 * words), 8 * rest)?;
        }
    }
    Ok(told)
}
