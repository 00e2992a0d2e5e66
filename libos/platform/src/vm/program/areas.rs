//! What a program has mapped where: areas that do not overlap, sorted, joined where one goes on as the other.

use crate::program::Protection;
use alloc::vec::Vec;
use core::ops::Range;

/// What lies behind an area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Zeros.
    Zero,
    /// What is sealed into the image, from this offset on.
    Sealed(usize),
    /// A piece of shared memory, by its number, from this offset on.
    Shared(u64, usize),
    /// The vDSO's page.
    Vdso,
}

impl Source {
    /// The same, `bytes` further on.
    pub fn further(self, bytes: usize) -> Self {
        match self {
            Self::Zero | Self::Vdso => self,
            Self::Sealed(offset) => Self::Sealed(offset.saturating_add(bytes)),
            Self::Shared(number, offset) => Self::Shared(number, offset.saturating_add(bytes)),
        }
    }
}

/// An area, but for where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    pub end: usize,
    pub protection: Protection,
    pub source: Source,
}

/// All areas with their beginnings, sorted: a program has some hundred.
#[derive(Debug, Default)]
pub struct Areas(Vec<(usize, Area)>);

impl Areas {
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// How many areas begin before `address`.
    fn before(&self, address: usize) -> usize {
        self.0.partition_point(|&(start, _)| start < address)
    }

    /// The area that begins at `address` or last before it.
    fn at(&self, address: usize) -> Option<&(usize, Area)> {
        self.0.get(self.0.partition_point(|&(start, _)| start <= address).checked_sub(1)?)
    }

    /// The area that `address` lies in, what may be done there and what lies behind the address.
    pub fn find(&self, address: usize) -> Option<(Protection, Source)> {
        let &(start, area) = self.at(address)?;
        (address < area.end).then(|| (area.protection, area.source.further(address - start)))
    }

    /// What may be done with `range`, and what lies behind its start, if it lies in one area.
    pub fn one(&self, range: &Range<usize>) -> Option<(Protection, Source)> {
        let (_, area) = self.at(range.start)?;
        (range.end <= area.end).then(|| self.find(range.start)).flatten()
    }

    /// Whether all of `range` is mapped.
    pub fn cover(&self, range: &Range<usize>) -> bool {
        let mut at = range.start;
        while at < range.end {
            match self.at(at) {
                Some((_, area)) if area.end > at => at = area.end,
                _ => return false,
            }
        }
        true
    }

    /// Maps `range`, in place of what is there.
    pub fn insert(&mut self, range: Range<usize>, protection: Protection, source: Source) {
        self.remove(range.clone());
        self.0.insert(self.before(range.start), (range.start, Area { end: range.end, protection, source }));
        self.join(range.end);
        self.join(range.start);
    }

    /// Takes `range` away.
    pub fn remove(&mut self, range: Range<usize>) {
        let within = self.within(&range);
        self.0.drain(within);
    }

    /// Changes what may be done with `range`, as far as it is mapped.
    pub fn protect(&mut self, range: Range<usize>, protection: Protection) {
        let within = self.within(&range);
        self.0
            .iter_mut()
            .take(within.end)
            .skip(within.start)
            .for_each(|(_, area)| area.protection = protection);
        self.join(range.end);
        for index in within.rev() {
            self.join_at(index);
        }
    }

    /// Makes areas begin at both ends of `range`, as far as it is mapped there: the indices of those that lie in it.
    fn within(&mut self, range: &Range<usize>) -> Range<usize> {
        self.split(range.start);
        self.split(range.end);
        self.before(range.start)..self.before(range.end)
    }

    /// Makes an area begin at `at`, if one lies there.
    fn split(&mut self, at: usize) {
        let index = self.before(at);
        let Some((start, area)) = index.checked_sub(1).and_then(|before| self.0.get_mut(before)) else {
            return;
        };
        if area.end > at {
            let rest = Area { source: area.source.further(at - *start), ..*area };
            area.end = at;
            self.0.insert(index, (at, rest));
        }
    }

    /// Joins the area that begins at `at` with the one before, if that goes on as it.
    fn join(&mut self, at: usize) {
        let index = self.before(at);
        if self.0.get(index).is_some_and(|&(start, _)| start == at) {
            self.join_at(index);
        }
    }

    /// The same with the area of an index.
    fn join_at(&mut self, index: usize) {
        let Some(&(at, area)) = self.0.get(index) else { return };
        let Some((start, before)) = index.checked_sub(1).and_then(|before| self.0.get_mut(before)) else {
            return;
        };
        let goes_on = before.end == at
            && before.protection == area.protection
            && before.source.further(at - *start) == area.source;
        if goes_on {
            before.end = area.end;
            self.0.remove(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PAGES: usize = 40;
    type Model = [Option<(Protection, Source)>; PAGES];

    #[derive(Clone, Debug)]
    enum Action {
        Map(Protection, Source),
        Unmap,
        Protect(Protection),
    }

    fn protection() -> impl Strategy<Value = Protection> {
        (0u64..3).prop_map(Protection::from_bits)
    }

    fn actions() -> impl Strategy<Value = std::vec::Vec<(usize, usize, Action)>> {
        let source = prop_oneof![Just(Source::Zero), (0usize..4).prop_map(|n| Source::Sealed(n * 8))];
        let action = prop_oneof![
            (protection(), source).prop_map(|(p, s)| Action::Map(p, s)),
            Just(Action::Unmap),
            protection().prop_map(Action::Protect),
        ];
        proptest::collection::vec((0..PAGES, 1..12usize, action), 0..60)
    }

    /// The fewest areas that tell what the model says.
    fn fewest(model: &Model) -> usize {
        (0..PAGES)
            .filter(|&page| {
                let goes_on = |(p, s): (Protection, Source)| Some((p, s.further(1)));
                let before = page.checked_sub(1).and_then(|before| model[before]).and_then(goes_on);
                model[page].is_some() && before != model[page]
            })
            .count()
    }

    proptest! {
        #[test]
        fn areas_tell_of_each_page_what_was_last_said(actions in actions()) {
            let mut areas = Areas::new();
            let mut model: Model = [None; PAGES];
            for (start, length, action) in actions {
                let range = start..(start + length).min(PAGES);
                prop_assert_eq!(areas.cover(&range), model[range.clone()].iter().all(Option::is_some));
                let first = model[range.start];
                let one = model[range.clone()].iter().enumerate().all(|(n, page)| {
                    page.is_some() && *page == first.map(|(protection, source)| (protection, source.further(n)))
                });
                prop_assert_eq!(areas.one(&range), first.filter(|_| one));
                match action {
                    Action::Map(protection, source) => {
                        areas.insert(range.clone(), protection, source);
                        for (n, page) in model[range].iter_mut().enumerate() {
                            *page = Some((protection, source.further(n)));
                        }
                    }
                    Action::Unmap => {
                        areas.remove(range.clone());
                        model[range].fill(None);
                    }
                    Action::Protect(protection) => {
                        areas.protect(range.clone(), protection);
                        model[range].iter_mut().flatten().for_each(|page| page.0 = protection);
                    }
                }
                for (page, expected) in model.iter().enumerate() {
                    prop_assert_eq!(areas.find(page), *expected, "page {}", page);
                }
                prop_assert_eq!(areas.0.len(), fewest(&model));
            }
        }
    }
}
