//! The vDSO (vdso(7)): a small ELF file by whose functions a program tells the time without entering the library OS.
//!
//! It begins a page of the image, the same in both doors, which is mapped where the program's memory lies: behind it is some of the
//! library OS's text, which is no secret and does nothing there that the program could not do. What it counts by is the CPU's block, to which `gs` points: in a process the host's own function, in a VM the time stamp counter,
//! once its rate is known. Until then, and for other clocks, it makes a system call as rewritten code does.

use core::mem::offset_of;

/// What its functions go by, in the CPU's block.
#[derive(Debug)]
#[repr(C)]
pub struct Clock {
    /// The host's clock_gettime (vdso(7)); 0: there is none.
    pub host: usize,
    /// Not 0: what follows counts, and does not change any more.
    pub valid: u64,
    /// At the time stamp counter's value `base_tsc` it was `base_ns`; a tick lasts `rate` / 2^32 ns.
    pub base_tsc: u64,
    /// See `base_tsc`.
    pub base_ns: u64,
    /// See `base_tsc`.
    pub rate: u64,
    /// What to add for the wall clock.
    pub wall: u64,
}

impl Clock {
    /// Nothing is known.
    pub const NEW: Self = Self { host: 0, valid: 0, base_tsc: 0, base_ns: 0, rate: 0, wall: 0 };
}

