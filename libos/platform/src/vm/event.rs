//! Waiting: the vCPU halts, with interrupts let in, until a device or the timer strikes.

use super::single::Single;
use super::{apic, clock, trap};
use crate::event::Ready;
use core::arch::asm;

/// Lines have the vectors behind the timer's; the last vector is the APIC's spurious one.
const LINES: usize = 30;
const WATCHES: usize = 48;
const TIMER_BIT: u32 = 1;
/// A device that raises its interrupt again and again is left alone after so many times.
const PATIENCE: u32 = 16;

/// The interrupt of one device.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Line(u8);

impl Line {
    /// Its vector.
    pub fn vector(self) -> u32 {
        apic::TIMER_VECTOR + 1 + u32::from(self.0)
    }
}

struct Table {
    lines: u8,
    /// For a virtio-mmio device the address of its interrupt status register, else 0.
    status: [usize; LINES],
    watches: [(u8, u32); WATCHES],
    watched: usize,
    hook: Option<Hook>,
}

static TABLE: Single<Table> =
    Single::new(Table { lines: 0, status: [0; LINES], watches: [(0, 0); WATCHES], watched: 0, hook: None });

/// Called whenever a device has struck, to report more than lines; and with `None` before the end. Not called by its
/// name, so that who does not use the trunk does not link it.
pub type Hook = fn(Option<&mut dyn FnMut(Ready)>);

/// Makes `hook` the one that is called.
pub fn hook(hook: Hook) {
    TABLE.lock().hook = Some(hook);
}

/// The hook's last call.
pub fn finish() {
    if let Some(hook) = TABLE.try_lock().and_then(|table| table.hook) {
        hook(None);
    }
}

/// A new line. `status` is the address of a virtio-mmio interrupt status register (the acknowledge register
/// follows it), or 0 for a device that needs no acknowledgement.
pub fn line(status: usize) -> Option<Line> {
    let mut table = TABLE.lock();
    let number = table.lines;
    *table.status.get_mut(usize::from(number))? = status;
    table.lines += 1;
    apic::init();
    Some(Line(number))
}

/// Reports `token` when `line` strikes.
pub fn watch(line: Line, token: u32) {
    let table = &mut *TABLE.lock();
    let at = table.watched;
    let entry = table.watches.get_mut(at).expect("more watches than devices have");
    *entry = (line.0, token);
    table.watched += 1;
}

/// Lets waiting interrupts in, without halting.
fn look() {
    // SAFETY: the handlers (trap.rs) only set bits; interrupts are off again behind this.
    unsafe { asm!("sti", "nop", "cli", options(nostack)) };
}

/// Halts until an interrupt has come. `sti` takes effect behind the next instruction: none is missed.
pub fn halt() {
    // SAFETY: as in `look`.
    unsafe { asm!("sti", "hlt", "cli", options(nostack)) };
}

/// See [`crate::event::wait`].
pub fn wait(deadline: Option<u64>, report: &mut dyn FnMut(Ready)) {
    look();
    let mut armed = false;
    loop {
        let pending = trap::take_pending();
        let devices = pending & !TIMER_BIT;
        if pending & TIMER_BIT != 0 {
            clock::struck();
        }
        let over = deadline.is_some_and(|at| at == 0 || at <= clock::monotonic());
        if devices != 0 || over {
            if armed {
                clock::disarm();
            }
            return tell(devices >> 1, report);
        }
        clock::arm(deadline);
        armed = true;
        halt();
    }
}

/// Acknowledges and reports the lines of `struck`.
fn tell(struck: u32, report: &mut dyn FnMut(Ready)) {
    if struck == 0 {
        return;
    }
    let mut at = 0;
    let table = TABLE.lock();
    for (line, status) in table.status.iter().enumerate() {
        if struck >> line & 1 != 0 {
            acknowledge(*status);
        }
    }
    // The table is not held while `report` runs: it may watch more.
    let hook = table.hook;
    drop(table);
    loop {
        let table = TABLE.lock();
        let Some(&(line, token)) = table.watches.iter().take(table.watched).nth(at) else { break };
        drop(table);
        if struck >> line & 1 != 0 {
            report(Ready { token, readable: true, writable: true, ended: false });
        }
        at += 1;
    }
    if let Some(hook) = hook {
        hook(Some(report));
    }
}

/// A virtio-mmio device holds its line up until what it reported is acknowledged; as the line is taken by its
/// edge, nothing may be left.
fn acknowledge(status: usize) {
    if status == 0 {
        return;
    }
    let register = status as *mut u32;
    for _ in 0..PATIENCE {
        // SAFETY: `line` was given the address of a mapped status register, with the acknowledge register behind.
        unsafe {
            let bits = register.read_volatile();
            if bits == 0 {
                break;
            }
            register.add(1).write_volatile(bits);
        }
    }
}
