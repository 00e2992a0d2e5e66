//! What a process does when a signal comes (sigaction(2)).

use super::kinds::{self, Default, NEVER_BLOCKED, Set, only, valid};
use super::pending::Pending;
use super::timer::Timers;
use crate::call::{Call, Outcome};
use crate::thread::Thread;
use crate::wait::Watchers;
use crate::{Errno, user};
use alloc::rc::Rc;
use core::cell::Cell;
use kernlet_sync::WaitQueue;

/// SIG_DFL.
pub const DEFAULT: u64 = 0;
/// SIG_IGN.
pub const IGNORE: u64 = 1;
/// The flags.
pub mod flag {
    /// SA_ONSTACK: on the alternate stack.
    pub const ONSTACK: u64 = 0x0800_0000;
    /// SA_RESTART: calls that it interrupts are made again.
    pub const RESTART: u64 = 0x1000_0000;
    /// SA_NODEFER: it may interrupt its own handler.
    pub const NODEFER: u64 = 0x4000_0000;
    /// SA_RESETHAND: once.
    pub const RESETHAND: u64 = 0x8000_0000;
    /// SA_RESTORER: it says where handlers return to.
    pub const RESTORER: u64 = 0x0400_0000;
    /// All that the kernel knows: those, SA_NOCLDSTOP, SA_NOCLDWAIT, SA_SIGINFO and SA_EXPOSE_TAGBITS. Others are cleared, by
    /// which programs find out.
    pub const KNOWN: u64 = ONSTACK | RESTART | NODEFER | RESETHAND | RESTORER | 0x807;
}

/// What is done when a signal comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action {
    /// The handler's address, or SIG_DFL or SIG_IGN.
    pub handler: u64,
    /// SA_RESTART and the others of sigaction(2).
    pub flags: u64,
    /// Where handlers return to.
    pub restorer: u64,
    /// What is blocked meanwhile.
    pub mask: Set,
}

impl Action {
    /// That of a new process.
    pub const NONE: Self = Self { handler: DEFAULT, flags: 0, restorer: 0, mask: 0 };

    /// Whether nothing happens when signal `number` comes.
    pub fn ignores(&self, number: u8) -> bool {
        self.handler == IGNORE || self.handler == DEFAULT && kinds::default(number) == Default::Ignore
    }
}

/// What all threads of a process share.
pub struct ProcessSignals {
    actions: [Cell<Action>; kinds::LAST as usize],
    /// What was sent to the process as a whole.
    pub pending: Pending,
    /// It is stopped.
    pub stopped: Cell<bool>,
    /// Threads that wait for it to go on.
    pub continued: WaitQueue,
    /// Those who are told when a signal was sent (signalfd(2)).
    pub watchers: Watchers,
    /// Its timers that send signals.
    pub timers: Timers,
}

impl core::default::Default for ProcessSignals {
    fn default() -> Self {
        Self {
            actions: core::array::from_fn(|_| Cell::new(Action::NONE)),
            pending: Pending::default(),
            stopped: Cell::new(false),
            continued: WaitQueue::new(),
            watchers: Watchers::new(),
            timers: Timers::default(),
        }
    }
}

impl ProcessSignals {
    /// What is done when a signal comes.
    pub fn action(&self, number: u8) -> Action {
        self.place(number).get()
    }

    /// Sets it.
    pub fn set_action(&self, number: u8, action: Action) {
        self.place(number).set(action);
    }

    fn place(&self, number: u8) -> &Cell<Action> {
        &self.actions[usize::from(number.wrapping_sub(1) & 63)]
    }
}

/// Handles rt_sigaction.
pub fn sigaction(thread: &Rc<Thread>, call: Call) -> Outcome {
    let (new, old) = (call.size(1), call.size(2));
    if call.size(3) != 8 {
        return Err(Errno::EINVAL);
    }
    let words = if new == 0 { None } else { Some(user::read_words::<4>(new)?) };
    let number = valid(call.int(0)).ok_or(Errno::EINVAL)?;
    if words.is_some() && only(number) & NEVER_BLOCKED != 0 {
        return Err(Errno::EINVAL);
    }
    let process = &thread.process;
    let before = process.signals.action(number);
    if let Some([handler, flags, restorer, mask]) = words {
        let mask = mask & !NEVER_BLOCKED;
        let action = Action { handler, flags: flags & flag::KNOWN, restorer, mask };
        process.signals.set_action(number, action);
        if action.ignores(number) {
            process.signals.pending.forget(only(number));
            let threads = process.threads.borrow();
            threads.values().filter_map(|t| t.upgrade()).for_each(|t| t.signals.pending.forget(only(number)));
        }
    }
    if old != 0 {
        user::write_words(old, &[before.handler, before.flags, before.restorer, before.mask])?;
    }
    Ok(0)
}
