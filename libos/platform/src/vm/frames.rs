//! Physical memory: which ranges are RAM and free. The heap takes them from the front, everything else (page
//! tables, stack, device buffers) from the back, so that low memory is used before it would be wasted.

use super::single::Single;

pub const PAGE: usize = 4096;
/// More ranges than any monitor's map splits into; what does not fit stays unused.
const RANGES: usize = 16;
/// Conventional memory and firmware's place.
const ONE_MIB: usize = 1 << 20;

/// A range of physical addresses, whole pages.
#[derive(Clone, Copy)]
pub struct Range {
    pub start: usize,
    pub end: usize,
}

impl Range {
    pub fn len(&self) -> usize {
        self.end - self.start
    }
}

pub struct Ram {
    ranges: [Range; RANGES],
    count: usize,
    spare: Option<Spare>,
}

/// Where single pages lie that were given back, or can be. `None` takes one and returns its physical address, or 0; else it
/// returns how many bytes of them there are, if possible as many as are asked for. It must not need [`RAM`].
pub type Spare = fn(Option<usize>) -> usize;

/// All free RAM.
pub static RAM: Single<Ram> =
    Single::new(Ram { ranges: [Range { start: 0, end: 0 }; RANGES], count: 0, spare: None });

impl Ram {
    /// Adds the whole pages of `start..end`. Ranges above 1 MiB come first.
    pub fn add(&mut self, start: usize, end: usize) {
        // Page 0 stays unused: a device address of 0 means "none".
        let start = start.max(PAGE).next_multiple_of(PAGE);
        let end = end & !(PAGE - 1);
        let mut at = self.count;
        let Some(place) = self.ranges.get_mut(at).filter(|_| start < end) else { return };
        *place = Range { start, end };
        self.count += 1;
        while at > 0 && start >= ONE_MIB && self.ranges[at - 1].start < ONE_MIB {
            self.ranges.swap(at, at - 1);
            at -= 1;
        }
    }

    /// Takes the pages that `start..end` touches out of the free ranges.
    pub fn exclude(&mut self, start: usize, end: usize) {
        let start = start & !(PAGE - 1);
        let end = end.next_multiple_of(PAGE);
        let mut i = 0;
        // What is added on the way may move later ranges one place up, never past the loop's end.
        while let Some(place) = self.ranges.get_mut(i).filter(|_| i < self.count) {
            let range = *place;
            if start < range.end && range.start < end {
                if start <= range.start {
                    place.start = end.min(range.end);
                } else {
                    place.end = start;
                    self.add(end, range.end);
                }
            }
            i += 1;
        }
    }

    /// Those that were added, in their order; the rest are empty.
    fn used(&mut self) -> impl DoubleEndedIterator<Item = &mut Range> {
        self.ranges.iter_mut().take(self.count)
    }

    /// Takes `pages` contiguous pages from the back; returns their physical address.
    pub fn take_back(&mut self, pages: usize) -> Option<usize> {
        let length = pages.checked_mul(PAGE)?;
        let Some(range) = self.used().rev().find(|r| r.len() >= length) else {
            return if pages == 1 { self.take_spare() } else { None };
        };
        range.end -= length;
        Some(range.end)
    }

    /// Decides where spare pages come from when the ranges are used up.
    pub fn set_spare(&mut self, spare: Spare) {
        self.spare = Some(spare);
    }

    /// A page that was given back.
    pub fn take_spare(&self) -> Option<usize> {
        self.spare.map(|spare| spare(None)).filter(|&page| page != 0)
    }

    /// The range from whose front the heap grows next.
    pub fn front(&mut self) -> Option<&mut Range> {
        self.used().find(|r| r.len() > 0)
    }

    /// Whether there is RAM from a physical address on, or was before it was taken. A monitor may load an image beyond its end.
    pub fn reaches(&self, address: usize) -> bool {
        self.ranges.iter().any(|range| range.start >= address)
    }

    /// Free bytes in all.
    pub fn free(&self) -> usize {
        self.ranges.iter().map(Range::len).sum()
    }

    /// Whether there are so many bytes, those included that were given back.
    pub fn has(&self, bytes: usize) -> bool {
        let missing = bytes.saturating_sub(self.free());
        missing == 0 || self.spare.is_some_and(|spare| spare(Some(missing)) >= missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn free_pages(ram: &Ram) -> std::vec::Vec<usize> {
        let mut pages: std::vec::Vec<_> =
            ram.ranges[..ram.count].iter().flat_map(|r| (r.start..r.end).step_by(PAGE)).collect();
        pages.sort_unstable();
        pages
    }

    proptest! {
        #[test]
        fn what_is_excluded_is_never_handed_out(
            holes in proptest::collection::vec((0usize..2048 * PAGE, 1usize..64 * PAGE), 0..12),
        ) {
            let mut ram = Ram { ranges: [Range { start: 0, end: 0 }; RANGES], count: 0, spare: None };
            ram.add(0, 159 * PAGE);
            ram.add(256 * PAGE, 2048 * PAGE);
            for &(start, length) in &holes {
                ram.exclude(start, start + length);
            }
            let outside = |page: usize| {
                holes.iter().all(|&(start, length)| page + PAGE <= start || page >= start + length)
            };
            let all = (1..159).chain(256..2048).map(|n| n * PAGE).filter(|&p| outside(p));
            let free = free_pages(&ram);
            prop_assert!(free.iter().all(|&p| outside(p)));
            // With few ranges none is forgotten.
            if ram.count < RANGES {
                prop_assert!(all.eq(free.iter().copied()));
            }
            let mut taken = std::vec::Vec::new();
            while let Some(page) = ram.take_back(1) {
                taken.push(page);
            }
            taken.sort_unstable();
            prop_assert_eq!(taken, free);
        }
    }
}
