//! The global allocator.

use core::alloc::Layout;
use core::ptr::NonNull;
use kernlet_platform::heap;
use talc::base::Talc;
use talc::base::binning::{Binning, DefaultBinning};
use talc::cell::{TalcCell, TalcSyncCell};
use talc::source::Source;

#[global_allocator]
// SAFETY: one vCPU runs the library OS, which is not preempted, and interrupt and signal handlers do not allocate.
static HEAP: TalcSyncCell<Platform, DefaultBinning> =
    unsafe { TalcSyncCell::new(TalcCell::new(Platform { end: None })) };

/// What talc needs beside an allocation: its header, the heap's own bookkeeping, alignment at both ends.
const OVERHEAD: usize = 2048;

/// Gets memory from the platform.
#[derive(Debug)]
struct Platform {
    end: Option<NonNull<u8>>,
}

// SAFETY: neither allocates nor touches the allocator other than through `talc`.
unsafe impl Source for Platform {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        let least =
            layout.size().checked_add(layout.align()).and_then(|n| n.checked_add(OVERHEAD)).ok_or(())?;
        let (start, length) = heap::grow(least).ok_or(())?;
        let old = talc.source.end.take();
        let end = match old {
            Some(end) if end == start => {
                // SAFETY: the new piece lies right behind the heap, and is ours alone.
                Some(unsafe { talc.extend(end, start.as_ptr().wrapping_add(length)) })
            }
            // SAFETY: the platform hands each piece out once, mapped and writable, for good.
            _ => unsafe { talc.claim(start.as_ptr(), length) },
        };
        talc.source.end = end;
        end.map(|_| ()).ok_or(())
    }
}
