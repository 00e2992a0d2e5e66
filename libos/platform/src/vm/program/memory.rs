//! The program's memory: what is mapped is noted, and filled in page by page when it is touched.
//!
//! A page of the sealed root that lies in memory with the image is mapped as it is, read-only; what is written, or lies on
//! a disk, is copied to a frame of the program's own. When nothing else is left, such copies go that were not written to:
//! they can be read again.

use super::super::frames::PAGE;
use super::super::paging::{NO_EXECUTE, PRESENT, WRITE, forget, physical_in_image};
use super::super::single::Single;
use super::areas::{Areas, Source};
use super::{frame, shared, tables};
use crate::Errno;
use crate::control::Death;
use crate::panic::Report;
use crate::program::{Backing, Protection, range, vdso};
use core::fmt::Write;
use core::ops::Range;

struct Memory {
    areas: Areas,
    /// Pages whose frames are the program's own.
    own: usize,
    /// What is sealed, and how much of it lies in memory with the image.
    sealed: &'static [u8],
    loaded: usize,
    /// Where the next look for pages begins that can go.
    hand: usize,
}

static MEMORY: Single<Memory> =
    Single::new(Memory { areas: Areas::new(), own: 0, sealed: &[], loaded: 0, hand: range().start });

/// How many pages go at once.
const BATCH: usize = 64;

/// What became of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The page is there now.
    Filled,
    /// Nothing is mapped there, or not for such an access.
    Refused,
    /// What is mapped there has an end before.
    Beyond,
}

/// Gets ready; `None` without memory for it.
pub fn prepare() -> Option<()> {
    let sealed = crate::sealed::whole();
    let loaded = crate::sealed::segment().len();
    let mut memory = MEMORY.lock();
    memory.sealed = sealed;
    memory.loaded = if sealed.as_ptr().addr().is_multiple_of(PAGE) { loaded } else { 0 };
    frame::prepare()
}

/// See [`crate::program::map`].
pub fn map(pages: Range<usize>, protection: Protection, backing: Backing<'_>) -> Result<(), Errno> {
    let source = match backing {
        Backing::Anonymous => Source::Zero,
        Backing::Sealed(offset) if offset.is_multiple_of(PAGE) => Source::Sealed(offset),
        Backing::Sealed(_) => return Err(Errno::EINVAL),
        // Nothing of the host's can be mapped.
        Backing::File { .. } => return Err(Errno::ENODEV),
        Backing::Vdso => Source::Vdso,
        Backing::Shared(shared, offset) => Source::Shared(shared.number(), offset as usize),
    };
    let mut memory = MEMORY.lock();
    memory.clear(&pages);
    memory.areas.insert(pages, protection, source);
    Ok(())
}

/// See [`crate::program::unmap`].
pub fn unmap(pages: Range<usize>) -> Result<(), Errno> {
    let mut memory = MEMORY.lock();
    memory.clear(&pages);
    memory.areas.remove(pages);
    Ok(())
}

/// See [`crate::program::protect`].
pub fn protect(pages: Range<usize>, protection: Protection) -> Result<(), Errno> {
    let mut memory = MEMORY.lock();
    if !memory.areas.cover(&pages) {
        return Err(Errno::ENOMEM);
    }
    tables::change(&pages, |_, entry| {
        entry & (tables::FRAME | tables::OWN | tables::CLEAN | tables::SHARED) | bits(protection, entry)
    });
    memory.areas.protect(pages, protection);
    Ok(())
}

/// See [`crate::program::discard`].
pub fn discard(pages: Range<usize>) -> Result<(), Errno> {
    MEMORY.lock().clear(&pages);
    Ok(())
}

/// See [`crate::program::resident`].
pub fn resident() -> usize {
    MEMORY.lock().own * PAGE
}

/// See [`crate::program::relocate`].
pub fn relocate(pages: Range<usize>, to: usize) -> Result<(), Errno> {
    let mut memory = MEMORY.lock();
    let (protection, source) = memory.areas.one(&pages).ok_or(Errno::EFAULT)?;
    let target = to..to + (pages.end - pages.start);
    memory.clear(&target);
    memory.relocate(&pages, to);
    memory.areas.remove(pages);
    memory.areas.insert(target, protection, source);
    Ok(())
}

/// The page is there and may be used as the area says; only an own frame that is not clean may be written.
fn bits(protection: Protection, entry: u64) -> u64 {
    let Protection { read, write, execute } = protection;
    let mut bits = if execute { 0 } else { NO_EXECUTE };
    if read || write || execute {
        bits |= PRESENT;
    }
    let own = entry & (tables::OWN | tables::CLEAN) == tables::OWN;
    if write && (own || entry & tables::SHARED != 0) {
        bits |= WRITE;
    }
    bits
}

/// A page fault's error code: Intel SDM volume 3, 4.7.
const ERROR_WRITE: u32 = 2;
const ERROR_FETCH: u32 = 16;

/// Fills in the page of a fault.
pub fn fault(address: usize, error: u32) -> Outcome {
    MEMORY.lock().fault(address, error & ERROR_WRITE != 0, error & ERROR_FETCH != 0)
}

impl Memory {
    /// Whether it lies in memory with the image, in a page of its own.
    fn is_loaded(&self, source: Source) -> bool {
        match source {
            Source::Sealed(offset) => offset + PAGE <= self.loaded,
            Source::Vdso => true,
            Source::Zero | Source::Shared(..) => false,
        }
    }

