//! State that belongs to one vCPU.

/// A value of which each vCPU has its own, made when first used.
///
/// An instance has one vCPU today, and interrupt handlers do not use this type, so access needs no lock. On a
/// host build each thread stands for a vCPU, so tests that run in parallel do not meet.
pub struct CpuLocal<T: 'static> {
    init: fn() -> T,
    #[cfg(kernlet_image)]
    cell: core::cell::OnceCell<T>,
    #[cfg(not(kernlet_image))]
    cells: std::sync::Mutex<alloc::collections::BTreeMap<u64, usize>>,
    #[cfg(not(kernlet_image))]
    _value: core::marker::PhantomData<fn() -> T>,
}

// SAFETY: inside an image exactly one vCPU runs the library OS, which is not preempted, and interrupt and signal
// handlers never use a `CpuLocal`: there is one thread of execution, so nothing is shared between threads.
#[cfg(kernlet_image)]
unsafe impl<T: 'static> Sync for CpuLocal<T> {}

impl<T: 'static> CpuLocal<T> {
    /// A value that `init` makes on each vCPU when it is first used there.
    #[cfg(kernlet_image)]
    pub const fn new(init: fn() -> T) -> Self {
        Self { init, cell: core::cell::OnceCell::new() }
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
        match self.cell.get() {
            Some(value) => value,
            None => self.make(),
        }
    }

    /// Apart from [`Self::get`], which stands in many places.
    #[cfg(kernlet_image)]
    #[cold]
    #[inline(never)]
    fn make(&'static self) -> &'static T {
        self.cell.get_or_init(self.init)
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
