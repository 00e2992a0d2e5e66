//! The interrupt controllers: the local APIC (x2APIC where the CPU has it) with its timer, and the I/O APICs.

use super::paging::{DEVICE, window};
use super::port::{cpuid, rdmsr, rdtsc, wrmsr};
use super::trap;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering, fence};

/// Registers, as offsets in the APIC's page.
mod register {
    pub const ID: u32 = 0x20;
    pub const TASK_PRIORITY: u32 = 0x80;
    pub const END_OF_INTERRUPT: u32 = 0xb0;
    pub const SPURIOUS: u32 = 0xf0;
    pub const TIMER: u32 = 0x320;
    pub const LINT0: u32 = 0x350;
    pub const INITIAL_COUNT: u32 = 0x380;
    pub const CURRENT_COUNT: u32 = 0x390;
    pub const DIVIDE: u32 = 0x3e0;
}

const APIC_BASE: u32 = 0x1b;
const BASE_ENABLE: u64 = 1 << 11;
const BASE_X2: u64 = 1 << 10;
const ENABLE: u32 = 1 << 8;
const SPURIOUS_VECTOR: u32 = 63;
const MASKED: u32 = 1 << 16;
const PERIODIC: u32 = 1 << 17;
const DEADLINE: u32 = 1 << 18;
const TSC_DEADLINE: u32 = 0x6e0;

/// The timer's interrupt: the first vector, so bit 0 of what [`trap::take_pending`] returns.
pub const TIMER_VECTOR: u32 = trap::FIRST_INTERRUPT as u32;

/// 0: not set up; 1: x2APIC; else the address of the registers.
static MODE: AtomicUsize = AtomicUsize::new(0);
const X2: usize = 1;

fn read(register: u32) -> u32 {
    match MODE.load(Ordering::Relaxed) {
        X2 => rdmsr(0x800 + (register >> 4)) as u32,
        // SAFETY: `init` mapped the page of registers.
        base => unsafe { ((base + register as usize) as *const u32).read_volatile() },
    }
}

fn write(register: u32, value: u32) {
    // SAFETY: `init` found x2APIC, or mapped the page of registers; an APIC touches no memory.
    unsafe {
        match MODE.load(Ordering::Relaxed) {
            X2 => wrmsr(0x800 + (register >> 4), u64::from(value)),
            base => ((base + register as usize) as *mut u32).write_volatile(value),
        }
    }
}

/// Switches the local APIC on, once.
pub fn init() {
    if MODE.load(Ordering::Relaxed) != 0 {
        return;
    }
    let base = rdmsr(APIC_BASE);
    if cpuid(1, 0)[2] & 1 << 21 != 0 {
        // SAFETY: the CPU has x2APIC.
        unsafe { wrmsr(APIC_BASE, base | BASE_ENABLE | BASE_X2) };
        MODE.store(X2, Ordering::Relaxed);
    } else {
        // SAFETY: the registers are this module's alone.
        let registers = unsafe { window((base & 0xf_ffff_f000) as usize, 4096, DEVICE) };
        let registers = registers.expect("no memory to map the interrupt controller");
        MODE.store(registers, Ordering::Relaxed);
        trap::set_end_of_interrupt(registers + register::END_OF_INTERRUPT as usize);
    }
    write(register::SPURIOUS, ENABLE | SPURIOUS_VECTOR);
    write(register::TASK_PRIORITY, 0);
    write(register::LINT0, MASKED);
    write(register::TIMER, MASKED);
}

fn id() -> u32 {
    let id = read(register::ID);
    if MODE.load(Ordering::Relaxed) == X2 { id } else { id >> 24 }
}

/// How the timer counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Down to 0, then one interrupt.
    Once,
    /// Round and round, with an interrupt at each end.
    Periodic,
    /// Round and round, without interrupts.
    Silent,
}

