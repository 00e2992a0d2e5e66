//! How many locks an instance has: the kernel keeps each, however many there are.

use kernlet_wire::broker::{Lock, Part};
use rustix::io::Errno;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many parts of files an instance may have locked at once.
const MOST: usize = 8192;

/// What counts the parts of all files of an instance.
#[derive(Debug, Default)]
pub struct Count(Arc<AtomicUsize>);

impl Count {
    /// The parts of one more file.
    pub fn ranges(&self) -> Ranges {
        Ranges { parts: Vec::new(), all: self.0.clone() }
    }
}

/// The parts of a file that one open file description has locked, as the kernel has them, in order.
#[derive(Debug)]
pub struct Ranges {
    parts: Vec<(u64, u64, bool)>,
    all: Arc<AtomicUsize>,
}

impl Ranges {
    /// What they are after a change.
    ///
    /// # Errors
    /// ENOLCK when the instance has too many.
    pub fn with(&self, lock: Lock, part: Part) -> Result<Self, Errno> {
        let end = if part.length == 0 { u64::MAX } else { part.start.saturating_add(part.length) };
        let mut parts = Vec::with_capacity(self.parts.len() + 2);
        for &(from, to, exclusive) in &self.parts {
            for (from, to) in [(from, to.min(part.start)), (from.max(end), to)] {
                if from < to {
                    parts.push((from, to, exclusive));
                }
            }
        }
        if lock != Lock::Unlock {
            parts.push((part.start, end, lock == Lock::Exclusive));
        }
        parts.sort_unstable();
        parts.dedup_by(|next, before| {
            let joins = before.1 == next.0 && before.2 == next.2;
            if joins {
                before.1 = next.1;
            }
            joins
        });
        let more = parts.len().saturating_sub(self.parts.len());
        if more > 0 && self.all.load(Ordering::Relaxed) + more > MOST {
            return Err(Errno::NOLCK);
        }
        self.all.fetch_add(parts.len(), Ordering::Relaxed);
        Ok(Self { parts, all: self.all.clone() })
    }
}

impl Drop for Ranges {
    fn drop(&mut self) {
        self.all.fetch_sub(self.parts.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_cut_and_joined_as_the_kernel_does_it() {
        let count = Count::default();
        let part = |start, length| Part { start, length };
        let mut ranges = count.ranges().with(Lock::Exclusive, part(0, 100)).unwrap();
        ranges = ranges.with(Lock::Shared, part(40, 20)).unwrap();
        assert_eq!(ranges.parts, [(0, 40, true), (40, 60, false), (60, 100, true)]);
        ranges = ranges.with(Lock::Exclusive, part(40, 20)).unwrap();
        assert_eq!(ranges.parts, [(0, 100, true)]);
        ranges = ranges.with(Lock::Unlock, part(10, 0)).unwrap();
        assert_eq!(ranges.parts, [(0, 10, true)]);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        drop(ranges);
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn an_instance_cannot_have_any_number_of_locks() {
        let count = Count::default();
        let mut ranges = count.ranges();
        for n in 0..MOST as u64 {
            ranges = ranges.with(Lock::Shared, Part { start: 2 * n, length: 1 }).unwrap();
        }
        let more = Part { start: 2 * MOST as u64, length: 1 };
        assert_eq!(ranges.with(Lock::Shared, more).map(drop), Err(Errno::NOLCK));
        assert_eq!(count.ranges().with(Lock::Shared, more).map(drop), Err(Errno::NOLCK));
        assert!(ranges.with(Lock::Unlock, Part { start: 0, length: 0 }).is_ok());
    }
}
