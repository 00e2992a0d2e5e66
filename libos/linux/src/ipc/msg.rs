//! Message queues (msgget(2), msgop(2), msgctl(2); ipc/msg.c).
//!
//! Who waits for a message stands in the queue's list, and whoever sends one that is wanted hands it over.

use super::control as common;
use super::ids::{Body, Description, Object};
use super::waiter::{For, Waiter};
use super::{Ipc, NO_WAIT, Waits, now};
use crate::call::{Call, Outcome, WAITS};
use crate::thread::Thread;
use crate::wait::{Events, Watchers};
use crate::{Errno, user};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;
use kernlet_platform::cell::RefCell;

/// The most queues (MSGMNI).
pub const MOST: usize = 32_000;
/// The longest message (MSGMAX), and what a queue holds at first and without privilege at most (MSGMNB), bytes.
const LONGEST: usize = 8192;
pub const BYTES_MOST: u64 = 16_384;
/// What is told of pools that Linux does not have (MSGPOOL in KiB, MSGSSZ, MSGSEG).
const POOL: u32 = (MOST as u64 * BYTES_MOST / 1024) as u32;
const SEGMENT: u64 = 16;
const SEGMENTS: u64 = 0xffff;
/// What IPC_INFO tells (`struct msginfo`).
pub const LIMITS: [u64; 4] = {
    let (pool, longest, most) = (POOL as u64, LONGEST as u64, BYTES_MOST);
    [pool | most << 32, longest | most << 32, MOST as u64 | SEGMENT << 32, most | SEGMENTS << 32]
};
/// Flags of msgrcv(2).
const NO_ERROR: u32 = 0o10000;
const EXCEPT: u32 = 0o20000;
const COPY: u32 = 0o40000;
/// What a message takes beside its bytes.
const OVERHEAD: u64 = 64;

/// A message.
pub struct Message {
    kind: i64,
    bytes: Vec<u8>,
}

/// Which message is wanted.
#[derive(Clone, Copy)]
pub enum Wanted {
    /// The first.
    Any,
    /// The first of a type.
    Of(i64),
    /// The first of another type.
    NotOf(i64),
    /// The first of the lowest type up to this.
    UpTo(i64),
    /// The one of a number in the queue.
    Number(i64),
}

impl Wanted {
    /// As msgrcv(2) says it.
    fn new(kind: i64, flags: u32) -> Self {
        match kind {
            number if flags & COPY != 0 => Self::Number(number),
            0 => Self::Any,
            i64::MIN..0 => Self::UpTo(kind.checked_neg().unwrap_or(i64::MAX)),
            _ if flags & EXCEPT != 0 => Self::NotOf(kind),
            _ => Self::Of(kind),
        }
    }

    fn is(self, message: &Message) -> bool {
        match self {
            Self::Any | Self::Number(_) => true,
            Self::Of(kind) => message.kind == kind,
            Self::NotOf(kind) => message.kind != kind,
            Self::UpTo(kind) => message.kind <= kind,
        }
    }
}

/// A queue.
#[derive(Default)]
pub struct Queue {
    messages: RefCell<Vec<Message>>,
    /// Bytes of all messages, and how many there may be.
    bytes: Cell<u64>,
    /// Bytes that it holds, and messages.
    pub most: Cell<u64>,
    /// When a message was sent and received last, seconds, and by which processes.
    times: [Cell<u64>; 2],
    /// See `times`.
    processes: [Cell<u32>; 2],
    /// Who waits for room.
    pub senders: Watchers,
}

impl Queue {
    /// How many messages it holds.
    pub fn count(&self) -> u64 {
        self.messages.borrow().len() as u64
    }

    /// Whether a message has room.
    pub fn has_room(&self, message: &Message) -> bool {
        let (most, length) = (self.most.get(), message.bytes.len());
        length as u64 + self.bytes.get() <= most && self.count() < most
    }

    fn used(&self, received: usize, process: u32) {
        self.times[received].set(now());
        self.processes[received].set(process);
    }

    /// Where a message that is wanted stands.
    fn position(&self, wanted: Wanted) -> Option<usize> {
        let mut best: Option<(usize, i64)> = None;
        for (at, message) in self.messages.borrow().iter().enumerate() {
            match wanted {
                _ if !wanted.is(message) => {}
                Wanted::Number(number) if number != at as i64 => {}
                Wanted::UpTo(_) if best.is_some_and(|(_, lowest)| lowest <= message.kind) => {}
                Wanted::UpTo(_) => best = Some((at, message.kind)),
                _ => return Some(at),
            }
        }
        best.map(|(at, _)| at)
    }

    /// See [`Object::describe`].
    pub fn describe(&self, words: &mut Description, changed: u64) {
        let [sent, received] = self.times.each_ref().map(Cell::get);
        let [sender, receiver] = self.processes.each_ref().map(|process| u64::from(process.get()));
        let (bytes, count, most) = (self.bytes.get(), self.count(), self.most.get());
        words[6..13].copy_from_slice(&[sent, received, changed, bytes, count, most, sender | receiver << 32]);
    }
}

impl Object {
    /// The queue that it is; its table has no others.
    ///
    /// # Errors
    /// EINVAL.
    pub fn queue(&self) -> Result<&Queue, Errno> {
        if let Body::Queue(queue) = &self.body { Ok(queue) } else { Err(Errno::EINVAL) }
    }

