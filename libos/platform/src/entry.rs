//! What both doors share between their first instruction and the program's main: relocation, protection, and
//! the facts that the rest of the crate asks for.

use crate::boot::Blob;
use crate::{Door, vm};
use core::arch::global_asm;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

// The image is a static PIE whose relocations are all relative (the linker is told -ztext) and packed as RELR (gABI,
// "Relative Relocation Table"): adds to each the distance between where the image is and where it was linked. Uses no stack. In: rsi = address to return to. Leaves rdi, rbx, r12 to r15, rsp, rbp alone;
// returns the run-time address of the ELF header in rax.
global_asm!(
    ".pushsection .text.kernlet_relocate, \"ax\"",
    ".globl kernlet_relocate",
    "kernlet_relocate:",
    "  lea rax, [rip + __ehdr_start]",
    "  mov r8, rax",
    "  sub r8, {linked_base}",
    "  lea rcx, [rip + __relr_start]",
    "  lea rdx, [rip + __relr_end]",
    "2:",
    "  cmp rcx, rdx",
    "  jae 7f",
    "  mov r9, [rcx]",
    "  add rcx, 8",
    "  shr r9, 1",
    "  jc 4f",
    "  lea r10, [r8 + 2 * r9]", // an address: the word there, and where bitmaps go on
    "  add [r10], r8",
    "  add r10, 8",
    "  jmp 2b",
    "4:",
    "  mov r11, r10", // a bitmap of the next 63 words
    "5:",
    "  shr r9, 1",
    "  jnc 6f",
    "  add [r11], r8",
    "6:",
    "  lea r11, [r11 + 8]",
    "  test r9, r9",
    "  jnz 5b",
    "  add r10, 63 * 8",
    "  jmp 2b",
    "7:",
    "  jmp rsi",
    ".popsection",
    linked_base = const LINKED_BASE,
);

/// Where the image is linked: 1 MiB, because monitors refuse an entry below it.
pub const LINKED_BASE: usize = 0x10_0000;

// SAFETY: symbols of the linker script (image.ld); only their addresses are used.
unsafe extern "C" {
    static __ehdr_start: u8;
    static __text: u8;
    static __etext: u8;
}

// SAFETY: the attribute defines it with this signature, once in each program.
unsafe extern "Rust" {
    /// The program, defined by `#[kernlet::main]`.
    safe fn kernlet_main() -> !;
}

static IS_VM: AtomicBool = AtomicBool::new(false);
static BLOB: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];
static STACK: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

/// Runs the program. Each door calls it once, on the program's stack, when the image is relocated and protected.
///
/// # Safety
/// `blob` and `stack` must be mapped for the rest of the instance's life, and `blob` must not change.
pub unsafe fn run(door: Door, blob: Range<usize>, stack: Range<usize>) -> ! {
    // SAFETY: passed on from the caller.
    unsafe { settle(door, blob, stack) };
    kernlet_main()
}

/// Notes the facts that the rest of the crate asks for; before, nothing but the door's own code may run.
///
/// # Safety
/// As for [`run`].
pub unsafe fn settle(door: Door, blob: Range<usize>, stack: Range<usize>) {
    IS_VM.store(door == Door::Vm, Ordering::Relaxed);
    BLOB[0].store(blob.start, Ordering::Relaxed);
    BLOB[1].store(blob.end - blob.start, Ordering::Relaxed);
    STACK[0].store(stack.start, Ordering::Relaxed);
    STACK[1].store(stack.end, Ordering::Relaxed);
}

/// See [`crate::door`].
pub fn door() -> Door {
    if IS_VM.load(Ordering::Relaxed) { Door::Vm } else { Door::Process }
}

/// See [`crate::boot::blob`].
pub fn blob() -> Blob<'static> {
    let (start, length) = (BLOB[0].load(Ordering::Relaxed), BLOB[1].load(Ordering::Relaxed));
    if start == 0 || length == 0 {
        return Blob::EMPTY;
    }
    // SAFETY: `run` was promised that these bytes stay mapped and unchanged.
    let bytes = unsafe { core::slice::from_raw_parts(start as *const u8, length) };
    Blob::trusting(bytes)
}

