//! From the first 64-bit instruction to the program: finds out what memory there is, maps the image and the
//! stack at random addresses, and leaves the identity mapping.

use super::frames::{PAGE, RAM};
use super::paging::{self, NO_EXECUTE, WRITE};
use super::pvh::{self, Memory, Module, StartInfo};
use super::random::Layout;
use super::{power, serial, trap};
use crate::boot::Blob;
use crate::{Door, entry};
use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};

const LARGE_PAGE: usize = 2 << 20;
const GIB: usize = 1 << 30;
/// Where the parts lie, as entries of the top table (512 GiB each): the image, then the heap, at the end of the lower half,
/// of which most belongs to a Linux program ([`crate::program::range`]). In the upper half the window on physical memory
/// and the tables' own mapping. Each moves within its part at every boot.
const IMAGE_SLOTS: usize = 192;
const HEAP_SLOTS: usize = 224;
const BESIDE_SLOTS: usize = HEAP_SLOTS - 1;
/// What the heap may take.
const HEAP_MOST: usize = 4;
const UPPER_SLOTS: usize = 256;
/// What the window takes: the most memory that it shows, and up to a slot by which it moves.
const WINDOW_SLOTS: usize = paging::WINDOW_LENGTH / SLOT + 1;
const SLOT: usize = 512 * GIB;
/// Where small things lie that a program gets to know of.
pub const BESIDE_PROGRAM: Range<usize> = BESIDE_SLOTS * SLOT..HEAP_SLOTS * SLOT;
/// What makes an address of the upper half canonical.
const UPPER_HALF: usize = 0xffff << 48;
/// The stack, and the smaller one of an instance with little memory.
const STACK: usize = 256 << 10;
const SMALL_STACK: usize = 64 << 10;
const LITTLE_MEMORY: usize = 8 << 20;
/// A monitor that lists more than this makes no sense.
const MAX_MEMORY_MAP: u32 = 256;
const MAX_MODULES: u32 = 8;
/// A blob holds arguments and addresses.
const MAX_BLOB: u64 = 16 << 20;
/// The command line is looked at up to this length.
const MAX_COMMAND_LINE: usize = 4096;

// SAFETY: the first is a word that boot.rs defines; the others are symbols of the linker script (image.ld), of
// which only the addresses are used.
unsafe extern "C" {
    static kernlet_entry_tsc: u64;
    static __ehdr_start: u8;
    static __text: u8;
    static __etext: u8;
    static __erelro: u8;
    static __end: u8;
}

/// What the mapping phase leaves for later.
static BLOB: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];
static STACK_RANGE: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];
static COMMAND_LINE: AtomicUsize = AtomicUsize::new(0);
static HEAP_BASE: AtomicUsize = AtomicUsize::new(0);
static RECURSIVE_SLOT: AtomicUsize = AtomicUsize::new(0);

/// The time stamp counter at the first instruction.
pub fn entry_tsc() -> u64 {
    // SAFETY: written once, before any Rust code ran.
    unsafe { kernlet_entry_tsc }
}

/// Where the heap begins, a multiple of 1 GiB.
pub fn heap_base() -> usize {
    HEAP_BASE.load(Ordering::Relaxed)
}

/// The command line of the PVH loader, where monitors list devices.
pub fn command_line() -> &'static [u8] {
    let physical = COMMAND_LINE.load(Ordering::Relaxed);
    if physical == 0 {
        return &[];
    }
    // SAFETY: the page, and the one behind it, were taken out of the free memory and are only read.
    unsafe {
        let Some(start) = paging::window(physical, MAX_COMMAND_LINE, NO_EXECUTE) else { return &[] };
        let bytes = core::slice::from_raw_parts(start as *const u8, MAX_COMMAND_LINE);
        // One without an end is none.
        bytes.iter().position(|&b| b == 0).and_then(|end| bytes.get(..end)).unwrap_or_default()
    }
}

/// Ends a boot that cannot go on.
fn fail(why: &[u8]) -> ! {
    serial::write(b"kernlet: cannot boot: ");
    serial::write(why);
    serial::write(b"\n");
    power::off(126)
}

fn enough<T>(value: Option<T>) -> T {
    match value {
        Some(value) => value,
        None => fail(b"not enough memory; give the VM more (-m)"),
    }
}

