//! In and out by calls: `enter`, and the entry that rewritten system calls jump to.

use super::state;
use crate::program::{Context, Exit, Held, Registers, Trap};
use core::arch::{asm, global_asm};
use core::mem::offset_of;
use core::ptr;

/// What `gs` points to. Rewritten code finds the entry in the first word.
#[repr(C)]
pub struct Block {
    entry: usize,
    /// The library OS's stack pointer while the program runs.
    pub stack: usize,
    /// The running thread.
    pub context: *mut Context,
    scratch: usize,
    /// Whose extended state is in the CPU.
    owner: *mut Context,
    /// Why the signal handler left the program.
    pub exit: Exit,
}

static mut BLOCK: Block = Block {
    entry: 0,
    stack: 0,
    context: ptr::null_mut(),
    scratch: 0,
    owner: ptr::null_mut(),
    exit: Exit::Call,
};

/// The block. One host thread uses it, and its signal handlers, which only run while the program does.
pub fn block() -> *mut Block {
    &raw mut BLOCK
}

// rdi = context, rsi = area or 0 (only xmm0 to 15 come back, from the context), edx = features.
// Returns 0 for a call; the signal handler's way returns 1.
global_asm!(
    ".pushsection .text.kernlet_program, \"ax\"",
    ".globl kernlet_program_enter",
    "kernlet_program_enter:",
    "  push rbp",
    "  push rbx",
    "  push r12",
    "  push r13",
    "  push r14",
    "  push r15",
    "  mov gs:[{stack}], rsp",
    "  mov gs:[{context}], rdi",
    "  test rsi, rsi",
    "  jz 2f",
    "  mov eax, edx",
    "  xor edx, edx",
    "  xrstor64 [rsi]",
    "  mov rax, [rdi + {fs_base}]",
    "  wrfsbase rax",
    "  jmp 3f",
    "2:",
    "  lea rax, [rdi + {sse}]",
    "  movups xmm0, [rax]",
    "  movups xmm1, [rax + 16]",
    "  movups xmm2, [rax + 32]",
    "  movups xmm3, [rax + 48]",
    "  movups xmm4, [rax + 64]",
    "  movups xmm5, [rax + 80]",
    "  movups xmm6, [rax + 96]",
    "  movups xmm7, [rax + 112]",
    "  movups xmm8, [rax + 128]",
    "  movups xmm9, [rax + 144]",
    "  movups xmm10, [rax + 160]",
    "  movups xmm11, [rax + 176]",
    "  movups xmm12, [rax + 192]",
    "  movups xmm13, [rax + 208]",
    "  movups xmm14, [rax + 224]",
    "  movups xmm15, [rax + 240]",
    "3:",
    "  push qword ptr [rdi + {rflags}]",
    "  mov rax, [rdi + {rip}]",
    "  mov gs:[{scratch}], rax",
    "  mov rax, [rdi + {rax}]",
    "  mov rbx, [rdi + {rbx}]",
    "  mov rcx, [rdi + {rcx}]",
    "  mov rdx, [rdi + {rdx}]",
    "  mov rsi, [rdi + {rsi}]",
    "  mov rbp, [rdi + {rbp}]",
    "  mov r8, [rdi + {r8}]",
    "  mov r9, [rdi + {r9}]",
    "  mov r10, [rdi + {r10}]",
    "  mov r11, [rdi + {r11}]",
    "  mov r12, [rdi + {r12}]",
    "  mov r13, [rdi + {r13}]",
    "  mov r14, [rdi + {r14}]",
    "  mov r15, [rdi + {r15}]",
    "  popfq",
    "  mov rsp, [rdi + {rsp}]",
    "  mov rdi, [rdi + {rdi}]",
    "  jmp qword ptr gs:[{scratch}]",
    // A rewritten call: rcx = where it goes on, r11 is free, all else is the thread's, flags and stack included.
    ".globl kernlet_program_call",
    "kernlet_program_call:",
    "  mov gs:[{scratch}], rsp",
    "  mov rsp, gs:[{stack}]",
    "  pushfq",
    "  mov r11, gs:[{context}]",
    "  mov [r11 + {rax}], rax",
    "  mov [r11 + {rbx}], rbx",
    "  mov [r11 + {rcx}], rcx",
    "  mov [r11 + {rip}], rcx",
    "  mov [r11 + {rdx}], rdx",
    "  mov [r11 + {rsi}], rsi",
    "  mov [r11 + {rdi}], rdi",
    "  mov [r11 + {rbp}], rbp",
    "  mov rcx, gs:[{scratch}]",
    "  mov [r11 + {rsp}], rcx",
    "  pop rcx",
    "  mov [r11 + {rflags}], rcx",
    "  mov [r11 + {r11}], rcx",
    "  mov [r11 + {r8}], r8",
    "  mov [r11 + {r9}], r9",
    "  mov [r11 + {r10}], r10",
    "  mov [r11 + {r12}], r12",
    "  mov [r11 + {r13}], r13",
    "  mov [r11 + {r14}], r14",
    "  mov [r11 + {r15}], r15",
    "  lea rax, [r11 + {sse}]",
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
    "  xor eax, eax",
    "5:",
    "  cld",
    "  pop r15",
    "  pop r14",
    "  pop r13",
    "  pop r12",
    "  pop rbx",
    "  pop rbp",
    "  ret",
    // From a signal handler, on the alternate stack.
    ".globl kernlet_program_leave",
    "kernlet_program_leave:",
    "  mov rsp, gs:[{stack}]",
    "  mov eax, 1",
    "  jmp 5b",
    ".popsection",
    stack = const offset_of!(Block, stack),
    context = const offset_of!(Block, context),
    scratch = const offset_of!(Block, scratch),
    sse = const offset_of!(Context, sse),
    fs_base = const offset_of!(Context, fs_base),
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

const _: () = assert!(offset_of!(Context, registers) == 0);

// SAFETY: defined above with these signatures.
unsafe extern "C" {
    fn kernlet_program_enter(context: *mut Context, area: *const u8, features: u32) -> u32;
    static kernlet_program_call: u8;
}

/// Bits of rflags that a program may set: CF, PF, AF, ZF, SF, TF, DF, OF, NT, AC, ID; IF and bit 1 are always set.
const FLAGS: u64 = 0x0024_4dd5;

/// Points GS to the block.
pub fn prepare() -> Result<(), &'static str> {
    let has = |leaf, bit: u32, register: usize| cpuid(leaf)[register] >> bit & 1 == 1;
    if !has(7, 0, 1) {
        return Err("this CPU, or the host's kernel, has no FSGSBASE, which programs for Linux need here");
    }
    if !has(1, 27, 2) {
        return Err("this CPU, or the host's kernel, has no XSAVE, which programs for Linux need here");
    }
    // SAFETY: nobody else refers to the block yet. GS is the library OS's own.
    unsafe {
        (*block()).entry = &raw const kernlet_program_call as usize;
        asm!("wrgsbase {}", in(reg) block(), options(nostack, preserves_flags));
    }
    Ok(())
}

