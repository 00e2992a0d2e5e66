//! State that belongs to one vCPU.

/// A value of which each vCPU has its own, made when first used.
///
/// An instance has one vCPU today, and interrupt handlers do not use this type, so access needs no lock. On a
/// host build each thread stands for a vCPU, so tests that run in parallel do not meet.
pub struct CpuLocal<T: 'static> {
    init: fn() -> T,
    #[cfg(kernlet_image)]
    state: core::cell::Cell<State>,
    #[cfg(kernlet_image)]
    value: core::cell::UnsafeCell<core::mem::MaybeUninit<T>>,
    #[cfg(not(kernlet_image))]
    cells: std::sync::Mutex<alloc::collections::BTreeMap<u64, usize>>,
    #[cfg(not(kernlet_image))]
    _value: core::marker::PhantomData<fn() -> T>,
}

/// Less code than a `OnceCell` takes, which would have to drop a value that was made in vain.
#[cfg(kernlet_image)]
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Unmade,
    Making,
    Made,
}

// SAFETY: inside an image exactly one vCPU runs the library OS, which is not preempted, and interrupt and signal
// handlers never use a `CpuLocal`: there is one thread of execution, so nothing is shared between threads.
#[cfg(kernlet_image)]
unsafe impl<T: 'static> Sync for CpuLocal<T> {}

impl<T: 'static> CpuLocal<T> {
    /// A value that `init` makes on each vCPU when it is first used there.
    #[cfg(kernlet_image)]
    pub const fn new(init: fn() -> T) -> Self {
        let value = core::cell::UnsafeCell::new(core::mem::MaybeUninit::uninit());
        Self { init, state: core::cell::Cell::new(State::Unmade), value }
    }

    /// A value that `init` makes on each vCPU when it is first used there.
    #[cfg(not(kernlet_image))]
    pub const fn new(init: fn() -> T) -> Self {
        Self {
            init,
            cells: std::sync::Mutex::new(alloc::collections::BTreeMap::new()),
            _value: core::marker::PhantomData,
        }
    }

    /// This vCPU's value.
    #[cfg(kernlet_image)]
    #[inline]
    pub fn get(&'static self) -> &'static T {
        if self.state.get() != State::Made {
            self.make();
        }
        // SAFETY: made, and from then on never written to.
        unsafe { (*self.value.get()).assume_init_ref() }
    }

    /// Apart from [`Self::get`], which stands in many places.
    #[cfg(kernlet_image)]
    #[cold]
    #[inline(never)]
    fn make(&'static self) {
        // While it is made it cannot be used: that would make it twice.
        assert!(self.state.replace(State::Making) == State::Unmade, "a value needs itself");
        let value = (self.init)();
        // SAFETY: nobody was given a reference yet.
        unsafe { (*self.value.get()).write(value) };
        self.state.set(State::Made);
    }

    /// This vCPU's value.
    #[cfg(not(kernlet_image))]
    pub fn get(&'static self) -> &'static T {
        std::thread_local! {
            static THREAD: u64 = {
                static NEXT: core::sync::atomic::AtomicU64 = core::sync::atomic::AtomicU64::new(0);
                NEXT.fetch_add(1, core::sync::atomic::Ordering::Relaxed)
            };
        }
        let thread = THREAD.with(|t| *t);
        let known = self.cells.lock().expect("no holder panics").get(&thread).copied();
        let address = known.unwrap_or_else(|| {
            let made = alloc::boxed::Box::leak(alloc::boxed::Box::new((self.init)()));
            let address = core::ptr::from_mut(made) as usize;
            self.cells.lock().expect("no holder panics").insert(thread, address);
            address
        });
        // SAFETY: the address is that of a leaked `T` which this thread made under its own never-reused number,
        // and only this thread is given a reference to it.
        unsafe { &*(address as *const T) }
    }
}
