//! One end: what has come to it, and whom it speaks to.

use super::names;
use crate::Errno;
use crate::files::Description;
use crate::files::tree::Node;
use crate::sockets::address::Name;
use crate::sockets::message::Identity;
use crate::sockets::socket::DATAGRAM;
use crate::wait::{Events, Watchers};
use alloc::collections::VecDeque;
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::Cell;
use kernlet_platform::cell::RefCell;

/// What an end holds at most, in bytes (net.core.wmem_default) and in datagrams (net.unix.max_dgram_qlen).
pub const BYTES_MOST: usize = 212_992;
const DATAGRAMS_MOST: usize = 512;

/// What was sent at once, or a part of a stream.
pub struct Message {
    pub bytes: Vec<u8>,
    /// So many of them were read.
    pub start: usize,
    pub files: Vec<Rc<Description>>,
    pub identity: Identity,
    pub from: Name,
}

impl Message {
    /// What was not read yet.
    pub fn rest(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
}

/// Whom an end is connected to. The name and the identity are those of when it was.
pub struct Connected {
    pub peer: Weak<End>,
    pub name: Name,
    pub identity: Identity,
}

/// What an end is there for.
pub enum Role {
    /// Nothing yet.
    Fresh,
    /// Taking connections, of which so many may wait.
    Listening { pending: VecDeque<Rc<End>>, most: usize },
    /// Speaking to another.
    Connected(Connected),
}

/// One end.
pub struct End {
    pub kind: u32,
    pub watchers: Watchers,
    pub role: RefCell<Role>,
    pub inbox: RefCell<VecDeque<Message>>,
    /// Bytes in the inbox.
    pub bytes: Cell<usize>,
    pub name: RefCell<Name>,
    /// The file that its name is, which leads here.
    pub place: RefCell<Option<Rc<Node>>>,
    pub identity: Identity,
    /// Reading, writing has ended.
    pub shut: Cell<[bool; 2]>,
    pub error: Cell<Option<Errno>>,
    /// Those that wait for room in the inbox, or in the queue of connections.
    pub room: Watchers,
    /// Those that wait for room without being connected.
    pub waiting: RefCell<Vec<Weak<End>>>,
}

impl End {
    /// One that is connected to nobody.
    pub fn new(kind: u32, identity: Identity) -> Rc<Self> {
        Rc::new(Self {
            kind,
            watchers: Watchers::new(),
            role: RefCell::new(Role::Fresh),
            inbox: RefCell::default(),
            bytes: Cell::new(0),
            name: RefCell::default(),
            place: RefCell::default(),
            identity,
            shut: Cell::default(),
            error: Cell::new(None),
            room: Watchers::new(),
            waiting: RefCell::default(),
        })
    }

    /// Whom it is connected to, while that is there.
    pub fn peer(&self) -> Option<Rc<Self>> {
        match &*self.role.borrow() {
            Role::Connected(connected) => connected.peer.upgrade(),
            _ => None,
        }
    }

    /// How many bytes a writer of this kind may still put in.
    pub fn room(&self, kind: u32) -> usize {
        if kind == DATAGRAM && self.inbox.borrow().len() >= DATAGRAMS_MOST {
            return 0;
        }
        BYTES_MOST.saturating_sub(self.bytes.get())
    }

    /// Something was taken out: those that wait to write are told.
    pub fn made_room(&self) {
        let waiting = core::mem::take(&mut *self.waiting.borrow_mut());
        for end in waiting.iter().filter_map(Weak::upgrade) {
            end.watchers.notify(Events::OUT);
        }
        if let Some(peer) = self.peer() {
            peer.watchers.notify(Events::OUT);
        }
    }

    /// Ends reading or writing here.
    pub fn shut(&self, reads: bool, writes: bool) {
        let [no_reading, no_writing] = self.shut.get();
        self.shut.set([no_reading || reads, no_writing || writes]);
        self.watchers.notify(Events::IN);
        self.watchers.notify(Events::OUT);
    }
}

/// Connects two ends.
pub fn join(one: &Rc<End>, other: &Rc<End>) {
    for (end, peer) in [(one, other), (other, one)] {
        *end.role.borrow_mut() = Role::Connected(Connected {
            peer: Rc::downgrade(peer),
            name: peer.name.borrow().clone(),
            identity: peer.identity,
        });
    }
}

impl Drop for End {
    fn drop(&mut self) {
        names::release(&self.name.borrow());
        if self.kind != DATAGRAM
            && let Some(peer) = self.peer()
        {
            if !self.inbox.borrow().is_empty() {
                peer.error.set(Some(Errno::ECONNRESET));
            }
            peer.shut(true, true);
        }
        self.made_room();
        self.room.notify(Events::OUT);
    }
}
