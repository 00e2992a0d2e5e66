//! What becomes of the locks of a thread that ends (set_robust_list(2)).

use super::inherit::{OWNER, OWNER_DIED, WAITERS, hand_over};
use super::{ANY, Word};
use crate::thread::Thread;
use crate::{Errno, user};
use kernlet_platform::program::{exchange_u32, load_u32};

/// ROBUST_LIST_LIMIT: the list is the program's and may well be a ring.
const LENGTH_MOST: usize = 2048;

/// A thread ends: its robust locks say that their owner died, locks that are inherited go to who waits for them, and who
/// joins it is woken.
pub fn end(thread: &Thread) {
    // What cannot be read is left as it is: the program has no way to be told.
    let _ = robust(thread);
    let process = &thread.process;
    for lock in process.futexes.inherited() {
        let owner = load_u32(lock.address).map_or(u32::MAX, |word| word & OWNER);
        if owner == thread.id || owner == 0 {
            let _ = hand_over(process, lock, OWNER_DIED);
        }
    }
    let clear = thread.clear_child_tid.take();
    if clear != 0 && user::write(clear, &[0; 4]).is_ok() {
        wake(thread, clear);
    }
}

/// Wakes one who waits for a word, as whoever else has it mapped would see it.
fn wake(thread: &Thread, address: usize) {
    if let Ok(word) = Word::at(&thread.process, address, false) {
        thread.process.futexes.wake(word.key, 1, ANY);
    }
}

fn robust(thread: &Thread) -> Result<(), Errno> {
    let head = thread.robust_list.take();
    if head == 0 {
        return Ok(());
    }
    let [first, offset, pending] = user::read_words(head)?;
    // The lowest bit says that it is one that is inherited.
    let split = |entry: u64| (entry as usize & !1, entry & 1 == 1);
    let word = |entry: usize| entry.wrapping_add(offset as usize);
    let (pending, pending_inherits) = split(pending);
    let (mut entry, mut inherits) = split(first);
    for _ in 0..LENGTH_MOST {
        if entry == head {
            break;
        }
        // The next is read first: once the lock is free, its memory may be, too.
        let next = user::read_u64(entry);
        if entry != pending {
            owner_died(thread, word(entry), inherits, false)?;
        }
        (entry, inherits) = split(next?);
    }
    if pending != 0 {
        owner_died(thread, word(pending), pending_inherits, true)?;
    }
    Ok(())
}

/// One of its locks (handle_futex_death of kernel/futex/core.c).
fn owner_died(thread: &Thread, address: usize, inherits: bool, pending: bool) -> Result<(), Errno> {
    let word = load_u32(address)?;
    if pending && !inherits && word & OWNER == 0 {
        // It had unlocked it, and not yet woken who waits.
        wake(thread, address);
    } else if word & OWNER == thread.id {
        exchange_u32(address, word & WAITERS | OWNER_DIED)?;
        if !inherits && word & WAITERS != 0 {
            wake(thread, address);
        }
    }
    Ok(())
}
