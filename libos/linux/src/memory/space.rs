//! The address space of a process: its areas, and where new ones go.

use super::area::{Area, Mapped, Object};
use super::patches::{self, Patches};
use crate::{Errno, PAGE};
use alloc::vec::Vec;
use core::ops::Range;
use kernlet_platform::program::{self, Backing, Protection};

/// The most areas of a process (vm.max_map_count of Linux).
const AREAS_MOST: usize = 65_530;
/// Addresses that stay free below each stack-like area, so that overflowing it faults.
const GUARD: usize = PAGE;

/// An address space. What it says is mapped, the platform has mapped.
#[derive(Debug)]
pub struct Space {
    /// By ascending address, disjoint.
    areas: Vec<Area>,
    /// New areas go below this address, the highest free place first.
    top: usize,
    /// The heap: where it begins, and where the program's break is.
    pub(super) heap: Range<usize>,
    /// Calls that were replaced where they lie.
    pub(super) patches: Patches,
}

impl Space {
    /// Nothing mapped; areas whose place nobody says go below `top`.
    pub fn new(top: usize) -> Self {
        Self { areas: Vec::new(), top, heap: 0..0, patches: Patches::new() }
    }

    /// Says where the heap begins, which is empty then.
    pub fn set_heap(&mut self, start: usize) {
        self.heap = start..start;
    }

    /// Its areas by ascending address.
    pub fn areas(&self) -> &[Area] {
        &self.areas
    }

    /// Whether a shared mapping of a file that `is` the one can be written.
    pub fn writes(&self, is: impl Fn(&Mapped) -> bool) -> bool {
        let shared = self.areas.iter().filter(|area| area.shared && area.protection.write);
        shared.into_iter().any(|area| matches!(&area.object, Object::File(mapped) if is(mapped)))
    }

    /// The area that holds `address`.
    pub fn find(&self, address: usize) -> Option<&Area> {
        let index = self.areas.partition_point(|area| area.pages.end <= address);
        self.areas.get(index).filter(|area| area.pages.contains(&address))
    }

    /// The indexes of the areas that meet `pages`.
    fn meeting(&self, pages: &Range<usize>) -> Range<usize> {
        let first = self.areas.partition_point(|area| area.pages.end <= pages.start);
        let last = self.areas.partition_point(|area| area.pages.start < pages.end);
        first..last.max(first)
    }

    /// The areas that meet `pages`.
    pub fn meeting_areas(&self, pages: &Range<usize>) -> &[Area] {
        &self.areas[self.meeting(pages)]
    }

    /// Notes that the platform moved `from` to where `area` says.
    pub fn moved(&mut self, from: &Range<usize>, area: Area) {
        self.forget(from);
        self.note(area);
    }

    /// Whether nothing is mapped in `pages`.
    pub fn is_free(&self, pages: &Range<usize>) -> bool {
        self.meeting(pages).is_empty()
    }

    /// Whether all of `pages` is mapped.
    pub fn is_mapped(&self, pages: &Range<usize>) -> bool {
        let mut at = pages.start;
        for area in &self.areas[self.meeting(pages)] {
            if area.pages.start > at {
                return false;
            }
            at = area.pages.end;
        }
        at >= pages.end
    }

    /// A free place for `length` bytes (whole pages): at `hint` when that is free, else the highest below the top.
    ///
    /// # Errors
    /// ENOMEM when there is none.
    pub fn place(&self, hint: usize, length: usize) -> Result<usize, Errno> {
        let limits = program::range();
        let hint = hint & !(PAGE - 1);
        if hint >= limits.start
            && let Some(end) = hint.checked_add(length)
            && end <= limits.end
            && self.is_free(&(hint..end))
        {
            return Ok(hint);
        }
        let mut end = self.top;
        for area in self.areas.iter().rev() {
            if area.pages.start >= end {
                continue;
            }
            if area.pages.end <= end && end - area.pages.end >= length {
                return Ok(end - length);
            }
            let guard = if matches!(area.object, Object::Stack) { GUARD } else { 0 };
            end = area.pages.start.saturating_sub(guard);
        }
        end.checked_sub(length).filter(|&start| start >= limits.start.max(self.heap.end)).ok_or(Errno::ENOMEM)
    }

    /// Notes an area in place of what was there, without telling the platform.
    fn note(&mut self, area: Area) {
        self.take_out(&area.pages);
        let at = self.areas.partition_point(|other| other.pages.start < area.pages.start);
        self.areas.insert(at, area);
        self.join(at + 1);
        self.join(at);
    }

    /// Makes one of the areas at `index` and before it when they are alike.
    fn join(&mut self, index: usize) {
        if index == 0 || index >= self.areas.len() || !self.areas[index - 1].joins(&self.areas[index]) {
            return;
        }
        self.areas[index - 1].pages.end = self.areas[index].pages.end;
        self.areas.remove(index);
    }

    /// Notes that `pages` are not mapped any more, without telling the platform.
    fn forget(&mut self, pages: &Range<usize>) {
        for area in self.meeting_areas(pages) {
            if let Object::File(file) = &area.object
                && let Some(attachment) = file.attachment.get()
            {
                attachment.detached();
            }
        }
        self.take_out(pages);
    }

    /// Takes `pages` out of the areas.
    fn take_out(&mut self, pages: &Range<usize>) {
        let meeting = self.meeting(pages);
        let Some(first) = self.areas[meeting.clone()].first() else { return };
        let last = &self.areas[meeting.end - 1];
        let before = (first.pages.start < pages.start).then(|| first.part(&(first.pages.start..pages.start)));
        let behind = (last.pages.end > pages.end).then(|| last.part(&(pages.end..last.pages.end)));
        self.areas.splice(meeting, before.into_iter().chain(behind));
    }

