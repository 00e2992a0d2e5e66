//! The extended state (vector and floating-point registers) and the thread pointer, which stay in the CPU as long as only
//! one thread of the program runs.

use crate::program::Context;
#[cfg(kernlet_image)]
use {
    crate::program::{Held, initial},
    alloc::boxed::Box,
    core::arch::asm,
};

/// What is saved and restored: x87, SSE, AVX, MPX, AVX-512 (bits 0 to 7 of XCR0). Not protection keys, and not AMX, which
/// a program has to ask for and is refused.
const WANTED: u64 = 0xff;

#[cfg(kernlet_image)]
pub fn extended_features() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: `prepare` found that the CPU has XSAVE and that it is on.
    unsafe { asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") high, options(nomem, nostack)) };
    (u64::from(low) | u64::from(high) << 32) & WANTED
}

#[cfg(not(kernlet_image))]
pub fn extended_features() -> u64 {
    WANTED & 7
}

/// Bytes of an area in the standard format with these features, as every CPU that has them lays it out.
pub fn extended_length() -> usize {
    match extended_features() {
        f if f & 0xe0 != 0 => crate::program::EXTENDED_MOST,
        f if f & 0x18 != 0 => 1088,
        f if f & 4 != 0 => 832,
        _ => 576,
    }
}

#[cfg(not(kernlet_image))]
pub fn save(_: &mut Context) {}

/// Moves a thread's extended state and thread pointer from the CPU to its context, if they are in the CPU.
#[cfg(kernlet_image)]
pub fn save(context: &mut Context) {
    if context.held != Held::Cpu {
        return;
    }
    let area = context.area.get_or_insert_with(|| Box::new(initial()));
    // The header's other bytes must be 0 for XRSTOR; XSAVE only sets the bits of what it saves.
    area.0[512..576].fill(0);
    let sse = context.sse.as_ptr();
    let features = extended_features();
    // SAFETY: xmm0 to 15 are the library OS's own to use, and get back what the thread had in them, so that the area
    // gets that; the area is 64-byte aligned and long enough. FSGSBASE was found by `prepare`.
    unsafe {
        asm!(
            "movups xmm0, [{s}]", "movups xmm1, [{s} + 16]", "movups xmm2, [{s} + 32]", "movups xmm3, [{s} + 48]",
            "movups xmm4, [{s} + 64]", "movups xmm5, [{s} + 80]", "movups xmm6, [{s} + 96]", "movups xmm7, [{s} + 112]",
            "movups xmm8, [{s} + 128]", "movups xmm9, [{s} + 144]", "movups xmm10, [{s} + 160]", "movups xmm11, [{s} + 176]",
            "movups xmm12, [{s} + 192]", "movups xmm13, [{s} + 208]", "movups xmm14, [{s} + 224]", "movups xmm15, [{s} + 240]",
            "xsave64 [{area}]",
            s = in(reg) sse, area = in(reg) area.0.as_mut_ptr(), in("eax") features as u32, in("edx") 0,
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _, out("xmm5") _, out("xmm6") _,
            out("xmm7") _, out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _, out("xmm12") _, out("xmm13") _,
            out("xmm14") _, out("xmm15") _, options(nostack, preserves_flags),
        );
        asm!("rdfsbase {}", out(reg) context.fs_base, options(nomem, nostack, preserves_flags));
    }
    context.held = Held::Area;
    super::enter::disown();
}
