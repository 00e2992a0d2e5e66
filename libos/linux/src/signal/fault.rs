//! Faults of the program's own text, as signals (arch/x86/kernel/traps.c).

use super::action::{Action, IGNORE};
use super::frame::Machine;
use super::information::{Information, code};
use super::kinds::{SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP, name, only};
use crate::memory::{Object, Space};
use crate::thread::Thread;
use alloc::string::String;
use core::fmt::{Display, Formatter};
use kernlet_platform::program::{Context, Trap};

/// Bits of a page fault's error code: the page was there, a write, the program's, an instruction.
const THERE: u32 = 1;
const WRITE: u32 = 2;
const PROGRAM: u32 = 4;
const FETCH: u32 = 16;
/// The first address that is none of a program's on x86-64 with four levels of pages.
pub const HIGHEST: u64 = 1 << 47;

/// Codes of SIGSEGV, SIGBUS, SIGILL, SIGTRAP and SIGFPE.
const SEGV_MAPERR: i32 = 1;
const SEGV_ACCERR: i32 = 2;
const BUS_ADRALN: i32 = 1;
const BUS_ADRERR: i32 = 2;
const ILL_ILLOPN: i32 = 2;
const TRAP_TRACE: i32 = 2;
const FPE_INTDIV: i32 = 1;
const FPE_FLTDIV: i32 = 3;
const FPE_FLTOVF: i32 = 4;
const FPE_FLTUND: i32 = 5;
const FPE_FLTRES: i32 = 6;
const FPE_FLTINV: i32 = 7;

/// The code of SIGFPE by the unmasked exceptions of the x87 status word or MXCSR (fpu__exception_code).
fn floating(raised: u16) -> i32 {
    match raised {
        r if r & 0x01 != 0 => FPE_FLTINV,
        r if r & 0x04 != 0 => FPE_FLTDIV,
        r if r & 0x08 != 0 => FPE_FLTOVF,
        r if r & 0x12 != 0 => FPE_FLTUND,
        r if r & 0x20 != 0 => FPE_FLTRES,
        _ => 0,
    }
}

fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// The signal of a fault at instruction `rip`, with the extended state when that is asked for.
fn signal(trap: Trap, rip: u64, mapped: bool, state: impl FnOnce() -> [u16; 3]) -> Information {
    match trap.vector {
        0 => Information::fault(SIGFPE, FPE_INTDIV, rip),
        1 => Information::fault(SIGTRAP, TRAP_TRACE, rip),
        3 => Information::kernel(SIGTRAP),
        6 => Information::fault(SIGILL, ILL_ILLOPN, rip),
        11 | 12 => Information::kernel(SIGBUS),
        14 if trap.beyond => Information::fault(SIGBUS, BUS_ADRERR, trap.address as u64),
        14 if mapped => Information::fault(SIGSEGV, SEGV_ACCERR, trap.address as u64),
        14 => Information::fault(SIGSEGV, SEGV_MAPERR, trap.address as u64),
        16 => {
            let [control, status, _] = state();
            Information::fault(SIGFPE, floating(status & !control), rip)
        }
        17 => Information::fault(SIGBUS, BUS_ADRALN, 0),
        19 => {
            let [_, _, mxcsr] = state();
            Information::fault(SIGFPE, floating(mxcsr & !(mxcsr >> 7)), rip)
        }
        _ => Information::kernel(SIGSEGV),
    }
}

/// A fault of the program's text: the thread gets the signal that Linux makes of it.
pub fn trap(thread: &Thread, context: &mut Context, trap: Trap) {
    let mapped = thread.process.space.borrow().find(trap.address).is_some();
    let rip = context.registers.rip;
    let information = signal(trap, rip, mapped, || {
        let bytes = context.extended();
        [half(bytes, 0), half(bytes, 2), half(bytes, 24)]
    });
    let error = if trap.vector == 14 { trap.error | PROGRAM } else { trap.error };
    let before = thread.signals.machine.get();
    thread.signals.machine.set(Machine {
        trap: trap.vector.into(),
        error: error.into(),
        // CR2 stays what it was.
        address: if trap.vector == 14 { trap.address as u64 } else { before.address },
    });
    force(thread, information);
}

/// The thread goes on at an address that is none: a general protection fault.
pub fn stray(thread: &Thread) {
    let before = thread.signals.machine.get();
    thread.signals.machine.set(Machine { trap: 13, error: 0, ..before });
    force(thread, Information::kernel(SIGSEGV));
}

