//! Single frames of memory for the program: taken from the free RAM, and given back to a list that runs through the free
//! frames themselves. The heap gets them from there when nothing else is left.

use super::super::frames::{PAGE, RAM};
use super::super::paging::{self, NO_EXECUTE, PRESENT, WRITE, entry};
use super::super::single::Single;
use super::place;

struct List {
    /// The first one's physical address; it holds that of the next.
    first: usize,
    count: usize,
    /// Where any frame can be mapped for a moment; 0: not yet.
    place: usize,
    /// What is left to devices, which need memory in one piece, as long as there is another way.
    reserve: usize,
}

static LIST: Single<List> = Single::new(List { first: 0, count: 0, place: 0, reserve: 0 });

/// The reserve: a part of what is free at first, between these.
const RESERVED_PART: usize = 32;
const RESERVED: [usize; 2] = [64 << 10, 1 << 20];

/// Makes the place at which frames are looked at; `None` without memory for it.
pub fn prepare() -> Option<()> {
    let place = place::frame();
    let frame = RAM.lock().take_back(1)?;
    // SAFETY: nothing lies at the place, and the frame was just taken.
    unsafe { paging::map(place, frame, PAGE, NO_EXECUTE | WRITE)? };
    let mut list = LIST.lock();
    list.place = place;
    list.give(frame);
    let mut ram = RAM.lock();
    list.reserve = (ram.free() / RESERVED_PART).clamp(RESERVED[0], RESERVED[1]);
    ram.set_spare(spare);
    Some(())
}

impl List {
    /// Maps a frame at the place, in place of the one before.
    fn show(&mut self, frame: usize) -> *mut usize {
        // SAFETY: `prepare` made the table; only what is shown at this moment is used.
        unsafe { entry(self.place, 1).write_volatile(frame as u64 | NO_EXECUTE | WRITE | PRESENT) };
        paging::forget(self.place);
        self.place as *mut usize
    }

    fn give(&mut self, frame: usize) {
        let next = self.first;
        // SAFETY: the frame is nobody's any more.
        unsafe { self.show(frame).write_volatile(next) };
        self.first = frame;
        self.count += 1;
    }

    fn take(&mut self) -> Option<usize> {
        let frame = Some(self.first).filter(|&first| first != 0)?;
        // SAFETY: a frame of the list holds the next one's address.
        self.first = unsafe { self.show(frame).read_volatile() };
        self.count -= 1;
        Some(frame)
    }
}

/// See [`super::super::frames::Spare`].
fn spare(wanted: Option<usize>) -> usize {
    match wanted {
        None => LIST.lock().take().unwrap_or(0),
        Some(wanted) => {
            let there = || LIST.lock().count * PAGE;
            if there() < wanted {
                super::memory::reclaim((wanted - there()).div_ceil(PAGE));
            }
            there()
        }
    }
}

/// Lets the reserve be used; `false` when it was already.
pub fn open_reserve() -> bool {
    core::mem::take(&mut LIST.lock().reserve) != 0
}

/// A frame that begins with `bytes` (at most a page), then zeros. `None`: there is none left.
pub fn take(bytes: &[u8]) -> Option<usize> {
    let (listed, reserve) = {
        let mut list = LIST.lock();
        (list.take(), list.reserve)
    };
    let fresh = || {
        let mut ram = RAM.lock();
        (ram.free() > reserve).then(|| ram.take_back(1)).flatten()
    };
    let frame = listed.or_else(fresh)?;
    let length = bytes.len().min(PAGE);
    // Reading what lies on a disk fetches it, for which another frame may have to be shown: before this one is.
    core::hint::black_box((bytes.first().copied(), bytes.last().copied()));
    let to = LIST.lock().show(frame).cast::<u8>();
    // SAFETY: the frame is ours, and is shown.
    unsafe {
        to.copy_from_nonoverlapping(bytes.as_ptr(), length);
        to.add(length).write_bytes(0, PAGE - length);
    }
    Some(frame)
}

/// Gives a frame back, which nothing maps any more, or will before it is used again.
pub fn give(frame: usize) {
    LIST.lock().give(frame);
}

/// Reads from a frame of shared memory; `at` and what is read lie in a page.
pub fn read(frame: usize, at: usize, to: &mut [u8]) {
    let length = to.len().min(PAGE.saturating_sub(at));
    let mut list = LIST.lock();
    let from = list.show(frame).cast::<u8>();
    // SAFETY: the frame is shown, and the part lies in it; the program, which may write to it, does not run.
    unsafe { from.add(at.min(PAGE)).copy_to_nonoverlapping(to.as_mut_ptr(), length) };
}

/// Writes to a frame of shared memory; `at` and what is written lie in a page.
pub fn write(frame: usize, at: usize, from: &[u8]) {
    let length = from.len().min(PAGE.saturating_sub(at));
    let mut list = LIST.lock();
    let to = list.show(frame).cast::<u8>();
    // SAFETY: as for `read`.
    unsafe { to.add(at.min(PAGE)).copy_from_nonoverlapping(from.as_ptr(), length) };
}
