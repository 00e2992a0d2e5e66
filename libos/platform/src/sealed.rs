//! What is sealed into this image beside its code: the manifest and the read-only root.

/// The bytes of the sealed segment from the manifest on, as far as they were loaded: the manifest at least. Empty in an
/// image that was never sealed, and on a host build unless `set_segment` was called.
pub fn segment() -> &'static [u8] {
    #[cfg(kernlet_image)]
    {
        crate::entry::sealed_segment()
    }
    #[cfg(not(kernlet_image))]
    {
        SEGMENT.get().get()
    }
}

/// All of it: the manifest, then the root at the offset that it tells, wherever that lies.
pub fn whole() -> &'static [u8] {
    #[cfg(kernlet_image)]
    {
        crate::entry::sealed_whole()
    }
    #[cfg(not(kernlet_image))]
    {
        segment()
    }
}

/// Lets go of what was read of it and lies in memory, where the host has it as well: it comes back when it is read again.
pub fn rest() {
    at_door!(program::rest_sealed())
}

#[cfg(not(kernlet_image))]
static SEGMENT: crate::cpu::CpuLocal<core::cell::Cell<&'static [u8]>> =
    crate::cpu::CpuLocal::new(|| core::cell::Cell::new(&[]));

/// What [`segment`] is on this thread from now on, for tests.
#[cfg(not(kernlet_image))]
pub fn set_segment(bytes: &'static [u8]) {
    SEGMENT.get().set(bytes);
}
