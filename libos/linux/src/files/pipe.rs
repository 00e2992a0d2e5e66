//! Pipes and named pipes (pipe(7), fifo(7)).

use super::description::{Description, Kind};
use super::flags::{ACCESS, CLOSE_ON_EXEC, NON_BLOCKING, READ_WRITE, WRITE_ONLY};
use super::ring::Ring;
use super::tree::Node;
use crate::call::Outcome;
use crate::thread::Thread;
use crate::user::Buffers;
use crate::wait::{Events, Watchers, until_ready};
use crate::{Errno, PAGE, signal, user};
use alloc::rc::Rc;
use core::cell::Cell;
use kernlet_platform::cell::RefCell;

/// What a pipe holds at first, bytes.
const CAPACITY: usize = 16 * PAGE;
/// What an ordinary user may have it hold (/proc/sys/fs/pipe-max-size).
pub const CAPACITY_MOST: usize = 1 << 20;
/// So much is written in one piece or not at all.
const ATOMIC: usize = PAGE;

/// A pipe.
pub struct Pipe {
    ring: RefCell<Ring>,
    readers: Cell<u32>,
    writers: Cell<u32>,
    /// How many readers and writers there ever were, by which an opening of a named pipe sees that the other came.
    seen: Cell<(u32, u32)>,
    watchers: Watchers,
    number: u64,
}

impl Pipe {
    /// Without ends, under a number of its own.
    pub fn new(number: u64) -> Rc<Self> {
        Rc::new(Self {
            number,
            ring: RefCell::new(Ring::new(CAPACITY)),
            readers: Cell::new(0),
            writers: Cell::new(0),
            seen: Cell::new((0, 0)),
            watchers: Watchers::new(),
        })
    }
}

/// An end of a pipe, or both.
pub struct End {
    pipe: Rc<Pipe>,
    reads: bool,
    writes: bool,
    /// Writers that there were when a named pipe was opened: before there is another one, its end is not the end.
    writers_before: u32,
    /// Its name in the tree, for fstat(2).
    pub node: Option<Rc<Node>>,
}

impl End {
    /// An end that reads, writes or both.
    pub fn new(pipe: Rc<Pipe>, reads: bool, writes: bool, node: Option<Rc<Node>>) -> Self {
        let (readers, writers) = pipe.seen.get();
        pipe.readers.set(pipe.readers.get() + u32::from(reads));
        pipe.writers.set(pipe.writers.get() + u32::from(writes));
        pipe.seen.set((readers + u32::from(reads), writers + u32::from(writes)));
        let writers_before = if node.is_some() && pipe.writers.get() == 0 { writers } else { u32::MAX };
        pipe.watchers.notify(Events::IN.or(Events::OUT));
        Self { pipe, reads, writes, writers_before, node }
    }

    /// Another end of the same kind, for an opening of its name in /proc/self/fd.
    pub fn again(&self, flags: u32) -> Self {
        let reads = flags & ACCESS != WRITE_ONLY;
        let writes = flags & ACCESS != 0;
        Self::new(self.pipe.clone(), reads, writes, self.node.clone())
    }

    /// The pipe's number.
    pub fn number(&self) -> u64 {
        self.pipe.number
    }

    /// Bytes that can be read (FIONREAD).
    pub fn filled(&self) -> usize {
        self.pipe.ring.borrow().length()
    }

    /// What it can hold (F_GETPIPE_SZ).
    pub fn capacity(&self) -> usize {
        self.pipe.ring.borrow().most()
    }

    /// Sets what it can hold (F_SETPIPE_SZ); tells what it came to.
    ///
    /// # Errors
    /// EBUSY when it holds more; EPERM for more than an ordinary user may have; EINVAL.
    pub fn set_capacity(&self, bytes: usize, is_root: bool) -> Result<usize, Errno> {
        let bytes =
            bytes.max(PAGE).checked_next_power_of_two().filter(|&b| b <= 1 << 31).ok_or(Errno::EINVAL)?;
        if bytes > CAPACITY_MOST && !is_root {
            return Err(Errno::EPERM);
        }
        if !self.pipe.ring.borrow_mut().set_most(bytes) {
            return Err(Errno::EBUSY);
        }
        self.pipe.watchers.notify(Events::OUT);
        Ok(bytes)
    }

