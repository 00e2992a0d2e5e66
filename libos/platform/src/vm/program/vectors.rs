//! Exceptions and interrupts while there is a program.
//!
//! Where the interrupted code lies tells whose it is: all that is not the library OS's text is the program's, while it runs.
//! Its registers go from the vector's stack, which does not nest, to the thread's context, before anything else happens. What
//! strikes in the library OS goes the way that it went before, but for a fault of an access to the program's memory.

use super::super::trap;
use super::memory::{Outcome, fault};
use crate::program::{Block, Context, Registers, range};
use core::arch::global_asm;
use core::mem::offset_of;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Where page faults went before.
#[unsafe(no_mangle)]
static kernlet_program_page_fault: AtomicUsize = AtomicUsize::new(0);

/// These are nobody's fault, or come where nothing is certain: a non-maskable interrupt, a double fault, a machine check.
const LEFT: [usize; 3] = [2, 8, 18];

// The stubs as in trap.rs. Behind rax the frame lies at: 8 vector, 16 error, 24 rip, 32 cs, 40 flags, 48 rsp, 56 ss.
global_asm!(
    ".pushsection .text.kernlet_program_vectors, \"ax\"",
    ".globl kernlet_program_vectors",
    ".p2align 4",
    "kernlet_program_vectors:",
    ".set vector, 0",
    ".rept {vectors}",
    "  .p2align 4",
    "  .if vector != 8 && (vector < 10 || vector > 14) && vector != 17 && vector != 21 && vector != 29 && vector != 30",
    "  push 0",
    "  .endif",
    "  push vector",
    "  jmp 3f",
    "  .set vector, vector + 1",
    ".endr",
    "3:",
    "  push rax",
    "  lea rax, [rip + __text]",
    "  cmp [rsp + 24], rax",
    "  jb 4f",
    "  lea rax, [rip + __etext]",
    "  cmp [rsp + 24], rax",
    "  jb 5f",
    "4:", // the program, if it runs
    "  cmp qword ptr gs:[{stack}], 0",
    "  je 5f",
    "  cmp dword ptr [rsp + 8], {debug}",
    "  jne 2f",
    "  cmp qword ptr gs:[{arriving}], 0",
    "  mov qword ptr gs:[{arriving}], 0",
    "  jne 8f",
    "2:",
    "  mov rax, gs:[{context}]",
    "  pop qword ptr [rax + {rax}]",
    "  mov [rax + {rbx}], rbx",
    "  mov [rax + {rcx}], rcx",
    "  mov [rax + {rdx}], rdx",
    "  mov [rax + {rsi}], rsi",
    "  mov [rax + {rdi}], rdi",
    "  mov [rax + {rbp}], rbp",
    "  mov [rax + {r8}], r8",
    "  mov [rax + {r9}], r9",
    "  mov [rax + {r10}], r10",
    "  mov [rax + {r11}], r11",
    "  mov [rax + {r12}], r12",
    "  mov [rax + {r13}], r13",
    "  mov [rax + {r14}], r14",
    "  mov [rax + {r15}], r15",
    "  pop qword ptr gs:[{found}]",
    "  pop qword ptr gs:[{found} + 8]",
    "  pop qword ptr [rax + {rip}]",
    "  pop rcx",
    "  pop qword ptr [rax + {rflags}]",
    "  pop qword ptr [rax + {rsp}]",
    "  mov rcx, cr2",
    "  mov gs:[{found} + 16], rcx",
    "  add rax, {sse}",
    "  movups [rax], xmm0",
    "  movups [rax + 16], xmm1",
    "  movups [rax + 32], xmm2",
    "  movups [rax + 48], xmm3",
    "  movups [rax + 64], xmm4",
    "  movups [rax + 80], xmm5",
    "  movups [rax + 96], xmm6",
    "  movups [rax + 112], xmm7",
    "  movups [rax + 128], xmm8",
    "  movups [rax + 144], xmm9",
    "  movups [rax + 160], xmm10",
    "  movups [rax + 176], xmm11",
    "  movups [rax + 192], xmm12",
    "  movups [rax + 208], xmm13",
    "  movups [rax + 224], xmm14",
    "  movups [rax + 240], xmm15",
    "  jmp kernlet_vm_program_leave",
    "5:", // the library OS
    "  cmp dword ptr [rsp + 8], {page_fault}",
    "  je 7f",
    "  cmp dword ptr [rsp + 8], {debug}",
    "  je 6f",
    "  cmp dword ptr [rsp + 8], {first_interrupt}",
    "  pop rax",
    "  jb kernlet_fault",
    "  jmp kernlet_interrupt",
    // A single step: the program set the trap flag and came in with it. It keeps it, but the library OS makes no single steps.
    "6:",
    "  lea rax, [rip + kernlet_vm_program_enter]",
    "  cmp [rsp + 24], rax",
    "  jb 2f",
    "  lea rax, [rip + kernlet_vm_program_called]",
    "  cmp [rsp + 24], rax",
    "  jb 3f",
    "2:",
    "  lea rax, [rip + kernlet_program_quick]",
    "  cmp [rsp + 24], rax",
    "  jb 2f",
    "  lea rax, [rip + kernlet_program_quick_end]",
    "  cmp [rsp + 24], rax",
    "  jb 3f",
    "2:",
    "  and qword ptr [rsp + 40], -0x101",
    "  jmp 8f",
    "3:",
    "  mov qword ptr gs:[{arriving}], 1",
    "8:",
    "  pop rax",
    "  add rsp, 16",
    "  iretq",
    // A page fault: of an access to the program's memory, or of another, which goes where it went before.
    "7:",
    "  mov rax, cr2",
    "  shr rax, 32",
    "  cmp eax, {highest} >> 32",
    "  jae 8f",
    "  lea rax, [rip + kernlet_user_begin]",
    "  cmp [rsp + 24], rax",
    "  jb 8f",
    "  lea rax, [rip + kernlet_user_end]",
    "  cmp [rsp + 24], rax",
    "  jb 9f",
    "8:",
    "  pop rax",
    "  add rsp, 8",
    "  jmp qword ptr [rip + kernlet_program_page_fault]",
    // Goes over to the interrupted stack, as more such faults may come (of the root on its disk) before this one is done.
    // That code calls nothing and has no red zone, and its caller expects only what the psABI says is kept.
    "9:",
    "  push rcx",
    "  mov rcx, [rsp + 56]",
    "  mov rax, [rsp + 64]",
    "  mov [rcx - 8], rax",
    "  mov rax, [rsp + 56]",
    "  mov [rcx - 16], rax",
    "  mov rax, [rsp + 48]",
    "  mov [rcx - 24], rax",
    "  mov rax, [rsp + 40]",
    "  mov [rcx - 32], rax",
    "  mov rax, [rsp + 32]",
    "  mov [rcx - 40], rax",
    "  mov rax, [rsp + 8]",
    "  mov [rcx - 48], rax",
    "  mov rax, [rsp]",
    "  mov [rcx - 56], rax",
    "  mov rax, [rsp + 24]",
    "  lea rsp, [rcx - 56]",
    "  push rdx",
    "  push rsi",
    "  push rdi",
    "  push rbp",
    "  mov rbp, rsp",
    "  and rsp, -16",
    "  cld",
    "  mov rdi, cr2",
    "  mov esi, eax",
    "  call kernlet_program_touch",
    "  mov rsp, rbp",
    "  test al, al",
    "  jnz 2f",
    "  lea rax, [rip + kernlet_user_fixup]",
    "  mov [rbp + 48], rax",
    "2:",
    "  pop rbp",
    "  pop rdi",
    "  pop rsi",
    "  pop rdx",
    "  pop rcx",
    "  pop rax",
    "  iretq",
    ".popsection",
    vectors = const trap::VECTORS,
    first_interrupt = const trap::FIRST_INTERRUPT,
    page_fault = const PAGE_FAULT,
    debug = const DEBUG,
    highest = const range().end,
    stack = const offset_of!(Block, stack),
    arriving = const offset_of!(Block, arriving),
    context = const offset_of!(Block, context),
    found = const offset_of!(Block, found),
    sse = const offset_of!(Context, sse),
    rax = const offset_of!(Registers, rax),
    rbx = const offset_of!(Registers, rbx),
    rcx = const offset_of!(Registers, rcx),
    rdx = const offset_of!(Registers, rdx),
    rsi = const offset_of!(Registers, rsi),
    rdi = const offset_of!(Registers, rdi),
    rbp = const offset_of!(Registers, rbp),
    rsp = const offset_of!(Registers, rsp),
    r8 = const offset_of!(Registers, r8),
    r9 = const offset_of!(Registers, r9),
    r10 = const offset_of!(Registers, r10),
    r11 = const offset_of!(Registers, r11),
    r12 = const offset_of!(Registers, r12),
    r13 = const offset_of!(Registers, r13),
    r14 = const offset_of!(Registers, r14),
    r15 = const offset_of!(Registers, r15),
    rip = const offset_of!(Registers, rip),
    rflags = const offset_of!(Registers, rflags),
);

const PAGE_FAULT: usize = 14;
const DEBUG: usize = 1;

// SAFETY: defined above; only its address is used.
unsafe extern "C" {
    static kernlet_program_vectors: u8;
}

/// Puts these handlers in the place of those of trap.rs.
pub fn install() {
    let stubs = &raw const kernlet_program_vectors as usize;
    for vector in (0..trap::VECTORS).filter(|vector| !LEFT.contains(vector)) {
        let before = trap::take_over(vector, stubs + vector * 16);
        if vector == PAGE_FAULT {
            kernlet_program_page_fault.store(before, Ordering::Relaxed);
        }
    }
}

/// The library OS touched memory of the program that was not there; `false`: there is none.
#[unsafe(no_mangle)]
extern "C" fn kernlet_program_touch(address: usize, error: u32) -> bool {
    fault(address, error) == Outcome::Filled
}
