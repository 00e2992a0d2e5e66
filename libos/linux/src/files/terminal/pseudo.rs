//! Pseudo-terminals (pty(7)): terminals at whose other end a program sits, the master.

use super::{CHUNK, Sink, Terminal};
use crate::call::Outcome;
use crate::files::console::Console;
use crate::files::description::{Description, Kind};
use crate::files::device::Device;
use crate::files::flags::{ACCESS, CLOSE_ON_EXEC, NON_BLOCKING};
use crate::files::tree::node::S_IFCHR;
use crate::files::tree::{self, Location, Node, Place, Who, directory};
use crate::process::Process;
use crate::signal::{Information, SIGCONT, SIGHUP, code, send_to_process};
use crate::thread::Thread;
use crate::user::Buffers;
use crate::wait::{Events, Watchers, until_ready};
use crate::{Errno, user};
use alloc::collections::VecDeque;
use alloc::format;
use alloc::rc::{Rc, Weak};
use core::cell::Cell;
use kernlet_platform::cell::RefCell;
use kernlet_sync::SmallMap;

/// What has been written and not been read by the master, bytes at most.
const FAR_MOST: usize = 8192;
/// How many there may be (kernel.pty.max).
const MOST: u32 = 4096;
/// The group of terminals, and their mode (devpts with gid=5, mode=620).
const GROUP: u32 = 5;
const MODE: u32 = 0o620;

/// All of them, by their numbers.
#[derive(Default)]
pub struct Terminals(RefCell<SmallMap<u32, Weak<Pseudo>>>);

/// What is shown at a pseudo-terminal: the master reads it.
pub struct Far {
    bytes: RefCell<VecDeque<u8>>,
    /// The master's: told when there is something to read, and when more may be typed.
    pub watchers: Watchers,
    /// The master has been closed.
    pub gone: Cell<bool>,
}

impl Far {
    /// Takes what there is room for.
    ///
    /// # Errors
    /// EAGAIN; EIO when the master has been closed.
    pub fn offer(&self, bytes: &[u8]) -> Result<usize, Errno> {
        if self.gone.get() {
            return Err(Errno::EIO);
        }
        let mut there = self.bytes.borrow_mut();
        let room = FAR_MOST.saturating_sub(there.len()).min(bytes.len());
        if room == 0 {
            return Err(Errno::EAGAIN);
        }
        there.extend(&bytes[..room]);
        drop(there);
        self.watchers.notify(Events::IN);
        Ok(room)
    }
}

/// A pseudo-terminal.
pub struct Pseudo {
    number: u32,
    terminal: Rc<Terminal>,
    far: Rc<Far>,
    /// Its name in /dev/pts.
    place: Place,
    /// It cannot be opened yet (unlockpt(3)).
    locked: Cell<bool>,
    /// How often it is open, and whether it ever was.
    open: Cell<u32>,
    used: Cell<bool>,
}

/// The master's end.
pub struct Master(Rc<Pseudo>, Weak<Process>);

/// The other end, where the terminal is used.
pub struct Slave(Rc<Pseudo>);

impl Slave {
    /// Opens it.
    ///
    /// # Errors
    /// EIO when its master has not unlocked it, or is gone.
    pub fn open(thread: &Thread, number: u32) -> Result<Kind, Errno> {
        let known = thread.process.files.tree.terminals.0.borrow().get(&number).and_then(Weak::upgrade);
        Self::of(&known.ok_or(Errno::EIO)?)
    }

    fn of(pseudo: &Rc<Pseudo>) -> Result<Kind, Errno> {
        if pseudo.locked.get() || pseudo.far.gone.get() {
            return Err(Errno::EIO);
        }
        pseudo.open.set(pseudo.open.get() + 1);
        pseudo.used.set(true);
        Ok(Kind::Console(Rc::new(Console::Slave(Self(pseudo.clone())))))
    }

    /// The terminal.
    pub fn terminal(&self) -> &Rc<Terminal> {
        &self.0.terminal
    }
}

impl Drop for Slave {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
        self.0.far.watchers.notify(Events::HANG_UP);
    }
}

impl Master {
    /// Opens a new one: /dev/ptmx.
    ///
    /// # Errors
    /// ENOSPC when there are too many.
    pub fn open(thread: &Thread) -> Result<Kind, Errno> {
        let process = &thread.process;
        let tree = &process.files.tree;
        let mut all = tree.terminals.0.borrow_mut();
        let number = (0..MOST).find(|n| !all.contains_key(n)).ok_or(Errno::ENOSPC)?;
        let around = directory::find(&directory::find(tree.top(), b"dev")?, b"pts")?;
        let user = Who::of(&process.credentials).user;
        let device = tree::Kind::Device(Device::Pseudo(number));
        let node = Node::new(&around.system, S_IFCHR | MODE, (user, GROUP), device)?;
        let name = format!("{number}").into_bytes();
        directory::insert(&around, &name, &node)?;
        let far =
            Rc::new(Far { bytes: RefCell::default(), watchers: Watchers::new(), gone: Cell::new(false) });
        let (found, around) = (Some(Location::Node(node)), Location::Node(around));
        let pseudo = Rc::new(Pseudo {
            number,
            terminal: Terminal::with(Sink::Master(far.clone())),
            far,
            place: Place { found, around, name, slash: false, follow: false },
            locked: Cell::new(true),
            open: Cell::new(0),
            used: Cell::new(false),
        });
        all.insert(number, Rc::downgrade(&pseudo));
        Ok(Kind::Master(Self(pseudo, Rc::downgrade(process))))
    }

