//! KVM's paravirtual clock (Linux Documentation/virt/kvm/x86/msr.rst).

use super::paging::physical_in_image;
use super::port::{cpuid, rdtsc, wrmsr};
use core::cell::UnsafeCell;
use core::sync::atomic::{Ordering, fence};

const SYSTEM_TIME: u32 = 0x4b56_4d01;
const WALL_CLOCK: u32 = 0x4b56_4d00;
/// KVM_FEATURE_CLOCKSOURCE2.
const FEATURE: u32 = 1 << 3;
/// How often a record that changes while it is read is read again.
const PATIENCE: u32 = 1000;

/// struct pvclock_vcpu_time_info.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Time {
    version: u32,
    pad: u32,
    tsc: u64,
    system: u64,
    multiplier: u32,
    shift: i8,
    flags: u8,
    pad_end: [u8; 2],
}

/// struct pvclock_wall_clock.
#[repr(C, align(16))]
#[derive(Clone, Copy)]
struct Wall {
    version: u32,
    seconds: u32,
    nanoseconds: u32,
}

/// Memory that the hypervisor writes to.
#[repr(transparent)]
struct Shared<T>(UnsafeCell<T>);

// SAFETY: only this module reads it, with volatile reads, on the one vCPU; the hypervisor writes plain numbers.
unsafe impl<T> Sync for Shared<T> {}

static TIME: Shared<Time> = Shared(UnsafeCell::new(Time {
    version: 0,
    pad: 0,
    tsc: 0,
    system: 0,
    multiplier: 0,
    shift: 0,
    flags: 0,
    pad_end: [0; 2],
}));
static WALL: Shared<Wall> = Shared(UnsafeCell::new(Wall { version: 0, seconds: 0, nanoseconds: 0 }));

/// Reads a record whose version is odd while it changes.
fn consistent<T: Copy>(shared: &Shared<T>, version: impl Fn(&T) -> u32) -> Option<T> {
    for _ in 0..PATIENCE {
        // SAFETY: plain numbers, for which any bytes will do; torn reads are found by the version.
        let first = unsafe { shared.0.get().read_volatile() };
        fence(Ordering::Acquire);
        // SAFETY: as above.
        let second = unsafe { shared.0.get().read_volatile() };
        if version(&first) == version(&second) && version(&first) & 1 == 0 && version(&first) != 0 {
            return Some(first);
        }
        core::hint::spin_loop();
    }
    None
}

/// Asks the hypervisor for its clock; `false` when it has none.
pub fn start() -> bool {
    let hypervisor = cpuid(1, 0)[2] & 1 << 31 != 0;
    let [_, b, c, d] = if hypervisor { cpuid(0x4000_0000, 0) } else { [0; 4] };
    let kvm = [b, c, d].map(u32::to_le_bytes).as_flattened() == b"KVMKVMKVM\0\0\0";
    if !kvm || cpuid(0x4000_0001, 0)[0] & FEATURE == 0 {
        return false;
    }
    let address = physical_in_image(TIME.0.get() as usize);
    // SAFETY: the hypervisor has the register, and writes to `TIME` alone.
    unsafe { wrmsr(SYSTEM_TIME, address | 1) };
    consistent(&TIME, |t| t.version).is_some_and(|t| t.multiplier != 0)
}

/// Nanoseconds since the host booted.
pub fn now() -> u64 {
    at(rdtsc())
}

/// The same at the moment when the time stamp counter was `tsc`.
pub fn at(tsc: u64) -> u64 {
    let Some(time) = consistent(&TIME, |t| t.version) else { return 0 };
    let ticks = i128::from(tsc) - i128::from(time.tsc);
    let shift = u32::from(time.shift.unsigned_abs()).min(31);
    let ticks = if time.shift < 0 { ticks >> shift } else { ticks << shift };
    let passed = ticks.wrapping_mul(i128::from(time.multiplier)) >> 32;
    (i128::from(time.system) + passed).clamp(0, u64::MAX.into()) as u64
}

/// What the time stamp counter will be at the time `nanoseconds`.
pub fn counter_at(nanoseconds: u64) -> Option<u64> {
    let time = consistent(&TIME, |t| t.version)?;
    let scaled = u128::from(nanoseconds.saturating_sub(time.system)) << 32;
    let ticks = scaled.checked_div(time.multiplier.into())?;
    let shift = u32::from(time.shift.unsigned_abs()).min(31);
    let ticks = if time.shift < 0 { ticks << shift } else { ticks >> shift };
    Some(time.tsc.saturating_add(u64::try_from(ticks).unwrap_or(u64::MAX)))
}

/// The wall clock at the time 0 of [`now`], in nanoseconds.
pub fn wall() -> Option<u64> {
    let address = physical_in_image(WALL.0.get() as usize);
    // SAFETY: the hypervisor has the register wherever it has the clock, and writes to `WALL` alone, at once.
    unsafe { wrmsr(WALL_CLOCK, address) };
    let wall = consistent(&WALL, |w| w.version)?;
    Some(u64::from(wall.seconds) * 1_000_000_000 + u64::from(wall.nanoseconds))
}
