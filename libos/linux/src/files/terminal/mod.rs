//! Terminals (tty(4), ioctl_tty(2)): the instance's, of which the host's passes bytes as they are, and pseudo-terminals. The line
//! discipline is here.

mod control;
mod discipline;
mod modes;
pub mod pseudo;

use super::console::Output;
use crate::process::Process;
use crate::signal::{Information, send_to_process};
use crate::thread::Thread;
use crate::user::Buffers;
use crate::wait::{Deadline, Events, Watchers};
use crate::{Errno, signal};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;
use discipline::Discipline;
use kernlet_exec::{Source, spawn};
use kernlet_net::Memory;
use kernlet_platform::cell::RefCell;
use kernlet_platform::console::{self, Stream};
use kernlet_time::Duration;
use modes::{at, local};
use pseudo::Far;

/// What is moved at a time.
const CHUNK: usize = 1024;
/// What is typed while so much is to be shown yet is not echoed.
const ECHO_MOST: usize = 8192;

/// Where a terminal shows what is written.
pub enum Sink {
    /// The user's terminal, by standard output.
    Console(Rc<Output>),
    /// The master of a pseudo-terminal.
    Master(Rc<Far>),
}

impl Sink {
    fn offer(&self, bytes: &[u8]) -> Result<usize, Errno> {
        match self {
            Self::Console(output) => output.offer(bytes),
            Self::Master(far) => far.offer(bytes),
        }
    }
}

/// A terminal.
pub struct Terminal {
    discipline: RefCell<Discipline>,
    watchers: Watchers,
    /// The process group in the foreground; 0: it is no process's terminal.
    foreground: Cell<u32>,
    /// Rows, columns and pixels that were set by the program; `None`: those of the user's terminal.
    size: Cell<Option<[u16; 4]>>,
    /// Nothing will be typed any more.
    ended: Cell<bool>,
    sink: Sink,
    /// What is to be shown yet, and whether it is held back.
    backlog: RefCell<Vec<u8>>,
    held: Cell<bool>,
}

impl Terminal {
    /// The instance's, as it is at first.
    pub fn new() -> Rc<Self> {
        Self::with(Sink::Console(Output::new(Stream::Out)))
    }

    fn with(sink: Sink) -> Rc<Self> {
        let foreground = u32::from(matches!(sink, Sink::Console(_)));
        Rc::new(Self {
            discipline: RefCell::default(),
            watchers: Watchers::new(),
            foreground: Cell::new(foreground),
            size: Cell::new(None),
            ended: Cell::new(false),
            sink,
            backlog: RefCell::default(),
            held: Cell::new(false),
        })
    }

    /// Starts to take what is typed: signals come although nobody reads.
    pub fn listen(self: &Rc<Self>, process: &Rc<Process>) {
        let source = Source::new();
        let waits = console::watch(source.token()).is_ok();
        let (this, process) = (self.clone(), process.clone());
        spawn("terminal", async move {
            loop {
                this.watchers.until(|| this.discipline.borrow().has_room().then_some(())).await;
                match receive() {
                    Ok(bytes) if bytes.is_empty() => break,
                    Ok(bytes) => this.typed(&process, &bytes),
                    Err(Errno::EAGAIN) if waits => {
                        source.clear_readable();
                        source.readable().await;
                    }
                    Err(_) => break,
                }
            }
            this.ended.set(true);
            this.watchers.notify(Events::IN);
        });
        let this = self.clone();
        spawn("terminal output", async move {
            while let Sink::Console(output) = &this.sink {
                this.watchers.until(|| this.shows().then_some(())).await;
                output.source.writable().await;
                this.go_on();
            }
        });
    }

    /// Whether something is to be shown now.
    fn shows(&self) -> bool {
        !self.held.get() && !self.backlog.borrow().is_empty()
    }

    /// Whether more may be written, or it is in vain to wait for that.
    pub fn has_room(&self) -> bool {
        self.is_hung_up() || !self.held.get() && self.backlog.borrow().is_empty()
    }

    /// Shows what is to be shown, and these bytes, as far as there is room; the rest comes later.
    fn show(&self, bytes: &[u8]) {
        let mut backlog = self.backlog.borrow_mut();
        if backlog.len() < ECHO_MOST {
            backlog.extend_from_slice(bytes);
        }
        while !self.held.get() && !backlog.is_empty() {
            match self.sink.offer(&backlog) {
                Ok(length) => drop(backlog.drain(..length)),
                Err(Errno::EAGAIN) => break,
                // Nobody sees it.
                Err(_) => backlog.clear(),
            }
        }
        drop(backlog);
        if self.shows() {
            self.watchers.notify(Events::NONE);
        }
    }

    /// Shows more of what is to be shown: there is room.
    fn go_on(&self) {
        self.show(b"");
        self.watchers.notify(Events::OUT);
    }

