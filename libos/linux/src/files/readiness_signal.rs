//! Signals that tell of readiness (O_ASYNC of open(2); F_SETOWN, F_SETOWN_EX and F_SETSIG of fcntl(2)).
//!
//! A description that sends them watches itself. What it is ready for is asked by a task of its own, since whoever tells of
//! a change is still busy with it.

use super::description::{Description, Kind};
use crate::Errno;
use crate::process::Process;
use crate::signal::{self, Information};
use crate::thread::Thread;
use crate::wait::{Events, Place, Watch};
use alloc::rc::{Rc, Weak};
use core::cell::Cell;

/// SIGIO; POLL_IN and POLL_OUT of si_code, and the bits of si_band that go with them.
const SIGIO: u8 = 29;
const IN: (i32, u64) = (1, 0x41);
const OUT: (i32, u64) = (2, 0x304);
/// The last signal.
const SIGNALS: u64 = 64;

/// Who gets the signals: F_OWNER_TID, F_OWNER_PID, F_OWNER_PGRP.
pub const OWNER_THREAD: i32 = 0;
pub const OWNER_PROCESS: i32 = 1;
pub const OWNER_GROUP: i32 = 2;

/// What a description has of it.
pub struct Signals {
    itself: Weak<Self>,
    process: Weak<Process>,
    file: Weak<Description>,
    /// What the owner is and its number; 0: there is none.
    owner: Cell<(i32, i32)>,
    /// 0: SIGIO, which tells nothing.
    number: Cell<u8>,
    /// While it is on: the watch, and the descriptor that it was switched on by.
    on: Cell<Option<(Place, i32)>>,
    /// Changes that the task has not seen.
    changes: Cell<u32>,
}

impl Signals {
    /// Those of a description.
    pub fn of(thread: &Thread, file: &Rc<Description>) -> Rc<Self> {
        let make = || {
            Rc::new_cyclic(|itself: &Weak<Self>| Self {
                itself: itself.clone(),
                process: Rc::downgrade(&thread.process),
                file: Rc::downgrade(file),
                owner: Cell::default(),
                number: Cell::new(0),
                on: Cell::default(),
                changes: Cell::new(0),
            })
        };
        file.signals.get_or_init(make).clone()
    }

    /// The owner: what it is and its number.
    pub fn owner(&self) -> (i32, i32) {
        self.owner.get()
    }

    /// Sets the owner.
    ///
    /// # Errors
    /// EINVAL for what is no owner; ESRCH when there is none of this number.
    pub fn set_owner(&self, kind: i32, id: i32) -> Result<(), Errno> {
        if !(OWNER_THREAD..=OWNER_GROUP).contains(&kind) {
            return Err(Errno::EINVAL);
        }
        let Some(process) = self.process.upgrade() else { return Err(Errno::ESRCH) };
        let number = u32::try_from(id).map_err(|_| Errno::ESRCH)?;
        if id != 0 && number != process.id && (kind == OWNER_GROUP || process.thread(number).is_none()) {
            return Err(Errno::ESRCH);
        }
        self.owner.set((kind, id));
        Ok(())
    }

    /// The signal that is sent; 0: SIGIO.
    pub fn number(&self) -> u8 {
        self.number.get()
    }

    /// Sets which signal is sent.
    ///
    /// # Errors
    /// EINVAL for what is none.
    pub fn set_number(&self, number: u64) -> Result<(), Errno> {
        if number > SIGNALS {
            return Err(Errno::EINVAL);
        }
        self.number.set(number as u8);
        Ok(())
    }

    /// Switches it on or off, by a descriptor, which the signals name.
    pub fn switch(&self, on: bool, descriptor: i32) {
        let Some(file) = self.file.upgrade() else { return };
        let Some(watchers) = file.watchers() else { return };
        match (self.on.get(), on) {
            (Some((place, _)), true) => self.on.set(Some((place, descriptor))),
            (Some((place, _)), false) => {
                watchers.remove(place);
                self.on.set(None);
            }
            (None, true) => {
                let itself: Weak<dyn Watch> = self.itself.clone();
                self.on.set(Some((watchers.tell(itself, 0, false), descriptor)));
                // Whoever asks is told of the next change.
                file.readiness();
            }
            (None, false) => {}
        }
    }

    /// Sends what is to be told of changes.
    fn send(&self, changes: Events) {
        let Some(file) = self.file.upgrade() else { return };
        let ready = file.readiness();
        for (events, (code, band)) in [(Events::IN, IN), (Events::OUT, OUT)] {
            if changes.and(events).is_none() || ready.and(events).is_none() {
                continue;
            }
            let (Some((_, descriptor)), Some(process)) = (self.on.get(), self.process.upgrade()) else {
                return;
            };
            let number = self.number.get();
            let told = match number {
                0 => Information::kernel(SIGIO),
                _ => Information { number, error: 0, code, rest: [band, descriptor as u32 as u64, 0, 0] },
            };
            let (kind, id) = self.owner.get();
            let thread = if kind == OWNER_THREAD { process.thread(id as u32) } else { None };
            let send = |told| match &thread {
                Some(thread) => signal::send_to_thread(thread, told),
                None => signal::send_to_process(&process, told),
            };
            // When too many are queued, SIGIO says that something was lost (send_sigio_to_task in fs/fcntl.c).
            if id != 0 && send(told).is_err() {
                let _ = send(Information::kernel(SIGIO));
            }
        }
    }
}

impl Watch for Signals {
    fn changed(&self, _: u64, events: Events) -> bool {
        let before = self.changes.replace(self.changes.get() | events.0);
        if let (0, Some(itself)) = (before, self.itself.upgrade()) {
            kernlet_exec::spawn("readiness signal", async move {
                let changes = itself.changes.take();
                itself.send(Events(changes));
            });
        }
        false
    }
}

/// Whether a description of this kind sends signals; others keep the flag and send none.
pub fn sends(kind: &Kind) -> bool {
    matches!(kind, Kind::Pipe(_) | Kind::Socket(_) | Kind::Console(_) | Kind::Notify(_))
}
