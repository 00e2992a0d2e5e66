//! The page tables. They are reached through an entry of the top table that points to that table itself, so
//! no other mapping of them is needed; the first tables come from a pool in the image that its loader zeroed.

use super::frames::{PAGE, RAM};
use core::sync::atomic::{AtomicUsize, Ordering};

pub const PRESENT: u64 = 1;
pub const WRITE: u64 = 2;
/// For device registers: neither cached nor combined.
const UNCACHED: u64 = 0x18;
/// A device's registers.
pub const DEVICE: u64 = WRITE | UNCACHED | NO_EXECUTE;
const LARGE: u64 = 0x80;
pub const NO_EXECUTE: u64 = 1 << 63;
const LARGE_PAGE: usize = 2 << 20;
const TABLE_ENTRIES: usize = 512;
/// The end of the lower half of the address space.
const HALF: usize = 1 << 47;

/// How much physical memory the window shows.
pub const WINDOW_LENGTH: usize = 1 << 46;

/// Tables that `kernlet_tables` (boot.rs) has room for, and those that the 32-bit code already uses.
pub const POOL: usize = 12;
const POOL_USED: usize = 3;

// SAFETY: defined with this size in boot.rs.
unsafe extern "C" {
    static mut kernlet_tables: [[u64; 512]; POOL];
}

static NEXT_TABLE: AtomicUsize = AtomicUsize::new(POOL_USED);
/// The entry of the top table that points to the table itself; 511 while booting.
static RECURSIVE: AtomicUsize = AtomicUsize::new(511);
/// How far the image lies above its physical (and link) address; 0 while it runs identity-mapped.
static SLIDE: AtomicUsize = AtomicUsize::new(0);
/// Physical address `p` is mapped, if at all, at `WINDOW + p`.
static WINDOW: AtomicUsize = AtomicUsize::new(0);

/// The entry that maps `address` at `level` (1: a page, 4: the top table's entry). `RECURSIVE` is at least 256,
/// so the result lies in the upper half.
pub fn entry(address: usize, level: u32) -> *mut u64 {
    let slot = RECURSIVE.load(Ordering::Relaxed);
    let mut at = address & (2 * HALF - 1);
    for _ in 0..level {
        at = slot << 39 | at >> 9;
    }
    (at & !7 | 0xffff << 48) as *mut u64
}

/// Physical address of a zeroed table, or of one that must be zeroed.
fn new_table() -> Option<(usize, bool)> {
    let next = NEXT_TABLE.load(Ordering::Relaxed);
    if next < POOL {
        NEXT_TABLE.store(next + 1, Ordering::Relaxed);
        let pool = &raw mut kernlet_tables as usize - SLIDE.load(Ordering::Relaxed);
        return Some((pool + next * PAGE, true));
    }
    RAM.lock().take_back(1).map(|frame| (frame, false))
}

/// Makes sure that the entry of `address` at `level` points to a table. `None` without memory for it.
fn descend(address: usize, level: u32) -> Option<()> {
    let at = entry(address, level);
    // SAFETY: the entry lies in a table that is there: the caller descends from the top.
    unsafe {
        if at.read_volatile() & PRESENT == 0 {
            let (table, zeroed) = new_table()?;
            at.write_volatile(table as u64 | WRITE | PRESENT);
            if !zeroed {
                let table = (entry(address, level - 1) as usize & !(PAGE - 1)) as *mut [u64; 512];
                table.write_bytes(0, 1);
            }
        }
    }
    Some(())
}

/// Maps `length` bytes (whole pages) at `address`, where nothing is mapped, to physical memory; in 2 MiB pages
/// where both sides are aligned. `None` without memory for tables.
///
/// # Safety
/// The mapping must not make memory reachable in a way that Rust code relies on not to be: nothing but the
/// owner of the physical range may hand out `address`.
pub unsafe fn map(mut address: usize, mut physical: usize, length: usize, flags: u64) -> Option<()> {
    let end = address + length;
    while address < end {
        descend(address, 4)?;
        descend(address, 3)?;
        let large = (address | physical).is_multiple_of(LARGE_PAGE) && end - address >= LARGE_PAGE;
        let (level, size, bits) = if large {
            (2, LARGE_PAGE, flags | LARGE | PRESENT)
        } else {
            descend(address, 2)?;
            (1, PAGE, flags | PRESENT)
        };
        // To the end of this table, as far as whole pages of this size go.
        let stop = (address | (size * 512 - 1)).saturating_add(1).min(end & !(size - 1));
        let mut at = entry(address, level);
        while address < stop {
            // SAFETY: the table is there, and `at` stays in it up to `stop`; nothing was mapped, as promised.
            unsafe {
                at.write_volatile(physical as u64 | bits);
                at = at.add(1);
            }
            (address, physical) = (address + size, physical + size);
        }
    }
    Some(())
}

