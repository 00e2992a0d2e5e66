//! Who is told when the readiness of something may have changed.
//!
//! Everything that can be waited for has a list of watchers, and tells what it is ready for when asked. Whoever waits leaves
//! a watch first and asks then, so that nothing is missed; a watch is told of every change until it is taken away.

use alloc::rc::Weak;
use alloc::vec::Vec;
use core::cell::Cell;
use core::task::Waker;
use kernlet_platform::cell::RefCell;

/// What something is ready for: the bits of poll(2), which are those of epoll.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events(pub u32);

impl Events {
    /// Reading does not wait.
    pub const IN: Self = Self(0x1);
    /// There is urgent data.
    pub const PRIORITY: Self = Self(0x2);
    /// Writing does not wait.
    pub const OUT: Self = Self(0x4);
    /// An error is there to be told.
    pub const ERROR: Self = Self(0x8);
    /// Both directions have ended.
    pub const HANG_UP: Self = Self(0x10);
    /// The descriptor is not open.
    pub const INVALID: Self = Self(0x20);
    /// The other end has ended its direction.
    pub const READ_HANG_UP: Self = Self(0x2000);
    /// Those that are told of whether asked for or not.
    pub const ALWAYS: Self = Self(0x18);
    /// Nothing.
    pub const NONE: Self = Self(0);

    /// Those of either.
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those of both.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// These when `yes`.
    pub const fn when(self, yes: bool) -> Self {
        if yes { self } else { Self::NONE }
    }

    /// None at all.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

/// Something that is told through a [`Watch`] of it, which it numbered by itself.
pub trait Watch {
    /// The readiness of what was watched under `key` may have changed, perhaps to `events`. Tells whether somebody waits for
    /// that, so that of those that watch exclusively no other needs to know.
    fn changed(&self, key: u64, events: Events) -> bool;

    /// What was watched under `key` is no more.
    fn gone(&self, _key: u64) {}
}

enum Watcher {
    Task(Waker),
    /// Under its key, and whether exclusively.
    Object(Weak<dyn Watch>, u64, bool),
}

/// Watchers under their numbers. Most things have one, which lies right here.
#[derive(Default)]
struct List {
    first: Option<(u64, Watcher)>,
    more: Vec<(u64, Watcher)>,
}

impl List {
    fn get(&self, at: usize) -> Option<&(u64, Watcher)> {
        self.first.iter().chain(&self.more).nth(at)
    }

    fn remove(&mut self, number: u64) {
        if self.first.as_ref().is_some_and(|(first, _)| *first == number) {
            self.first = None;
        } else {
            self.more.retain(|(other, _)| *other != number);
        }
    }
}

/// The watchers of one thing.
#[derive(Default)]
pub struct Watchers {
    list: RefCell<List>,
    next: Cell<u64>,
}

impl Drop for Watchers {
    fn drop(&mut self) {
        let List { first, more } = self.list.take();
        for (_, watcher) in first.into_iter().chain(more) {
            if let Watcher::Object(object, key, _) = watcher
                && let Some(object) = object.upgrade()
            {
                object.gone(key);
            }
        }
    }
}

/// A place in a list of watchers, by which a watch is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u64);

impl Watchers {
    /// Nobody.
    pub fn new() -> Self {
        Self::default()
    }

    fn add(&self, watcher: Watcher) -> Place {
        let number = self.next.get();
        self.next.set(number + 1);
        let mut list = self.list.borrow_mut();
        // The order is that in which they came.
        if list.first.is_none() && list.more.is_empty() {
            list.first = Some((number, watcher));
        } else {
            list.more.push((number, watcher));
        }
        Place(number)
    }

    /// Wakes a task at each change.
    pub fn wake(&self, waker: &Waker) -> Place {
        self.add(Watcher::Task(waker.clone()))
    }

    /// Tells an object at each change; an exclusive one only when no other exclusive one waits (EPOLLEXCLUSIVE).
    pub fn tell(&self, object: Weak<dyn Watch>, key: u64, exclusive: bool) -> Place {
        self.add(Watcher::Object(object, key, exclusive))
    }

