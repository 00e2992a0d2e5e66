//! State that tasks share.

use core::cell::{self, Ref, RefMut};
use core::fmt;

/// [`core::cell::RefCell`], whose panics name no place: a place takes 40 bytes for each borrow, and the backtrace names
/// it as well.
#[derive(Default)]
pub struct RefCell<T>(cell::RefCell<T>);

impl<T> RefCell<T> {
    /// A cell with `value` in it.
    pub const fn new(value: T) -> Self {
        Self(cell::RefCell::new(value))
    }

    /// Borrows the value; panics while it is borrowed mutably.
    #[inline]
    pub fn borrow(&self) -> Ref<'_, T> {
        self.0.try_borrow().unwrap_or_else(|_| in_use())
    }

    /// Puts `value` in the place of what is there, and gives that back; panics while it is borrowed.
    pub fn replace(&self, value: T) -> T {
        core::mem::replace(&mut *self.borrow_mut(), value)
    }

    /// Borrows the value mutably; panics while it is borrowed.
    #[inline]
    pub fn borrow_mut(&self) -> RefMut<'_, T> {
        self.0.try_borrow_mut().unwrap_or_else(|_| in_use())
    }

    /// Borrows the value mutably, unless it is borrowed.
    pub fn try_borrow_mut(&self) -> Option<RefMut<'_, T>> {
        self.0.try_borrow_mut().ok()
    }
}

impl<T: Default> RefCell<T> {
    /// Takes the value out and leaves the default; panics while it is borrowed.
    pub fn take(&self) -> T {
        self.replace(T::default())
    }
}

impl<T: fmt::Debug> fmt::Debug for RefCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cold]
#[inline(never)]
fn in_use() -> ! {
    panic!("state is used again while it is in use")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_read_or_one_writes() {
        let cell = RefCell::new(1);
        {
            let (one, other) = (cell.borrow(), cell.borrow());
            assert_eq!(*one + *other, 2);
        }
        *cell.borrow_mut() += 1;
        assert_eq!(*cell.borrow(), 2);
    }

    #[test]
    #[should_panic(expected = "in use")]
    fn what_is_read_is_not_written() {
        let cell = RefCell::new(1);
        let _read = cell.borrow();
        assert!(cell.try_borrow_mut().is_none());
        let _written = cell.borrow_mut();
    }
}
