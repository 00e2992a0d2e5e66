//! Delivering what is pending: default actions, handlers, and what becomes of the call that was interrupted.

use super::action::{Action, DEFAULT, IGNORE, flag};
use super::information::Information;
use super::kinds::{Default, SIGSEGV, SIGSTOP, Set, default, only};
use super::{fault, frame, retarget};
use crate::Errno;
use crate::call::{Call, restart};
use crate::thread::Thread;
use alloc::rc::Rc;
use kernlet_platform::program::Context;

/// How a thread goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// With the program's text.
    Run,
    /// It ends.
    End,
}

/// Bytes of the instruction by which a call is made again.
const SYSCALL: u64 = 2;

/// Whether a signal is to be delivered to the thread.
pub fn is_pending(thread: &Thread) -> bool {
    let all = thread.signals.pending.set() | thread.process.signals.pending.set();
    all & !thread.signals.mask.get() != 0
}

/// Whether something is to be done before the thread runs more of the program's text.
pub fn is_due(thread: &Thread) -> bool {
    is_pending(thread) || thread.saved_mask.get().is_some() || thread.process.signals.stopped.get()
}

/// Takes the next pending signal of `set` out, the thread's own first.
pub fn take(thread: &Thread, set: Set) -> Option<Information> {
    let signals = &thread.process.signals;
    let taken = thread.signals.pending.take(set).or_else(|| signals.pending.take(set))?;
    if let Some(timer) = taken.of_timer() {
        signals.timers.delivered(timer, &taken);
    }
    Some(taken)
}

/// Delivers what is pending: runs default actions, makes frames for handlers. `interrupted` is the call that a signal
/// interrupted and how it says it goes on: it is set up to be made again, or fails with EINTR.
pub async fn deliver(
    thread: &Rc<Thread>,
    context: &mut Context,
    mut interrupted: Option<(Call, Errno)>,
) -> Next {
    let signals = &thread.process.signals;
    loop {
        if signals.stopped.get() {
            signals.continued.until(|| (!signals.stopped.get()).then_some(())).await;
        }
        if thread.ending.get() {
            return Next::End;
        }
        let Some(information) = take(thread, !thread.signals.mask.get()) else { break };
        let number = information.number;
        let action = signals.action(number);
        match action.handler {
            IGNORE => {}
            DEFAULT => match default(number) {
                Default::Ignore => {}
                Default::Stop => signals.stopped.set(number == SIGSTOP),
                Default::End => {
                    fault::describe(thread, context, &information);
                    thread.process.exit(128 + number);
                }
            },
            _ => {
                if let Some((call, error)) = interrupted.take() {
                    let again = error == restart::NO_INTERRUPT
                        || error == restart::SYS && action.flags & flag::RESTART != 0;
                    if again {
                        make_again(context, call);
                    } else {
                        context.registers.rax = -i64::from(Errno::EINTR.0) as u64;
                    }
                }
                // The deadline is that of a call which is not made now.
                thread.resumed();
                handle(thread, context, &action, &information);
            }
        }
    }
    if let Some((call, _)) = interrupted {
        make_again(context, call);
    }
    if let Some(mask) = thread.saved_mask.take() {
        super::mask::set(thread, mask);
    }
    Next::Run
}

/// Sets a context back onto the instruction that made a call.
fn make_again(context: &mut Context, call: Call) {
    context.registers.rax = call.number;
    context.registers.rip = context.registers.rip.wrapping_sub(SYSCALL);
}

/// Sets a context to a handler.
fn handle(thread: &Rc<Thread>, context: &mut Context, action: &Action, information: &Information) {
    let number = information.number;
    let signals = &thread.process.signals;
    if action.flags & flag::RESETHAND != 0 {
        signals.set_action(number, Action { handler: DEFAULT, ..*action });
    }
    let mask = thread.signals.mask.get();
    let comes_back = thread.saved_mask.take().unwrap_or(mask);
    if frame::push(thread, context, action, information, comes_back).is_err() {
        // There is no room for it: SIGSEGV, which ends the process when this was that.
        if number == SIGSEGV {
            signals.set_action(SIGSEGV, Action::NONE);
        }
        fault::force(thread, Information::kernel(SIGSEGV));
        return;
    }
    let itself = if action.flags & flag::NODEFER == 0 { only(number) } else { 0 };
    thread.signals.mask.set(mask | action.mask | itself);
    retarget(thread);
    if context.registers.rip >= fault::HIGHEST {
        fault::stray(thread);
    }
}
