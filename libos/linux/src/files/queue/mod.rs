//! POSIX message queues (mq_overview(7)): what is open, and what its messages do.

mod calls;

pub use calls::{attributes, notify, open, receive, send, unlink};

use super::tree::Node;
use crate::Errno;
use crate::process::Process;
use crate::signal::{Information, code, send_to_process};
use crate::sockets::{Socket, Speech};
use crate::wait::{Events, Watchers};
use alloc::boxed::Box;
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::Cell;
use kernlet_platform::cell::RefCell;
use kernlet_sync::SmallMap;

/// Bytes of what a helper thread of the C library is told with (NOTIFY_COOKIE_LEN), and the last of them: there is a message,
/// or the wish to be told is gone.
const COOKIE: usize = 32;
const WOKEN: u8 = 1;
const REMOVED: u8 = 2;
/// What the kernel needs for a message beside its bytes: a pointer, and a node of its tree (ipc/mqueue.c).
const OVERHEAD: u64 = 8 + 48;

/// The queues that have names.
#[derive(Default)]
pub struct Queues {
    names: RefCell<SmallMap<Vec<u8>, Rc<Queue>>>,
    /// What all queues may take, as RLIMIT_MSGQUEUE counts it.
    bytes: Rc<Cell<u64>>,
}

/// A queue.
pub struct Queue {
    /// Its owner and mode.
    node: Rc<Node>,
    /// Messages that it holds, and bytes of one, at most.
    most: usize,
    longest: usize,
    /// With their priorities: rising, and of one priority the oldest last.
    messages: RefCell<Vec<(u32, Box<[u8]>)>>,
    /// How many threads wait for a message.
    receivers: Cell<usize>,
    notice: RefCell<Option<Notice>>,
    watchers: Watchers,
    bytes: Rc<Cell<u64>>,
}

/// Who wants to be told of a message in an empty queue (mq_notify(2)).
enum Notice {
    /// Nobody, but no one else either.
    None,
    /// A process, by a signal with a value.
    Signal(Weak<Process>, u8, u64),
    /// A thread that reads from a netlink socket.
    Thread(Rc<Socket>, [u8; COOKIE]),
}

impl Notice {
    /// Tells that there is a message, which one of the user `by` sent.
    fn tell(self, process: u32, by: u32) {
        match self {
            Self::None => {}
            Self::Signal(whom, number, value) => {
                let mut information = Information::sent(number, code::QUEUE_OF_MESSAGES, process, by);
                information.rest[1] = value;
                if let Some(whom) = whom.upgrade() {
                    // One that finds no room is lost, as by Linux.
                    let _ = send_to_process(&whom, information);
                }
            }
            Self::Thread(socket, cookie) => wake(&socket, cookie, WOKEN),
        }
    }
}

/// Hands the cookie to the thread that reads it.
fn wake(socket: &Socket, mut cookie: [u8; COOKIE], what: u8) {
    cookie[COOKIE - 1] = what;
    if let Speech::Netlink(netlink) = &socket.speech {
        netlink.put(cookie.to_vec());
        socket.watchers().notify(Events::IN);
    }
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.messages.borrow().is_empty()
    }

    fn has_room(&self) -> bool {
        self.messages.borrow().len() < self.most
    }

    /// Adds a message; tells who wants to know of the first one, unless somebody waits for it.
    fn put(&self, priority: u32, message: Box<[u8]>, process: u32, by: u32) {
        let mut messages = self.messages.borrow_mut();
        let at = messages.partition_point(|(other, _)| *other < priority);
        messages.insert(at, (priority, message));
        let first = messages.len() == 1;
        drop(messages);
        if first && self.receivers.get() == 0 {
            let notice = self.notice.borrow_mut().take();
            notice.into_iter().for_each(|notice| notice.tell(process, by));
        }
        self.watchers.notify(Events::IN);
    }

    /// Takes the oldest message of the highest priority.
    fn take(&self) -> Option<(u32, Box<[u8]>)> {
        let taken = self.messages.borrow_mut().pop();
        if taken.is_some() {
            self.watchers.notify(Events::OUT);
        }
        taken
    }

    /// Nobody wants to be told any more.
    fn forget(&self) {
        if let Some(Notice::Thread(socket, cookie)) = self.notice.borrow_mut().take() {
            wake(&socket, cookie, REMOVED);
        }
    }

    /// What it counts for.
    fn weight(most: usize, longest: usize) -> Option<u64> {
        (longest as u64).checked_add(OVERHEAD)?.checked_mul(most as u64)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let weight = Self::weight(self.most, self.longest).unwrap_or(0);
        self.bytes.set(self.bytes.get().saturating_sub(weight));
    }
}

/// A queue that is open.
pub struct Opened(Rc<Queue>);

impl Opened {
    /// See [`super::Description::readiness`].
    pub fn readiness(&self) -> Events {
        Events::IN.when(!self.0.is_empty()).or(Events::OUT.when(self.0.has_room()))
    }

    /// See [`super::Description::watchers`].
    pub fn watchers(&self) -> &Watchers {
        &self.0.watchers
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // Whoever closes a queue is not told of its messages any more, through which descriptor he asked for it all the same.
        self.0.forget();
    }
}

/// Counts for a queue of so many messages of so many bytes.
fn count(queues: &Queues, most: usize, longest: usize, limit: u64) -> Result<(), Errno> {
    let sum = Queue::weight(most, longest).and_then(|weight| queues.bytes.get().checked_add(weight));
    let sum = sum.filter(|sum| *sum <= limit).ok_or(Errno::EMFILE)?;
    queues.bytes.set(sum);
    Ok(())
}
