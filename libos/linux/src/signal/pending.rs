//! Signals that were sent and not yet delivered.

use super::information::Information;
use super::kinds::{NEVER_BLOCKED, REAL_TIME, SYNCHRONOUS, Set, only};
use crate::Errno;
use alloc::collections::VecDeque;
use core::cell::Cell;
use kernlet_platform::cell::RefCell;

/// Those of a thread, or of a process as a whole.
#[derive(Debug, Default)]
pub struct Pending {
    set: Cell<Set>,
    /// What they tell, in the order in which they came. One that found no room here tells nothing.
    queue: RefCell<VecDeque<Information>>,
}

impl Pending {
    /// Which there are.
    pub fn set(&self) -> Set {
        self.set.get()
    }

    /// How many tell something.
    pub fn queued(&self) -> usize {
        self.queue.borrow().len()
    }

    /// Adds one, unless it is of a kind that is not queued and one is there. `room` says whether what it tells may be kept.
    ///
    /// # Errors
    /// EAGAIN when there is no room, and what it tells matters: those of sigqueue(3).
    pub fn add(&self, information: Information, room: bool) -> Result<(), Errno> {
        let bit = only(information.number);
        let real_time = information.number >= REAL_TIME;
        if !real_time && self.set.get() & bit != 0 {
            return Ok(());
        }
        // What the kernel has to tell of a thread's own fault is never lost.
        if room || SYNCHRONOUS & bit != 0 && information.code > 0 {
            self.queue.borrow_mut().push_back(information);
        } else if real_time && information.code != super::information::code::USER {
            return Err(Errno::EAGAIN);
        }
        self.set.set(self.set.get() | bit);
        Ok(())
    }

    /// A timer has expired again while its signal is here: `false` when it is not.
    pub fn overrun(&self, timer: u32, more: u64) -> bool {
        let mut queue = self.queue.borrow_mut();
        let found = queue.iter_mut().find(|information| information.of_timer() == Some(timer));
        found.map(|information| information.overrun(more)).is_some()
    }

    /// Takes the next of `set` out: those of faults first, then by number, then by when they came.
    pub fn take(&self, set: Set) -> Option<Information> {
        let there = self.set.get() & set;
        let first = [there & NEVER_BLOCKED, there & SYNCHRONOUS, there].into_iter().find(|&s| s != 0)?;
        let number = first.trailing_zeros() as u8 + 1;
        let mut queue = self.queue.borrow_mut();
        let mut of_number = queue.iter().enumerate().filter(|(_, i)| i.number == number).map(|(at, _)| at);
        let (at, more) = (of_number.next(), of_number.next().is_some());
        if !more {
            self.set.set(self.set.get() & !only(number));
        }
        let taken = at.and_then(|at| queue.remove(at));
        Some(taken.unwrap_or(Information { number, ..Information::default() }))
    }

    /// Forgets those of `set`.
    pub fn forget(&self, set: Set) {
        if self.set.get() & set != 0 {
            self.set.set(self.set.get() & !set);
            self.queue.borrow_mut().retain(|information| only(information.number) & set == 0);
        }
    }

    /// Forgets what a timer sent.
    pub fn forget_timer(&self, timer: u32) {
        let mut queue = self.queue.borrow_mut();
        let before = queue.len();
        queue.retain(|information| information.of_timer() != Some(timer));
        if queue.len() < before {
            // Only those of which something is told are left; one that tells nothing is left out then, too.
            self.set.set(queue.iter().fold(0, |set, information| set | only(information.number)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::kinds::{SIGINT, SIGSEGV, SIGUSR1};
    use super::*;
    use std::vec::Vec;

    fn sent(number: u8, by: u32) -> Information {
        Information::sent(number, super::super::information::code::QUEUE, by, 0)
    }

    #[test]
    fn real_time_signals_are_queued_and_others_are_not() {
        let pending = Pending::default();
        for by in 0..3 {
            pending.add(sent(SIGUSR1, by), true).unwrap();
            pending.add(sent(40, by), true).unwrap();
        }
        pending.add(sent(35, 9), true).unwrap();
        pending.add(Information::fault(SIGSEGV, 1, 0), true).unwrap();
        let pending = &pending;
        let all = |set| core::iter::from_fn(move || pending.take(set)).map(|i| (i.number, i.rest[0]));
        assert_eq!(
            all(!only(35)).collect::<Vec<_>>(),
            [(SIGSEGV, 0), (SIGUSR1, 0), (40, 0), (40, 1), (40, 2)]
        );
        assert_eq!(pending.set(), only(35));
        pending.forget(only(35));
        assert_eq!((pending.set(), pending.queued(), pending.take(!0)), (0, 0, None));
    }

    #[test]
    fn without_room_a_signal_comes_and_tells_nothing() {
        let pending = Pending::default();
        assert_eq!(pending.add(sent(40, 1), false), Err(Errno::EAGAIN));
        assert_eq!(pending.set(), 0);
        assert_eq!(pending.add(sent(SIGINT, 1), false), Ok(()));
        assert_eq!(pending.take(!0), Some(Information { number: SIGINT, ..Information::default() }));
        assert_eq!(pending.add(Information::fault(SIGSEGV, 1, 5), false), Ok(()));
        assert_eq!(pending.take(!0).unwrap().rest[0], 5);
    }

    #[test]
    fn a_timer_has_one_signal_that_counts() {
        let pending = Pending::default();
        assert!(!pending.overrun(3, 1));
        pending.add(Information::timer(40, 3, 0), true).unwrap();
        assert!(pending.overrun(3, 5));
        assert!(!pending.overrun(4, 5));
        pending.add(sent(41, 1), true).unwrap();
        pending.forget_timer(3);
        assert_eq!(pending.set(), only(41));
    }
}
