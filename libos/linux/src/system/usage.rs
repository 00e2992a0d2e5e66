//! What was used and what there is (getrusage(2), times(2), sysinfo(2)).

use crate::call::{Call, Outcome, number};
use crate::process::Process;
use crate::thread::Thread;
use crate::time::{Clock, NANOSECONDS};
use crate::{Errno, PAGE, user};
use alloc::rc::Rc;
use kernlet_platform::{boot, heap, program};

const RUSAGE_SELF: i32 = 0;
const RUSAGE_CHILDREN: i32 = -1;
const RUSAGE_THREAD: i32 = 1;
/// Nanoseconds of a tick of times(2).
const TICK: u64 = NANOSECONDS / 100;
/// What an instance has without a limit.
const MEMORY: u64 = 256 << 20;

/// Memory of the instance, bytes: all there is, and what is free.
pub fn memory() -> (u64, u64) {
    let total = boot::blob().memory().unwrap_or(MEMORY);
    (total, total.saturating_sub((heap::used() + program::resident()) as u64))
}

/// The most memory that was seen to be held, bytes.
pub fn peak(process: &Process) -> usize {
    let most = &process.facts.peak;
    most.set(most.get().max(program::resident()));
    most.get()
}

fn getrusage(thread: &Rc<Thread>, call: Call) -> Outcome {
    let mut usage = [0u64; 18];
    let (time, switches) = match call.int(0) {
        RUSAGE_SELF => {
            let threads = thread.process.threads.borrow();
            let sum = |kind: usize| {
                threads.values().filter_map(|t| t.upgrade()).map(|t| t.switches[kind].get()).sum()
            };
            (thread.process.cpu.split(), [sum(0), sum(1)])
        }
        RUSAGE_THREAD => (thread.cpu.split(), [thread.switches[0].get(), thread.switches[1].get()]),
        RUSAGE_CHILDREN => ([0; 2], [0; 2]),
        _ => return Err(Errno::EINVAL),
    };
    for (i, time) in time.into_iter().enumerate() {
        usage[2 * i] = time / NANOSECONDS;
        usage[2 * i + 1] = time % NANOSECONDS / 1000;
    }
    if call.int(0) != RUSAGE_CHILDREN {
        usage[4] = (peak(&thread.process) / 1024) as u64;
        // Each page that was ever held came by a fault that asked no disk.
        usage[8] = (peak(&thread.process) / PAGE) as u64;
    }
    [usage[16], usage[17]] = switches;
    user::write_words(call.size(1), &usage).map(|()| 0)
}

fn times(thread: &Rc<Thread>, call: Call) -> Outcome {
    if call.size(0) != 0 {
        let [program, library] = thread.process.cpu.split();
        user::write_words(call.size(0), &[program / TICK, library / TICK, 0, 0])?;
    }
    Ok(Clock::Steady.now() / TICK)
}

fn sysinfo(thread: &Rc<Thread>, call: Call) -> Outcome {
    let (total, free) = memory();
    let threads = thread.process.threads.borrow().len() as u16;
    let mut bytes = [0; 112];
    let mut put = |at: usize, value: u64| bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    put(0, Clock::Steady.now() / NANOSECONDS);
    put(32, total);
    put(40, free);
    put(80, threads.into());
    put(104, 1);
    user::write(call.size(0), &bytes).map(|()| 0)
}

/// Handles the calls of this subject.
pub fn call(thread: &Rc<Thread>, call: Call) -> Outcome {
    match call.number {
        number::GETRUSAGE => getrusage(thread, call),
        number::TIMES => times(thread, call),
        _ => sysinfo(thread, call),
    }
}
