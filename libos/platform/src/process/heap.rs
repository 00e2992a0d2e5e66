//! The heap's memory: one range of addresses reserved once at a random place, made usable piece by piece.

use super::call::{call, number};
use crate::cpu::CpuLocal;
use core::cell::Cell;
use core::ptr::NonNull;

const PAGE: usize = 4096;
/// Pieces are small at first, so that an idle instance stays small. The first one is left to be touched page by page;
/// a program that needs more gets it populated, which takes a fifth less time than touching.
const STEP: usize = 16 * PAGE;
/// From this size on the heap grows in huge pages.
const LARGE: usize = 8 << 20;
const HUGE_PAGE: usize = 2 << 20;
/// Without a limit in the blob.
const DEFAULT_LIMIT: usize = 256 << 20;

const PROT_NONE: usize = 0;
const PROT_READ_WRITE: usize = 3;
/// MAP_PRIVATE, MAP_ANONYMOUS and MAP_NORESERVE.
const RESERVE: usize = 0x2 | 0x20 | 0x4000;
const MADV_HUGEPAGE: usize = 14;
const MADV_POPULATE_WRITE: usize = 23;

struct Heap {
    start: Cell<usize>,
    used: Cell<usize>,
    limit: usize,
}

static HEAP: CpuLocal<Heap> = CpuLocal::new(|| {
    let limit = crate::boot::blob().memory().map_or(DEFAULT_LIMIT, |m| m as usize) & !(PAGE - 1);
    Heap { start: Cell::new(0), used: Cell::new(0), limit }
});

/// See [`crate::heap::grow`].
pub fn grow(least: usize) -> Option<(NonNull<u8>, usize)> {
    let heap = HEAP.get();
    if heap.start.get() == 0 {
        // SAFETY: a new mapping at a place of the host's choice overlaps nothing.
        let start = unsafe {
            call(number::MMAP, [0, heap.limit + HUGE_PAGE, PROT_NONE, RESERVE, usize::MAX, 0]).ok()?
        };
        heap.start.set(start.next_multiple_of(HUGE_PAGE));
    }
    let used = heap.used.get();
    let step = if used >= LARGE { HUGE_PAGE } else { STEP.max((used / 4) & !(PAGE - 1)) };
    let left = heap.limit - used;
    let length = least.checked_next_multiple_of(PAGE)?.max(step).min(left);
    if length < least {
        return None;
    }
    let address = heap.start.get() + used;
    // SAFETY: the range lies in the reservation above, behind all that was handed out before.
    unsafe {
        call(number::MPROTECT, [address, length, PROT_READ_WRITE, 0, 0, 0]).ok()?;
        if used >= LARGE {
            let _ = call(number::MADVISE, [address, length, MADV_HUGEPAGE, 0, 0, 0]);
        } else if used > 0 && length <= STEP {
            let _ = call(number::MADVISE, [address, length, MADV_POPULATE_WRITE, 0, 0, 0]);
        }
    }
    heap.used.set(used + length);
    Some((NonNull::new(address as *mut u8)?, length))
}

/// See [`crate::heap::used`].
pub fn used() -> usize {
    HEAP.get().used.get()
}
