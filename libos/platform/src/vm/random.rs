//! The CPU's random numbers, and the cheaper ones by which addresses are chosen at boot.

use super::port::{cpuid, rdtsc};
use core::arch::asm;

/// Whether the CPU has RDRAND.
pub fn has_rdrand() -> bool {
    cpuid(1, 0)[2] & 1 << 30 != 0
}

/// A random number by RDRAND, which the CPU must have; `None` when its generator gives none.
pub fn rdrand() -> Option<u64> {
    // Intel: ten failures in a row mean that the generator is broken.
    for _ in 0..10 {
        let (value, ok): (u64, u8);
        // SAFETY: the instruction writes one register and flags.
        unsafe { asm!("rdrand {}", "setc {}", out(reg) value, out(reg_byte) ok, options(nomem, nostack)) };
        if ok != 0 {
            return Some(value);
        }
    }
    None
}

/// A sequence of numbers for address layout (splitmix64): not for keys.
pub struct Layout(u64);

impl Layout {
    /// Seeded by RDRAND, the time, and (on a CPU without RDRAND) what `other` brings.
    pub fn new(other: impl FnOnce() -> u64) -> Self {
        let seed = if has_rdrand() { rdrand().unwrap_or(0) } else { other() };
        Self(seed ^ rdtsc().wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// A number below `bound`.
    #[inline(never)]
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) % bound as u64) as usize
    }
}
