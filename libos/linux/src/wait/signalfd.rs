//! signalfd(2): signals that are read.

use super::watchers::{Events, Watchers};
use super::{Deadline, registered};
use crate::call::Outcome;
use crate::files::Kind;
use crate::process::Process;
use crate::signal::{self, Information, NEVER_BLOCKED, Set};
use crate::thread::Thread;
use crate::user::Buffers;
use crate::{Errno, user};
use alloc::rc::{Rc, Weak};
use core::cell::Cell;

/// SFD_NONBLOCK, SFD_CLOEXEC.
const NON_BLOCKING: u32 = 0o4000;
const CLOSE_ON_EXEC: u32 = 0o2000000;
/// Bytes of a `struct signalfd_siginfo`.
const LENGTH: usize = 128;

/// Signals that are read.
pub struct SignalFd {
    set: Cell<Set>,
    process: Rc<Process>,
    /// Who made it: signals of threads are told of when they are this one's.
    thread: Weak<Thread>,
}

/// signalfd(2), signalfd4(2): a new one, or another set for one that is there.
pub fn create(thread: &Rc<Thread>, descriptor: i32, at: usize, size: usize, flags: u32) -> Outcome {
    if size != 8 || flags & !(NON_BLOCKING | CLOSE_ON_EXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    let set = user::read_u64(at)? & !NEVER_BLOCKED;
    if descriptor != -1 {
        let file = thread.process.files.get(descriptor)?;
        let Kind::SignalFd(known) = &file.kind else { return Err(Errno::EINVAL) };
        known.set.set(set);
        known.watchers().notify(Events::IN);
        return Ok(descriptor as u64);
    }
    let process = thread.process.clone();
    let signals = SignalFd { set: Cell::new(set), process, thread: Rc::downgrade(thread) };
    registered(thread, Kind::SignalFd(signals), 2 | flags & NON_BLOCKING, flags & CLOSE_ON_EXEC != 0)
}

/// What a signal tells, as a `struct signalfd_siginfo`.
fn told(information: &Information) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    let mut put = |at: usize, part: &[u8]| bytes[at..at + part.len()].copy_from_slice(part);
    let [first, second, ..] = information.rest;
    let (low, high) = ((first as u32).to_le_bytes(), ((first >> 32) as u32).to_le_bytes());
    put(0, &u32::from(information.number).to_le_bytes());
    put(4, &information.error.to_le_bytes());
    put(8, &information.code.to_le_bytes());
    if information.of_timer().is_some() {
        // ssi_tid, ssi_overrun.
        put(24, &low);
        put(32, &high);
    } else {
        // ssi_pid, ssi_uid.
        put(12, &low);
        put(16, &high);
    }
    // ssi_int, ssi_ptr, ssi_addr.
    put(44, &(second as u32).to_le_bytes());
    put(48, &second.to_le_bytes());
    put(72, &first.to_le_bytes());
    bytes
}

impl SignalFd {
    /// Reads as many signals as are pending and fit.
    ///
    /// # Errors
    /// EINVAL for less room than one takes; EAGAIN.
    pub async fn read(&self, thread: &Thread, non_blocking: bool, to: &mut Buffers) -> Result<usize, Errno> {
        if to.remaining() < LENGTH {
            return Err(Errno::EINVAL);
        }
        let next = || signal::take(thread, self.set.get());
        let mut first = next();
        if first.is_none() && !non_blocking {
            let mut came = || {
                first = next();
                first.is_some()
            };
            Deadline::Never.ready(thread, self.watchers(), &mut came).await?;
        }
        let mut information = first.ok_or(Errno::EAGAIN)?;
        let mut done = 0;
        loop {
            match to.fill_whole(&told(&information)) {
                Ok(length) => done += length,
                Err(_) if done > 0 => return Ok(done),
                Err(error) => return Err(error),
            }
            if to.remaining() < LENGTH {
                return Ok(done);
            }
            match next() {
                Some(more) => information = more,
                None => return Ok(done),
            }
        }
    }

    /// See [`crate::files::Description::readiness`].
    pub fn readiness(&self) -> Events {
        let own = self.thread.upgrade().map_or(0, |thread| thread.signals.pending.set());
        let pending = self.process.signals.pending.set() | own;
        Events::IN.when(pending & self.set.get() != 0)
    }

    /// See [`crate::files::Description::watchers`].
    pub fn watchers(&self) -> &Watchers {
        &self.process.signals.watchers
    }
}
