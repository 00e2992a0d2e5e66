//! What the three kinds of objects have in common: keys, identifiers, owners and modes (ipc/util.c).

use super::room::{Room, Taken};
use super::{Queue, Segment, Set, Waiters, now};
use crate::Errno;
use crate::call::Outcome;
use crate::thread::Thread;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;
use kernlet_platform::cell::RefCell;

/// The key of objects that have none (IPC_PRIVATE).
pub const PRIVATE: u32 = 0;
const CREATE: u32 = 0o1000;
const EXCLUSIVE: u32 = 0o2000;
/// Bits of an identifier that are the place in the table; above them is the sequence number (IPCMNI_SHIFT).
const INDEX_BITS: u32 = 15;
const SEQUENCES: u32 = i32::MAX as u32 >> INDEX_BITS;
/// So many places are used one after the other before one is used again (ipc_min_cycle).
const CYCLE: usize = 64;
/// What an object takes beside what is in it, bytes.
const OVERHEAD: u64 = 512;
/// Words of the longest description.
const WORDS: usize = 15;

/// What is told of an object: the words of a `struct shmid64_ds`, `semid64_ds` or `msqid64_ds`.
pub type Description = [u64; WORDS];

/// What an object is.
pub enum Body {
    /// A segment of shared memory.
    Segment(Segment),
    /// A set of semaphores.
    Set(Set),
    /// A queue of messages.
    Queue(Queue),
}

impl Body {
    /// How much of it was asked for when it was made: bytes, or semaphores.
    fn size(&self) -> u64 {
        match self {
            Self::Segment(segment) => segment.size,
            Self::Set(set) => set.count(),
            Self::Queue(_) => 0,
        }
    }
}

/// An object.
pub struct Object {
    /// By this it is known.
    pub id: u32,
    /// By this it is found.
    pub key: Cell<u32>,
    /// User and group.
    pub owner: Cell<[u32; 2]>,
    /// Those who made it.
    pub creator: [u32; 2],
    /// Who may what, and flags.
    pub mode: Cell<u32>,
    /// When it was changed, seconds.
    pub changed: Cell<u64>,
    /// Who waits for it.
    pub waiters: Waiters,
    /// It was removed.
    pub gone: Cell<bool>,
    /// What it is.
    pub body: Body,
    /// What it takes.
    pub room: Taken,
}

impl Object {
    /// Checks that a thread may use it as the bits of `mode` say, in whichever of their three places (ipcperms()). Root may.
    ///
    /// # Errors
    /// EACCES.
    pub fn may(&self, thread: &Thread, mode: u32) -> Result<(), Errno> {
        let who = thread.process.credentials.borrow();
        let is_in = |group| who.filesystem[1] == group || who.others.contains(&group);
        let wanted = mode >> 6 | mode >> 3 | mode;
        let granted = match self.mode.get() {
            mode if self.is_of(who.users[1]) => mode >> 6,
            mode if is_in(self.creator[1]) || is_in(self.owner.get()[1]) => mode >> 3,
            mode => mode,
        };
        if wanted & !granted & 7 == 0 || who.users[1] == 0 { Ok(()) } else { Err(Errno::EACCES) }
    }

    /// Whether it is a user's.
    pub fn is_of(&self, user: u32) -> bool {
        self.creator[0] == user || self.owner.get()[0] == user
    }

    /// All that is told of it: a `struct ipc64_perm`, and what its kind has behind that.
    #[inline(never)]
    pub fn describe(&self) -> Description {
        let two = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let [owner, creator] = [self.owner.get(), self.creator];
        let mut words = [0; WORDS];
        words[0] = two(self.key.get(), owner[0]);
        words[1] = two(owner[1], creator[0]);
        words[2] = two(creator[1], self.mode.get());
        words[3] = (self.id >> INDEX_BITS).into();
        let changed = self.changed.get();
        match &self.body {
            Body::Segment(segment) => segment.describe(&mut words, changed),
            Body::Set(set) => set.describe(&mut words, changed),
            Body::Queue(queue) => queue.describe(&mut words, changed),
        }
        words
    }

    /// Takes owner and mode from its description (IPC_SET).
    ///
    /// # Errors
    /// EINVAL for those that are none.
    pub fn set(&self, words: &Description) -> Result<(), Errno> {
        let [user, group, mode] = [words[0] >> 32, words[1], words[2] >> 32].map(|word| word as u32);
        if user == u32::MAX || group == u32::MAX {
            return Err(Errno::EINVAL);
        }
        self.owner.set([user, group]);
        self.mode.update(|old| old & !0o777 | mode & 0o777);
        self.changed.set(now());
        Ok(())
    }
}

/// The place that an identifier tells.
fn place(id: u32) -> usize {
    (id & ((1 << INDEX_BITS) - 1)) as usize
}