/// Sends a signal that cannot be held up: blocked or ignored, it ends the process (force_sig of the kernel).
pub fn force(thread: &Thread, information: Information) {
    let number = information.number;
    let signals = &thread.process.signals;
    let blocked = thread.signals.mask.get() & only(number) != 0;
    if blocked || signals.action(number).handler == IGNORE {
        signals.set_action(number, Action::NONE);
        thread.signals.mask.update(|mask| mask & !only(number));
    }
    // One of this kind that was sent by somebody tells less.
    thread.signals.pending.forget(only(number));
    // What tells of a fault finds room.
    let _ = thread.signals.pending.add(information, true);
}

/// Says what a fault was that ends the program.
pub fn describe(thread: &Thread, context: &Context, information: &Information) {
    let faulted =
        information.code > 0 && matches!(information.number, SIGSEGV | SIGBUS | SIGFPE | SIGILL | SIGTRAP);
    if !faulted {
        return;
    }
    let name_of = name(information.number).unwrap_or("a signal");
    let thread_name = thread.name.get();
    let thread_name = String::from_utf8_lossy(&thread_name);
    let space = thread.process.space.borrow();
    let Machine { trap, error, address } = thread.signals.machine.get();
    let how = Access { page_fault: trap == 14 && information.code != code::KERNEL, error: error as u32 };
    let rip = context.registers.rip;
    crate::report!(
        "thread {} ({}) ended by {name_of} at {rip:#x}{}{how}{}",
        thread.id,
        thread_name.trim_end_matches('\0'),
        Place { space: &space, address: rip as usize },
        Target { space: &space, address: address as usize, shown: how.page_fault },
    );
}

struct Access {
    page_fault: bool,
    error: u32,
}

impl Display for Access {
    fn fmt(&self, f: &mut Formatter<'_>) -> core::fmt::Result {
        if !self.page_fault {
            return Ok(());
        }
        f.write_str(match self.error {
            e if e & FETCH != 0 => ": executing ",
            e if e & WRITE != 0 => ": writing to ",
            e if e & THERE != 0 => ": an access to ",
            _ => ": reading ",
        })
    }
}

/// What lies at an address, in brackets.
struct Place<'s> {
    space: &'s Space,
    address: usize,
}

impl Display for Place<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> core::fmt::Result {
        let Some(area) = self.space.find(self.address) else {
            return f.write_str(" (nothing is mapped there)");
        };
        let offset = (self.address - area.pages.start) as u64;
        match &area.object {
            Object::File(file) => {
                write!(f, " ({}+{:#x})", String::from_utf8_lossy(&file.path), area.offset + offset)
            }
            Object::Heap => f.write_str(" (the heap)"),
            Object::Stack => f.write_str(" (the first thread's stack)"),
            Object::Vdso => f.write_str(" (the vDSO)"),
            _ => write!(f, " (memory mapped at {:#x})", area.pages.start),
        }
    }
}

struct Target<'s> {
    space: &'s Space,
    address: usize,
    shown: bool,
}

impl Display for Target<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> core::fmt::Result {
        let Self { space, address, shown } = *self;
        if shown { write!(f, "{address:#x}{}", Place { space, address }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(vector: u8, beyond: bool, mapped: bool, state: [u16; 3]) -> (u8, i32, u64) {
        let trap = Trap { vector, error: 0, address: 0x5000, beyond };
        let information = signal(trap, 0x400, mapped, || state);
        (information.number, information.code, information.rest[0])
    }

    #[test]
    fn faults_are_the_signals_that_linux_makes_of_them() {
        assert_eq!(of(0, false, false, [0; 3]), (SIGFPE, 1, 0x400));
        assert_eq!(of(3, false, false, [0; 3]), (SIGTRAP, 0x80, 0));
        assert_eq!(of(6, false, false, [0; 3]), (SIGILL, 2, 0x400));
        assert_eq!(of(13, false, false, [0; 3]), (SIGSEGV, 0x80, 0));
        assert_eq!(of(14, false, false, [0; 3]), (SIGSEGV, 1, 0x5000));
        assert_eq!(of(14, false, true, [0; 3]), (SIGSEGV, 2, 0x5000));
        assert_eq!(of(14, true, true, [0; 3]), (SIGBUS, 2, 0x5000));
        assert_eq!(of(17, false, true, [0; 3]), (SIGBUS, 1, 0));
        // Division by zero, unmasked in the control word; a denormal that is masked beside it.
        assert_eq!(of(16, false, true, [0x37b, 0x6, 0]), (SIGFPE, FPE_FLTDIV, 0x400));
        assert_eq!(of(19, false, true, [0, 0, 0x1f80 & !0x400 | 0x8]), (SIGFPE, FPE_FLTOVF, 0x400));
    }
}
