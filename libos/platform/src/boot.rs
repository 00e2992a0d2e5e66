//! What this instance was told when it started.

pub use kernlet_wire::boot::{Address, Blob, Descriptors, Mount, NicConfig, Protocol, Published};

/// The boot blob; empty when there was none.
pub fn blob() -> Blob<'static> {
    #[cfg(kernlet_image)]
    {
        crate::entry::blob()
    }
    #[cfg(not(kernlet_image))]
    {
        BLOB.get().get()
    }
}

/// The time stamp counter at the very first instruction of a VM, for measuring the way to main; `None` elsewhere.
pub fn entry_tsc() -> Option<u64> {
    #[cfg(kernlet_image)]
    if crate::door() == crate::Door::Vm {
        return Some(crate::vm::start::entry_tsc());
    }
    None
}

#[cfg(not(kernlet_image))]
static BLOB: crate::cpu::CpuLocal<core::cell::Cell<Blob<'static>>> =
    crate::cpu::CpuLocal::new(|| core::cell::Cell::new(Blob::EMPTY));

/// What [`blob`] is on this thread from now on, for tests.
#[cfg(not(kernlet_image))]
pub fn set_blob(blob: Blob<'static>) {
    BLOB.get().set(blob);
}