    /// Whether more may be typed.
    fn takes(&self) -> bool {
        self.discipline.borrow().has_room()
    }

    /// Its other end is gone: nothing comes of it any more, and nobody sees what is written.
    fn hang_up(&self) {
        self.ended.set(true);
        self.discipline.borrow_mut().flush();
        self.backlog.borrow_mut().clear();
        self.watchers.notify(Events::HANG_UP.or(Events::IN).or(Events::OUT));
    }

    fn is_hung_up(&self) -> bool {
        matches!(&self.sink, Sink::Master(far) if far.gone.get())
    }

    /// Holds output back, or lets it go on.
    fn hold(&self, held: bool) {
        if self.held.replace(held) != held {
            self.show(b"");
            self.watchers.notify(Events::OUT);
        }
    }

    /// The instance is about to end: waits until all is shown.
    pub fn finish(&self) {
        console::write(Stream::Out, &self.backlog.take());
    }

    fn typed(&self, process: &Process, bytes: &[u8]) {
        let effects = self.discipline.borrow_mut().typed(bytes);
        if let Some(held) = effects.held {
            self.hold(held);
        }
        self.show(&effects.echo);
        // Of a pseudo-terminal that is nobody's no signals come.
        let signals = if self.foreground.get() == 0 { Vec::new() } else { effects.signals };
        for number in signals {
            // One that finds no room is lost, as by Linux.
            let _ = send_to_process(process, Information::sent(number, signal::code::KERNEL, 0, 0));
        }
        self.watchers.notify(Events::IN);
    }

    /// Bytes that can be read.
    pub fn filled(&self) -> usize {
        self.discipline.borrow().filled()
    }

    fn is_ready(&self) -> bool {
        self.discipline.borrow().is_ready() || self.ended.get()
    }

    /// Reads as the modes say.
    ///
    /// # Errors
    /// EAGAIN; EFAULT; interrupted.
    pub async fn read(&self, thread: &Thread, non_blocking: bool, to: &mut Buffers) -> Result<usize, Errno> {
        if to.remaining() == 0 {
            return Ok(0);
        }
        let modes = self.discipline.borrow().modes;
        let [least, time] = [at::LEAST, at::TIME].map(|place| usize::from(modes.characters[place]));
        let lines = modes.has(local::LINES);
        let wanted = least.clamp(1, to.remaining());
        loop {
            let filled = self.filled();
            let enough = if lines { self.is_ready() } else { filled >= wanted || self.ended.get() };
            if enough || (!lines && least == 0 && time == 0) {
                break;
            }
            if non_blocking {
                if !lines && (least == 0 || filled > 0) {
                    break;
                }
                return Err(Errno::EAGAIN);
            }
            // A time ends the read when nothing more is typed for so long; with a least number, from the first byte on.
            let timed = !lines && time > 0 && (least == 0 || filled > 0);
            let limit = if timed {
                Deadline::after(Duration::from_millis(100 * time as u64))
            } else {
                Deadline::Never
            };
            let mut more =
                || if lines { self.is_ready() } else { self.filled() != filled || self.ended.get() };
            if !limit.ready(thread, &self.watchers, &mut more).await? {
                break;
            }
        }
        let bytes = self.discipline.borrow_mut().take(to.remaining());
        self.watchers.notify(Events::NONE);
        if let Sink::Master(far) = &self.sink {
            far.watchers.notify(Events::OUT);
        }
        to.fill(&bytes)
    }

    /// Takes in a piece of what is written.
    ///
    /// # Errors
    /// EAGAIN when what was written before is not shown yet; EFAULT; EIO when the other end is gone.
    pub fn give(&self, from: &mut dyn Memory) -> Result<usize, Errno> {
        if self.is_hung_up() {
            return Err(Errno::EIO);
        }
        if !self.has_room() {
            return Err(Errno::EAGAIN);
        }
        let mut chunk = [0; CHUNK];
        let length = from.take(&mut chunk)?;
        let mut shown = Vec::with_capacity(length + 16);
        self.discipline.borrow_mut().put(&chunk[..length], &mut shown);
        self.show(&shown);
        Ok(length)
    }

    /// See [`super::Description::readiness`].
    pub fn readiness(&self) -> Events {
        let hung_up = Events::ERROR.when(self.is_hung_up());
        let output = Events::OUT.when(self.has_room()).or(hung_up);
        output.or(Events::IN.when(self.is_ready())).or(Events::HANG_UP.when(self.ended.get()))
    }

    /// See [`super::Description::watchers`].
    pub fn watchers(&self) -> &Watchers {
        &self.watchers
    }
}

/// What was typed and is there: nothing at the end.
fn receive() -> Result<Vec<u8>, Errno> {
    let mut chunk = [0; CHUNK];
    let length = console::read(&mut chunk)?;
    Ok(chunk[..length].to_vec())
}
