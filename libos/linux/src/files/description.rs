//! Open file descriptions (open(2)): what descriptors refer to.

use super::console::Console;
use crate::Errno;
use crate::thread::Thread;
use crate::user::Buffers;
use crate::wait::epoll::Epoll;
use crate::wait::eventfd::EventFd;
use crate::wait::timerfd::TimerFd;
use crate::wait::{Events, Watchers};
use alloc::rc::Rc;
use core::cell::Cell;

/// O_ACCMODE.
pub const ACCESS: u32 = 3;
/// O_WRONLY.
pub const WRITE_ONLY: u32 = 1;
/// O_RDWR.
pub const READ_WRITE: u32 = 2;
/// O_NONBLOCK.
pub const NON_BLOCKING: u32 = 0o4000;

/// What a description is of.
pub enum Kind {
    /// Standard input, output and error.
    Console(Console),
    /// epoll(7).
    Epoll(Rc<Epoll>),
    /// eventfd(2).
    EventFd(EventFd),
    /// timerfd_create(2).
    TimerFd(TimerFd),
}

/// An open file description.
pub struct Description {
    /// What it is of.
    pub kind: Kind,
    /// The access mode and the status flags that fcntl(2) F_GETFL tells.
    pub flags: Cell<u32>,
    /// Where reading and writing go on.
    pub offset: Cell<u64>,
}

impl Description {
    /// A description with an offset of 0.
    pub fn new(kind: Kind, flags: u32) -> Rc<Self> {
        Rc::new(Self { kind, flags: Cell::new(flags), offset: Cell::new(0) })
    }

    /// Whether it was opened for reading.
    pub fn readable(&self) -> bool {
        self.flags.get() & ACCESS != WRITE_ONLY
    }

    /// Whether it was opened for writing.
    pub fn writable(&self) -> bool {
        matches!(self.flags.get() & ACCESS, WRITE_ONLY | READ_WRITE)
    }

    /// Whether calls give EAGAIN instead of waiting.
    pub fn non_blocking(&self) -> bool {
        self.flags.get() & NON_BLOCKING != 0
    }

    /// Reads at the offset, which it moves; 0 bytes at the end.
    ///
    /// # Errors
    /// Those of read(2).
    pub async fn read(&self, thread: &Thread, to: &mut Buffers) -> Result<usize, Errno> {
        if !self.readable() {
            return Err(Errno::EBADF);
        }
        match &self.kind {
            Kind::Console(console) => console.read(thread, self.non_blocking(), to).await,
            Kind::Epoll(_) => Err(Errno::EINVAL),
            Kind::EventFd(event) => event.read(thread, self.non_blocking(), to).await,
            Kind::TimerFd(timer) => timer.read(thread, self.non_blocking(), to).await,
        }
    }

    /// Writes at the offset, which it moves.
    ///
    /// # Errors
    /// Those of write(2).
    pub async fn write(&self, thread: &Thread, from: &mut Buffers) -> Result<usize, Errno> {
        if !self.writable() {
            return Err(Errno::EBADF);
        }
        match &self.kind {
            Kind::Console(console) => console.write(from),
            Kind::Epoll(_) | Kind::TimerFd(_) => Err(Errno::EINVAL),
            Kind::EventFd(event) => event.write(thread, self.non_blocking(), from).await,
        }
    }

    /// What it is ready for now. Its watchers are told of every change from now on.
    pub fn readiness(&self) -> Events {
        match &self.kind {
            Kind::Console(console) => console.readiness(),
            Kind::Epoll(epoll) => epoll.readiness(),
            Kind::EventFd(event) => event.readiness(),
            Kind::TimerFd(timer) => timer.readiness(),
        }
    }

    /// Who is told when that may have changed; `None` for what is always ready, which epoll(7) refuses with EPERM.
    pub fn watchers(&self) -> Option<&Watchers> {
        match &self.kind {
            Kind::Console(console) => Some(console.watchers()),
            Kind::Epoll(epoll) => Some(epoll.watchers()),
            Kind::EventFd(event) => Some(event.watchers()),
            Kind::TimerFd(timer) => Some(timer.watchers()),
        }
    }
}