/// How the timer was last set up: what goes to its two registers, so that starting it again in the same way is one
/// write (each is an exit to the hypervisor).
static TIMER_MODE: AtomicU32 = AtomicU32::new(0);
static TIMER_DIVIDE: AtomicU32 = AtomicU32::new(0);

/// Starts the timer: `initial` steps of 2^`shift` bus ticks (`shift` 0 or 7); 0 stops it.
pub fn start_timer(count: Count, initial: u32, shift: u32) {
    let mode = match count {
        Count::Once => TIMER_VECTOR,
        Count::Periodic => TIMER_VECTOR | PERIODIC,
        Count::Silent => TIMER_VECTOR | PERIODIC | MASKED,
    };
    let divide = if shift == 0 { 0b1011 } else { 0b1010 };
    if TIMER_MODE.swap(mode, Ordering::Relaxed) != mode {
        write(register::TIMER, mode);
    }
    if TIMER_DIVIDE.swap(divide, Ordering::Relaxed) != divide {
        write(register::DIVIDE, divide);
    }
    write(register::INITIAL_COUNT, initial);
}

/// Whether the timer can strike when the time stamp counter reaches a value.
pub fn has_deadline() -> bool {
    cpuid(1, 0)[2] & 1 << 24 != 0
}

/// Lets the timer strike when the time stamp counter reaches `tsc`, on a CPU that can.
pub fn start_deadline(tsc: u64) {
    let mode = TIMER_VECTOR | DEADLINE;
    if TIMER_MODE.swap(mode, Ordering::Relaxed) != mode {
        write(register::TIMER, mode);
        // The mode is to be seen before the deadline (Intel's manual, 11.5.4.1).
        fence(Ordering::SeqCst);
    }
    // SAFETY: the CPU has the register, says the caller; 0 would stop the timer.
    unsafe { wrmsr(TSC_DEADLINE, tsc.max(1)) };
}

/// The timer's count, and the time stamp counter at the same moment: of three attempts the quickest.
pub fn sample() -> (u32, u64) {
    let mut best = (0, 0);
    let mut shortest = u64::MAX;
    for _ in 0..3 {
        let before = rdtsc();
        let count = read(register::CURRENT_COUNT);
        let took = rdtsc().wrapping_sub(before);
        if took < shortest {
            shortest = took;
            best = (count, before.wrapping_add(took / 2));
        }
    }
    best
}

/// The address and data of a message that raises `vector` on this CPU.
pub fn message(vector: u32) -> (u64, u32) {
    (0xfee0_0000 | u64::from(id() & 0xff) << 12, vector)
}

const IO_APIC: usize = 0xfec0_0000;
const SECOND_IO_APIC: usize = 0xfec1_0000;
/// Interrupt lines of each I/O APIC.
pub const LINES: u32 = 24;

fn io_apic(address: usize) -> Option<*mut u32> {
    // SAFETY: the registers are this module's alone.
    unsafe { window(address, 0x20, DEVICE).map(|a| a as *mut u32) }
}

/// Whether there is a second I/O APIC, as microvm has with ACPI.
pub fn has_second_io_apic() -> bool {
    let Some(registers) = io_apic(SECOND_IO_APIC) else { return false };
    // SAFETY: index register at 0, data at 0x10; where nothing answers, reads are all ones (or zeros).
    let version = unsafe {
        registers.write_volatile(1);
        registers.add(4).read_volatile()
    };
    (version >> 16 & 0xff) + 1 == LINES
}

/// Routes the global interrupt line `line` to `vector` on this CPU: edge-triggered, active high.
pub fn route(line: u32, vector: u32) {
    let Some(registers) = io_apic(if line < LINES { IO_APIC } else { SECOND_IO_APIC }) else { return };
    let index = 0x10 + line % LINES * 2;
    // SAFETY: these are the I/O APIC's index and data registers, mapped above.
    unsafe {
        registers.write_volatile(index + 1);
        registers.add(4).write_volatile(id() << 24);
        registers.write_volatile(index);
        registers.add(4).write_volatile(vector);
    }
}