/// Makes `length` bytes of physical memory at `address` readable at the same address, for the time of booting.
#[inline(never)]
fn reach(address: u64, length: usize) {
    let mut page = address as usize & !(LARGE_PAGE - 1);
    while page < address as usize + length {
        if !paging::is_mapped(page) {
            // SAFETY: nothing else looks at these addresses, and the mapping goes away with the boot.
            enough(unsafe { paging::map(page, page, LARGE_PAGE, NO_EXECUTE) });
        }
        page += LARGE_PAGE;
    }
}

/// A copy of the `index`th `T` of a table that the loader wrote.
fn read<T: Copy>(table: u64, index: usize) -> T {
    let address = table + (index * size_of::<T>()) as u64;
    reach(address, size_of::<T>());
    // SAFETY: mapped by `reach`; PVH promises a table of plain numbers, for which any bytes will do.
    unsafe { (address as *const T).read_unaligned() }
}

/// Slide of the image, and the top of the program's stack.
#[repr(C)]
pub struct Placement {
    slide: usize,
    stack: usize,
}

/// Runs identity-mapped. Pointers to statics that are kept here point to the wrong place afterwards.
#[unsafe(no_mangle)]
extern "C" fn kernlet_vm_map(start_info: u64) -> Placement {
    let info: StartInfo = read(start_info, 0);
    if info.magic != pvh::MAGIC || info.version < 1 || info.memory_map_entries > MAX_MEMORY_MAP {
        fail(b"the loader does not speak PVH version 1");
    }
    let module: Option<Module> = (1..=MAX_MODULES).contains(&info.modules).then(|| read(info.module_list, 0));
    let module = module.filter(|m| m.size != 0);
    if module.as_ref().is_some_and(|m| m.size > MAX_BLOB || m.address.checked_add(m.size).is_none()) {
        fail(b"the boot blob (-initrd) is too large");
    }
    find_memory(start_info, &info, module.as_ref());

    // The blob holds a seed from the host, somewhere.
    let mut random = Layout::new(|| module.as_ref().map_or(0, digest));
    let slide = (IMAGE_SLOTS + random.below(BESIDE_SLOTS - IMAGE_SLOTS - 1)) * SLOT
        + random.below(SLOT / LARGE_PAGE) * LARGE_PAGE;
    let slot = random.below(UPPER_SLOTS - WINDOW_SLOTS);
    let window = (UPPER_SLOTS + slot) * SLOT + random.below(SLOT / LARGE_PAGE) * LARGE_PAGE;
    let heap =
        (HEAP_SLOTS + random.below(UPPER_SLOTS - HEAP_SLOTS - HEAP_MOST)) * SLOT + random.below(512) * GIB;
    paging::set_window(window | UPPER_HALF);
    HEAP_BASE.store(heap, Ordering::Relaxed);
    // Any but the last one, which is in use, and those of the window.
    let tables = (slot + WINDOW_SLOTS + random.below(UPPER_SLOTS - 1 - WINDOW_SLOTS)) % (UPPER_SLOTS - 1);
    RECURSIVE_SLOT.store(UPPER_SLOTS + tables, Ordering::Relaxed);

    map_image(slide);
    let stack = map_stack();
    if let Some(module) = module {
        let (start, length) = (module.address as usize, module.size as usize);
        // SAFETY: the module's pages were taken out of the free memory and are only read.
        let start = enough(unsafe { paging::window(start, length, NO_EXECUTE) });
        BLOB[0].store(start, Ordering::Relaxed);
        BLOB[1].store(start + length, Ordering::Relaxed);
    }
    paging::set_slide(slide);
    Placement { slide, stack }
}

/// A number that depends on the first page of the blob.
fn digest(module: &Module) -> u64 {
    let words = (module.size as usize).min(PAGE) / 8;
    (0..words).fold(0, |all: u64, i| {
        (all ^ read::<u64>(module.address, i)).wrapping_mul(0x0100_0000_01b3).rotate_left(29)
    })
}

