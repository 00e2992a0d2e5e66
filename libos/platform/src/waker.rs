//! Wakers that are a number: nothing is allocated for them, and nothing is looked up in memory before they wake.

use core::marker::PhantomData;
use core::task::{RawWaker, RawWakerVTable, Waker};

/// Those who are woken by a number.
pub trait Numbered: 'static {
    /// Wakes who has this number.
    fn wake(number: usize);
}

struct Table<T>(PhantomData<T>);

impl<T: Numbered> Table<T> {
    const TABLE: &'static RawWakerVTable = &RawWakerVTable::new(Self::clone, Self::wake, Self::wake, |_| ());

    fn clone(number: *const ()) -> RawWaker {
        RawWaker::new(number, Self::TABLE)
    }

    fn wake(number: *const ()) {
        T::wake(number.addr());
    }
}

/// A waker that wakes the one of this number.
pub fn numbered<T: Numbered>(number: usize) -> Waker {
    // SAFETY: what the functions are handed is a number, which they copy and never follow as an address; there is nothing
    // to be freed, and `T::wake` may be called from anywhere, as any function may.
    unsafe { Waker::from_raw(RawWaker::new(core::ptr::without_provenance(number), Table::<T>::TABLE)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn a_number_is_woken_by_each_copy_of_its_waker() {
        static WOKEN: AtomicUsize = AtomicUsize::new(0);
        struct Sum;
        impl Numbered for Sum {
            fn wake(number: usize) {
                WOKEN.fetch_add(number, Ordering::Relaxed);
            }
        }
        let waker = numbered::<Sum>(3);
        waker.wake_by_ref();
        let other = waker.clone();
        other.wake();
        assert!(waker.will_wake(&waker.clone()) && !waker.will_wake(&numbered::<Sum>(4)));
        drop(waker);
        assert_eq!(WOKEN.load(Ordering::Relaxed), 6);
    }
}
