//! The one place where a monitor waits.

use super::Monitor;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

/// How long a new instance is left alone: several times what its first output takes.
const FIRST_OUTPUT: Timespec = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };

/// What a wait found ready.
#[derive(Debug, Default)]
pub(super) struct Happened {
    pub clients: bool,
    pub ended: bool,
    pub trunk: bool,
    pub outlets: [bool; 3],
    pub readers: [bool; 3],
    pub source: bool,
    pub sink: bool,
}

#[derive(Clone, Copy)]
enum What {
    Wake,
    Client,
    Ended,
    Trunk,
    Outlet(usize),
    Reader(usize),
    Source,
    Sink,
}

struct Set<'f> {
    polled: Vec<PollFd<'f>>,
    meanings: Vec<What>,
}

impl<'f> Set<'f> {
    fn add(&mut self, fd: BorrowedFd<'f>, flags: PollFlags, what: What) {
        self.meanings.push(what);
        self.polled.push(PollFd::from_borrowed_fd(fd, flags));
    }
}

impl Monitor<'_> {
    /// Waits for anything, or for the next deadline.
    pub(super) fn wait(&self) -> Happened {
        let mut set = Set { polled: Vec::with_capacity(16), meanings: Vec::with_capacity(16) };
        let mut add = |fd, flags, what| set.add(fd, flags, what);
        add(self.signals.as_fd(), PollFlags::IN, What::Wake);
        for (index, outlet) in self.outlets.iter().enumerate() {
            outlet.readable().into_iter().for_each(|fd| add(fd, PollFlags::IN, What::Outlet(index)));
            outlet.writable().into_iter().for_each(|fd| add(fd, PollFlags::OUT, What::Reader(index)));
        }
        if let Some(guest) = &self.guest {
            add(guest.pidfd.as_fd(), PollFlags::IN, What::Ended);
            if guest.control.open() {
                add(guest.control.as_fd(), PollFlags::IN, What::Wake);
            }
        }
        self.trunk.iter().for_each(|trunk| add(trunk.as_fd(), PollFlags::IN, What::Trunk));
        self.input.readable().into_iter().for_each(|fd| add(fd, PollFlags::IN, What::Source));
        self.input.writable().into_iter().for_each(|fd| add(fd, PollFlags::OUT, What::Sink));
        self.clients.descriptors().for_each(|fd| add(fd, PollFlags::IN, What::Client));
        let timeout = self.deadline().map(|at| {
            let left = at.saturating_duration_since(Instant::now());
            Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(left.subsec_nanos()),
            }
        });
        let mut happened = Happened::default();
        if poll(&mut set.polled, timeout.as_ref()).is_err() {
            return happened;
        }
        let ready = set.polled.iter().zip(set.meanings).filter(|(entry, _)| !entry.revents().is_empty());
        for (_, what) in ready {
            match what {
                What::Wake => {}
                What::Client => happened.clients = true,
                What::Trunk => happened.trunk = true,
                What::Ended => happened.ended = true,
                What::Outlet(index) => happened.outlets[index] = true,
                What::Reader(index) => happened.readers[index] = true,
                What::Source => happened.source = true,
                What::Sink => happened.sink = true,
            }
        }
        happened
    }

    /// Lets a new instance run before anything is written down about it, and shows what it says first. That is what
    /// somebody waits for, and on a busy machine the two would have to share a processor. Whatever else happens, or
    /// nothing for a moment, ends it.
    pub(super) fn show_first_output(&mut self) {
        let Some(guest) = &self.guest else { return };
        let mut polled = vec![
            PollFd::from_borrowed_fd(self.signals.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(guest.pidfd.as_fd(), PollFlags::IN),
        ];
        if self.ready.is_some() {
            // To have been entered is what its user waits for.
            polled.push(PollFd::from_borrowed_fd(guest.control.as_fd(), PollFlags::IN));
        }
        let first = polled.len();
        let readable = self.outlets.iter().filter_map(super::Outlet::readable);
        polled.extend(readable.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        let _ = poll(&mut polled, Some(&FIRST_OUTPUT));
        let ready: Vec<bool> = polled[first..].iter().map(|entry| !entry.revents().is_empty()).collect();
        let readable = self.outlets.iter_mut().filter(|outlet| outlet.readable().is_some());
        for (outlet, _) in readable.zip(ready).filter(|(_, ready)| *ready) {
            outlet.read(&mut self.means);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let memory = self.life.memory.as_ref().map(super::MemoryWatch::deadline);
        [self.life.kill_at, self.life.start_at, self.means.symboliser.deadline(), memory]
            .into_iter()
            .flatten()
            .min()
    }

    /// After the instance's end: waits until somebody takes what is to be shown. `false` when the user gives up.
    pub(super) fn wait_for_readers(&self) -> bool {
        let signals = self.signals.as_fd();
        let mut polled = vec![PollFd::from_borrowed_fd(signals, PollFlags::IN)];
        let readers = self.outlets.iter().filter_map(super::Outlet::writable);
        polled.extend(readers.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::OUT)));
        let _ = poll(&mut polled, None);
        polled[0].revents().is_empty()
    }
}