/// The objects of a kind.
pub struct Ids {
    /// By their places.
    known: RefCell<Vec<Option<Rc<Object>>>>,
    count: Cell<usize>,
    most: usize,
    /// Where the next one's place is looked for.
    next: Cell<usize>,
    /// The place of the last one that was made.
    last: Cell<Option<usize>>,
    sequence: Cell<u32>,
    /// What they may take.
    room: Rc<Room>,
}

impl Ids {
    /// None, of at most so many.
    pub fn new(most: usize, room: Rc<Room>) -> Self {
        let (known, count, next, last, sequence) = Default::default();
        Self { known, count, most, next, last, sequence, room }
    }

    /// All of them, by their places.
    pub fn all(&self) -> Vec<Rc<Object>> {
        self.known.borrow().iter().flatten().cloned().collect()
    }

    /// The sum of what each has.
    pub fn sum(&self, of: &dyn Fn(&Object) -> u64) -> u64 {
        self.known.borrow().iter().flatten().map(|object| of(object)).sum()
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count.get() as u64
    }

    /// The highest place that is in use.
    pub fn highest(&self) -> u64 {
        self.known.borrow().iter().rposition(Option::is_some).unwrap_or(0) as u64
    }

    /// shmget(2) and its like: the object of a key, if it is as large as is asked for, or one that is made, and takes so many
    /// bytes.
    ///
    /// # Errors
    /// ENOENT, EEXIST, EACCES, ENOSPC, ENOMEM; EINVAL when it is too small; those of `make`.
    #[inline(never)]
    pub fn get(
        &self,
        thread: &Thread,
        [key, flags]: [u32; 2],
        size: u64,
        make: &dyn Fn() -> Result<(Body, u64), Errno>,
    ) -> Outcome {
        let same = |object: &&Rc<Object>| key != PRIVATE && object.key.get() == key;
        let found = self.known.borrow().iter().flatten().find(same).cloned();
        match found {
            None if key != PRIVATE && flags & CREATE == 0 => Err(Errno::ENOENT),
            None => {
                let (body, bytes) = make()?;
                self.add(thread, key, flags & 0o777, body, bytes)
            }
            Some(_) if flags & (CREATE | EXCLUSIVE) == CREATE | EXCLUSIVE => Err(Errno::EEXIST),
            Some(object) if object.body.size() < size => Err(Errno::EINVAL),
            Some(object) => object.may(thread, flags).map(|()| object.id.into()),
        }
    }

    fn add(&self, thread: &Thread, key: u32, mode: u32, body: Body, bytes: u64) -> Outcome {
        let mut known = self.known.borrow_mut();
        let count = self.count.get();
        let places = (count * 3 / 2).max(CYCLE).min(self.most);
        let mut place = self.next.get();
        if count >= self.most {
            return Err(Errno::ENOSPC);
        }
        let room = Taken::new(&self.room, bytes.saturating_add(OVERHEAD))?;
        // One is free, as there are more places than objects.
        loop {
            place = if place < places { place } else { 0 };
            if known.get(place).is_none_or(Option::is_none) {
                break;
            }
            place += 1;
        }
        if self.last.get().is_some_and(|last| place <= last) {
            self.sequence.update(|sequence| (sequence + 1) % SEQUENCES);
        }
        self.last.set(Some(place));
        self.next.set(place + 1);
        let creator = {
            let who = thread.process.credentials.borrow();
            [who.users[1], who.groups[1]]
        };
        let id = self.sequence.get() << INDEX_BITS | place as u32;
        let object = Object {
            id,
            key: Cell::new(key),
            owner: Cell::new(creator),
            creator,
            mode: Cell::new(mode),
            changed: Cell::new(now()),
            waiters: Waiters::default(),
            gone: Cell::new(false),
            body,
            room,
        };
        if known.len() <= place {
            known.resize(place + 1, None);
        }
        known[place] = Some(Rc::new(object));
        self.count.set(count + 1);
        Ok(id.into())
    }

    /// The object of an identifier.
    ///
    /// # Errors
    /// EINVAL.
    pub fn find(&self, id: u32) -> Result<Rc<Object>, Errno> {
        self.at_place_of(id).filter(|object| object.id == id).ok_or(Errno::EINVAL)
    }

    /// The object at the place of an identifier.
    pub fn at_place_of(&self, id: u32) -> Option<Rc<Object>> {
        self.known.borrow().get(place(id)).cloned().flatten()
    }

    /// Takes an object out.
    pub fn remove(&self, object: &Object) {
        object.gone.set(true);
        if let Some(slot) = self.known.borrow_mut().get_mut(place(object.id)) {
            *slot = None;
            self.count.update(|count| count - 1);
        }
    }
}
