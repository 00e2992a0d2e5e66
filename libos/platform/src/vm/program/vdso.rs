//! The vDSO of a VM (vdso(7)): a small ELF file by whose functions a program tells the time without a system call, once the
//! rate of the time stamp counter is known. Until then, for other clocks, and where the hypervisor's clock counts, they
//! make the system call.
//!
//! Its first page holds everything but what [`publish`] writes to the second, which the program only sees.

use super::super::clock;
use super::super::frames::{PAGE, RAM};
use super::super::paging::{self, NO_EXECUTE, WRITE};
use super::place;
use core::arch::global_asm;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering, compiler_fence};

/// The second page.
#[repr(C)]
struct Data {
    /// Not 0: the rest counts, and does not change any more.
    valid: u64,
    /// At the counter's value `base_tsc` it was `base_ns`; a tick lasts `rate` / 2^32 ns.
    base_tsc: u64,
    base_ns: u64,
    rate: u64,
    /// What to add for the wall clock.
    wall: u64,
}

// ELF as gABI and the version tables of the LSB (10.7) have it. One bucket holds all symbols.
global_asm!(
    ".pushsection .rodata.kernlet_vdso, \"a\"",
    ".p2align 3",
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
    // The monotonic time in rax; changes rdx. Zero flag: it cannot tell.
    "50:",
    "  cmp qword ptr [rip + kernlet_vdso + {valid}], 0",
    "  je 2f",
    "  lfence",
    "  rdtsc",
    "  shl rdx, 32",
    "  or rax, rdx",
    "  xor edx, edx",
    "  sub rax, [rip + kernlet_vdso + {base_tsc}]",
    "  cmovb rax, rdx",
    "  mul qword ptr [rip + kernlet_vdso + {rate}]",
    "  shrd rax, rdx, 32",
    "  add rax, [rip + kernlet_vdso + {base_ns}]",
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
    "  call 50b",
    "  jz 3f",
    "  mov edx, 0x21", // CLOCK_REALTIME and its coarse one
    "  bt edx, edi",
    "  jnc 2f",
    "  add rax, [rip + kernlet_vdso + {wall}]",
    "2:",
    "  xor edx, edx",
    "  mov ecx, 1000000000",
    "  div rcx",
    "  mov [rsi], rax",
    "  mov [rsi + 8], rdx",
    "  xor eax, eax",
    "  ret",
    "3:",
    "  mov eax, 228",
    "  syscall",
    "  ret",
    // int gettimeofday(struct timeval *rdi, struct timezone *rsi)
    "53:",
    "  test rsi, rsi",
    "  jnz 3f",
    "  test rdi, rdi",
    "  jz 3f",
    "  call 50b",
    "  jz 3f",
    "  add rax, [rip + kernlet_vdso + {wall}]",
    "  xor edx, edx",
    "  mov ecx, 1000000000",
    "  div rcx",
    "  mov [rdi], rax",
    "  mov eax, edx",
    "  xor edx, edx",
    "  mov ecx, 1000",
    "  div ecx",
    "  mov [rdi + 8], rax",
    "  xor eax, eax",
    "  ret",
    "3:",
    "  mov eax, 96",
    "  syscall",
    "  ret",
    // time_t time(time_t *rdi)
    "54:",
    "  call 50b",
    "  jz 3f",
    "  add rax, [rip + kernlet_vdso + {wall}]",
    "  xor edx, edx",
    "  mov ecx, 1000000000",
    "  div rcx",
    "  test rdi, rdi",
    "  jz 2f",
    "  mov [rdi], rax",
    "2:",
    "  ret",
    "3:",
    "  mov eax, 201",
    "  syscall",
    "  ret",
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
    "  mov eax, 229",
    "  syscall",
    "  ret",
    "57:",
    "kernlet_vdso_end:",
    ".popsection",
    valid = const PAGE + core::mem::offset_of!(Data, valid),
    base_tsc = const PAGE + core::mem::offset_of!(Data, base_tsc),
    base_ns = const PAGE + core::mem::offset_of!(Data, base_ns),
    rate = const PAGE + core::mem::offset_of!(Data, rate),
    wall = const PAGE + core::mem::offset_of!(Data, wall),
);

// SAFETY: defined above; only their addresses are used here.
unsafe extern "C" {
    static kernlet_vdso: u8;
    static kernlet_vdso_end: u8;
}

/// Where the data can be written; 0: there is no vDSO.
static DATA: AtomicUsize = AtomicUsize::new(0);
static PUBLISHED: AtomicBool = AtomicBool::new(false);

/// Maps it; `None` without memory for it.
pub fn prepare() -> Option<()> {
    let frames = RAM.lock().take_back(2)?;
    let start = &raw const kernlet_vdso;
    let length = &raw const kernlet_vdso_end as usize - start as usize;
    let (at, data) = (place::vdso(), frames + PAGE);
    // SAFETY: the frames were just taken, and nothing lies at the vDSO's place. The first one is never written to again;
    // the second one is the program's to read.
    unsafe {
        let own = paging::window(frames, 2 * PAGE, NO_EXECUTE | WRITE)? as *mut u8;
        own.write_bytes(0, 2 * PAGE);
        own.copy_from_nonoverlapping(start, length.min(PAGE));
        paging::map(at, frames, PAGE, 0)?;
        paging::map(at + PAGE, data, PAGE, NO_EXECUTE)?;
        DATA.store(own as usize + PAGE, Ordering::Relaxed);
    }
    Some(())
}

/// Its address.
pub fn address() -> usize {
    if DATA.load(Ordering::Relaxed) == 0 { 0 } else { place::vdso() }
}

/// Tells the program how time is to be read, once that is certain. Cheap: this is called whenever a program runs.
pub fn publish() {
    if PUBLISHED.load(Ordering::Relaxed) {
        return;
    }
    let data = DATA.load(Ordering::Relaxed) as *mut Data;
    let Some((base_tsc, base_ns, rate)) = clock::settled().filter(|_| !data.is_null()) else { return };
    let wall = clock::wall_offset();
    // SAFETY: `prepare` mapped the page, and the program does not run.
    unsafe {
        data.write_volatile(Data { valid: 0, base_tsc, base_ns, rate, wall });
        compiler_fence(Ordering::Release);
        (&raw mut (*data).valid).write_volatile(1);
    }
    PUBLISHED.store(true, Ordering::Relaxed);
}