fn cpuid(leaf: u32) -> [u32; 4] {
    let r = core::arch::x86_64::__cpuid_count(leaf, 0);
    [r.eax, r.ebx, r.ecx, r.edx]
}

/// The extended state in the CPU is nobody's any more.
pub fn disown() {
    // SAFETY: the block is used by this thread alone, and the program does not run.
    unsafe { (*block()).owner = ptr::null_mut() };
}

/// See [`Context::enter`].
pub fn enter(context: &mut Context) -> Exit {
    let this: *mut Context = context;
    context.registers.rflags = context.registers.rflags & FLAGS | 0x202;
    // SAFETY: the block is used by this thread alone, and the program does not run. A context that owns the CPU's state
    // is alive: dropping one disowns it.
    let owner = unsafe { (*block()).owner };
    let (area, features) = if owner == this && context.held == Held::Cpu {
        (ptr::null(), 0)
    } else {
        if !owner.is_null() {
            // SAFETY: as above.
            state::save(unsafe { &mut *owner });
        }
        if context.held == Held::Initial || context.area.is_none() {
            context.area = Some(alloc::boxed::Box::new(crate::program::initial()));
        }
        (context.area.as_ref().map_or(ptr::null(), |a| a.0.as_ptr()), state::extended_features() as u32)
    };
    context.held = Held::Cpu;
    // SAFETY: as above. The context stays where it is while the program runs, as it is borrowed; the program's registers
    // and memory are its own affair, and it comes back by the entry or a signal handler, with the callee-saved registers
    // and the stack as they were.
    unsafe {
        (*block()).owner = this;
        if kernlet_program_enter(this, area, features) == 0 {
            return Exit::Call;
        }
        (*block()).exit
    }
}

/// A context ends.
pub fn forget(context: &mut Context) {
    // SAFETY: the block is used by this thread alone, and the program does not run.
    if unsafe { (*block()).owner } == &raw mut *context {
        disown();
    }
}

/// What a fault was, for the handlers.
pub fn trap(vector: u8, error: u32, address: usize, beyond: bool) -> Exit {
    Exit::Trap(Trap { vector, error, address, beyond })
}