    fn room_for_more(&self) -> Result<(), Errno> {
        if self.areas.len() + 2 > AREAS_MOST { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// Maps an area in place of what was there, backed by `backing`.
    ///
    /// # Errors
    /// ENOMEM; the platform's.
    pub fn map(&mut self, area: Area, backing: Backing<'_>) -> Result<(), Errno> {
        self.room_for_more()?;
        patches::restore(self, &area.pages, true);
        program::map(area.pages.clone(), area.protection, backing)?;
        self.forget(&area.pages);
        self.note(area);
        Ok(())
    }

    /// Maps a part of a file of the root. What lies behind the file's last page does not exist: a fault there is SIGBUS.
    ///
    /// # Errors
    /// As for [`Self::map`].
    pub fn map_sealed(&mut self, area: Area, file: Range<usize>) -> Result<(), Errno> {
        self.room_for_more()?;
        patches::restore(self, &area.pages, true);
        let there = (file.end - file.start).next_multiple_of(PAGE).saturating_sub(area.offset as usize);
        let middle = area.pages.end.min(area.pages.start.saturating_add(there));
        if middle > area.pages.start {
            let backing = Backing::Sealed(file.start + area.offset as usize);
            program::map(area.pages.start..middle, area.protection, backing)?;
        }
        if middle < area.pages.end {
            program::map(middle..area.pages.end, Protection::NONE, Backing::Anonymous)?;
        }
        self.forget(&area.pages);
        self.note(area.clone());
        super::rewrite::replace(self, &area);
        Ok(())
    }

    /// Takes whole pages away.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn unmap(&mut self, pages: Range<usize>) -> Result<(), Errno> {
        if self.is_free(&pages) {
            return Ok(());
        }
        self.room_for_more()?;
        patches::restore(self, &pages, true);
        program::unmap(pages.clone())?;
        self.forget(&pages);
        Ok(())
    }

    /// Changes what may be done with whole pages.
    ///
    /// # Errors
    /// ENOMEM when a part is not mapped (what lies before it is changed, as in Linux); EACCES.
    pub fn protect(&mut self, pages: Range<usize>, protection: Protection) -> Result<(), Errno> {
        self.room_for_more()?;
        let mut at = pages.start;
        while at < pages.end {
            let Some(area) = self.find(at) else { return Err(Errno::ENOMEM) };
            let mut part = area.part(&(at..pages.end));
            at = part.pages.end;
            if part.protection == protection {
                continue;
            }
            // What was opened for reading alone is not written by a mapping either.
            if let (true, true, Object::File(mapped)) = (part.shared, protection.write, &part.object)
                && !mapped.writable
            {
                return Err(Errno::EACCES);
            }
            if protection.write {
                patches::restore(self, &part.pages, false);
            }
            program::protect(part.pages.clone(), protection)?;
            let fresh = protection.execute && !part.protection.execute;
            part.protection = protection;
            self.note(part.clone());
            if fresh {
                patches::replace(self, &part);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    fn area(start: usize, end: usize, protection: Protection) -> Area {
        let (pages, object) = (start * PAGE..end * PAGE, Object::Anonymous);
        Area { pages, protection, shared: false, object, offset: 0 }
    }

    fn shown(space: &Space) -> vec::Vec<(usize, usize, u64)> {
        let each = |a: &Area| (a.pages.start / PAGE, a.pages.end / PAGE, a.protection.bits());
        space.areas().iter().map(each).collect()
    }

    #[test]
    fn areas_split_and_join() {
        let mut space = Space::new(1 << 30);
        space.note(area(100, 110, Protection::READ_WRITE));
        space.note(area(110, 120, Protection::READ_WRITE));
        assert_eq!(shown(&space), [(100, 120, 3)]);
        space.note(area(105, 107, Protection::NONE));
        assert_eq!(shown(&space), [(100, 105, 3), (105, 107, 0), (107, 120, 3)]);
        space.forget(&(101 * PAGE..108 * PAGE));
        assert_eq!(shown(&space), [(100, 101, 3), (108, 120, 3)]);
        space.note(area(101, 108, Protection::READ_WRITE));
        assert_eq!(shown(&space), [(100, 120, 3)]);
        assert!(space.is_mapped(&(100 * PAGE..120 * PAGE)));
        assert!(!space.is_mapped(&(100 * PAGE..121 * PAGE)));
    }

    #[test]
    fn the_highest_free_place_is_taken_and_a_hint_is_kept() {
        let mut space = Space::new(1000 * PAGE);
        assert_eq!(space.place(0, 10 * PAGE), Ok(990 * PAGE));
        space.note(area(990, 1000, Protection::NONE));
        space.note(area(980, 985, Protection::NONE));
        assert_eq!(space.place(0, 5 * PAGE), Ok(985 * PAGE));
        assert_eq!(space.place(0, 6 * PAGE), Ok(974 * PAGE));
        assert_eq!(space.place(500 * PAGE + 7, PAGE), Ok(500 * PAGE));
        assert_eq!(space.place(990 * PAGE, PAGE), Ok(989 * PAGE));
        assert_eq!(space.place(0, 2000 * PAGE), Err(Errno::ENOMEM));
    }

    #[test]
    fn parts_of_a_file_keep_their_offsets() {
        let mut space = Space::new(1 << 30);
        let mapped = alloc::rc::Rc::new(Mapped::new(vec![], 0, 1));
        let whole = Area { object: Object::File(mapped), offset: 4096, ..area(100, 110, Protection::NONE) };
        space.note(whole);
        space.forget(&(103 * PAGE..104 * PAGE));
        assert_eq!(space.areas()[1].offset, 4096 + 4 * 4096);
    }
}
