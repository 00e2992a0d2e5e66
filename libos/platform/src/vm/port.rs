//! Port input and output, model-specific registers and CPUID.

use core::arch::asm;

macro_rules! ports {
    ($read:ident, $write:ident, $type:ty, $register:tt) => {
        #[doc = concat!("Reads a ", stringify!($type), " from a port.")]
        #[inline]
        pub fn $read(port: u16) -> $type {
            let value: $type;
            // SAFETY: a read of a port touches no memory of ours.
            unsafe {
                asm!(concat!("in ", $register, ", dx"), in("dx") port, out($register) value,
                    options(nomem, nostack, preserves_flags));
            }
            value
        }

        #[doc = concat!("Writes a ", stringify!($type), " to a port.")]
        #[inline]
        pub fn $write(port: u16, value: $type) {
            // SAFETY: no device that this crate drives through ports reads or writes memory.
            unsafe {
                asm!(concat!("out dx, ", $register), in("dx") port, in($register) value,
                    options(nomem, nostack, preserves_flags));
            }
        }
    };
}

ports!(in8, out8, u8, "al");
ports!(in32, out32, u32, "eax");

/// Writes a u16 to a port.
#[inline]
pub fn out16(port: u16, value: u16) {
    // SAFETY: as for the other widths.
    unsafe { asm!("out dx, ax", in("dx") port, in("ax") value, options(nomem, nostack, preserves_flags)) };
}

/// Reads a model-specific register, which the CPU must have.
#[inline]
pub fn rdmsr(register: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: touches no memory; callers name registers that the CPU said it has.
    unsafe {
        asm!("rdmsr", in("ecx") register, out("eax") low, out("edx") high, options(nomem, nostack, preserves_flags));
    }
    u64::from(low) | u64::from(high) << 32
}

/// Writes a model-specific register.
///
/// # Safety
/// The CPU has the register, and the value keeps memory as Rust expects it.
#[inline]
pub unsafe fn wrmsr(register: u32, value: u64) {
    let (low, high) = (value as u32, (value >> 32) as u32);
    // SAFETY: vouched for by the caller.
    unsafe {
        asm!("wrmsr", in("ecx") register, in("eax") low, in("edx") high, options(nostack, preserves_flags));
    }
}

/// The time stamp counter.
#[inline]
pub fn rdtsc() -> u64 {
    // SAFETY: every x86-64 CPU has the counter.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// CPUID: eax, ebx, ecx, edx.
pub fn cpuid(leaf: u32, subleaf: u32) -> [u32; 4] {
    let r = core::arch::x86_64::__cpuid_count(leaf, subleaf);
    [r.eax, r.ebx, r.ecx, r.edx]
}
