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
        Blob::EMPTY
    }
}
