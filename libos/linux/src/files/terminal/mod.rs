//! The instance's terminal (tty(4), ioctl_tty(2)): the host's passes bytes as they are, the line discipline is here.

mod control;
mod discipline;
mod modes;

use super::console::Output;
use crate::process::Process;
use crate::signal::{Information, send_to_process};
use crate::thread::Thread;
use crate::user::Buffers;
use crate::wait::{Events, Watchers};
use crate::{Errno, signal};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;
use core::time::Duration;
use discipline::Discipline;
use kernlet_exec::{Source, spawn, timeout};
use kernlet_net::Memory;
use kernlet_platform::cell::RefCell;
use kernlet_platform::console::{self, Stream};
use modes::{at, local};

/// What is moved at a time.
const CHUNK: usize = 1024;
/// What is typed while so much is to be shown yet is not echoed.
const ECHO_MOST: usize = 8192;

/// The terminal.
pub struct Terminal {
    discipline: RefCell<Discipline>,
    watchers: Watchers,
    /// The process group in the foreground.
    foreground: Cell<u32>,
    /// Rows, columns and pixels that were set by the program; `None`: those of the user's terminal.
    size: Cell<Option<[u16; 4]>>,
    /// Nothing will be typed any more.
    ended: Cell<bool>,
    output: Rc<Output>,
    /// What is to be shown yet, and whether it is held back.
    backlog: RefCell<Vec<u8>>,
    held: Cell<bool>,
}

impl Terminal {
    /// As it is at first.
    pub fn new() -> Rc<Self> {
        Rc::new(Self {
            discipline: RefCell::default(),
            watchers: Watchers::new(),
            foreground: Cell::new(1),
            size: Cell::new(None),
            ended: Cell::new(false),
            output: Output::new(Stream::Out),
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
            loop {
                this.watchers.until(|| this.shows().then_some(())).await;
                this.output.source.writable().await;
                this.show(b"");
                this.watchers.notify(Events::OUT);
            }
        });
    }

    /// Whether something is to be shown now.
    fn shows(&self) -> bool {
        !self.held.get() && !self.backlog.borrow().is_empty()
    }

    /// Whether more may be written.
    pub fn has_room(&self) -> bool {
        !self.held.get() && self.backlog.borrow().is_empty()
    }

    /// Shows what is to be shown, and these bytes, as far as there is room; the rest comes later.
    fn show(&self, bytes: &[u8]) {
        let mut backlog = self.backlog.borrow_mut();
        if backlog.len() < ECHO_MOST {
            backlog.extend_from_slice(bytes);
        }
        while !self.held.get() && !backlog.is_empty() {
            match self.output.offer(&backlog) {
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
        for number in effects.signals {
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
        let pause = Duration::from_millis(100 * time as u64);
        if modes.has(local::LINES) {
            if !self.is_ready() {
                if non_blocking {
                    return Err(Errno::EAGAIN);
                }
                thread.interruptible(self.watchers.until(|| self.is_ready().then_some(()))).await?;
            }
        } else if least == 0 {
            let some = self.watchers.until(|| (self.filled() > 0 || self.ended.get()).then_some(()));
            if time > 0 && !non_blocking {
                // Nothing within the time is no error.
                let _ = thread.interruptible(timeout(pause, some)).await?;
            }
        } else {
            let wanted = least.min(to.remaining());
            let enough = |count: usize| self.filled() >= count || self.ended.get();
            if non_blocking && self.filled() == 0 && !self.ended.get() {
                return Err(Errno::EAGAIN);
            }
            let first = if time == 0 { wanted } else { 1 };
            if !non_blocking {
                thread.interruptible(self.watchers.until(|| enough(first).then_some(()))).await?;
            }
            // With a time, it ends the read when nothing more is typed for so long.
            while time > 0 && !non_blocking && !enough(wanted) {
                let before = self.filled();
                let more =
                    self.watchers.until(|| (self.filled() != before || self.ended.get()).then_some(()));
                if thread.interruptible(timeout(pause, more)).await?.is_err() {
                    break;
                }
            }
        }
        let bytes = self.discipline.borrow_mut().take(to.remaining());
        self.watchers.notify(Events::NONE);
        to.fill(&bytes)
    }

    /// Takes in a piece of what is written.
    ///
    /// # Errors
    /// EAGAIN when what was written before is not shown yet; EFAULT.
    pub fn give(&self, from: &mut dyn Memory) -> Result<usize, Errno> {
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
        let output = Events::OUT.when(self.has_room());
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