    /// Nobody has the other end open any more.
    fn is_left(&self) -> bool {
        self.0.used.get() && self.0.open.get() == 0
    }

    /// Bytes that can be read.
    pub fn filled(&self) -> usize {
        self.0.far.bytes.borrow().len()
    }

    /// Reads what was written at the other end.
    ///
    /// # Errors
    /// EIO when nobody has that open any more; EAGAIN, EFAULT; interrupted.
    pub async fn read(&self, thread: &Thread, non_blocking: bool, to: &mut Buffers) -> Result<usize, Errno> {
        let Pseudo { far, terminal, .. } = &*self.0;
        let ready = || self.filled() > 0 || self.is_left();
        until_ready(thread, &far.watchers, non_blocking, &ready).await?;
        let mut bytes = far.bytes.borrow_mut();
        if bytes.is_empty() {
            return Err(Errno::EIO);
        }
        let length = to.remaining().min(bytes.len());
        let length = to.fill(&bytes.make_contiguous()[..length])?;
        bytes.drain(..length);
        drop(bytes);
        terminal.go_on();
        Ok(length)
    }

    /// Types.
    ///
    /// # Errors
    /// EAGAIN, EFAULT; interrupted.
    pub async fn write(
        &self,
        thread: &Thread,
        non_blocking: bool,
        from: &mut Buffers,
    ) -> Result<usize, Errno> {
        let Pseudo { far, terminal, .. } = &*self.0;
        let mut done = 0;
        while from.remaining() > 0 {
            let moved = if terminal.takes() {
                let mut chunk = [0; CHUNK];
                from.take(&mut chunk).inspect(|&length| terminal.typed(&thread.process, &chunk[..length]))
            } else {
                until_ready(thread, &far.watchers, non_blocking, &|| terminal.takes()).await.map(|()| 0)
            };
            match moved {
                Ok(length) => done += length,
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// See [`Description::readiness`].
    pub fn readiness(&self) -> Events {
        Events::IN
            .when(self.filled() > 0)
            .or(Events::OUT.when(self.0.terminal.takes()))
            .or(Events::HANG_UP.when(self.is_left()))
    }

    /// See [`Description::watchers`].
    pub fn watchers(&self) -> &Watchers {
        &self.0.far.watchers
    }

    /// ioctl(2): what masters have for themselves (ioctl_tty(2)), and what the terminal has.
    ///
    /// # Errors
    /// Those of ioctl_tty(2).
    pub fn control(&self, thread: &Thread, request: u32, at: usize) -> Outcome {
        match request {
            // TIOCSPTLCK, TIOCGPTLCK, TIOCGPTN.
            0x4004_5431 => self.0.locked.set(user::read_u32(at)? != 0),
            0x8004_5439 => user::write(at, &u32::from(self.0.locked.get()).to_le_bytes())?,
            0x8004_5430 => user::write(at, &self.0.number.to_le_bytes())?,
            // TIOCGPTPEER: opens the other end, whatever is mounted where.
            0x5441 => {
                let flags = at as u32;
                let kind = Slave::of(&self.0)?;
                let file =
                    Description::with(kind, flags & (ACCESS | NON_BLOCKING), Some(self.0.place.clone()));
                let table = &thread.process.files.table;
                let number = table.borrow_mut().insert(file, flags & CLOSE_ON_EXEC != 0, 0)?;
                return Ok(number as u64);
            }
            // TIOCGPGRP: none is no error here.
            0x540f => user::write(at, &self.0.terminal.foreground.get().to_le_bytes())?,
            _ => return self.0.terminal.control(thread, request, at),
        }
        Ok(0)
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        let Pseudo { far, terminal, place, number, .. } = &*self.0;
        far.gone.set(true);
        terminal.hang_up();
        let Some(process) = self.1.upgrade() else { return };
        if terminal.foreground.replace(0) != 0 {
            for signal in [SIGHUP, SIGCONT] {
                // One that finds no room is lost, as by Linux.
                let _ = send_to_process(&process, Information::sent(signal, code::KERNEL, 0, 0));
            }
        }
        process.files.tree.terminals.0.borrow_mut().remove(number);
        if let Location::Node(around) = &place.around {
            // The program may have removed it.
            let _ = directory::remove(around, &place.name, false);
        }
    }
}
