//! epoll(7): a set of descriptions that is asked for those that are ready.
//!
//! Each item leaves a watch with what it is of. When that tells of a change, the item is queued; waiting asks what is
//! queued, tells of what is truly ready, and drops the rest. Level-triggered items stay queued as long as they are ready.

mod control;
mod wait;

pub use control::{control, create};
pub use wait::{pwait, pwait2, wait};

use super::ready;
use super::watchers::{Events, Place, Watch, Watchers};
use crate::files::Description;
use alloc::collections::VecDeque;
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use kernlet_platform::cell::RefCell;

/// EPOLLEXCLUSIVE, EPOLLWAKEUP, EPOLLONESHOT, EPOLLET.
const EXCLUSIVE: u32 = 1 << 28;
const WAKE_UP: u32 = 1 << 29;
const ONE_SHOT: u32 = 1 << 30;
const EDGE: u32 = 1 << 31;
/// Those that are no events.
const HOW: u32 = EXCLUSIVE | WAKE_UP | ONE_SHOT | EDGE;

/// What an item is of: the descriptor it was added under, and the description, by its address, which stays its own while the
/// item is there.
type Identity = (i32, usize);

struct Item {
    identity: Identity,
    file: Weak<Description>,
    events: u32,
    data: u64,
    place: Place,
    queued: bool,
    /// The next item under the same descriptor: its slot and 1, or 0.
    next: u32,
}

/// The items, by numbers that are used again with another upper half.
#[derive(Default)]
struct Items {
    slots: Vec<(u32, Option<Item>)>,
    free: Vec<u32>,
    /// By descriptor the first item that was added under it: its slot and 1, or 0.
    first: Vec<u32>,
    queue: VecDeque<u64>,
}

impl Items {
    fn get(&mut self, key: u64) -> Option<&mut Item> {
        let (turn, item) = self.slots.get_mut(key as u32 as usize)?;
        if *turn == (key >> 32) as u32 { item.as_mut() } else { None }
    }

    /// The key of the next item that [`Self::insert`] takes in.
    fn next(&mut self) -> u64 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push((0, None));
            self.slots.len() as u32 - 1
        });
        u64::from(self.slots[slot as usize].0) << 32 | u64::from(slot)
    }

    fn insert(&mut self, key: u64, mut item: Item) {
        let descriptor = item.identity.0 as usize;
        if self.first.len() <= descriptor {
            self.first.resize(descriptor + 1, 0);
        }
        item.next = core::mem::replace(&mut self.first[descriptor], key as u32 + 1);
        self.slots[key as u32 as usize].1 = Some(item);
    }

    /// The items that were added under a descriptor, with their keys.
    fn under(&self, descriptor: i32) -> impl Iterator<Item = (u64, &Item)> {
        let mut next = self.first.get(descriptor as usize).copied().unwrap_or(0);
        core::iter::from_fn(move || {
            let slot = next.checked_sub(1)?;
            let (turn, item) = self.slots.get(slot as usize)?;
            let item = item.as_ref()?;
            next = item.next;
            Some((u64::from(*turn) << 32 | u64::from(slot), item))
        })
    }

    /// The key of the item that is of `identity`.
    fn find(&self, identity: Identity) -> Option<u64> {
        self.under(identity.0).find(|(_, item)| item.identity == identity).map(|(key, _)| key)
    }

    fn remove(&mut self, key: u64) -> Option<Item> {
        self.get(key)?;
        let (turn, slot) = &mut self.slots[key as u32 as usize];
        let item = slot.take()?;
        *turn = turn.wrapping_add(1);
        self.free.push(key as u32);
        // Under a descriptor there is seldom more than one.
        let own = key as u32 + 1;
        match self.first.get_mut(item.identity.0 as usize) {
            Some(first) if *first == own => *first = item.next,
            _ => {
                let before = self.under(item.identity.0).find(|(_, other)| other.next == own);
                if let Some(before) = before.map(|(key, _)| key).and_then(|key| self.get(key)) {
                    before.next = item.next;
                }
            }
        }
        Some(item)
    }

    /// Queues an item, unless it is queued; tells whether it was not.
    fn enqueue(&mut self, key: u64) -> bool {
        let Some(item) = self.get(key) else { return false };
        if core::mem::replace(&mut item.queued, true) {
            return false;
        }
        self.queue.push_back(key);
        true
    }
}

