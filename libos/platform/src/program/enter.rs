//! In and out by calls, the same in both doors: `enter`, and the entry that rewritten system calls jump to. A door adds its
//! own ways out ([`ways!`]).

use super::quick::Quick;
use super::vdso::Clock;
use super::{Context, Exit, Held, Registers, Trap};
use core::mem::offset_of;
use core::ptr;

/// What `gs` points to. Rewritten code finds the entry in the first word.
#[repr(C)]
pub struct Block {
    pub entry: usize,
    /// The library OS's stack pointer while the program runs; else 0.
    pub stack: usize,
    /// The running thread.
    pub context: *mut Context,
    pub scratch: usize,
    /// Whose extended state is in the CPU.
    owner: *mut Context,
    /// Why the process door's signal handler left the program.
    pub exit: Exit,
    /// Not 0: the turn is over before the program runs.
    pub over: u32,
    /// What the VM door's handlers found: vector, error code, cr2.
    pub found: [u64; 3],
    /// The program makes single steps (its trap flag is set), of which one ended on the way in or out: the next is the arrival in
    /// its text, and no step of its own.
    pub arriving: usize,
    /// Calls whose answers are known.
    pub quick: Quick,
    /// What the vDSO goes by.
    pub clock: Clock,
}

static mut BLOCK: Block = Block {
    entry: 0,
    stack: 0,
    context: ptr::null_mut(),
    scratch: 0,
    owner: ptr::null_mut(),
    exit: Exit::Call,
    over: 0,
    found: [0; 3],
    arriving: 0,
    quick: Quick::NEW,
    clock: Clock::NEW,
};

/// The block. One thread of execution uses it, and handlers, which only do so while the program runs.
pub fn block() -> *mut Block {
    &raw mut BLOCK
}

/// Makes a door's `NAME_enter`, `NAME_go`, `NAME_call`, `NAME_called` and `NAME_leave`.
///
/// `NAME_enter`: rdi = context, whose extended state is in the CPU but for xmm0 to 15. Returns 0 for a call, 1 when a handler
/// went on at `NAME_leave`, 2 when the turn was over before ([`Block::over`], at which nobody looks behind `NAME_go`).
/// `NAME_call` is where a rewritten call arrives: rcx = where it goes on, r11 is free, all else is the thread's, flags and
/// stack included. `NAME_called` goes on with that, with the flags on the library OS's stack.
///
/// The door's own instructions: `flags` changes the flags on the stack before they are loaded, `go` comes last before the
/// jump, `come` first in a call, `came` when the flags are on the stack.
macro_rules! ways {
    ($name:literal, flags: $flags:literal, go: $go:literal, come: $come:literal, came: $came:literal) => {
        core::arch::global_asm!(
            concat!(".pushsection .text.", $name, ", \"ax\""),
            concat!(".globl ", $name, "_enter"),
            concat!($name, "_enter:"),
            "  push rbp",
            "  push rbx",
            "  push r12",
            "  push r13",
            "  push r14",
            "  push r15",
            "  mov gs:[{stack}], rsp",
            "  mov gs:[{context}], rdi",
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
            "  push qword ptr [rdi + {rflags}]",
            $flags,
            "  cmp dword ptr gs:[{over}], 0",
            "  jne 6f",
            concat!(".globl ", $name, "_go"),
            concat!($name, "_go:"),
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
            $go,
            "  jmp qword ptr gs:[{scratch}]",
            concat!(".globl ", $name, "_call"),
            concat!($name, "_call:"),
            $come,
            "  mov gs:[{scratch}], rsp",
            "  mov rsp, gs:[{stack}]",
            "  pushfq",
            $came,
            concat!(".globl ", $name, "_called"),
            concat!($name, "_called:"),
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
            "  mov qword ptr gs:[{stack}], 0",
            "  pop r15",
            "  pop r14",
            "  pop r13",
            "  pop r12",
            "  pop rbx",
            "  pop rbp",
            "  ret",
            // From a handler, on its stack.
            concat!(".globl ", $name, "_leave"),
            concat!($name, "_leave:"),
            "  mov rsp, gs:[{stack}]",
            "  mov eax, 1",
            "  jmp 5b",
            "6:",
            "  mov rsp, gs:[{stack}]",
            "  mov eax, 2",
            "  jmp 5b",
            ".popsection",
            stack = const core::mem::offset_of!($crate::program::Block, stack),
            context = const core::mem::offset_of!($crate::program::Block, context),
            scratch = const core::mem::offset_of!($crate::program::Block, scratch),
            over = const core::mem::offset_of!($crate::program::Block, over),
            sse = const core::mem::offset_of!($crate::program::Context, sse),
            rax = const core::mem::offset_of!($crate::program::Registers, rax),
            rbx = const core::mem::offset_of!($crate::program::Registers, rbx),
            rcx = const core::mem::offset_of!($crate::program::Registers, rcx),
            rdx = const core::mem::offset_of!($crate::program::Registers, rdx),
            rsi = const core::mem::offset_of!($crate::program::Registers, rsi),
            rdi = const core::mem::offset_of!($crate::program::Registers, rdi),
            rbp = const core::mem::offset_of!($crate::program::Registers, rbp),
            rsp = const core::mem::offset_of!($crate::program::Registers, rsp),
            r8 = const core::mem::offset_of!($crate::program::Registers, r8),
            r9 = const core::mem::offset_of!($crate::program::Registers, r9),
            r10 = const core::mem::offset_of!($crate::program::Registers, r10),
            r11 = const core::mem::offset_of!($crate::program::Registers, r11),
            r12 = const core::mem::offset_of!($crate::program::Registers, r12),
            r13 = const core::mem::offset_of!($crate::program::Registers, r13),
            r14 = const core::mem::offset_of!($crate::program::Registers, r14),
            r15 = const core::mem::offset_of!($crate::program::Registers, r15),
            rip = const core::mem::offset_of!($crate::program::Registers, rip),
            rflags = const core::mem::offset_of!($crate::program::Registers, rflags),
        );
    };
}
pub(crate) use ways;

