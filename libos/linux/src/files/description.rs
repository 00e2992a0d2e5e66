//! Open file descriptions (open(2)): what descriptors refer to.

use super::console::Console;
use super::device::Device;
use super::directory::Listing;
use super::flags::{ACCESS, APPEND, NON_BLOCKING, PATH, READ_WRITE, WRITE_ONLY};
use super::lock::Held;
use super::notify::{self, Mask, Notify};
use super::pipe::End;
use super::proc::Text;
use super::queue;
use super::readiness_signal::Signals;
use super::regular::Regular;
use super::space;
use super::terminal::pseudo::Master;
use super::tree::Place;
use super::volume::Opened;
use crate::Errno;
use crate::call::boxed;
use crate::sockets::Socket;
use crate::system::{INFINITE, Limit, writable};
use crate::task::PidFd;
use crate::thread::Thread;
use crate::user::Buffers;
use crate::wait::epoll::Epoll;
use crate::wait::eventfd::EventFd;
use crate::wait::signalfd::SignalFd;
use crate::wait::timerfd::TimerFd;
use crate::wait::{Events, Watchers};
use alloc::rc::Rc;
use core::cell::{Cell, OnceCell};

/// What a description is of.
pub enum Kind {
    /// Standard input, output and error.
    Console(Rc<Console>),
    /// A regular file in memory or in the image.
    Regular(Regular),
    /// A regular file of a volume.
    Volume(Rc<Opened>),
    /// A directory.
    Directory(Listing),
    /// An end of a pipe.
    Pipe(End),
    /// A device.
    Device(Device),
    /// Something that was made up when it was opened.
    Text(Text),
    /// A place (O_PATH): nothing can be read or written.
    Path,
    /// An inotify instance.
    Notify(Notify),
    /// epoll(7).
    Epoll(Rc<Epoll>),
    /// eventfd(2).
    EventFd(EventFd),
    /// timerfd_create(2).
    TimerFd(TimerFd),
    /// signalfd(2).
    SignalFd(SignalFd),
    /// pidfd_open(2).
    PidFd(PidFd),
    /// socket(2).
    Socket(Rc<Socket>),
    /// The master of a pseudo-terminal.
    Master(Master),
    /// mq_open(2).
    Queue(queue::Opened),
}

/// An open file description.
pub struct Description {
    /// What it is of.
    pub kind: Kind,
    /// The access mode and the status flags that fcntl(2) F_GETFL tells.
    pub flags: Cell<u32>,
    /// Where reading and writing go on.
    pub offset: Cell<u64>,
    /// By which name it was opened.
    pub place: Option<Place>,
    /// The locks that it has.
    pub locks: OnceCell<Held>,
    /// How it tells of readiness by signals.
    pub signals: OnceCell<Rc<Signals>>,
}

impl Description {
    /// A description with an offset of 0 that no name led to.
    pub fn new(kind: Kind, flags: u32) -> Rc<Self> {
        Self::with(kind, flags, None)
    }

    /// A description with an offset of 0.
    pub fn with(kind: Kind, flags: u32, place: Option<Place>) -> Rc<Self> {
        Rc::new(Self {
            kind,
            flags: Cell::new(flags),
            offset: Cell::new(0),
            place,
            locks: OnceCell::new(),
            signals: OnceCell::new(),
        })
    }

    /// Whether it was opened for reading.
    pub fn readable(&self) -> bool {
        let flags = self.flags.get();
        flags & ACCESS != WRITE_ONLY && flags & PATH == 0
    }

    /// Whether it was opened for writing.
    pub fn writable(&self) -> bool {
        matches!(self.flags.get() & ACCESS, WRITE_ONLY | READ_WRITE) && !self.is_path()
    }

    /// Whether it is only a place (O_PATH).
    pub fn is_path(&self) -> bool {
        self.flags.get() & PATH != 0
    }

    /// Whether calls give EAGAIN instead of waiting.
    pub fn non_blocking(&self) -> bool {
        self.flags.get() & NON_BLOCKING != 0
    }

    /// Whether what is written goes to the end (O_APPEND).
    pub fn appends(&self) -> bool {
        self.flags.get() & APPEND != 0
    }