/// One event for the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// What it is ready for.
    pub events: u32,
    /// What the program gave.
    pub data: u64,
}

/// An epoll instance.
pub struct Epoll {
    itself: Weak<Self>,
    items: RefCell<Items>,
    watchers: Watchers,
}

impl Epoll {
    /// An instance without items.
    pub fn new() -> Rc<Self> {
        Rc::new_cyclic(|itself| Self {
            itself: itself.clone(),
            items: RefCell::default(),
            watchers: Watchers::new(),
        })
    }

    /// See [`Description::watchers`].
    pub fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    /// See [`Description::readiness`].
    pub fn readiness(&self) -> Events {
        Events::IN.when(self.is_ready())
    }

    /// Whether some item is ready. Those at the front of the queue that are not leave it.
    fn is_ready(&self) -> bool {
        loop {
            let Some(&key) = self.items.borrow().queue.front() else { return false };
            if self.ask(key).is_some() {
                return true;
            }
            let mut items = self.items.borrow_mut();
            // Asking may have changed the queue.
            if items.queue.front() == Some(&key) {
                items.queue.pop_front();
                if let Some(item) = items.get(key) {
                    item.queued = false;
                }
            }
        }
    }

    /// What an item is ready for; `None` when for nothing, or it is gone.
    fn ask(&self, key: u64) -> Option<Event> {
        let (file, events, data) = {
            let mut items = self.items.borrow_mut();
            let item = items.get(key)?;
            (item.file.upgrade(), item.events, item.data)
        };
        let Some(file) = file else {
            self.items.borrow_mut().remove(key);
            return None;
        };
        let wanted = events & !HOW;
        // One that has had its shot is asked for nothing, not even for errors.
        if wanted == 0 {
            return None;
        }
        let events = ready::ask(&file, wanted);
        (events != 0).then_some(Event { events, data })
    }

    /// Takes ready events, at most `most`, handing each to `tell`; how many were told.
    ///
    /// # Errors
    /// That of `tell` for the first event; that event is kept.
    fn harvest<E>(
        &self,
        most: usize,
        mut tell: impl FnMut(usize, Event) -> Result<(), E>,
    ) -> Result<usize, E> {
        let queued = self.items.borrow().queue.len();
        let mut told = 0;
        for _ in 0..queued {
            if told == most {
                break;
            }
            let Some(key) = self.next_queued() else { break };
            let Some(event) = self.ask(key) else { continue };
            if let Err(error) = tell(told, event) {
                self.items.borrow_mut().enqueue(key);
                return if told == 0 { Err(error) } else { Ok(told) };
            }
            told += 1;
            let mut items = self.items.borrow_mut();
            if let Some(item) = items.get(key) {
                if item.events & ONE_SHOT != 0 {
                    item.events &= HOW;
                } else if item.events & EDGE == 0 {
                    items.enqueue(key);
                }
            }
        }
        Ok(told)
    }

    fn next_queued(&self) -> Option<u64> {
        let mut items = self.items.borrow_mut();
        let key = items.queue.pop_front()?;
        if let Some(item) = items.get(key) {
            item.queued = false;
        }
        Some(key)
    }
}

impl Watch for Epoll {
    fn changed(&self, key: u64, events: Events) -> bool {
        let fresh = {
            let mut items = self.items.borrow_mut();
            let Some(item) = items.get(key) else { return false };
            let wanted = item.events & !HOW;
            // An item that only waits to read is not asked because there is room to write.
            let concerns = events != Events::OUT || wanted & (Events::OUT.0 | ready::WRITE_NORMAL) != 0;
            wanted != 0 && concerns && items.enqueue(key)
        };
        // Who waits for the instance just now (ep_poll_callback in fs/eventpoll.c).
        let waited_for = fresh && !self.watchers.is_empty();
        if fresh {
            self.watchers.notify(Events::IN);
        }
        waited_for
    }

    fn gone(&self, key: u64) {
        // Whoever asks just now finds that it is gone.
        if let Some(mut items) = self.items.try_borrow_mut() {
            items.remove(key);
        }
    }
}

impl Drop for Epoll {
    fn drop(&mut self) {
        for (_, item) in self.items.take().slots {
            let Some(item) = item else { continue };
            if let Some(file) = item.file.upgrade()
                && let Some(watchers) = file.watchers()
            {
                watchers.remove(item.place);
            }
        }
    }
}
