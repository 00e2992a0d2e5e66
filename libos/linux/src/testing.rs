//! Calls made by a thread of a program that there is not: its memory is the test's own.

use crate::call::{Call, Outcome, WAITS, number, number::Subject};
use crate::memory::Space;
use crate::process::Process;
use crate::system::Credentials;
use crate::thread::Thread;
use crate::{files, ipc, sockets, wait};
use alloc::rc::Rc;
use core::future::Future;

/// A thread of a process with nothing in it but standard streams.
pub fn thread() -> Rc<Thread> {
    let space = Space::new(0x1000_0000);
    Thread::new(&Process::new(space, Credentials::of(0, 0), false))
}

/// Runs a test with such a thread.
pub fn run<F: Future<Output = ()> + 'static>(test: impl FnOnce(Rc<Thread>) -> F + 'static) {
    kernlet_exec::block_on(async move { test(thread()).await });
}

/// Makes a call.
pub async fn call(thread: &Rc<Thread>, number: u64, arguments: &[u64]) -> Outcome {
    let mut all = [0; 6];
    all[..arguments.len()].copy_from_slice(arguments);
    let call = Call { number, arguments: all };
    let subject = number::subject(number);
    // As for a program: what moves bytes of a connection is tried before there is a future for it.
    let tried = sockets::try_stream(thread, call);
    if tried != Err(WAITS) {
        return tried;
    }
    let outcome = match subject {
        Some(Subject::Wait) => wait::at_once(thread, call),
        Some(Subject::Sockets) => sockets::at_once(thread, call),
        Some(Subject::Files) => files::at_once(thread, call),
        Some(Subject::Ipc) => ipc::at_once(thread, call),
        other => panic!("no test makes calls of {other:?}"),
    };
    match subject {
        _ if outcome != Err(WAITS) => outcome,
        Some(Subject::Wait) => wait::call(thread, call).await,
        Some(Subject::Sockets) => sockets::call(thread, call).await,
        Some(Subject::Files) => files::call(thread, call).await,
        Some(Subject::Ipc) => ipc::call(thread, call).await,
        _ => outcome,
    }
}

/// Where something lies, for an argument.
pub fn at<T: ?Sized>(value: &T) -> u64 {
    core::ptr::from_ref(value).cast::<u8>() as u64
}

/// Where something lies that the call changes.
pub fn to<T: ?Sized>(value: &mut T) -> u64 {
    core::ptr::from_mut(value).cast::<u8>() as u64
}
