//! The extended state (vector and floating-point registers), which stays in the CPU as long as only one thread of the
//! program runs; as XSAVE has it.

use super::context::{Area, Context, Held, initial};
use alloc::boxed::Box;
use core::arch::asm;

/// Where an area holds xmm0 to 15.
const SSE: usize = 160;
/// Where its header begins, with the components that the area holds (Intel SDM volume 1, 13.4.2).
const HEADER: usize = 512;
/// The legacy area, the header.
const LEAST: usize = 576;
/// x87 and SSE, which the legacy area holds.
const LEGACY: u64 = 3;
const SSE_BIT: u64 = 2;

/// A context's area, made if there is none.
pub fn area(context: &mut Context) -> &mut Area {
    context.area.get_or_insert_with(|| Box::new(initial()))
}

/// Moves the state from the CPU, with xmm0 to 15 from where the way in saved them, to the context's area.
///
/// # Safety
/// The state in the CPU is this context's, and XSAVE is on with `features`; with none, the CPU has no XSAVE.
pub unsafe fn save(context: &mut Context, features: u64) {
    let sse = context.sse;
    let area = area(context);
    // The header's other bytes must be 0 for XRSTOR; XSAVE only sets the bits of what it saves.
    area.0[HEADER..LEAST].fill(0);
    let to = area.0.as_mut_ptr();
    // SAFETY: the area is 64-byte aligned and long enough.
    unsafe {
        if features == 0 {
            asm!("fxsave64 [{}]", in(reg) to, options(nostack, preserves_flags));
        } else {
            asm!("xsave64 [{}]", in(reg) to, in("eax") features as u32, in("edx") 0, options(nostack, preserves_flags));
        }
    }
    area.0[HEADER] |= if features == 0 { LEGACY } else { 0 } as u8;
    set_vectors(context, &sse);
    context.held = Held::Area;
}

/// Sets xmm0 to 15 in a context's area.
pub fn set_vectors(context: &mut Context, sse: &[u128; 16]) {
    let area = area(context);
    for (to, from) in area.0[SSE..].chunks_exact_mut(16).zip(sse) {
        to.copy_from_slice(&from.to_le_bytes());
    }
    area.0[HEADER] |= SSE_BIT as u8;
}

/// Loads the state of a context into the CPU, and xmm0 to 15 into the place from where the way out takes them.
///
/// # Safety
/// As for [`save`]; whose state was in the CPU is saved.
pub unsafe fn restore(context: &mut Context, features: u64) {
    if context.held == Held::Initial || context.area.is_none() {
        context.area = Some(Box::new(initial()));
    }
    let area = area(context);
    area.settle(at_door!(program::extended_length()));
    let from = area.0.as_ptr();
    // SAFETY: the area holds nothing that the CPU would refuse: it was made by the CPU, or checked by `set_extended`.
    unsafe {
        if features == 0 {
            asm!("fxrstor64 [{}]", in(reg) from, options(nostack, preserves_flags), out("xmm0") _,
                out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
                out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _, out("xmm12") _, out("xmm13") _,
                out("xmm14") _, out("xmm15") _);
        } else {
            asm!("xrstor64 [{}]", in(reg) from, in("eax") features as u32, in("edx") 0,
                options(nostack, preserves_flags), out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
                out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _, out("xmm8") _, out("xmm9") _,
                out("xmm10") _, out("xmm11") _, out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _);
        }
    }
    let held = features == 0 || u64::from(area.0[HEADER]) & SSE_BIT != 0;
    let mut sse = [0; 16];
    if held {
        for (to, from) in sse.iter_mut().zip(area.0[SSE..].chunks_exact(16)) {
            *to = from.try_into().map_or(0, u128::from_le_bytes);
        }
    }
    context.sse = sse;
}
