//! Queues of threads that wait for a word of memory.

use crate::Errno;
use crate::process::Process;
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;
use core::task::Waker;
use kernlet_platform::cell::RefCell;
use kernlet_sync::SmallMap;

/// What identifies a futex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A word of memory that is the process's own, by its address.
    Address(usize),
    /// A word of what is mapped shared, perhaps at several addresses: what that is, and the offset.
    Object([u64; 2], u64),
}

/// A word of the program's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// Where it is.
    pub address: usize,
    /// Which futex it is.
    pub key: Key,
}

impl Word {
    /// The word at `address`: the process's own when `private` (FUTEX_PRIVATE_FLAG), else that of what is mapped there.
    ///
    /// # Errors
    /// EFAULT when it is not private, and nothing is mapped there.
    pub fn at(process: &Process, address: usize, private: bool) -> Result<Self, Errno> {
        let own = Self { address, key: Key::Address(address) };
        if private {
            return Ok(own);
        }
        let space = process.space.borrow();
        // In tests the words are not of the space.
        let area = space.find(address).ok_or(Errno::EFAULT);
        let area = if cfg!(kernlet_image) {
            area?
        } else if let Ok(area) = area {
            area
        } else {
            return Ok(own);
        };
        let offset = area.offset + (address - area.pages.start) as u64;
        Ok(match area.object.identity().filter(|_| area.shared) {
            Some(object) => Self { address, key: Key::Object(object, offset) },
            None => own,
        })
    }
}

/// One wait, of one or several words.
#[derive(Debug)]
pub struct Turn {
    /// Which of the words woke it.
    woken: Cell<Option<usize>>,
    waker: RefCell<Option<Waker>>,
}

impl Turn {
    /// A wait that begins.
    pub fn new() -> Rc<Self> {
        Rc::new(Self { woken: Cell::new(None), waker: RefCell::default() })
    }

    /// Which of the words woke it; if none yet, the waker is woken when one does.
    pub fn poll(&self, waker: &Waker) -> Option<usize> {
        let woken = self.woken.get();
        if woken.is_none() {
            *self.waker.borrow_mut() = Some(waker.clone());
        }
        woken
    }

    /// Whether it was woken.
    pub fn is_woken(&self) -> bool {
        self.woken.get().is_some()
    }
}

/// Who waits for a lock that is handed over to its waiters (priority inheritance).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heir {
    /// An ordinary wait.
    None,
    /// This thread, for the lock in whose queue it stands.
    Of(u32),
    /// This thread, which is to be moved to the queue of this lock first.
    Moving(u32, Key),
}

/// A place in a queue.
#[derive(Clone, Debug)]
pub struct Waiter {
    /// The wait.
    pub turn: Rc<Turn>,
    /// Where its word is.
    pub address: usize,
    /// Which of its words this is.
    pub index: usize,
    /// By which bits it is woken.
    pub bits: u32,
    /// Whether it inherits a lock.
    pub heir: Heir,
}

impl Waiter {
    /// Wakes it.
    pub fn wake(self) {
        self.turn.woken.set(Some(self.index));
        if let Some(waker) = self.turn.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// All who wait for words of a process's memory.
#[derive(Debug, Default)]
pub struct Futexes {
    queues: RefCell<SmallMap<Key, VecDeque<Waiter>>>,
}

impl Futexes {
    /// Puts a waiter at the end of a queue.
    pub fn push(&self, key: Key, waiter: Waiter) {
        self.queues.borrow_mut().get_or_insert_with(key, VecDeque::new).push_back(waiter);
    }

    /// Takes the first waiter out of a queue that `is` says yes to; one that was woken through another word does not count.
    pub fn pop(&self, key: Key, is: impl Fn(&Waiter) -> bool) -> Option<Waiter> {
        let mut queues = self.queues.borrow_mut();
        let queue = queues.get_mut(&key)?;
        let at = queue.iter().position(|waiter| !waiter.turn.is_woken() && is(waiter));
        let waiter = at.and_then(|at| queue.remove(at));
        if queue.is_empty() {
            queues.remove(&key);
        }
        waiter
    }

    /// Wakes up to `most` waiters that have one of `bits`; tells how many.
    pub fn wake(&self, key: Key, most: usize, bits: u32) -> usize {
        let is = |waiter: &Waiter| waiter.bits & bits != 0 && waiter.heir == Heir::None;
        let mut woken = 0;
        while woken < most
            && let Some(waiter) = self.pop(key, is)
        {
            waiter.wake();
            woken += 1;
        }
        woken
    }

    /// Whether somebody stands in a queue that `is` says yes to.
    pub fn any(&self, key: Key, is: impl Fn(&Waiter) -> bool) -> bool {
        self.queues.borrow().get(&key).is_some_and(|q| q.iter().any(|w| !w.turn.is_woken() && is(w)))
    }

    /// Whether those in a queue wait for a lock that they inherit.
    pub fn inherit(&self, key: Key) -> bool {
        let queues = self.queues.borrow();
        queues.get(&key).and_then(|queue| queue.front()).is_some_and(|waiter| waiter.heir != Heir::None)
    }

    /// Moves up to `most` ordinary waiters to another queue; tells how many.
    pub fn requeue(&self, from: Key, to: Word, most: usize) -> usize {
        let mut moved = Vec::new();
        while moved.len() < most
            && let Some(waiter) = self.pop(from, |waiter| waiter.heir == Heir::None)
        {
            moved.push(Waiter { address: to.address, ..waiter });
        }
        let count = moved.len();
        if count > 0 {
            self.queues.borrow_mut().get_or_insert_with(to.key, VecDeque::new).extend(moved);
        }
        count
    }

    /// The locks that somebody waits for to inherit them.
    pub fn inherited(&self) -> Vec<Word> {
        let queues = self.queues.borrow();
        let heir = |queue: &VecDeque<Waiter>| queue.iter().find(|w| matches!(w.heir, Heir::Of(_))).cloned();
        let words = queues
            .iter()
            .filter_map(|(&key, queue)| heir(queue).map(|waiter| Word { address: waiter.address, key }));
        words.collect()
    }

    /// Takes a wait out of all queues.
    fn forget(&self, turn: &Rc<Turn>) {
        let mut queues = self.queues.borrow_mut();
        queues.values_mut().for_each(|queue| queue.retain(|waiter| !Rc::ptr_eq(&waiter.turn, turn)));
        queues.retain(|_, queue| !queue.is_empty());
    }

    /// How many queues there are.
    #[cfg(test)]
    pub fn queues(&self) -> usize {
        self.queues.borrow().len()
    }
}

/// A wait that stands in queues; it is taken out of them when this is dropped.
pub struct Queued<'p> {
    process: &'p Process,
    /// The wait.
    pub turn: Rc<Turn>,
    /// It stands in queues that are known by these keys, unless it was moved.
    several: bool,
    key: Key,
}

impl<'p> Queued<'p> {
    /// Waits for one word.
    pub fn one(process: &'p Process, word: Word, bits: u32, heir: Heir) -> Self {
        let (turn, Word { address, key }) = (Turn::new(), word);
        process.futexes.push(key, Waiter { turn: turn.clone(), address, index: 0, bits, heir });
        Self { process, turn, several: heir != Heir::None, key }
    }