    /// All who wait are told of an error; with EAGAIN they look again.
    pub fn told(&self, error: Errno) {
        self.waiters.refuse(error);
        if let Ok(queue) = self.queue() {
            queue.senders.notify(Events::OUT);
        }
    }

    /// Hands a message to the first who wants it; gives it back if nobody does.
    fn hand_over(&self, queue: &Queue, message: Message) -> Option<Message> {
        let mut at = 0;
        while let Some(waiter) = self.waiters.get(at) {
            match &waiter.waits {
                For::Message(wanted, longest) if wanted.is(&message) => {
                    if *longest >= message.bytes.len() {
                        queue.used(1, waiter.thread);
                        self.waiters.finish(&waiter, Ok(Some(message)));
                        return None;
                    }
                    self.waiters.finish(&waiter, Err(Errno::E2BIG));
                }
                _ => at += 1,
            }
        }
        Some(message)
    }
}

/// msgget(2).
pub fn get(thread: &Rc<Thread>, call: Call) -> Outcome {
    let make = || Ok((Body::Queue(Queue { most: Cell::new(BYTES_MOST), ..Queue::default() }), 0));
    thread.process.ipc.queues.get(thread, [call.word(0), call.word(1)], 0, &make)
}

/// msgsnd(2).
///
/// # Errors
/// The call's; [`WAITS`], with who waits.
pub fn send(thread: &Thread, call: Call, waits: &mut Waits) -> Outcome {
    let (id, at, length) = (call.word(0), call.size(1), call.size(2));
    let kind = user::read_u64(at)? as i64;
    if length > LONGEST || (id as i32) < 0 || kind < 1 {
        return Err(Errno::EINVAL);
    }
    let ids = &thread.process.ipc.queues;
    let message = Message { kind, bytes: user::bytes(at.wrapping_add(8), length)? };
    put(thread, &ids.find(id)?, call, message, waits)
}

/// Sends a message when there is room.
///
/// # Errors
/// The call's; [`WAITS`], with who waits.
pub fn put(thread: &Thread, object: &Rc<Object>, call: Call, message: Message, waits: &mut Waits) -> Outcome {
    object.may(thread, 0o2)?;
    let queue = object.queue()?;
    if !queue.has_room(&message) {
        if call.word(3) & NO_WAIT != 0 {
            return Err(Errno::EAGAIN);
        }
        *waits = Some(Waiter::new(object, For::Room, thread.id, Some(message)));
        return Err(WAITS);
    }
    queue.used(0, thread.process.id);
    if let Some(message) = object.hand_over(queue, message) {
        object.room.grow(message.bytes.len() as u64 + OVERHEAD)?;
        queue.bytes.update(|bytes| bytes + message.bytes.len() as u64);
        queue.messages.borrow_mut().push(message);
    }
    Ok(0)
}

/// msgrcv(2).
///
/// # Errors
/// The call's; [`WAITS`], with who waits.
pub fn receive(thread: &Thread, call: Call, waits: &mut Waits) -> Outcome {
    let (id, length, flags) = (call.word(0), call.size(2), call.word(4));
    let copies = flags & COPY != 0;
    let wrong = copies && (flags & EXCEPT != 0 || flags & NO_WAIT == 0);
    if (id as i32) < 0 || length > isize::MAX as usize || wrong {
        return Err(Errno::EINVAL);
    }
    let wanted = Wanted::new(call.arguments[3] as i64, flags);
    let longest = if flags & NO_ERROR != 0 { usize::MAX } else { length };
    let object = thread.process.ipc.queues.find(id)?;
    object.may(thread, 0o4)?;
    let queue = object.queue()?;
    let Some(at) = queue.position(wanted) else {
        if flags & NO_WAIT != 0 {
            return Err(Errno::ENOMSG);
        }
        *waits = Some(Waiter::new(&object, For::Message(wanted, longest), thread.id, None));
        return Err(WAITS);
    };
    let mut messages = queue.messages.borrow_mut();
    let bytes = messages[at].bytes.len();
    if bytes > longest {
        return Err(Errno::E2BIG);
    }
    if copies {
        return if bytes > length { Err(Errno::EINVAL) } else { give(&messages[at], call) };
    }
    let message = messages.remove(at);
    drop(messages);
    queue.used(1, thread.process.id);
    object.room.shrink(bytes as u64 + OVERHEAD);
    queue.bytes.update(|sum| sum - bytes as u64);
    queue.senders.notify(Events::OUT);
    give(&message, call)
}

/// Writes a message to the program, as much as there is room for. One that cannot be written is lost.
///
/// # Errors
/// EFAULT.
pub fn give(message: &Message, call: Call) -> Outcome {
    let length = message.bytes.len().min(call.size(2));
    user::write_words(call.size(1), &[message.kind as u64])?;
    user::write(call.size(1).wrapping_add(8), &message.bytes[..length])?;
    Ok(length as u64)
}

/// msgctl(2).
pub fn control(thread: &Rc<Thread>, call: Call) -> Outcome {
    common::control(thread, &common::QUEUES, call.word(0), call.int(1), call.size(2))
}

/// What MSG_INFO tells besides: how many queues, messages and bytes of these there are.
pub fn totals(ipc: &Ipc, words: &mut [u64]) {
    let sum = |of: fn(&Queue) -> u64| ipc.queues.sum(&|object| object.queue().map_or(0, of));
    words[0] = ipc.queues.count() | sum(Queue::count) << 32;
    words[3] = sum(|queue| queue.bytes.get()) | SEGMENTS << 32;
}
