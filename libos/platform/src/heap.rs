//! Memory for the heap, within the instance's limit.

use core::ptr::NonNull;

/// Adds at least `least` bytes of writable memory with any content, where possible right behind the last piece. Returns
/// its start and length; `None` when the instance's memory limit is reached.
pub fn grow(least: usize) -> Option<(NonNull<u8>, usize)> {
    at_door!(heap::grow(least))
}

/// Bytes handed out so far.
pub fn used() -> usize {
    at_door!(heap::used())
}