    /// Gives back what lies in `pages`.
    fn clear(&mut self, pages: &Range<usize>) {
        let own = &mut self.own;
        tables::change(pages, |_, entry| {
            if entry & tables::OWN != 0 {
                *own -= 1;
                frame::give((entry & tables::FRAME) as usize);
            }
            0
        });
    }

    fn fault(&mut self, address: usize, write: bool, fetch: bool) -> Outcome {
        let page = address & !(PAGE - 1);
        let Some((protection, source)) = self.areas.find(page) else { return Outcome::Refused };
        let Protection { read, write: may_write, execute } = protection;
        let permitted = if write {
            may_write
        } else if fetch {
            execute
        } else {
            read || may_write || execute
        };
        if !permitted {
            return Outcome::Refused;
        }
        if let Source::Shared(number, offset) = source {
            let frame = self.least(|| shared::frame(number, offset / PAGE)) as u64 | tables::SHARED;
            let place = self.least(|| tables::make(page));
            // SAFETY: the entry of a page of the program's; the frame is shared memory, which stays that for good.
            unsafe { place.write_volatile(frame | bits(protection, frame)) };
            return Outcome::Filled;
        }
        let whole: &[u8] = match source {
            Source::Zero | Source::Shared(..) => &[],
            // SAFETY: a page of the image, which nothing writes to.
            Source::Vdso => unsafe { core::slice::from_raw_parts(vdso::page() as *const u8, PAGE) },
            Source::Sealed(offset) => match self.sealed.get(offset..).filter(|rest| !rest.is_empty()) {
                Some(rest) => &rest[..rest.len().min(PAGE)],
                None => return Outcome::Beyond,
            },
        };
        // SAFETY: the entry of a page of the program's.
        let before =
            tables::first(page..page + PAGE).map_or(0, |(_, entry)| unsafe { entry.read_volatile() });
        let clean = if write || source == Source::Zero { 0 } else { tables::CLEAN };
        let frame = if before & tables::OWN != 0 {
            before & (tables::FRAME | tables::OWN) | before & clean
        } else if !write && self.is_loaded(source) {
            physical_in_image(whole.as_ptr().addr())
        } else {
            let frame = self.least(|| frame::take(whole)) as u64;
            self.own += 1;
            frame | tables::OWN | clean
        };
        // Last, as whatever takes memory may give empty tables back.
        let place = self.least(|| tables::make(page));
        // SAFETY: as above. The frame is the program's, or one of the image, which stays read-only.
        unsafe { place.write_volatile(frame | bits(protection, frame)) };
        if before & PRESENT != 0 {
            forget(page);
        }
        Outcome::Filled
    }

    /// Moves what lies in `pages` to `to`, where nothing lies.
    fn relocate(&mut self, pages: &Range<usize>, to: usize) {
        let mut from = pages.start;
        while let Some((page, _)) = tables::first(from..pages.end) {
            let place = self.least(|| tables::make(to + (page - pages.start)));
            // The page may just have been let go of, for the sake of a table.
            if let Some((_, old)) = tables::first(page..page + PAGE) {
                // SAFETY: both are entries of pages of the program's.
                unsafe {
                    place.write_volatile(old.read_volatile());
                    old.write_volatile(0);
                }
                forget(page);
            }
            from = page + PAGE;
        }
        // Only for the tables that are empty now.
        tables::change(pages, |_, entry| entry);
    }

    /// What `take` needs memory for, or the end.
    fn least<T>(&mut self, take: impl Fn() -> Option<T>) -> T {
        loop {
            match take() {
                Some(taken) => return taken,
                None if self.reclaim(BATCH) || frame::open_reserve() => {}
                None => exhausted(self.own),
            }
        }
    }

    /// Lets go of about so many clean pages, first of those that were not used since they were last looked at; `false` when
    /// there are none.
    fn reclaim(&mut self, pages: usize) -> bool {
        let mut freed = 0;
        let all = range();
        // Every page is seen twice at most: used, then not.
        for part in [self.hand..all.end, all.clone(), all.start..self.hand] {
            let own = &mut self.own;
            let mut end = part.end;
            tables::change(&part, |page, entry| {
                if freed >= pages {
                    end = end.min(page);
                    return entry;
                }
                if entry & (tables::OWN | tables::CLEAN) != tables::OWN | tables::CLEAN {
                    return entry;
                }
                if entry & tables::ACCESSED != 0 {
                    return entry & !tables::ACCESSED;
                }
                *own -= 1;
                freed += 1;
                frame::give((entry & tables::FRAME) as usize);
                0
            });
            self.hand = end;
            if freed >= pages {
                break;
            }
        }
        freed > 0
    }
}

/// Lets go of so many clean pages, if there are, for other uses than the program's.
pub fn reclaim(pages: usize) {
    if let Some(mut memory) = MEMORY.try_lock() {
        memory.reclaim(pages);
    }
}

/// Ends the instance: a page was promised that there is no memory for. The program holds `own` pages.
fn exhausted(own: usize) -> ! {
    let mut report = Report::new();
    let _ = writeln!(
        report,
        "kernlet: out of memory: the program touched more than there is (it holds {} KiB); give the instance more (-m)",
        own * PAGE / 1024
    );
    drop(report);
    crate::power::die(Death::OutOfMemory)
}
