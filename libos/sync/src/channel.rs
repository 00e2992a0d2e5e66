//! A bounded queue of values between tasks.

use crate::WaitQueue;
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use core::cell::Cell;
use kernlet_platform::cell::RefCell;

struct Shared<T> {
    values: RefCell<VecDeque<T>>,
    capacity: usize,
    senders: Cell<usize>,
    receiving: Cell<bool>,
    filled: WaitQueue,
    emptied: WaitQueue,
}

/// The sending side; may be cloned.
pub struct Sender<T>(Rc<Shared<T>>);

/// The receiving side.
pub struct Receiver<T>(Rc<Shared<T>>);

/// A queue that holds at most `capacity` values (at least one).
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Rc::new(Shared {
        values: RefCell::new(VecDeque::new()),
        capacity: capacity.max(1),
        senders: Cell::new(1),
        receiving: Cell::new(true),
        filled: WaitQueue::new(),
        emptied: WaitQueue::new(),
    });
    (Sender(shared.clone()), Receiver(shared))
}

impl<T> Sender<T> {
    /// Sends without waiting.
    ///
    /// # Errors
    /// Gives the value back when the queue is full or nobody receives any more.
    pub fn try_send(&self, value: T) -> Result<(), T> {
        let mut values = self.0.values.borrow_mut();
        if values.len() >= self.0.capacity || !self.0.receiving.get() {
            return Err(value);
        }
        values.push_back(value);
        drop(values);
        self.0.filled.wake_one();
        Ok(())
    }

    /// Sends, waiting for room.
    ///
    /// # Errors
    /// Gives the value back when nobody receives any more.
    pub async fn send(&self, value: T) -> Result<(), T> {
        let room = || {
            let full = self.0.values.borrow().len() >= self.0.capacity;
            (!full || !self.0.receiving.get()).then_some(())
        };
        self.0.emptied.until(room).await;
        self.try_send(value)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.senders.set(self.0.senders.get() + 1);
        Self(self.0.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.senders.set(self.0.senders.get() - 1);
        if self.0.senders.get() == 0 {
            self.0.filled.wake_all();
        }
    }
}

impl<T> Receiver<T> {
    /// The next value, if one is there.
    pub fn try_receive(&self) -> Option<T> {
        let value = self.0.values.borrow_mut().pop_front();
        if value.is_some() {
            self.0.emptied.wake_one();
        }
        value
    }

    /// The next value; `None` when all senders are gone and the queue is empty.
    pub async fn receive(&self) -> Option<T> {
        self.0
            .filled
            .until(|| match self.try_receive() {
                Some(value) => Some(Some(value)),
                None => (self.0.senders.get() == 0).then_some(None),
            })
            .await
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.0.receiving.set(false);
        self.0.emptied.wake_all();
    }
}
