//! The first instructions of the process door.

use super::call::{call, number};
use super::{clock, fault};
use crate::{Door, entry, power};
use core::arch::global_asm;
use core::sync::atomic::Ordering;
use kernlet_wire::launch::{Launch, MAGIC};

// The loader jumps here with a `Launch` in rdi. Linux starts a program with rdi = 0: somebody executed the image
// itself, which says how to run it and ends (status 126, "cannot be executed").
global_asm!(
    ".pushsection .text._start, \"ax\"",
    ".globl _start",
    "_start:",
    "  test rdi, rdi",
    "  jz 3f",
    "  mov rbx, rdi",
    "  lea rsi, [rip + 2f]",
    "  jmp kernlet_relocate",
    "2:",
    "  mov rdi, rbx",
    "  mov rsi, rax",
    "  xor ebp, ebp",
    "  and rsp, -16",
    "  call kernlet_process_start",
    "  ud2",
    "3:",
    "  mov eax, 1",
    "  mov edi, 2",
    "  lea rsi, [rip + 4f]",
    "  lea rdx, [rip + 5f]",
    "  sub rdx, rsi",
    "  syscall",
    "  mov eax, 231",
    "  mov edi, 126",
    "  syscall",
    "  ud2",
    "4: .ascii \"this is a kernlet image; run it with: kernlet run FILE\\n\"",
    "5:",
    ".popsection",
);

// SAFETY: symbols of the linker script (image.ld); only their addresses are used.
unsafe extern "C" {
    static __relro: u8;
    static __erelro: u8;
}

#[unsafe(no_mangle)]
extern "C" fn kernlet_process_start(launch: *const Launch) -> ! {
    // SAFETY: only the trusted loader gets here, with a launch record that stays mapped.
    let launch = unsafe { *launch };
    if launch.magic != MAGIC {
        super::power::off(126);
    }
    let relro = &raw const __relro as usize;
    let length = &raw const __erelro as usize - relro;
    // SAFETY: the range is the image's own relocated data, which nothing writes from here on.
    let protected = unsafe { call(number::MPROTECT, [relro, length, 1, 0, 0, 0]) };
    clock::VDSO.store(launch.vdso, Ordering::Relaxed);
    super::program::USAGE.store(launch.usage, Ordering::Relaxed);
    fault::install();
    if protected.is_err() {
        power::exit(126);
    }
    let range = |[start, second]: [usize; 2]| start..second;
    let blob = launch.blob[0]..launch.blob[0] + launch.blob[1];
    // SAFETY: the loader left blob and stack mapped and tells where; the monitor checked the blob when it made it.
    unsafe { entry::run(Door::Process, blob, range(launch.stack)) }
}
