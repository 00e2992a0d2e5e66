//! A piece of code with a thread that runs it.

use kernlet_platform::program::{self, Backing, Context, Exit, Protection};

/// Where code and stacks lie.
pub const CODE: usize = 0x40_0000;
pub const STACKS: usize = 0x7000_0000;
pub const PAGE: usize = 4096;

pub const EXECUTE: Protection = Protection { read: true, write: false, execute: true };
pub const READ: Protection = Protection { read: true, write: false, execute: false };

pub fn map(at: usize, length: usize, protection: Protection) {
    let pages = at..at + length.next_multiple_of(PAGE);
    program::map(pages, protection, Backing::Anonymous).expect("anonymous memory can be mapped");
}

/// Puts `code` at `at`, executable.
pub fn place(at: usize, code: &[u8]) {
    map(at, code.len(), Protection::READ_WRITE);
    program::write(at, code).expect("it was just mapped");
    program::protect(at..at + code.len().next_multiple_of(PAGE), EXECUTE).expect("it is mapped");
}

/// A thread at the beginning of `code`, the `number`th one, with `argument` in rdi.
pub fn start(number: usize, code: &[u8], argument: usize) -> Context {
    let at = CODE + number * PAGE;
    place(at, code);
    let stack = STACKS + number * 16 * PAGE;
    map(stack, 8 * PAGE, Protection::READ_WRITE);
    let mut thread = Context::new();
    thread.registers.rip = at as u64;
    thread.registers.rsp = (stack + 8 * PAGE) as u64;
    thread.registers.rdi = argument as u64;
    thread
}

/// Runs it up to what is no preemption, for which it looks at events.
pub fn run(thread: &mut Context) -> Exit {
    loop {
        match thread.enter() {
            Exit::Preempted => kernlet_platform::event::wait(Some(0), &mut |_| {}),
            other => return other,
        }
    }
}
