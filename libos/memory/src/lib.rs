//! The heap of an instance, within its memory limit.
//!
//! talc manages what [`kernlet_platform::heap::grow`] gives, which grows in small pieces, so that an idle instance
//! stays small, and keeps the limit. An allocation beyond the limit fails: `try_reserve` and its kind tell, everything
//! else ends the instance with the status of an exhausted memory.
#![no_std]

#[cfg(kernlet_image)]
mod global;

/// How many bytes of memory the heap has taken from the platform.
pub fn heap_size() -> usize {
    kernlet_platform::heap::used()
}
