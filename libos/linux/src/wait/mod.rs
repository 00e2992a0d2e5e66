//! Waiting for descriptors (poll(2), epoll(7)), and descriptors that are there to be waited for.

mod deadline;
pub mod epoll;
pub mod eventfd;
pub mod fair;
mod mask;
mod poll;
mod ready;
mod relay;
mod select;
pub mod signalfd;
#[cfg(test)]
mod tests;
pub mod timerfd;
mod watchers;

pub use deadline::{Deadline, never_again, unless_handled, until_ready};
pub use relay::Relay;
pub use watchers::{Events, Place, Watch, Watchers};

use crate::Errno;
use crate::call::{Call, Outcome, WAITS, boxed, number, unknown};
use crate::files::{Description, Kind};
use crate::thread::Thread;
use alloc::rc::Rc;

/// Handles the calls of this subject that never wait.
#[inline(never)]
pub fn at_once(thread: &Rc<Thread>, call: Call) -> Outcome {
    match call.number {
        number::EPOLL_CTL => epoll::control(thread, call),
        number::EPOLL_CREATE => epoll::create(thread, Some(call.int(0)), 0),
        number::EPOLL_CREATE1 => epoll::create(thread, None, call.word(0)),
        number::EVENTFD => eventfd::create(thread, call.word(0), 0),
        number::EVENTFD2 => eventfd::create(thread, call.word(0), call.word(1)),
        number::SIGNALFD => signalfd::create(thread, call.int(0), call.size(1), call.size(2), 0),
        number::SIGNALFD4 => signalfd::create(thread, call.int(0), call.size(1), call.size(2), call.word(3)),
        number::TIMERFD_CREATE => timerfd::create(thread, call),
        number::TIMERFD_SETTIME => timerfd::set(thread, call),
        number::TIMERFD_GETTIME => timerfd::get(thread, call),
        // Programs fall back to threads and epoll.
        number::IO_URING_SETUP | number::IO_SETUP => Err(Errno::ENOSYS),
        _ => Err(WAITS),
    }
}

/// Handles those that may wait.
pub async fn call(thread: &Rc<Thread>, call: Call) -> Outcome {
    match call.number {
        number::EPOLL_WAIT => epoll::wait(thread, call).await,
        number::EPOLL_PWAIT => epoll::pwait(thread, call).await,
        number::EPOLL_PWAIT2 => epoll::pwait2(thread, call).await,
        number::POLL => poll::poll(thread, call).await,
        number::PPOLL => poll::ppoll(thread, call).await,
        number::SELECT => boxed(select::select(thread, call)).await,
        number::PSELECT6 => boxed(select::pselect(thread, call)).await,
        _ => unknown(thread, call),
    }
}

/// Gives a new description the lowest free descriptor.
pub(crate) fn registered(thread: &Thread, kind: Kind, flags: u32, close_on_exec: bool) -> Outcome {
    let file = Description::new(kind, flags);
    let descriptor = thread.process.files.table.borrow_mut().insert(file, close_on_exec, 0)?;
    Ok(descriptor as u64)
}
