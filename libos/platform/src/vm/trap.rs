//! Segments, the interrupt table, and what happens on an exception or interrupt.
//!
//! Every vector switches to a stack of its own (a program's red zone is live when it strikes): one for interrupts,
//! one for faults, one for double faults, because a stack of the table does not nest.

use super::boot::FAULT_STACK;
use super::port::{cpuid, out8, wrmsr};
use super::single::Single;
use crate::fault::{Access, Fault, report};
use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// Exceptions, then as many interrupts; the last one is the APIC's spurious vector.
pub const VECTORS: usize = 64;
/// The first vector that is no exception.
pub const FIRST_INTERRUPT: usize = 32;
const INTERRUPT_STACK: usize = 1 << 10;
const DOUBLE_FAULT_STACK: usize = 8 << 10;

/// One bit for each interrupt vector that struck since it was last taken.
#[unsafe(no_mangle)]
static kernlet_pending: AtomicU32 = AtomicU32::new(0);
/// Address of the APIC's end-of-interrupt register; 0: it is a model-specific register (x2APIC).
#[unsafe(no_mangle)]
static kernlet_end_of_interrupt: AtomicUsize = AtomicUsize::new(0);

// A stub for each vector, 16 bytes apart: makes every frame carry an error code, then the vector.
global_asm!(
    ".pushsection .text.kernlet_vectors, \"ax\"",
    ".globl kernlet_vectors",
    ".p2align 4",
    "kernlet_vectors:",
    ".set vector, 0",
    ".rept {vectors}",
    "  .p2align 4",
    "  .if vector != 8 && (vector < 10 || vector > 14) && vector != 17 && vector != 21 && vector != 29 && vector != 30",
    "  push 0",
    "  .endif",
    "  push vector",
    "  .if vector < {first_interrupt}",
    "  jmp 3f",
    "  .else",
    "  jmp 4f",
    "  .endif",
    "  .set vector, vector + 1",
    ".endr",
    // An exception: rdi = frame (vector, error, rip, cs, rflags, rsp, ss), rsi = frame pointer, rdx = cr2.
    ".globl kernlet_fault",
    "3:",
    "kernlet_fault:",
    "  cld",
    "  mov rdi, rsp",
    "  mov rsi, rbp",
    "  mov rdx, cr2",
    "  and rsp, -16",
    "  xor ebp, ebp",
    "  call kernlet_exception",
    "  ud2",
    // An interrupt: notes it and tells the APIC.
    ".globl kernlet_interrupt",
    "4:",
    "kernlet_interrupt:",
    "  push rax",
    "  push rcx",
    "  push rdx",
    "  mov ecx, [rsp + 24]",
    "  mov eax, 1",
    "  shl eax, cl", // the vector's low five bits
    "  lock or [rip + kernlet_pending], eax",
    "  mov rcx, [rip + kernlet_end_of_interrupt]",
    "  test rcx, rcx",
    "  jz 5f",
    "  mov dword ptr [rcx], 0",
    "  jmp 6f",
    "5:",
    "  xor eax, eax",
    "  xor edx, edx",
    "  mov ecx, 0x80b",
    "  wrmsr",
    "6:",
    "  pop rdx",
    "  pop rcx",
    "  pop rax",
    "  add rsp, 16",
    "  iretq",
    ".popsection",
    vectors = const VECTORS,
    first_interrupt = const FIRST_INTERRUPT,
);

// SAFETY: defined below in assembly; only their addresses are used.
unsafe extern "C" {
    static kernlet_vectors: u8;
    static kernlet_fault_stack: u8;
}

#[repr(C, align(16))]
struct Stack<const SIZE: usize>([u8; SIZE]);

static mut INTERRUPTS: Stack<INTERRUPT_STACK> = Stack([0; INTERRUPT_STACK]);
static mut DOUBLE_FAULTS: Stack<DOUBLE_FAULT_STACK> = Stack([0; DOUBLE_FAULT_STACK]);

/// The task state segment: only its interrupt stacks (1 to 7) are used.
#[repr(C, packed(4))]
struct Tss {
    reserved: [u32; 9],
    stacks: [u64; 7],
    reserved_end: [u32; 2],
    reserved_word: u16,
    ports: u16,
}

struct Tables {
    gdt: [u64; 5],
    tss: Tss,
    idt: [[u64; 2]; VECTORS],
}

static TABLES: Single<Tables> = Single::new(Tables {
    gdt: [0; 5],
    tss: Tss { reserved: [0; 9], stacks: [0; 7], reserved_end: [0; 2], reserved_word: 0, ports: 0 },
    idt: [[0; 2]; VECTORS],
});

/// The operand of lgdt and lidt.
#[repr(C, packed)]
struct Pointer {
    limit: u16,
    base: u64,
}

const CODE: u64 = 0x00af_9b00_0000_ffff;
const DATA: u64 = 0x00cf_9300_0000_ffff;
const TSS_SELECTOR: u16 = 24;

