//! The page tables of the program's half of the address space: made when they are needed, given back when they are empty.
//!
//! An entry that is not 0 tells of a page: [`OWN`] says that its frame is the program's own, else it is one of the image.
//! A page that may not even be read is not [`PRESENT`], but keeps its frame.

use super::super::frames::PAGE;
use super::super::paging::{PRESENT, WRITE, entry, forget, forget_all};
use super::frame;
use core::ops::Range;

/// One of the bits that the CPU leaves to us: the frame is the program's own.
pub const OWN: u64 = 1 << 9;
/// Another one: the frame holds what is sealed, and was never writable.
pub const CLEAN: u64 = 1 << 10;
/// Another one: the frame is of shared memory, and may be mapped elsewhere as well.
pub const SHARED: u64 = 1 << 11;
/// The CPU's: the page was used.
pub const ACCESSED: u64 = 1 << 5;
/// Where an entry holds a physical address.
pub const FRAME: u64 = 0x000f_ffff_ffff_f000;
const ENTRIES: usize = 512;
/// From so many pages on the CPU forgets all of them at once.
const MANY: usize = 32;

/// The entry of a page, with the tables above it. `None` without memory for them.
pub fn make(page: usize) -> Option<*mut u64> {
    for level in [4, 3, 2] {
        let place = entry(page, level);
        // SAFETY: the tables above are there, so the entry is; a table is zeroed and nobody else's.
        unsafe {
            if place.read_volatile() & PRESENT == 0 {
                place.write_volatile(frame::take(&[])? as u64 | WRITE | PRESENT);
            }
        }
    }
    Some(entry(page, 1))
}

/// The first of `pages` whose entry is not 0, and that entry.
pub fn first(pages: Range<usize>) -> Option<(usize, *mut u64)> {
    search(4, pages.start, pages.end)
}

fn search(level: u32, mut at: usize, end: usize) -> Option<(usize, *mut u64)> {
    let size = PAGE << (9 * (level - 1));
    while at < end {
        let next = (at & !(size - 1)) + size;
        let place = entry(at, level);
        // SAFETY: the table that holds the entry is there: those above were found present.
        let value = unsafe { place.read_volatile() };
        if level == 1 && value != 0 {
            return Some((at, place));
        }
        if level > 1 && value & PRESENT != 0 {
            let found = search(level - 1, at, next.min(end));
            if found.is_some() {
                return found;
            }
        }
        at = next;
    }
    None
}

/// Calls `change` with the page and its entry for each of `pages` whose entry is not 0, and writes what it returns. Makes
/// the CPU forget what changed, and gives tables back that became empty.
pub fn change(pages: &Range<usize>, mut change: impl FnMut(usize, u64) -> u64) {
    let mut walk = Walk { change: &mut change, changed: [0; MANY], count: 0 };
    walk.level(4, pages.start, pages.end);
    walk.forget();
}

struct Walk<'a> {
    change: &'a mut dyn FnMut(usize, u64) -> u64,
    /// Pages that the CPU may remember as they were; with [`MANY`], any.
    changed: [usize; MANY],
    count: usize,
}

impl Walk<'_> {
    fn level(&mut self, level: u32, mut at: usize, end: usize) {
        let size = PAGE << (9 * (level - 1));
        while at < end {
            let next = (at & !(size - 1)) + size;
            let place = entry(at, level);
            // SAFETY: the table that holds the entry is there: those above were found present.
            let value = unsafe { place.read_volatile() };
            if level == 1 && value != 0 {
                let new = (self.change)(at, value);
                if new != value {
                    // SAFETY: as above; what the entry maps is the program's.
                    unsafe { place.write_volatile(new) };
                    if value & PRESENT != 0 {
                        self.note(at);
                    }
                }
            } else if level > 1 && value & PRESENT != 0 {
                self.level(level - 1, at, next.min(end));
                let table = entry(at, level - 1) as usize & !(PAGE - 1);
                // SAFETY: the entry points to that table.
                if unsafe { &*(table as *const [u64; ENTRIES]) }.iter().all(|&entry| entry == 0) {
                    // SAFETY: an empty table maps nothing.
                    unsafe { place.write_volatile(0) };
                    forget(table);
                    frame::give((value & FRAME) as usize);
                }
            }
            at = next;
        }
    }

    fn note(&mut self, page: usize) {
        if let Some(place) = self.changed.get_mut(self.count) {
            *place = page;
            self.count += 1;
        }
    }

    fn forget(&self) {
        if self.count == MANY {
            forget_all();
        } else {
            self.changed.iter().take(self.count).for_each(|&page| forget(page));
        }
    }
}
