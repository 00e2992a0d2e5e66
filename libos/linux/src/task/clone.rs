//! Making threads (clone(2), clone3(2)), and processes, which are not there yet.

use crate::call::{Call, Outcome};
use crate::system::{self, Limit};
use crate::thread::{self, Thread};
use crate::{Errno, PAGE, user};
use alloc::boxed::Box;
use alloc::rc::Rc;
use kernlet_platform::program::{self, Context};

const CLONE_VM: u64 = 0x100;
const CLONE_FS: u64 = 0x200;
const CLONE_FILES: u64 = 0x400;
const CLONE_SIGHAND: u64 = 0x800;
const CLONE_PIDFD: u64 = 0x1000;
const CLONE_THREAD: u64 = 0x1_0000;
const CLONE_NEWNS: u64 = 0x2_0000;
const CLONE_SYSVSEM: u64 = 0x4_0000;
const CLONE_SETTLS: u64 = 0x8_0000;
const CLONE_PARENT_SETTID: u64 = 0x10_0000;
const CLONE_CHILD_CLEARTID: u64 = 0x20_0000;
const CLONE_DETACHED: u64 = 0x40_0000;
const CLONE_CHILD_SETTID: u64 = 0x100_0000;
const CLONE_NEWIPC: u64 = 0x800_0000;
const CLONE_NEWUSER: u64 = 0x1000_0000;
const CLONE_NEWPID: u64 = 0x2000_0000;
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
/// CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
const NAMESPACES: u64 = 0x7e02_0080;
/// The signal that a child sends at its end.
const EXIT_SIGNAL: u64 = 0xff;
/// CLONE_CLEAR_SIGHAND and CLONE_INTO_CGROUP are the highest that clone3 knows.
const KNOWN: u64 = 0x3_ffff_ffff;
/// Bytes of the first and the newest struct clone_args.
const FIRST_SIZE: usize = 64;
const NEWEST_SIZE: usize = 88;
/// The library OS keeps this much for itself: a thread is refused when there is less.
const RESERVE: u64 = 512 << 10;
/// And a VM so much of what is there besides the program and the library OS.
const LEAST: usize = 256 << 10;

/// What a call asks for.
#[derive(Clone, Copy, Debug, Default)]
struct Arguments {
    flags: u64,
    child_id: u64,
    parent_id: u64,
    /// Where the stack ends; 0: it goes on with the caller's.
    stack: u64,
    thread_pointer: u64,
}

/// Handles clone.
pub fn clone(thread: &Rc<Thread>, context: &mut Context, call: Call) -> Outcome {
    let [flags, stack, parent_id, child_id, thread_pointer, _] = call.arguments;
    let arguments =
        Arguments { flags: flags & u64::from(u32::MAX), child_id, parent_id, stack, thread_pointer };
    if flags & CLONE_PIDFD != 0 && flags & CLONE_PARENT_SETTID != 0 {
        return Err(Errno::EINVAL);
    }
    make(thread, context, arguments)
}

/// Handles clone3.
pub fn clone3(thread: &Rc<Thread>, context: &mut Context, call: Call) -> Outcome {
    let (at, size) = (call.size(0), call.size(1));
    if size > PAGE {
        return Err(Errno::E2BIG);
    }
    if size < FIRST_SIZE {
        return Err(Errno::EINVAL);
    }
    let mut bytes = alloc::vec![0; size.max(NEWEST_SIZE)];
    program::read(at, &mut bytes[..size])?;
    if bytes[NEWEST_SIZE..].iter().any(|&b| b != 0) {
        return Err(Errno::E2BIG);
    }
    let (words, _) = bytes.as_chunks::<8>();
    let word = |i: usize| u64::from_le_bytes(words[i]);
    let (flags, exit_signal, stack, length) = (word(0), word(4), word(5), word(6));
    let thread_with_signal = flags & CLONE_THREAD != 0 && exit_signal != 0;
    // The low byte is no place for flags here; numbers of threads are not for the program to choose.
    if flags & (EXIT_SIGNAL | CLONE_DETACHED) != 0
        || flags & !KNOWN != 0
        || exit_signal > 64
        || thread_with_signal
        || (stack == 0) != (length == 0)
        || stack.checked_add(length).is_none()
    {
        return Err(Errno::EINVAL);
    }
    // Numbers are given in so many namespaces at most (MAX_PID_NS_LEVEL).
    if word(9) > 32 || (word(8) == 0) != (word(9) == 0) {
        return Err(Errno::EINVAL);
    }
    if word(9) != 0 {
        return Err(Errno::EPERM);
    }
    make(
        thread,
        context,
        Arguments {
            flags,
            child_id: word(2),
            parent_id: word(3),
            stack: stack + length,
            thread_pointer: word(7),
        },
    )
}

