//! The heap's memory: a range of addresses at a random place that follows the free RAM, range by range, and is
//! mapped as it grows, in 2 MiB pages where they fit.

use super::frames::{PAGE, RAM, Range};
use super::paging::{self, NO_EXECUTE, WRITE};
use super::single::Single;
use super::start;
use core::ptr::NonNull;

const LARGE_PAGE: usize = 2 << 20;
/// The least that is mapped at once while pages are small.
const STEP: usize = 64 << 10;

/// What a piece may need for tables.
const TABLES: usize = 4 * PAGE;

struct Heap {
    /// Where the next piece goes; 0 before the first.
    next: usize,
    used: usize,
}

static HEAP: Single<Heap> = Single::new(Heap { next: 0, used: 0 });

/// See [`crate::heap::grow`].
pub fn grow(least: usize) -> Option<(NonNull<u8>, usize)> {
    let least = least.max(1).checked_next_multiple_of(PAGE)?;
    let heap = &mut *HEAP.lock();
    if !RAM.lock().has(least.saturating_add(TABLES)) {
        return None;
    }
    let free = RAM.lock().free();
    let range = RAM.lock().front().copied().unwrap_or(Range { start: 0, end: 0 });
    // Addresses agree with physical ones up to 2 MiB, so that large pages fit; a new range may leave a gap.
    let offset = range.start % LARGE_PAGE;
    if heap.next == 0 {
        heap.next = start::heap_base() + offset;
    } else if heap.next % LARGE_PAGE != offset && range.len() >= LARGE_PAGE {
        heap.next = (heap.next + LARGE_PAGE) / LARGE_PAGE * LARGE_PAGE + offset;
    }
    let first = heap.next;
    let to_large = range.start.next_multiple_of(LARGE_PAGE) - range.start;
    let wanted = if to_large == 0 {
        least.checked_next_multiple_of(LARGE_PAGE)?
    } else if least <= to_large {
        least.max(STEP).min(to_large)
    } else {
        to_large + (least - to_large).next_multiple_of(LARGE_PAGE)
    };
    // Not all that there is: without tables nothing is mapped.
    let wanted = wanted.min(free.saturating_sub(TABLES) & !(PAGE - 1)).max(least);
    while heap.next - first < least {
        // A piece may need several ranges; it ends with the first range when it is long enough then.
        let left = wanted.saturating_sub(heap.next - first).max(PAGE);
        let mut ram = RAM.lock();
        let (physical, length) = match ram.front() {
            Some(range) => {
                let length = left.min(range.len());
                range.start += length;
                (range.start - length, length)
            }
            None => (ram.take_spare()?, PAGE),
        };
        drop(ram);
        // SAFETY: the frames were just taken, and nothing is mapped at or behind `next`.
        unsafe { paging::map(heap.next, physical, length, NO_EXECUTE | WRITE)? };
        heap.next += length;
    }
    let length = heap.next - first;
    heap.used += length;
    Some((NonNull::new(first as *mut u8)?, length))
}

/// See [`crate::heap::used`].
pub fn used() -> usize {
    HEAP.lock().used
}
