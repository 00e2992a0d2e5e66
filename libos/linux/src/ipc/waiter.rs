//! Who waits for an object, in the order in which they came.

use super::Object;
use super::msg::{Message, Wanted};
use super::sem::Operations;
use crate::Errno;
use crate::wait::{Events, Watchers};
use alloc::rc::Rc;
use alloc::vec::Vec;
use kernlet_platform::cell::RefCell;

/// What one gets: a message, unless operations are done.
pub type Got = Result<Option<Message>, Errno>;

/// What one waits for.
pub enum For {
    /// That operations are done.
    Operations(Operations),
    /// A message, of at most so many bytes.
    Message(Wanted, usize),
    /// Room for its message.
    Room,
}

/// One who waits.
pub struct Waiter {
    /// Of what.
    pub object: Rc<Object>,
    /// What for.
    pub waits: For,
    /// What Linux tells as the process that received a message.
    pub thread: u32,
    /// What is to be sent.
    pub message: RefCell<Option<Message>>,
    /// What came.
    pub got: RefCell<Option<Got>>,
    /// Those who are to be told that it came.
    pub watchers: Watchers,
}

impl Waiter {
    /// One who has got nothing yet.
    #[inline(never)]
    pub fn new(object: &Rc<Object>, waits: For, thread: u32, message: Option<Message>) -> Rc<Self> {
        let (object, message) = (object.clone(), RefCell::new(message));
        Rc::new(Self { object, waits, thread, message, got: RefCell::default(), watchers: Watchers::new() })
    }

    /// Whether it waits for room.
    pub fn sends(&self) -> bool {
        matches!(self.waits, For::Room)
    }

    /// Whether it waits no longer.
    pub fn is_over(&self) -> bool {
        if !self.sends() {
            return self.got.borrow().is_some();
        }
        let message = self.message.borrow();
        let has_room = |message| self.object.queue().is_ok_and(|queue| queue.has_room(message));
        self.object.gone.get() || message.as_ref().is_some_and(has_room)
    }

    fn finish(&self, got: Got) {
        *self.got.borrow_mut() = Some(got);
        self.watchers.notify(Events::IN);
    }
}

/// Those who wait.
#[derive(Default)]
pub struct Waiters(RefCell<Vec<Rc<Waiter>>>);

impl Waiters {
    /// One more.
    pub fn add(&self, waiter: &Rc<Waiter>) {
        self.0.borrow_mut().push(waiter.clone());
    }

    /// One that waits no longer.
    pub fn remove(&self, waiter: &Rc<Waiter>) {
        self.0.borrow_mut().retain(|other| !Rc::ptr_eq(other, waiter));
    }

    /// One at a place.
    pub fn get(&self, at: usize) -> Option<Rc<Waiter>> {
        self.0.borrow().get(at).cloned()
    }

    /// One gets something, and waits no longer.
    #[inline(never)]
    pub fn finish(&self, waiter: &Rc<Waiter>, got: Got) {
        self.remove(waiter);
        waiter.finish(got);
    }

    /// All get an error.
    #[inline(never)]
    pub fn refuse(&self, error: Errno) {
        let all = self.0.take();
        all.iter().for_each(|waiter| waiter.finish(Err(error)));
    }
}
