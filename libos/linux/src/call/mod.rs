//! System calls: from numbers to the modules that handle them.

pub mod number;

use crate::thread::Thread;
use crate::{Errno, files, ipc, memory, signal, sockets, system, task, time, wait};
use alloc::boxed::Box;
use alloc::rc::Rc;
use core::pin::Pin;
use kernlet_platform::program::{Context, Registers};
use number::Subject;

/// The result of a call: what goes into rax, or an error number.
pub type Outcome = Result<u64, Errno>;

/// A call that waits by itself. Calls whose futures are large have them allocated: a thread then does not carry them, and
/// each is polled by a function of its own, with a frame no larger than it needs.
pub type Waiting<'c, T = Outcome> = Pin<Box<dyn Future<Output = T> + 'c>>;

/// Allocates a call's future.
pub fn boxed<'c, T>(future: impl Future<Output = T> + 'c) -> Waiting<'c, T> {
    Box::pin(future)
}

/// Error numbers of the kernel's own that say how an interrupted call goes on (include/linux/errno.h). They never reach
/// the program.
pub mod restart {
    use crate::Errno;
    /// Again when the handler has SA_RESTART or there is none, else EINTR.
    pub const SYS: Errno = Errno(512);
    /// Always again.
    pub const NO_INTERRUPT: Errno = Errno(513);
    /// Again when there is no handler, else EINTR.
    pub const NO_HANDLER: Errno = Errno(514);
    /// Again with the deadline that it had ([`crate::thread::Thread::resume_until`]) when there is no handler, else EINTR.
    pub const BLOCK: Errno = Errno(516);
}

/// One system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its number; see [`number`].
    pub number: u64,
    /// Its arguments.
    pub arguments: [u64; 6],
}

impl Call {
    /// The call that a thread's registers ask for.
    pub fn of(r: &Registers) -> Self {
        Self { number: r.rax, arguments: [r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9] }
    }

    /// Argument `index` as an address or a length.
    pub fn size(&self, index: usize) -> usize {
        self.arguments[index] as usize
    }

    /// Argument `index` as an int, of which the upper half of the register says nothing.
    pub fn int(&self, index: usize) -> i32 {
        self.arguments[index] as i32
    }

    /// Argument `index` as an unsigned int.
    pub fn word(&self, index: usize) -> u32 {
        self.arguments[index] as u32
    }
}

/// What [`at_once`] gives for calls that may wait.
pub const WAITS: Errno = Errno(1000);

/// Whether it is one of those that may wait and are frequent: these lose no time with the others. What moves bytes of a TCP
/// connection is tried before there is a future for it.
const fn often_waits(call: u64) -> bool {
    matches!(
        call,
        number::READ
            | number::WRITE
            | number::OPEN
            | number::STAT
            | number::FSTAT
            | number::POLL
            | number::MMAP
            | number::IOCTL
            | number::PREAD64
            | number::PWRITE64
            | number::READV
            | number::WRITEV
            | number::SENDTO
            | number::RECVFROM
            | number::SENDMSG
            | number::RECVMSG
            | number::FUTEX
            | number::EPOLL_WAIT
            | number::OPENAT
            | number::NEWFSTATAT
            | number::EPOLL_PWAIT
    )
}

/// Handles a call that never waits, which most are: without a future for it. Its context is the calling thread's, for those
/// calls that change registers.
///
/// # Errors
/// [`WAITS`]: [`handle`] does it. The program's otherwise.
pub fn at_once(thread: &Rc<Thread>, context: &mut Context, call: Call) -> Outcome {
    if often_waits(call.number) {
        return sockets::try_stream(thread, call);
    }
    match number::subject(call.number) {
        Some(Subject::Memory) => memory::at_once(thread, call),
        Some(Subject::Files) => files::at_once(thread, call),
        Some(Subject::Wait) => wait::at_once(thread, call),
        Some(Subject::Sockets) => sockets::at_once(thread, call),
        Some(Subject::Time) => time::at_once(thread, call),
        Some(Subject::Signal) => signal::at_once(thread, context, call),
        Some(Subject::Task) => task::at_once(thread, context, call),
        Some(Subject::System) => system::at_once(thread, call),
        Some(Subject::Ipc) => ipc::at_once(thread, call),
        None => unknown(thread, call),
    }
}

/// Handles a call that may wait.
pub async fn handle(thread: &Rc<Thread>, call: Call) -> Outcome {
    match number::subject(call.number) {
        Some(Subject::Memory) => memory::call(thread, call).await,
        Some(Subject::Files) => files::call(thread, call).await,
        Some(Subject::Wait) => wait::call(thread, call).await,
        Some(Subject::Sockets) => sockets::call(thread, call).await,
        Some(Subject::Time) => time::call(thread, call).await,
        Some(Subject::Signal) => signal::call(thread, call).await,
        Some(Subject::Task) => task::call(thread, call).await,
        Some(Subject::Ipc) => ipc::call(thread, call).await,
        Some(Subject::System) | None => unknown(thread, call),
    }
}

/// A call that is not implemented: ENOSYS, told once for each number.
pub fn unknown(thread: &Rc<Thread>, call: Call) -> Outcome {
    thread.process.missing(thread, call);
    Err(Errno::ENOSYS)
}