    /// Takes a watch away.
    pub fn remove(&self, place: Place) {
        self.list.borrow_mut().remove(place.0);
    }

    /// Whether nobody watches.
    pub fn is_empty(&self) -> bool {
        self.list.borrow().get(0).is_none()
    }

    /// Readiness may have changed, perhaps to `events`: tells everybody.
    pub fn notify(&self, events: Events) {
        // A watcher that is told may change the list.
        let (mut at, mut taken) = (0, false);
        loop {
            let told = match self.list.borrow().get(at) {
                None => return,
                Some((_, Watcher::Task(waker))) => {
                    waker.wake_by_ref();
                    None
                }
                Some((_, Watcher::Object(_, _, true))) if taken => None,
                Some((number, Watcher::Object(object, key, exclusive))) => {
                    Some((*number, object.clone(), *key, *exclusive))
                }
            };
            if let Some((number, object, key, exclusive)) = told {
                match object.upgrade() {
                    Some(object) => taken |= object.changed(key, events) && exclusive,
                    None => {
                        self.remove(Place(number));
                        continue;
                    }
                }
            }
            at += 1;
        }
    }

    /// Waits until `ready` gives something: asks, and again after each change.
    pub async fn until<T>(&self, mut ready: impl FnMut() -> Option<T>) -> T {
        let mut left = Left { watchers: self, place: None };
        core::future::poll_fn(move |context| {
            // The watch is left before it is asked.
            left.leave();
            if kernlet_sync::trace::leaf() {
                return core::task::Poll::Pending;
            }
            left.place = Some(self.wake(context.waker()));
            match ready() {
                Some(value) => {
                    left.leave();
                    core::task::Poll::Ready(value)
                }
                None => core::task::Poll::Pending,
            }
        })
        .await
    }
}

/// A task's watch, taken away when the task stops waiting.
struct Left<'w> {
    watchers: &'w Watchers,
    place: Option<Place>,
}

impl Left<'_> {
    fn leave(&mut self) {
        if let Some(place) = self.place.take() {
            self.watchers.remove(place);
        }
    }
}

impl Drop for Left<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::rc::Rc;

    #[test]
    fn a_task_waits_until_what_it_wants_is_so() {
        let watchers = Rc::new(Watchers::new());
        let value = Rc::new(Cell::new(0));
        let (changer, changed) = (watchers.clone(), value.clone());
        let seen = kernlet_exec::block_on(async move {
            kernlet_exec::spawn("changer", async move {
                for i in 1..4 {
                    kernlet_exec::yield_now().await;
                    changed.set(i);
                    changer.notify(Events::IN);
                }
            });
            let seen = watchers.until(|| (value.get() == 3).then(|| value.get())).await;
            assert!(watchers.is_empty());
            seen
        });
        assert_eq!(seen, 3);
    }

    #[test]
    fn an_object_is_told_under_its_key_and_forgotten_when_it_is_gone() {
        struct Seen(Cell<u64>);
        impl Watch for Seen {
            fn changed(&self, key: u64, events: Events) -> bool {
                assert_eq!(events, Events::OUT);
                self.0.set(key);
                true
            }
        }
        let watchers = Watchers::new();
        let seen = Rc::new(Seen(Cell::new(0)));
        let weak: Weak<dyn Watch> = Rc::downgrade(&(seen.clone() as Rc<dyn Watch>));
        watchers.tell(weak.clone(), 7, false);
        watchers.notify(Events::OUT);
        assert_eq!(seen.0.get(), 7);
        // Of exclusive ones the first that waits is enough.
        watchers.tell(weak.clone(), 8, true);
        watchers.tell(weak, 9, true);
        watchers.notify(Events::OUT);
        assert_eq!(seen.0.get(), 8);
        drop(seen);
        watchers.notify(Events::OUT);
        assert!(watchers.is_empty());
    }
}