    /// Whether both are ends of one pipe.
    pub fn is_same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.pipe, &other.pipe)
    }

    /// Waits until there is something to read, or nothing will ever be.
    ///
    /// # Errors
    /// EAGAIN; interrupted.
    pub async fn filling(&self, thread: &Thread, non_blocking: bool) -> Result<(), Errno> {
        let ready = || self.filled() > 0 || self.pipe.writers.get() == 0;
        until_ready(thread, &self.pipe.watchers, non_blocking, &ready).await
    }

    /// Waits until there is room, or nobody reads.
    ///
    /// # Errors
    /// EAGAIN; interrupted; EPIPE when nobody reads.
    pub async fn draining(&self, thread: &Thread, non_blocking: bool, room: usize) -> Result<(), Errno> {
        let pipe = &self.pipe;
        let ready = || pipe.readers.get() == 0 || pipe.ring.borrow().room() >= room;
        until_ready(thread, &pipe.watchers, non_blocking, &ready).await?;
        if pipe.readers.get() == 0 {
            broken(thread);
            return Err(Errno::EPIPE);
        }
        Ok(())
    }

    /// Reads what is there; waits for something unless `non_blocking`. 0 bytes when nobody writes.
    ///
    /// # Errors
    /// EBADF, EAGAIN, EFAULT; interrupted.
    pub async fn read(&self, thread: &Thread, non_blocking: bool, to: &mut Buffers) -> Result<usize, Errno> {
        if to.remaining() == 0 {
            return Ok(0);
        }
        self.filling(thread, non_blocking).await?;
        let length = self.pipe.ring.borrow_mut().drain(to)?;
        if length > 0 {
            self.pipe.watchers.notify(Events::OUT);
        }
        Ok(length)
    }

    /// Writes; waits for room unless `non_blocking`. What is short is written in one piece.
    ///
    /// # Errors
    /// EPIPE with SIGPIPE; EAGAIN, EFAULT; interrupted.
    pub async fn write(
        &self,
        thread: &Thread,
        non_blocking: bool,
        from: &mut Buffers,
    ) -> Result<usize, Errno> {
        let total = from.remaining();
        if total == 0 {
            return Ok(0);
        }
        let room = if total <= ATOMIC { total } else { 1 };
        let mut done = 0;
        while done < total {
            let moved = match self.draining(thread, non_blocking, room).await {
                Ok(()) => self.pipe.ring.borrow_mut().fill(from, usize::MAX),
                Err(error) => Err(error),
            };
            match moved {
                Ok(0) => break,
                Ok(length) => {
                    done += length;
                    self.pipe.watchers.notify(Events::IN);
                }
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// Moves up to `most` bytes from another pipe into this one, and leaves them there when `keep`; waits for nothing.
    pub fn pull(&self, from: &Self, most: usize, keep: bool) -> usize {
        let mut to = self.pipe.ring.borrow_mut();
        let mut source = from.pipe.ring.borrow_mut();
        let mut bytes = alloc::vec![0; most.min(to.room()).min(source.length())];
        let length = source.peek(&mut bytes);
        to.push(&bytes[..length]);
        if !keep {
            source.skip(length);
        }
        drop((to, source));
        if length > 0 {
            self.pipe.watchers.notify(Events::IN);
            from.pipe.watchers.notify(Events::OUT);
        }
        length
    }

    /// Takes in as many of `bytes` as find room.
    pub fn push(&self, bytes: &[u8]) -> usize {
        let pushed = self.pipe.ring.borrow_mut().push(bytes);
        self.pipe.watchers.notify(Events::IN);
        pushed
    }

    /// Copies what comes next into `bytes`, and leaves it.
    pub fn peek(&self, bytes: &mut [u8]) -> usize {
        self.pipe.ring.borrow().peek(bytes)
    }

    /// Forgets what comes next.
    pub fn skip(&self, count: usize) {
        self.pipe.ring.borrow_mut().skip(count);
        self.pipe.watchers.notify(Events::OUT);
    }

    /// Bytes that find room.
    pub fn room(&self) -> usize {
        self.pipe.ring.borrow().room()
    }

    /// See [`Description::readiness`].
    pub fn readiness(&self) -> Events {
        let ring = self.pipe.ring.borrow();
        let mut events = Events::NONE;
        if self.reads {
            let ended = self.pipe.writers.get() == 0 && self.pipe.seen.get().1 != self.writers_before;
            events = events.or(Events::IN.when(ring.length() > 0)).or(Events::HANG_UP.when(ended));
        }
        if self.writes {
            events = events.or(Events::OUT.when(ring.room() >= ATOMIC));
            events = events.or(Events::ERROR.when(self.pipe.readers.get() == 0));
        }
        events
    }

    /// See [`Description::watchers`].
    pub fn watchers(&self) -> &Watchers {
        &self.pipe.watchers
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let pipe = &self.pipe;
        pipe.readers.set(pipe.readers.get() - u32::from(self.reads));
        pipe.writers.set(pipe.writers.get() - u32::from(self.writes));
        pipe.watchers.notify(Events::HANG_UP.or(Events::ERROR));
    }
}

/// Nobody reads what a thread writes: it gets SIGPIPE.
pub fn broken(thread: &Thread) {
    let (process, user) = (thread.process.id, thread.process.credentials.borrow().users[0]);
    // One that finds no room is lost, as by Linux.
    let _ = signal::send_to_thread(
        thread,
        signal::Information::sent(signal::SIGPIPE, signal::code::USER, process, user),
    );
}

/// pipe(2), pipe2(2).
pub fn make(thread: &Rc<Thread>, at: usize, flags: u32) -> Outcome {
    // O_DIRECT, which keeps what was written at once together, is not there.
    if flags & !(NON_BLOCKING | CLOSE_ON_EXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    let pipe = Pipe::new(thread.process.files.tree.number());
    let status = flags & NON_BLOCKING;
    let reading = Description::new(Kind::Pipe(End::new(pipe.clone(), true, false, None)), status);
    let writing = Description::new(Kind::Pipe(End::new(pipe, false, true, None)), status | WRITE_ONLY);
    let on_exec = flags & CLOSE_ON_EXEC != 0;
    let mut table = thread.process.files.table.borrow_mut();
    let one = table.insert(reading, on_exec, 0)?;
    let other = match table.insert(writing, on_exec, 0) {
        Ok(other) => other,
        Err(error) => {
            let _closed = table.close(one);
            return Err(error);
        }
    };
    let both = [one.to_le_bytes(), other.to_le_bytes()].concat();
    if let Err(error) = user::write(at, &both) {
        let _closed = (table.close(one), table.close(other));
        return Err(error);
    }
    Ok(0)
}

/// Opens a named pipe: waits for the other end unless it is opened for both or O_NONBLOCK.
///
/// # Errors
/// ENXIO when it is opened for writing with O_NONBLOCK and nobody reads; interrupted.
pub async fn open(thread: &Thread, node: &Rc<Node>, flags: u32) -> Result<End, Errno> {
    let super::tree::Kind::Pipe(place) = &node.kind else { return Err(Errno::ENXIO) };
    let known = place.borrow().upgrade();
    let pipe = known.unwrap_or_else(|| {
        let pipe = Pipe::new(node.number);
        *place.borrow_mut() = Rc::downgrade(&pipe);
        pipe
    });
    let (reads, writes) = match flags & ACCESS {
        0 => (true, false),
        WRITE_ONLY => (false, true),
        READ_WRITE => (true, true),
        _ => return Err(Errno::EINVAL),
    };
    if writes && !reads && flags & NON_BLOCKING != 0 && pipe.readers.get() == 0 {
        return Err(Errno::ENXIO);
    }
    let before = pipe.seen.get();
    let end = End::new(pipe.clone(), reads, writes, Some(node.clone()));
    if reads != writes && flags & NON_BLOCKING == 0 {
        let came = || {
            let (readers, writers) = pipe.seen.get();
            if reads {
                pipe.writers.get() > 0 || writers != before.1
            } else {
                pipe.readers.get() > 0 || readers != before.0
            }
        };
        until_ready(thread, &pipe.watchers, false, &came).await?;
    }
    Ok(end)
}