/// Loads the tables, masks the old interrupt controller and switches the CPU's protections on.
pub fn install() {
    let mut tables = TABLES.lock();
    let tables = &mut *tables;
    let tss = &raw const tables.tss as u64;
    let tss_low =
        (size_of::<Tss>() as u64 - 1) | (tss & 0xff_ffff) << 16 | 0x89 << 40 | (tss >> 24 & 0xff) << 56;
    tables.gdt = [0, CODE, DATA, tss_low, tss >> 32];
    let double_fault = &raw const DOUBLE_FAULTS as u64 + DOUBLE_FAULT_STACK as u64;
    let interrupt = &raw const INTERRUPTS as u64 + INTERRUPT_STACK as u64;
    let fault = &raw const kernlet_fault_stack as u64 + FAULT_STACK as u64;
    tables.tss.stacks = [interrupt, fault, double_fault, 0, 0, 0, 0];
    tables.tss.ports = size_of::<Tss>() as u16;
    let stubs = &raw const kernlet_vectors as u64;
    for (vector, gate) in tables.idt.iter_mut().enumerate() {
        let stub = stubs + vector as u64 * 16;
        let stack = match vector {
            8 => 3,
            _ if vector < FIRST_INTERRUPT => 2,
            _ => 1,
        };
        // Present, interrupt gate, code segment 8.
        gate[0] = (stub & 0xffff) | 8 << 16 | stack << 32 | 0x8e << 40 | (stub >> 16 & 0xffff) << 48;
        gate[1] = stub >> 32;
    }
    let gdt = Pointer { limit: size_of_val(&tables.gdt) as u16 - 1, base: tables.gdt.as_ptr() as u64 };
    let idt = Pointer { limit: size_of_val(&tables.idt) as u16 - 1, base: tables.idt.as_ptr() as u64 };
    // SAFETY: the tables are statics, complete, and keep the selectors that are loaded (8 and 16) as they are.
    unsafe {
        asm!("lgdt [{}]", "lidt [{}]", "ltr {:x}", in(reg) &gdt, in(reg) &idt, in(reg) TSS_SELECTOR,
            options(nostack, preserves_flags));
    }
    // Mask both PICs: what arrives comes through the APIC.
    out8(0x21, 0xff);
    out8(0xa1, 0xff);
    protect();
}

/// SMEP, SMAP, UMIP and FSGSBASE, each where the CPU has it.
fn protect() {
    let [most, ..] = cpuid(0, 0);
    let [_, b, c, _] = if most >= 7 { cpuid(7, 0) } else { [0; 4] };
    let bits = [(c >> 2, 11), (b, 16), (b >> 7, 20), (b >> 20, 21)];
    let wanted = bits.iter().fold(0u64, |all, &(has, bit)| all | u64::from(has & 1) << bit);
    // SAFETY: the CPU has these bits; no page is a user page, so nothing that works stops working.
    unsafe {
        asm!("mov {0}, cr4", "or {0}, {1}", "mov cr4, {0}", out(reg) _, in(reg) wanted, options(nostack));
    }
}

/// The interrupts that struck since the last call, a bit for each vector from [`FIRST_INTERRUPT`] on.
pub fn take_pending() -> u32 {
    kernlet_pending.swap(0, Ordering::Relaxed)
}

/// Decides how the handlers signal the end of an interrupt; see [`kernlet_end_of_interrupt`].
pub fn set_end_of_interrupt(register: usize) {
    kernlet_end_of_interrupt.store(register, Ordering::Relaxed);
}

/// From now on page faults go to `stub`, which finds the error code on top of the stack and goes on to `kernlet_fault`
/// with 14 pushed on that when it can do nothing.
pub fn take_page_faults(stub: usize) {
    take_over(PAGE_FAULT as usize, stub);
}

/// From now on `vector` goes to `stub`, on the same stack; returns where it went before.
pub fn take_over(vector: usize, stub: usize) -> usize {
    let stub = stub as u64;
    let mut tables = TABLES.lock();
    let Some(gate) = tables.idt.get_mut(vector) else { return 0 };
    let before = gate[0] & 0xffff | gate[0] >> 32 & 0xffff_0000 | gate[1] << 32;
    gate[0] = gate[0] & 0x0000_ffff_ffff_0000 | stub & 0xffff | (stub >> 16 & 0xffff) << 48;
    gate[1] = stub >> 32;
    before as usize
}

/// Whether an interrupt struck since the last call of [`take_pending`].
pub fn is_pending() -> bool {
    kernlet_pending.load(Ordering::Relaxed) != 0
}

/// Notes an interrupt, as the handlers do.
pub fn note(vector: usize) {
    kernlet_pending.fetch_or(1 << (vector % 32), Ordering::Relaxed);
}

/// Tells the APIC that an interrupt was taken, as the handlers do.
pub fn end_of_interrupt() {
    // SAFETY: the register of the local APIC, by the way that `set_end_of_interrupt` decided.
    unsafe {
        match kernlet_end_of_interrupt.load(Ordering::Relaxed) {
            0 => wrmsr(0x80b, 0),
            register => (register as *mut u32).write_volatile(0),
        }
    }
}

#[repr(C)]
struct Frame {
    vector: u64,
    error: u64,
    instruction: usize,
    code: u64,
    flags: u64,
    stack: usize,
}

const DOUBLE_FAULT: u64 = 8;
const PAGE_FAULT: u64 = 14;

#[unsafe(no_mangle)]
extern "C" fn kernlet_exception(frame: &Frame, frame_pointer: usize, address: usize) -> ! {
    let access = match frame.error {
        e if e & 16 != 0 => Access::Execute,
        e if e & 2 != 0 => Access::Write,
        _ => Access::Read,
    };
    let name = match frame.vector {
        0 => "division error",
        2 => "non-maskable interrupt",
        3 => "breakpoint",
        6 => "invalid instruction",
        DOUBLE_FAULT => "double fault",
        12 => "stack segment (an address that is not canonical?)",
        13 => "general protection (an address that is not canonical?)",
        17 => "alignment check",
        18 => "machine check",
        19 => "floating-point error",
        _ => "unexpected exception",
    };
    report(&Fault {
        memory: (frame.vector == PAGE_FAULT).then_some((access, address)),
        name,
        instruction: frame.instruction,
        frame: frame_pointer,
        stack: frame.stack,
    })
}
