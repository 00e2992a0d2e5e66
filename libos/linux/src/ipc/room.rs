//! What objects may take: their bytes are counted in whole pages with those of files in memory.

use crate::files::tree::Usage;
use crate::{Errno, PAGE};
use alloc::rc::Rc;
use core::cell::Cell;

/// What all objects take.
pub struct Room {
    usage: Rc<Usage>,
    bytes: Cell<u64>,
}

impl Room {
    /// Nothing is taken yet.
    pub fn new(usage: Rc<Usage>) -> Self {
        Self { usage, bytes: Cell::new(0) }
    }

    fn pages(&self) -> u64 {
        self.bytes.get().div_ceil(PAGE as u64)
    }
}

/// A part that is taken, as long as this lives.
pub struct Taken {
    room: Rc<Room>,
    bytes: Cell<u64>,
}

impl Taken {
    /// Takes so many bytes.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn new(room: &Rc<Room>, bytes: u64) -> Result<Self, Errno> {
        let taken = Self { room: room.clone(), bytes: Cell::new(0) };
        taken.grow(bytes).map(|()| taken)
    }

    /// Takes so many more.
    ///
    /// # Errors
    /// ENOMEM.
    #[inline(never)]
    pub fn grow(&self, bytes: u64) -> Result<(), Errno> {
        let room = &self.room;
        let sum = room.bytes.get().checked_add(bytes).ok_or(Errno::ENOMEM)?;
        room.usage.take_pages(sum.div_ceil(PAGE as u64) - room.pages()).map_err(|_| Errno::ENOMEM)?;
        room.bytes.set(sum);
        self.bytes.update(|taken| taken + bytes);
        Ok(())
    }

    /// Gives so many back.
    #[inline(never)]
    pub fn shrink(&self, bytes: u64) {
        let before = self.room.pages();
        self.bytes.update(|taken| taken - bytes);
        self.room.bytes.update(|all| all - bytes);
        self.room.usage.give_pages(before - self.room.pages());
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.shrink(self.bytes.get());
    }
}
