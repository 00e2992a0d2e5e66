//! Signals (signal(7)).
//!
//! A signal is sent to a thread or to a process, where it is pending until a thread that does not block it
//! takes it: before it runs more of the program's text ([`deliver`](deliver())), in sigtimedwait(2), or by a signalfd(2).
//! Waits of threads end when a signal is to be delivered ([`Thread::interruptible`]).

mod action;
mod deliver;
mod fault;
mod frame;
mod information;
mod interval;
mod kinds;
mod mask;
mod outside;
mod pending;
mod send;
mod stack;
mod timer;

pub use action::{Action, ProcessSignals};
pub use deliver::{Next, deliver, is_due, is_pending, take};
pub use fault::{force, trap};
pub use information::{Information, LENGTH as INFORMATION, code};
pub use kinds::*;
pub use mask::set as set_mask;
pub use outside::listen;
pub use pending::Pending;
pub use send::{asked, own, raise, retarget, send_to_process, send_to_thread};
pub use stack::Alternate;

use crate::Errno;
use crate::call::{Call, Outcome, WAITS, boxed, number, unknown};
use crate::thread::Thread;
use alloc::rc::Rc;
use core::cell::Cell;
use frame::Machine;
use kernlet_platform::program::Context;

/// What a thread has of its own.
#[derive(Debug, core::default::Default)]
pub struct ThreadSignals {
    /// Those that are blocked, a bit each from signal 1 on.
    pub mask: Cell<Set>,
    /// What was sent to the thread.
    pub pending: Pending,
    /// What it waits for in sigtimedwait(2).
    pub awaited: Cell<Set>,
    /// Its alternate stack.
    pub alternate: Cell<Alternate>,
    /// Its last fault.
    machine: Cell<Machine>,
}

/// Goes on from a handler's frame; one that cannot be read ends the program.
fn sigreturn(thread: &Rc<Thread>, context: &mut Context) -> Outcome {
    if frame::pop(thread, context).is_err() {
        force(thread, Information::kernel(SIGSEGV));
    } else if context.registers.rip >= fault::HIGHEST {
        fault::stray(thread);
    }
    Ok(context.registers.rax)
}

/// Handles the calls of this subject that never wait.
#[inline(never)]
pub fn at_once(thread: &Rc<Thread>, context: &mut Context, call: Call) -> Outcome {
    match call.number {
        number::RT_SIGACTION => action::sigaction(thread, call),
        number::RT_SIGPROCMASK => mask::sigprocmask(thread, call),
        number::RT_SIGRETURN => sigreturn(thread, context),
        number::RT_SIGPENDING => mask::sigpending(thread, call),
        number::SIGALTSTACK => stack::call(&thread.signals, context.registers.rsp, call),
        number::KILL
        | number::TKILL
        | number::TGKILL
        | number::RT_SIGQUEUEINFO
        | number::RT_TGSIGQUEUEINFO => send::call(thread, call),
        number::TIMER_CREATE | number::TIMER_GETTIME | number::TIMER_GETOVERRUN | number::TIMER_DELETE => {
            timer::call(thread, call)
        }
        // What it would go on with is made again by itself.
        number::RESTART_SYSCALL => Err(Errno::EINTR),
        _ => Err(WAITS),
    }
}

/// Handles those that may wait.
pub async fn call(thread: &Rc<Thread>, call: Call) -> Outcome {
    match call.number {
        number::RT_SIGTIMEDWAIT => boxed(mask::sigtimedwait(thread, call)).await,
        number::RT_SIGSUSPEND => boxed(mask::sigsuspend(thread, call)).await,
        number::PAUSE => boxed(mask::pause(thread)).await,
        number::ALARM | number::GETITIMER | number::SETITIMER => {
            let outcome = interval::call(thread, call);
            // The timer's task begins to wait.
            kernlet_exec::yield_now().await;
            outcome
        }
        number::TIMER_SETTIME => {
            let outcome = timer::call(thread, call);
            kernlet_exec::yield_now().await;
            outcome
        }
        _ => unknown(thread, call),
    }
}