const _: () = assert!(offset_of!(Context, registers) == 0);
const _: () = assert!(offset_of!(Registers, rax) == 0);

/// Bits of rflags that a program may set: CF, PF, AF, ZF, SF, TF, DF, OF, NT, AC, ID; IF and bit 1 are always set.
const FLAGS: u64 = 0x0024_4dd5;
const ALWAYS: u64 = 0x202;
/// Where addresses stop being canonical in the lower half.
const HALF: u64 = 1 << 47;

/// What a door does for [`run`].
pub struct Way {
    /// Its `NAME_enter`.
    pub enter: unsafe extern "C" fn(context: *mut Context) -> u32,
    /// Loads a context's extended state into the CPU, and xmm0 to 15 into the context's own place for them.
    pub restore: fn(&mut Context),
}

/// How the program was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// For a call.
    Call,
    /// By a handler, which noted in the block why.
    Handler,
    /// Before it ran, as the turn was over.
    Over,
}

/// Runs the thread until it is left.
pub fn run(context: &mut Context, way: &Way) -> Left {
    let this: *mut Context = context;
    let r = &mut context.registers;
    r.rflags = r.rflags & FLAGS | ALWAYS;
    // SAFETY: the block is used by this thread of execution alone, and the program does not run.
    let owner = unsafe { (*block()).owner };
    if owner != this || context.held != Held::Cpu {
        if !owner.is_null() {
            // SAFETY: a context that owns the CPU's state is alive: dropping one disowns it.
            unsafe { &mut *owner }.save();
        }
        (way.restore)(context);
    }
    context.held = Held::Cpu;
    // SAFETY: as above. The context stays where it is while the program runs, as it is borrowed; the program's registers
    // and memory are its own affair, and it comes back by the entry or a handler, with the callee-saved registers and the
    // stack as they were.
    let code = unsafe {
        (*block()).owner = this;
        (*block()).arriving = 0;
        (way.enter)(this)
    };
    match code {
        0 => Left::Call,
        1 => Left::Handler,
        _ => Left::Over,
    }
}

/// Where the thread would fault before its first instruction: the jump to an address that is not canonical.
pub fn cannot_go(context: &Context) -> Option<Exit> {
    (context.registers.rip >= HALF).then(|| trap(13, 0, 0, false))
}

/// The extended state in the CPU is nobody's any more.
pub fn disown() {
    // SAFETY: the block is used by this thread of execution alone, and the program does not run.
    unsafe { (*block()).owner = ptr::null_mut() };
}

/// A context ends.
pub fn forget(context: &mut Context) {
    // SAFETY: as for `disown`.
    if unsafe { (*block()).owner } == &raw mut *context {
        disown();
    }
}

/// What a fault was, for the handlers.
pub fn trap(vector: u8, error: u32, address: usize, beyond: bool) -> Exit {
    Exit::Trap(Trap { vector, error, address, beyond })
}
