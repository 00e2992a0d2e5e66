//! A place of its own in the address space for what lies beside the program, at random at each boot: a page at which frames
//! are shown for a moment, and the vDSO.

use super::super::frames::PAGE;
use super::super::random::Layout;
use super::super::start;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Pages that are kept together, so that one table does for them.
const PAGES: usize = 8;
/// Which of them shows frames; where the vDSO begins.
const FRAME: usize = 0;
const VDSO: usize = 4;

static BASE: AtomicUsize = AtomicUsize::new(0);

/// Chooses the place.
pub fn prepare() {
    let mut random = Layout::new(start::entry_tsc);
    let range = start::BESIDE_PROGRAM;
    let at = range.start + random.below(range.len() / (PAGES * PAGE)) * PAGES * PAGE;
    BASE.store(at, Ordering::Relaxed);
}

/// Where frames are shown.
pub fn frame() -> usize {
    BASE.load(Ordering::Relaxed) + FRAME * PAGE
}

/// The vDSO's two pages.
pub fn vdso() -> usize {
    BASE.load(Ordering::Relaxed) + VDSO * PAGE
}