// ELF as gABI and the version tables of the LSB (10.7) have it. One bucket holds all symbols.
core::arch::global_asm!(
    ".pushsection .vdso, \"ax\"",
    ".p2align 12",
    "kernlet_vdso:",
    "  .byte 0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0",
    "  .short 3, 62", // ET_DYN, EM_X86_64
    "  .long 1",
    "  .quad 0, 64, 0",
    "  .long 0",
    "  .short 64, 56, 2, 64, 0, 0",
    "  .long 1, 5", // PT_LOAD, readable and executable
    "  .quad 0, 0, 0, kernlet_vdso_end - kernlet_vdso, kernlet_vdso_end - kernlet_vdso, 4096",
    "  .long 2, 4", // PT_DYNAMIC, readable
    "  .quad 30f - kernlet_vdso, 30f - kernlet_vdso, 30f - kernlet_vdso, 31f - 30f, 31f - 30f, 8",
    "30:",
    "  .quad 4, 32f - kernlet_vdso",           // DT_HASH
    "  .quad 5, 33f - kernlet_vdso",           // DT_STRTAB
    "  .quad 6, 34f - kernlet_vdso",           // DT_SYMTAB
    "  .quad 10, 35f - 33f",                   // DT_STRSZ
    "  .quad 11, 24",                          // DT_SYMENT
    "  .quad 14, 40f - 33f",                   // DT_SONAME
    "  .quad 0x6ffffff0, 36f - kernlet_vdso",  // DT_VERSYM
    "  .quad 0x6ffffffc, 37f - kernlet_vdso",  // DT_VERDEF
    "  .quad 0x6ffffffd, 2",                   // DT_VERDEFNUM
    "  .quad 0, 0",
    "31:",
    "34:",
    "  .skip 24",
    ".macro kernlet_vdso_symbol name, start, end",
    "  .long \\name - 33f",
    "  .byte 0x12, 0", // STB_GLOBAL, STT_FUNC
    "  .short 1",
    "  .quad \\start - kernlet_vdso, \\end - \\start",
    ".endm",
    "  kernlet_vdso_symbol 42f, 52f, 53f",
    "  kernlet_vdso_symbol 43f, 53f, 54f",
    "  kernlet_vdso_symbol 44f, 54f, 55f",
    "  kernlet_vdso_symbol 45f, 55f, 56f",
    "  kernlet_vdso_symbol 46f, 56f, 57f",
    ".purgem kernlet_vdso_symbol",
    "32:",
    "  .long 1, 6, 1, 0, 2, 3, 4, 5, 0",
    "37:",
    "  .short 1, 1, 1, 1", // the file itself
    "  .long 0xdeebfa1, 20, 28",
    "  .long 40f - 33f, 0",
    "  .short 1, 0, 2, 1",
    "  .long 0x3ae75f6, 20, 0",
    "  .long 41f - 33f, 0",
    "36:",
    "  .short 0, 2, 2, 2, 2, 2",
    "33:",
    "  .byte 0",
    "40: .asciz \"linux-vdso.so.1\"",
    "41: .asciz \"LINUX_2.6\"",
    "42: .asciz \"__vdso_clock_gettime\"",
    "43: .asciz \"__vdso_gettimeofday\"",
    "44: .asciz \"__vdso_time\"",
    "45: .asciz \"__vdso_getcpu\"",
    "46: .asciz \"__vdso_clock_getres\"",
    "35:",
    ".p2align 4",
    // A system call, as a stub makes it: right before where it goes on is a `syscall`, for a restart.
    ".macro kernlet_vdso_call number",
    "  mov eax, \\number",
    "  lea rcx, [rip + 8f]",
    "  jmp qword ptr gs:[0]",
    "  syscall",
    "8:",
    "  ret",
    ".endm",
    // The monotonic time in rax; changes rdx. Zero flag: it cannot tell.
    "50:",
    "  cmp qword ptr gs:[{valid}], 0",
    "  je 2f",
    "  lfence",
    "  rdtsc",
    "  shl rdx, 32",
    "  or rax, rdx",
    "  xor edx, edx",
    "  sub rax, gs:[{base_tsc}]",
    "  cmovb rax, rdx",
    "  mul qword ptr gs:[{rate}]",
    "  shrd rax, rdx, 32",
    "  add rax, gs:[{base_ns}]",
    "  test rsp, rsp",
    "2:",
    "  ret",
    // int clock_gettime(clockid_t edi, struct timespec *rsi)
    "52:",
    "  cmp edi, 7",
    "  ja 3f",
    "  mov eax, 0xf3", // not the CPU times of process and thread
    "  bt eax, edi",
    "  jnc 3f",
    "  mov rax, gs:[{host}]",
    "  test rax, rax",
    "  jz 4f",
    "  mov ecx, 1", // CLOCK_MONOTONIC, which its raw one is here
    "  cmp edi, 4",
    "  cmove edi, ecx",
    "  jmp rax",
    "4:",
    "  call 50b",
    "  jz 3f",
    "  mov edx, 0x21", // CLOCK_REALTIME and its coarse one
    "  bt edx, edi",
    "  jnc 2f",
    "  add rax, gs:[{wall}]",
    "2:",
    "  xor edx, edx",
    "  mov ecx, 1000000000",
    "  div rcx",
    "  mov [rsi], rax",
    "  mov [rsi + 8], rdx",
    "  xor eax, eax",
    "  ret",
    "3:",
    "  kernlet_vdso_call 228",
    // int gettimeofday(struct timeval *rdi, struct timezone *rsi)
    "53:",
    "  test rsi, rsi",
    "  jnz 3f",
    "  test rdi, rdi",
    "  jz 3f",
    "  mov rax, gs:[{host}]",
    "  test rax, rax",
    "  jz 4f",
    "  push rdi",
    "  sub rsp, 16",
    "  mov rsi, rsp",
    "  xor edi, edi", // CLOCK_REALTIME
    "  call rax",
    "  pop rcx",
    "  pop rax",
    "  pop rdi",
    "  mov [rdi], rcx",
    "  jmp 5f",
    "4:",
    "  call 50b",
    "  jz 3f",
    "  add rax, gs:[{wall}]",
    "  xor edx, edx",
    "  mov ecx, 1000000000",
    "  div rcx",
    "  mov [rdi], rax",
    "  mov eax, edx",
    "5:", // seconds are written; nanoseconds in eax
    "  xor edx, edx",
    "  mov ecx, 1000",
    "  div ecx",
    "  mov [rdi + 8], rax",
    "  xor eax, eax",
    "  ret",
    "3:",
    "  kernlet_vdso_call 96",
    // time_t time(time_t *rdi)
    "54:",
    "  mov rax, gs:[{host}]",
    "  test rax, rax",
    "  jz 4f",
    "  push rdi",
    "  sub rsp, 16",
    "  mov rsi, rsp",
    "  mov edi, 5", // CLOCK_REALTIME_COARSE
    "  call rax",
    "  pop rax",
    "  pop rcx",
    "  pop rdi",
    "  jmp 5f",
    "4:",
    "  call 50b",
    "  jz 3f",
    "  add rax, gs:[{wall}]",
    "  xor edx, edx",
    "  mov ecx, 1000000000",
    "  div rcx",
    "5:", // seconds in rax
    "  test rdi, rdi",
    "  jz 2f",
    "  mov [rdi], rax",
    "2:",
    "  ret",
    "3:",
    "  kernlet_vdso_call 201",
    // int getcpu(unsigned *rdi, unsigned *rsi)
    "55:",
    "  xor eax, eax",
    "  test rdi, rdi",
    "  jz 2f",
    "  mov [rdi], eax",
    "2:",
    "  test rsi, rsi",
    "  jz 2f",
    "  mov [rsi], eax",
    "2:",
    "  ret",
    // int clock_getres(clockid_t edi, struct timespec *rsi)
    "56:",
    "  kernlet_vdso_call 229",
    "57:",
    ".purgem kernlet_vdso_call",
    "kernlet_vdso_end:",
    ".popsection",
    host = const CLOCK + offset_of!(Clock, host),
    valid = const CLOCK + offset_of!(Clock, valid),
    base_tsc = const CLOCK + offset_of!(Clock, base_tsc),
    base_ns = const CLOCK + offset_of!(Clock, base_ns),
    rate = const CLOCK + offset_of!(Clock, rate),
    wall = const CLOCK + offset_of!(Clock, wall),
);

/// Where the block has it.
const CLOCK: usize = offset_of!(super::Block, clock);

// SAFETY: defined above; only its address is used.
unsafe extern "C" {
    static kernlet_vdso: u8;
}

/// Where its page lies in the image.
pub fn page() -> usize {
    &raw const kernlet_vdso as usize
}