/// Collects the free RAM: what the loader calls RAM, without all that lies in it.
fn find_memory(start_info: u64, info: &StartInfo, module: Option<&Module>) {
    let mut ram = RAM.lock();
    for i in 0..info.memory_map_entries as usize {
        // `read` may need a table, but not from RAM, which is borrowed: the pool is not used up yet.
        let entry: Memory = read(info.memory_map, i);
        if entry.kind == pvh::RAM {
            ram.add(entry.address as usize, entry.address.saturating_add(entry.size) as usize);
        }
    }
    let mut exclude = |start: u64, length: usize| ram.exclude(start as usize, start as usize + length);
    let image = &raw const __ehdr_start as usize;
    for header in entry::headers() {
        if header.kind == entry::PT_LOAD && header.address as usize >= image {
            exclude(header.address, header.memory_size as usize);
        }
    }
    let command_line = if info.command_line == 0 { 0 } else { MAX_COMMAND_LINE };
    let modules = if module.is_some() { info.modules as usize * size_of::<Module>() } else { 0 };
    let taken = [
        (start_info, size_of::<StartInfo>()),
        (info.memory_map, info.memory_map_entries as usize * size_of::<Memory>()),
        (info.command_line, command_line),
        (info.module_list, modules),
        module.map_or((0, 0), |m| (m.address, m.size as usize)),
    ];
    taken.into_iter().filter(|(_, length)| *length != 0).for_each(|(start, length)| exclude(start, length));
    COMMAND_LINE.store(info.command_line as usize, Ordering::Relaxed);
}

/// Maps every part of the image with what it needs and no more; what was sealed behind it read-only.
fn map_image(slide: usize) {
    let header = &raw const __ehdr_start as usize;
    let text = &raw const __text as usize;
    let data = &raw const __etext as usize;
    let writable = &raw const __erelro as usize;
    let end = &raw const __end as usize;
    let part = |from: usize, to: usize, flags: u64| {
        // SAFETY: each part is mapped once, the text alone executable and the data alone writable. Relocation
        // writes to the read-only data before CR0.WP is set.
        enough(unsafe { paging::map(from + slide, from, (to - from).next_multiple_of(PAGE), flags) });
    };
    let parts = [
        (header, text, NO_EXECUTE),
        (text, data, 0),
        (data, writable, NO_EXECUTE),
        (writable, end, NO_EXECUTE | WRITE),
    ];
    parts.into_iter().for_each(|(from, to, flags)| part(from, to, flags));
    for header in entry::headers() {
        let (from, length) = (header.address as usize, header.memory_size as usize);
        if header.kind == entry::PT_LOAD && from >= end {
            part(from, from + length, NO_EXECUTE);
        }
    }
}

/// Maps the program's stack, with an unmapped page below it; returns its top.
fn map_stack() -> usize {
    let mut ram = RAM.lock();
    let size = if ram.free() < LITTLE_MEMORY { SMALL_STACK } else { STACK };
    let guard = enough(ram.take_back(size / PAGE + 1));
    drop(ram);
    // SAFETY: the frames were just taken for the stack.
    let start = enough(unsafe { paging::window(guard + PAGE, size, NO_EXECUTE | WRITE) });
    STACK_RANGE[0].store(start, Ordering::Relaxed);
    STACK_RANGE[1].store(start + size, Ordering::Relaxed);
    start + size
}

/// Runs at the final address, relocated, on the program's stack.
#[unsafe(no_mangle)]
extern "C" fn kernlet_vm_start() -> ! {
    // SAFETY: this code, its stack and all data are at their final addresses.
    unsafe { paging::leave_identity(RECURSIVE_SLOT.load(Ordering::Relaxed)) };
    let range = |pair: &[AtomicUsize; 2]| pair[0].load(Ordering::Relaxed)..pair[1].load(Ordering::Relaxed);
    let (blob, stack) = (range(&BLOB), range(&STACK_RANGE));
    // SAFETY: blob and stack are mapped for good; the host gave the blob away.
    unsafe { entry::settle(Door::Vm, blob.clone(), stack.clone()) };
    trap::install();
    if !blob.is_empty() {
        // SAFETY: mapped read-only above.
        let bytes = unsafe { core::slice::from_raw_parts(blob.start as *const u8, blob.len()) };
        if Blob::parse(bytes).is_err() {
            fail(b"the boot blob (-initrd) is damaged or from another version of kernlet");
        }
    }
    // SAFETY: as above.
    unsafe { entry::run(Door::Vm, blob, stack) }
}
