//! A place beside the program in the address space, at random at each boot, at which frames are shown for a moment.

use super::super::frames::PAGE;
use super::super::random::Layout;
use super::super::start;
use core::sync::atomic::{AtomicUsize, Ordering};

static PLACE: AtomicUsize = AtomicUsize::new(0);

/// Chooses the place.
pub fn prepare() {
    let mut random = Layout::new(start::entry_tsc);
    let range = start::BESIDE_PROGRAM;
    PLACE.store(range.start + random.below(range.len() / PAGE) * PAGE, Ordering::Relaxed);
}

/// Where frames are shown.
pub fn frame() -> usize {
    PLACE.load(Ordering::Relaxed)
}
