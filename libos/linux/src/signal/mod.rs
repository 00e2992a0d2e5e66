//! Signals (signal(7)).

use crate::Errno;
use crate::call::{Call, Outcome, number, restart, unknown};
use crate::thread::Thread;
use alloc::rc::Rc;
use core::cell::Cell;
use kernlet_platform::program::{Context, Trap};

/// A call of a number that does not exist.
pub const SIGSYS: u8 = 31;

/// What all threads of a process share.
#[derive(Debug, Default)]
pub struct ProcessSignals {}

/// What a thread has of its own.
#[derive(Debug, Default)]
pub struct ThreadSignals {
    /// Those that are blocked, a bit each from signal 1 on.
    pub mask: Cell<u64>,
}

/// How a thread goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// With the program's text.
    Run,
    /// It ends.
    End,
}

/// Whether a signal is to be delivered to the thread.
pub fn is_pending(_thread: &Thread) -> bool {
    false
}

/// Delivers what is pending: runs default actions, makes frames for handlers. `interrupted` is the call that a signal
/// interrupted and how it says it goes on: it is set up to be made again, or fails with EINTR.
pub async fn deliver(
    _thread: &Rc<Thread>,
    context: &mut Context,
    interrupted: Option<(Call, Errno)>,
) -> Next {
    if interrupted.is_some() {
        context.registers.rax = -i64::from(Errno::EINTR.0) as u64;
    }
    let _ = restart::SYS;
    Next::Run
}

/// A fault of the program's text: the thread gets the signal that Linux makes of it.
pub async fn trap(thread: &Rc<Thread>, context: &mut Context, trap: Trap) {
    crate::report!(
        "thread {}: exception {} (error {:#x}, address {:#x}) at {:#x}",
        thread.id,
        trap.vector,
        trap.error,
        trap.address,
        context.registers.rip
    );
    thread.process.exit(139);
}

/// Handles the calls of this subject.
pub async fn call(thread: &Rc<Thread>, _context: &mut Context, call: Call) -> Outcome {
    match call.number {
        number::RT_SIGACTION | number::RT_SIGPROCMASK | number::SIGALTSTACK => Ok(0),
        _ => unknown(thread, call),
    }
}