    /// Waits for several words.
    pub fn several(process: &'p Process, words: impl Iterator<Item = Word>) -> Self {
        let turn = Turn::new();
        for (index, Word { address, key }) in words.enumerate() {
            let waiter = Waiter { turn: turn.clone(), address, index, bits: u32::MAX, heir: Heir::None };
            process.futexes.push(key, waiter);
        }
        Self { process, turn, several: true, key: Key::Address(0) }
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        let futexes = &self.process.futexes;
        if self.turn.is_woken() && !self.several {
            return;
        }
        // Most often it still stands where it began.
        let here = |waiter: &Waiter| Rc::ptr_eq(&waiter.turn, &self.turn);
        if self.several || futexes.pop(self.key, here).is_none() {
            futexes.forget(&self.turn);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Key = Key::Address(4);
    const B: Key = Key::Address(8);

    fn waiter(turn: &Rc<Turn>, index: usize, bits: u32) -> Waiter {
        Waiter { turn: turn.clone(), address: 4, index, bits, heir: Heir::None }
    }

    #[test]
    fn waiters_are_woken_in_their_order_by_their_bits() {
        let futexes = Futexes::default();
        let turns: Vec<_> = (0..4).map(|_| Turn::new()).collect();
        for (i, turn) in turns.iter().enumerate() {
            futexes.push(A, waiter(turn, 0, 1 << (i % 2)));
        }
        assert_eq!(futexes.wake(A, 1, 2), 1);
        assert_eq!(turns.iter().map(|t| t.is_woken()).collect::<Vec<_>>(), [false, true, false, false]);
        assert_eq!(futexes.wake(A, 2, 3), 2);
        assert_eq!(turns.iter().map(|t| t.is_woken()).collect::<Vec<_>>(), [true, true, true, false]);
        assert_eq!(futexes.wake(B, 1, 3), 0);
        assert_eq!(futexes.wake(A, 9, 3), 1);
        assert_eq!(futexes.queues(), 0);
    }

    #[test]
    fn one_that_waits_for_two_words_is_woken_once() {
        let futexes = Futexes::default();
        let (both, other) = (Turn::new(), Turn::new());
        futexes.push(A, waiter(&both, 0, 1));
        futexes.push(B, waiter(&both, 1, 1));
        futexes.push(B, waiter(&other, 0, 1));
        assert_eq!(futexes.wake(A, 1, 1), 1);
        assert_eq!(futexes.wake(B, 1, 1), 1);
        assert!(other.is_woken());
        assert_eq!(both.woken.get(), Some(0));
    }

    #[test]
    fn waiters_move_to_another_queue_behind_those_there() {
        let futexes = Futexes::default();
        let turns: Vec<_> = (0..3).map(|_| Turn::new()).collect();
        futexes.push(B, waiter(&turns[2], 0, 1));
        futexes.push(A, waiter(&turns[0], 0, 1));
        futexes.push(A, waiter(&turns[1], 0, 1));
        assert_eq!(futexes.requeue(A, Word { address: 8, key: B }, 5), 2);
        assert_eq!(futexes.wake(A, 1, 1), 0);
        assert_eq!(futexes.wake(B, 2, 1), 2);
        assert!(turns[2].is_woken() && turns[0].is_woken() && !turns[1].is_woken());
    }
}