    /// Whether it has an offset that can be set and read at.
    pub fn seekable(&self) -> bool {
        matches!(
            self.kind,
            Kind::Regular(_) | Kind::Volume(_) | Kind::Directory(_) | Kind::Text(_) | Kind::Device(_)
        )
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
            Kind::Pipe(pipe) => pipe.read(thread, self.non_blocking(), to).await,
            Kind::Notify(notify) => notify.read(thread, self.non_blocking(), to).await,
            Kind::Epoll(_) | Kind::PidFd(_) | Kind::Queue(_) => Err(Errno::EINVAL),
            Kind::EventFd(event) => event.read(thread, self.non_blocking(), to).await,
            Kind::TimerFd(timer) => timer.read(thread, self.non_blocking(), to).await,
            Kind::SignalFd(signals) => signals.read(thread, self.non_blocking(), to).await,
            Kind::Socket(socket) => socket.read(thread, self.non_blocking(), to).await,
            Kind::Master(master) => master.read(thread, self.non_blocking(), to).await,
            _ => {
                let length = self.read_at(self.offset.get(), to).await?;
                self.offset.set(self.offset.get() + length as u64);
                Ok(length)
            }
        }
    }

    /// Its contents were changed: who watches is told.
    pub fn changed(&self) {
        notify::opened(self, Mask::MODIFY);
    }

    /// Reads at `offset`; 0 bytes at the end.
    ///
    /// # Errors
    /// Those of pread(2).
    pub async fn read_at(&self, offset: u64, to: &mut Buffers) -> Result<usize, Errno> {
        if !self.readable() {
            return Err(Errno::EBADF);
        }
        match &self.kind {
            Kind::Regular(file) => {
                let length = file.read(offset, to)?;
                notify::opened(self, Mask::ACCESS);
                Ok(length)
            }
            Kind::Volume(file) => {
                let length = file.read(offset, to).await?;
                notify::opened(self, Mask::ACCESS);
                Ok(length)
            }
            Kind::Directory(_) => Err(Errno::EISDIR),
            Kind::Device(device) => device.read(to),
            Kind::Text(text) => text.read(offset, to),
            _ => Err(Errno::ESPIPE),
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
            Kind::Console(console) => console.write(thread, self.non_blocking(), from).await,
            Kind::Pipe(pipe) => pipe.write(thread, self.non_blocking(), from).await,
            Kind::Epoll(_) | Kind::PidFd(_) | Kind::TimerFd(_) | Kind::SignalFd(_) | Kind::Queue(_) => {
                Err(Errno::EINVAL)
            }
            Kind::EventFd(event) => event.write(thread, self.non_blocking(), from).await,
            Kind::Socket(socket) => socket.write(thread, self.non_blocking(), from).await,
            Kind::Master(master) => master.write(thread, self.non_blocking(), from).await,
            _ => {
                let (length, end) = self.write_at(thread, self.offset.get(), from).await?;
                self.offset.set(end);
                Ok(length)
            }
        }
    }

    /// Writes at `offset`, or at the end when it appends; tells how much was written, and where that ended.
    ///
    /// # Errors
    /// Those of pwrite(2).
    pub async fn write_at(
        &self,
        thread: &Thread,
        offset: u64,
        from: &mut Buffers,
    ) -> Result<(usize, u64), Errno> {
        if !self.writable() {
            return Err(Errno::EBADF);
        }
        let appends = self.appends();
        let limit = thread.process.limits.get(Limit::FileSize);
        if limit != INFINITE && matches!(self.kind, Kind::Regular(_) | Kind::Volume(_)) {
            let start = if appends { boxed(space::length(self)).await? } else { offset };
            from.truncate(writable(thread, start, from.remaining())?);
        }
        let (length, start) = match &self.kind {
            Kind::Regular(file) => {
                let written = file.write(offset, appends, from)?;
                self.changed();
                written
            }
            Kind::Volume(file) => {
                let written = file.write(offset, self.flags.get(), from).await?;
                self.changed();
                written
            }
            Kind::Device(device) => (device.write(from)?, offset),
            Kind::Text(text) => (text.write(from)?, offset),
            Kind::Directory(_) => return Err(Errno::EISDIR),
            Kind::Notify(_) => return Err(Errno::EINVAL),
            _ => return Err(Errno::ESPIPE),
        };
        Ok((length, start + length as u64))
    }

    /// What it is ready for now. Its watchers are told of every change from now on.
    pub fn readiness(&self) -> Events {
        match &self.kind {
            Kind::Console(console) => console.readiness(),
            Kind::Pipe(pipe) => pipe.readiness(),
            Kind::Notify(notify) => notify.readiness(),
            Kind::Epoll(epoll) => epoll.readiness(),
            Kind::EventFd(event) => event.readiness(),
            Kind::TimerFd(timer) => timer.readiness(),
            Kind::SignalFd(signals) => signals.readiness(),
            // It has not ended.
            Kind::PidFd(_) => Events::NONE,
            Kind::Socket(socket) => socket.readiness(),
            Kind::Queue(queue) => queue.readiness(),
            Kind::Master(master) => master.readiness(),
            _ => Events::IN.or(Events::OUT),
        }
    }

    /// Who is told when that may have changed; `None` for what is always ready, which epoll(7) refuses with EPERM.
    pub fn watchers(&self) -> Option<&Watchers> {
        match &self.kind {
            Kind::Console(console) => Some(console.watchers()),
            Kind::Pipe(pipe) => Some(pipe.watchers()),
            Kind::Notify(notify) => Some(notify.watchers()),
            Kind::Epoll(epoll) => Some(epoll.watchers()),
            Kind::EventFd(event) => Some(event.watchers()),
            Kind::TimerFd(timer) => Some(timer.watchers()),
            Kind::SignalFd(signals) => Some(signals.watchers()),
            Kind::PidFd(pidfd) => Some(pidfd.watchers()),
            Kind::Socket(socket) => Some(socket.watchers()),
            Kind::Queue(queue) => Some(queue.watchers()),
            Kind::Master(master) => Some(master.watchers()),
            _ => None,
        }
    }
}

impl Drop for Description {
    fn drop(&mut self) {
        if !self.is_path() {
            notify::opened(self, if self.writable() { Mask::CLOSE_WRITE } else { Mask::CLOSE });
        }
    }
}