/// Takes `length` bytes (whole pages) at `address` away again, which [`map`] mapped page by page.
///
/// # Safety
/// Nothing reads or writes them any more, or whoever does is ready for the fault.
pub unsafe fn unmap(address: usize, length: usize) {
    for page in (address..address + length).step_by(PAGE) {
        // SAFETY: the table that holds the entry is there, as the page was mapped in it.
        unsafe {
            entry(page, 1).write_volatile(0);
        }
        forget(page);
    }
}

/// Makes the CPU look at the tables again for `page`.
#[inline]
pub fn forget(page: usize) {
    // SAFETY: changes no memory.
    unsafe { core::arch::asm!("invlpg [{}]", in(reg) page, options(nostack, preserves_flags)) };
}

/// Makes the CPU look at the tables again for every page.
pub fn forget_all() {
    // SAFETY: loads the same tables again; no entry is marked as global.
    unsafe {
        core::arch::asm!("mov {0}, cr3", "mov cr3, {0}", out(reg) _, options(nostack, preserves_flags));
    }
}

/// Whether `address` is mapped.
pub fn is_mapped(address: usize) -> bool {
    unmapped(address, 1) == 0
}

/// How many bytes from `address` on are surely not mapped, as far as the table that tells so reaches, or `limit` bytes;
/// 0 when `address` is mapped.
fn unmapped(address: usize, limit: usize) -> usize {
    for level in [4, 3, 2, 1] {
        let place = entry(address, level);
        // SAFETY: the tables above were found present, so this entry lies in a table.
        let value = unsafe { place.read_volatile() };
        if value & PRESENT == 0 {
            // Each entry covers 2^bits bytes.
            let bits = PAGE.trailing_zeros() + 9 * (level - 1);
            let covered = 1usize << bits;
            let most = limit.saturating_add(covered - 1) >> bits;
            let rest = (TABLE_ENTRIES - (address >> bits) % TABLE_ENTRIES).min(most);
            // SAFETY: the entries up to the end of the same table.
            let run = (1..rest).find(|&i| unsafe { place.add(i).read_volatile() } & PRESENT != 0);
            return (run.unwrap_or(rest.max(1)) << bits) - (address & (covered - 1));
        }
        if level == 2 && value & LARGE != 0 {
            return 0;
        }
    }
    0
}

/// Decides where the window lies.
pub fn set_window(base: usize) {
    WINDOW.store(base, Ordering::Relaxed);
}

/// Maps a physical range in the window (pages that are mapped already stay as they are) and returns its
/// address. `None` without memory for tables, or when the range lies too high.
///
/// # Safety
/// As for [`map`]: only the range's owner calls this.
pub unsafe fn window(physical: usize, length: usize, flags: u64) -> Option<usize> {
    let base = WINDOW.load(Ordering::Relaxed);
    let last = physical.checked_add(length.max(1) - 1)?;
    if last >= WINDOW_LENGTH {
        return None;
    }
    let mut page = physical & !(PAGE - 1);
    while page <= last {
        let mut stop = page;
        while stop <= last {
            let free = unmapped(base + stop, last + 1 - stop);
            if free == 0 {
                break;
            }
            stop += free;
        }
        stop = stop.min((last + 1).next_multiple_of(PAGE));
        // SAFETY: nothing is mapped there, and the caller owns the range.
        unsafe { map(base + page, page, stop - page, flags)? };
        page = stop.max(page + PAGE);
    }
    Some(base + physical)
}

/// The physical address of a pointer into the window.
pub fn physical_in_window(address: usize) -> u64 {
    (address - WINDOW.load(Ordering::Relaxed)) as u64
}

/// The physical address of something in the image.
pub fn physical_in_image(address: usize) -> u64 {
    (address - SLIDE.load(Ordering::Relaxed)) as u64
}

/// From now on code runs at the image's final place, `slide` above the physical one.
pub fn set_slide(slide: usize) {
    SLIDE.store(slide, Ordering::Relaxed);
}

/// Takes the low identity mapping away and moves the tables' own mapping to `slot` (256 to 511).
///
/// # Safety
/// Nothing uses an identity-mapped address any more.
pub unsafe fn leave_identity(slot: usize) {
    let old = RECURSIVE.load(Ordering::Relaxed);
    // SAFETY: `entry(0, 4)` is the top table, first through the old slot, then through the new one.
    unsafe {
        let top = entry(0, 4);
        top.add(slot).write_volatile(top.add(old).read_volatile() | NO_EXECUTE);
        RECURSIVE.store(slot, Ordering::Relaxed);
        let top = entry(0, 4);
        top.add(old).write_volatile(0);
        top.write_volatile(0);
    }
    forget_all();
}
