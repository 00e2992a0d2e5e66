//! The report of a CPU fault, the same in both doors.

use crate::control::Death;
use crate::panic::Report;
use crate::{backtrace, entry, power};
use core::fmt::Write;

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A read of memory that may not be read.
    Read,
    /// A write to memory that may not be written.
    Write,
    /// A jump to memory that may not be executed.
    Execute,
}

/// A fault, as the door found it.
pub struct Fault {
    /// For a memory fault: how and where.
    pub memory: Option<(Access, usize)>,
    /// The exception's name, for other faults.
    pub name: &'static str,
    /// The instruction's address.
    pub instruction: usize,
    /// The frame pointer there.
    pub frame: usize,
    /// The stack pointer there.
    pub stack: usize,
}

/// Below this address lies nothing: a pointer there was null, or null plus a field's offset.
const NULL_PAGES: usize = 0x1_0000;
/// An access this close below the stack's end overflowed it.
const GUARD: usize = 0x1_0000;

/// So far above what is known as the stack's end it may end already: Linux counts its length from where arguments and
/// environment end, and the first stack pointer lies a random distance below that.
const SLACK: usize = 0x4000;

/// Prints what and where with a backtrace, and ends the instance.
pub fn report(fault: &Fault) -> ! {
    let mut out = Report::new();
    let _ = match fault.memory {
        Some((_, at)) if overflowed(fault, at) => {
            writeln!(out, "kernlet: fault: stack overflow (the stack has {} KiB)", stack_size() / 1024)
        }
        Some((access, at)) => {
            let verb = match access {
                Access::Read => "read of",
                Access::Write => "write to",
                Access::Execute => "execution of",
            };
            let kind = if at < NULL_PAGES { "null pointer: " } else { "" };
            writeln!(out, "kernlet: fault: {kind}{verb} address {at:#x}")
        }
        None => writeln!(out, "kernlet: fault: {}", fault.name),
    };
    match entry::linked(fault.instruction) {
        Some(linked) => {
            let _ = writeln!(out, "  at: kernlet+{linked:#x}");
        }
        None => {
            let _ = writeln!(out, "  at: {:#x}, which is no code of this image", fault.instruction);
        }
    }
    let _ = write!(out, "{}", backtrace::from(fault.frame));
    drop(out);
    power::die(Death::Fault)
}

fn stack_size() -> usize {
    let stack = entry::stack();
    stack.end - stack.start
}

fn overflowed(fault: &Fault, at: usize) -> bool {
    let stack = entry::stack();
    let guard = stack.start.saturating_sub(GUARD)..stack.start + SLACK;
    guard.contains(&at) && fault.stack < stack.start + GUARD
}
