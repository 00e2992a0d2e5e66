//! System calls whose answers are known beforehand: who a process is. Rewritten calls get them without leaving the program's
//! context: no register but rax, rcx and r11 is touched, the flags neither.

#[cfg(kernlet_image)]
use {super::enter::block, core::arch::global_asm, core::mem::offset_of};

#[cfg(kernlet_image)]
/// How many there may be; the first is no call at all.
const ANSWERS: usize = 8;

#[cfg(kernlet_image)]
/// A number that no call has.
const NONE: u64 = 1 << 40;

/// In the CPU's block.
#[cfg(kernlet_image)]
#[repr(C)]
pub struct Quick {
    /// Where all other calls go.
    pub call: usize,
    saved: u64,
    /// By the place in `kernlet_program_places`: what makes 0 of a call's number when added.
    negated: [u64; ANSWERS],
    answers: [u64; ANSWERS],
}

#[cfg(kernlet_image)]
impl Quick {
    /// No answers.
    pub const NEW: Self = Self { call: 0, saved: 0, negated: [NONE; ANSWERS], answers: [0; ANSWERS] };
}

/// A call with a known answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the call of its name")]
#[repr(usize)]
pub enum Known {
    Getpid = 1,
    Getuid,
    Getgid,
    Geteuid,
    Getegid,
    Getppid,
}

#[cfg(kernlet_image)]
impl Known {
    /// Its number (arch/x86/entry/syscalls/syscall_64.tbl).
    const fn number(self) -> u64 {
        match self {
            Self::Getpid => 39,
            Self::Getuid => 102,
            Self::Getgid => 104,
            Self::Geteuid => 107,
            Self::Getegid => 108,
            Self::Getppid => 110,
        }
    }
}

#[cfg(kernlet_image)]
// Which place a number has, by its low byte; 0 for most, whose `negated` never makes 0. JRCXZ leaves the flags alone.
global_asm!(
    ".pushsection .rodata.kernlet_program_places, \"a\"",
    "kernlet_program_places:",
    ".set number, 0",
    ".rept 256",
    "  .if number == 39",
    "  .byte 1",
    "  .elseif number == 102",
    "  .byte 2",
    "  .elseif number == 104",
    "  .byte 3",
    "  .elseif number == 107",
    "  .byte 4",
    "  .elseif number == 108",
    "  .byte 5",
    "  .elseif number == 110",
    "  .byte 6",
    "  .else",
    "  .byte 0",
    "  .endif",
    "  .set number, number + 1",
    ".endr",
    ".popsection",
    ".pushsection .text.kernlet_program_quick, \"ax\"",
    ".globl kernlet_program_quick",
    ".p2align 4",
    "kernlet_program_quick:",
    "  mov gs:[{saved}], rcx",
    "  movzx r11d, al",
    "  lea rcx, [rip + kernlet_program_places]",
    "  movzx r11d, byte ptr [rcx + r11]",
    "  mov rcx, gs:[r11 * 8 + {negated}]",
    "  lea rcx, [rcx + rax]",
    "  jrcxz 2f",
    "  mov rcx, gs:[{saved}]",
    "  jmp qword ptr gs:[{call}]",
    "2:",
    "  mov rcx, gs:[{saved}]",
    "  mov rax, gs:[r11 * 8 + {answers}]",
    "  jmp rcx",
    ".globl kernlet_program_quick_end",
    "kernlet_program_quick_end:",
    ".popsection",
    saved = const offset_of!(super::Block, quick) + offset_of!(Quick, saved),
    negated = const offset_of!(super::Block, quick) + offset_of!(Quick, negated),
    answers = const offset_of!(super::Block, quick) + offset_of!(Quick, answers),
    call = const offset_of!(super::Block, quick) + offset_of!(Quick, call),
);

#[cfg(kernlet_image)]
// SAFETY: defined above; only its address is used.
unsafe extern "C" {
    static kernlet_program_quick: u8;
    static kernlet_program_quick_end: u8;
}

/// Where rewritten calls arrive, and those with a known answer are all the time.
#[cfg(kernlet_image)]
pub fn text() -> core::ops::Range<usize> {
    &raw const kernlet_program_quick as usize..&raw const kernlet_program_quick_end as usize
}

#[cfg(kernlet_image)]
/// Where rewritten calls arrive; `call` takes those that have no known answer.
pub fn entry(call: usize) -> usize {
    // SAFETY: the block is used by this thread of execution alone, and the program does not run.
    unsafe { (*block()).quick.call = call };
    &raw const kernlet_program_quick as usize
}

/// Says what a call answers from now on.
#[cfg(kernlet_image)]
pub fn answer(call: Known, value: u64) {
    // SAFETY: as for `entry`.
    unsafe {
        let quick = &mut (*block()).quick;
        quick.answers[call as usize] = value;
        quick.negated[call as usize] = call.number().wrapping_neg();
    }
}

/// A host build runs no program.
#[cfg(not(kernlet_image))]
pub fn answer(_: Known, _: u64) {}