/// The program's stack.
pub fn stack() -> Range<usize> {
    STACK[0].load(Ordering::Relaxed)..STACK[1].load(Ordering::Relaxed)
}

fn base() -> usize {
    &raw const __ehdr_start as usize
}

/// Where the image's own code is.
pub fn text() -> Range<usize> {
    &raw const __text as usize..&raw const __etext as usize
}

/// The address at which the code at `address` was linked; `None` when no code of the image is there.
pub fn linked(address: usize) -> Option<usize> {
    text().contains(&address).then(|| address - base() + LINKED_BASE)
}

/// Program header type of the manifest: "knlt".
const PT_KERNLET: u32 = 0x6b6e_6c74;
/// Program header type of a segment that is mapped.
pub const PT_LOAD: u32 = 1;

/// Where in the image's file the sealed part begins.
pub fn sealed_offset() -> Option<usize> {
    headers().iter().find(|h| h.kind == PT_KERNLET).map(|h| h.offset as usize)
}

/// Where in the image's file lies what is at `address`; `None` when that is not in it.
pub fn offset_of(address: usize) -> Option<usize> {
    let linked = (address.checked_sub(base())? + LINKED_BASE) as u64;
    let holds = |h: &&Header| h.kind == PT_LOAD && (h.address..h.address + h.file_size).contains(&linked);
    headers().iter().find(holds).map(|h| (h.offset + linked - h.address) as usize)
}

/// See [`crate::sealed::segment`].
pub fn sealed_segment() -> &'static [u8] {
    sealed(|_, _, _| false)
}

/// See [`crate::sealed::whole`].
pub fn sealed_whole() -> &'static [u8] {
    sealed(|start, end, offset| door() == Door::Vm && vm::root::attach(start, end, offset))
}

/// What is sealed: as much as was loaded, or all of it when `attach` gets the rest from its place in the image's file.
fn sealed(attach: impl FnOnce(usize, usize, usize) -> bool) -> &'static [u8] {
    let headers = headers();
    let Some(manifest) = headers.iter().find(|h| h.kind == PT_KERNLET) else { return &[] };
    let holds =
        |h: &&Header| h.kind == PT_LOAD && (h.address..h.address + h.memory_size).contains(&manifest.address);
    let Some(segment) = headers.iter().find(holds) else { return &[] };
    let loaded = (segment.address + segment.memory_size - manifest.address) as usize;
    let start = base() + (manifest.address - LINKED_BASE as u64) as usize;
    // A monitor that keeps a large root on a disk says here how much belongs to the manifest.
    let whole = manifest.memory_size as usize;
    let rest = || attach(start + loaded, start + whole, manifest.offset as usize + loaded);
    let length = if whole > loaded && rest() { whole } else { loaded };
    // SAFETY: both doors map every PT_LOAD of the image, and nothing writes to this one; the rest comes when it is read.
    unsafe { core::slice::from_raw_parts(start as *const u8, length) }
}

/// Elf64_Phdr.
#[repr(C)]
pub struct Header {
    pub kind: u32,
    pub flags: u32,
    pub offset: u64,
    pub address: u64,
    pub physical: u64,
    pub file_size: u64,
    pub memory_size: u64,
    pub align: u64,
}

/// The image's own program headers.
pub fn headers() -> &'static [Header] {
    let base = base();
    // SAFETY: the first segment holds the ELF header (e_phoff at 32, e_phnum at 56) and the program headers, which
    // the sealer wrote and both doors checked.
    unsafe {
        let offset = *((base + 32) as *const u64) as usize;
        let count = *((base + 56) as *const u16) as usize;
        core::slice::from_raw_parts((base + offset) as *const Header, count)
    }
}
