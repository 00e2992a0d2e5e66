//! State of the one vCPU, in a form that needs no code to be made.

use core::cell::{RefCell, RefMut};

/// A value that the one vCPU owns.
pub struct Single<T>(RefCell<T>);

// SAFETY: one vCPU runs the library OS, which is not preempted, and interrupt handlers (assembly in `trap`) use
// no `Single`; the fault handler takes values with `try_lock` only, or such as nobody holds who reads the root (root.rs)
// or copies from or to a program's memory (program/memory.rs).
unsafe impl<T> Sync for Single<T> {}

impl<T> Single<T> {
    pub const fn new(value: T) -> Self {
        Self(RefCell::new(value))
    }

    /// The value. Panics when it is in use further up the stack.
    pub fn lock(&self) -> RefMut<'_, T> {
        self.0.borrow_mut()
    }

    /// The value, unless it is in use further up the stack (then this is a fault or panic in that code).
    pub fn try_lock(&self) -> Option<RefMut<'_, T>> {
        self.0.try_borrow_mut().ok()
    }
}

/// A value that is made later. Unlike an `Option`, which may mark "none" by any bits, it is all zeros until then, so
/// that a static of it takes no room in the image.
pub struct Later<T> {
    made: bool,
    value: core::mem::MaybeUninit<T>,
}

impl<T> Later<T> {
    pub const fn new() -> Self {
        Self { made: false, value: core::mem::MaybeUninit::uninit() }
    }

    /// Makes the value. Statics keep theirs for good, so one that was made before is forgotten, not dropped.
    pub fn set(&mut self, value: T) {
        self.made = true;
        self.value.write(value);
    }

    pub fn get(&self) -> Option<&T> {
        // SAFETY: `made` says that it was written.
        self.made.then(|| unsafe { self.value.assume_init_ref() })
    }

    pub fn get_mut(&mut self) -> Option<&mut T> {
        // SAFETY: as above.
        self.made.then(|| unsafe { self.value.assume_init_mut() })
    }
}