/// Says once a program that there are no child processes.
pub fn no_processes(thread: &Rc<Thread>, what: &str) -> Outcome {
    let process = &thread.process;
    if !process.facts.told.replace(true) {
        let name = thread.name.get();
        let name = alloc::string::String::from_utf8_lossy(&name);
        crate::report!(
            "{what} is not there yet; thread {} ({}) was told ENOSYS",
            thread.id,
            name.trim_end_matches('\0')
        );
    }
    if process.strict {
        process.exit(128 + crate::signal::SIGSYS);
    }
    Err(Errno::ENOSYS)
}

fn make(thread: &Rc<Thread>, context: &mut Context, a: Arguments) -> Outcome {
    let has = |flag: u64| a.flags & flag != 0;
    if (has(CLONE_NEWNS) || has(CLONE_NEWUSER)) && has(CLONE_FS)
        || has(CLONE_THREAD) && (has(CLONE_NEWUSER) || has(CLONE_NEWPID))
        || has(CLONE_NEWIPC) && has(CLONE_SYSVSEM)
        || has(CLONE_CLEAR_SIGHAND) && has(CLONE_SIGHAND)
        || has(CLONE_PIDFD) && has(CLONE_DETACHED)
        || has(CLONE_THREAD) && !has(CLONE_SIGHAND)
        || has(CLONE_SIGHAND) && !has(CLONE_VM)
        || has(CLONE_PIDFD) && has(CLONE_THREAD)
    {
        return Err(Errno::EINVAL);
    }
    if has(NAMESPACES) {
        return Err(Errno::EPERM);
    }
    if !has(CLONE_THREAD) {
        return no_processes(thread, "fork");
    }
    if !has(CLONE_FS) || !has(CLONE_FILES) {
        return no_processes(thread, "a thread with files of its own");
    }
    let process = &thread.process;
    let count = process.threads.borrow().len() as u64;
    // As many as there were before have left room.
    let most = process.most_threads.get().max(count);
    let full = system::memory().1 < RESERVE || count == most && !program::has(LEAST);
    if count >= process.limits.get(Limit::Threads).min(thread::MOST) || full {
        return Err(Errno::EAGAIN);
    }
    let mut child = Box::new(context.fork());
    child.registers.rax = 0;
    if a.stack != 0 {
        child.registers.rsp = a.stack;
    }
    if has(CLONE_SETTLS) && !child.set_thread_pointer(a.thread_pointer) {
        return Err(Errno::EPERM);
    }
    process.most_threads.set(most.max(count + 1));
    let new = Thread::new_like(thread);
    // That these cannot be written is nobody's error, as by Linux.
    if has(CLONE_PARENT_SETTID) {
        let _ = user::write(a.parent_id as usize, &new.id.to_le_bytes());
    }
    if has(CLONE_CHILD_SETTID) {
        let _ = user::write(a.child_id as usize, &new.id.to_le_bytes());
    }
    if has(CLONE_CHILD_CLEARTID) {
        new.clear_child_tid.set(a.child_id as usize);
    }
    let id = new.id;
    thread::spawn(new, child);
    Ok(id.into())
}
