//! Resource limits (getrlimit(2)).

use super::credentials::SYS_RESOURCE;
use crate::call::{Call, Outcome, number};
use crate::process::Process;
use crate::signal::{Information, SIGKILL, SIGXCPU, SIGXFSZ, raise, send_to_process};
use crate::thread::Thread;
use crate::time::NANOSECONDS;
use crate::{Errno, load, user};
use alloc::rc::Rc;
use core::cell::Cell;
use kernlet_exec::Task;
use kernlet_platform::cell::RefCell;

/// RLIM_INFINITY.
pub const INFINITE: u64 = u64::MAX;
/// How many kinds there are.
const KINDS: usize = 16;
/// What even root cannot raise RLIMIT_NOFILE above (fs.nr_open).
const FILES_MOST: u64 = 1 << 20;

/// A kind of limit: RLIMIT_*.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Limit {
    /// RLIMIT_CPU: seconds.
    Cpu = 0,
    /// RLIMIT_FSIZE: bytes of a file that is written.
    FileSize = 1,
    /// RLIMIT_DATA: bytes that are the process's own and may be written.
    Data = 2,
    /// RLIMIT_STACK: bytes.
    Stack = 3,
    /// RLIMIT_CORE: bytes.
    Core = 4,
    /// RLIMIT_NPROC: threads.
    Threads = 6,
    /// RLIMIT_NOFILE: one above the highest descriptor.
    Files = 7,
    /// RLIMIT_MEMLOCK: bytes.
    Locked = 8,
    /// RLIMIT_AS: bytes that are mapped.
    Space = 9,
    /// RLIMIT_SIGPENDING: queued signals.
    Signals = 11,
    /// RLIMIT_MSGQUEUE: bytes.
    Queues = 12,
    /// RLIMIT_NICE.
    Nice = 13,
    /// RLIMIT_RTPRIO.
    Priority = 14,
}

/// The limits of a process: soft and hard.
pub struct Limits([Cell<[u64; 2]>; KINDS], RefCell<Option<Task<()>>>);

impl Default for Limits {
    fn default() -> Self {
        let limits = Self(core::array::from_fn(|_| Cell::new([INFINITE; 2])), RefCell::default());
        for (kind, soft, hard) in [
            (Limit::Stack, load::STACK as u64, INFINITE),
            (Limit::Core, 0, INFINITE),
            (Limit::Threads, 32_768, 32_768),
            (Limit::Files, 1024, 65_536),
            (Limit::Locked, 8 << 20, 8 << 20),
            (Limit::Signals, 4096, 4096),
            (Limit::Queues, 819_200, 819_200),
            (Limit::Nice, 0, 0),
            (Limit::Priority, 0, 0),
        ] {
            limits.0[kind as usize].set([soft, hard]);
        }
        limits
    }
}

impl Limits {
    /// A soft limit.
    pub fn get(&self, kind: Limit) -> u64 {
        self.0[kind as usize].get()[0]
    }

    /// Soft and hard limit.
    pub fn both(&self, kind: Limit) -> [u64; 2] {
        self.0[kind as usize].get()
    }

    /// All of them, soft and hard.
    pub fn all(&self) -> [[u64; 2]; KINDS] {
        self.0.each_ref().map(Cell::get)
    }

    fn set(&self, kind: usize, to: [u64; 2], privileged: bool) -> Result<(), Errno> {
        let place = &self.0[kind];
        if to[0] > to[1] {
            return Err(Errno::EINVAL);
        }
        if to[1] > place.get()[1] && !privileged || kind == Limit::Files as usize && to[1] > FILES_MOST {
            return Err(Errno::EPERM);
        }
        place.set(to);
        Ok(())
    }
}

/// Watches over the CPU time that a process may use (check_process_timers of kernel/time/posix-cpu-timers.c): SIGXCPU at the soft
/// limit and each second from then on, SIGKILL at the hard one.
fn watch_cpu(process: &Rc<Process>) {
    let watched = &process.limits.1;
    watched.take().iter().for_each(Task::cancel);
    let limit = |which: usize| process.limits.both(Limit::Cpu)[which];
    if limit(0) == INFINITE && limit(1) == INFINITE {
        return;
    }
    let process = process.clone();
    let task = kernlet_exec::spawn("CPU limit", async move {
        let nanoseconds = |seconds: u64| seconds.saturating_mul(NANOSECONDS);
        loop {
            let [soft, hard] = process.limits.both(Limit::Cpu);
            process.cpu.until(nanoseconds(soft.min(hard))).await;
            let kills = process.cpu.get() >= nanoseconds(hard);
            let signal = if kills { SIGKILL } else { SIGXCPU };
            // One that finds no room is lost, as by Linux.
            let _ = send_to_process(&process, Information::kernel(signal));
            process.limits.0[Limit::Cpu as usize].set([soft.saturating_add(1), hard]);
        }
    });
    *watched.borrow_mut() = Some(task);
}

/// How many of `length` bytes may be written to a file from `at` on (generic_write_check_limits of fs/read_write.c).
///
/// # Errors
/// EFBIG with SIGXFSZ when none may.
pub fn writable(thread: &Thread, at: u64, length: usize) -> Result<usize, Errno> {
    let limit = thread.process.limits.get(Limit::FileSize);
    if limit == INFINITE || length == 0 {
        return Ok(length);
    }
    if at >= limit {
        raise(thread, SIGXFSZ);
        return Err(Errno::EFBIG);
    }
    Ok(usize::try_from(limit - at).map_or(length, |most| length.min(most)))
}

/// Whether a file of `before` bytes may become `length` bytes long.
///
/// # Errors
/// As for [`writable`].
pub fn resizable(thread: &Thread, before: u64, length: u64) -> Result<(), Errno> {
    if length <= before {
        return Ok(());
    }
    writable(thread, length - 1, 1).map(drop)
}

/// Sets one, if `new` is an address, and tells the old one, if `old` is.
fn change(thread: &Rc<Thread>, kind: u32, new: usize, old: usize) -> Outcome {
    let process = &thread.process;
    let kind = kind as usize;
    let before = process.limits.0.get(kind).ok_or(Errno::EINVAL)?.get();
    if new != 0 {
        let to: [u64; 2] = user::read_words(new)?;
        let privileged = process.credentials.borrow().can(SYS_RESOURCE);
        process.limits.set(kind, to, privileged)?;
        if kind == Limit::Files as usize {
            process.files.table.borrow_mut().limit = to[0] as usize;
        }
        if kind == Limit::Cpu as usize {
            watch_cpu(process);
        }
    }
    if old != 0 {
        user::write_words(old, &before)?;
    }
    Ok(0)
}

/// Handles getrlimit, setrlimit and prlimit64.
pub fn call(thread: &Rc<Thread>, call: Call) -> Outcome {
    match call.number {
        number::GETRLIMIT if call.size(1) == 0 => Err(Errno::EFAULT),
        number::GETRLIMIT => change(thread, call.word(0), 0, call.size(1)),
        number::SETRLIMIT if call.size(1) == 0 => Err(Errno::EFAULT),
        number::SETRLIMIT => change(thread, call.word(0), call.size(1), 0),
        _ if call.word(0) != 0 && thread.process.thread(call.word(0)).is_none() => Err(Errno::ESRCH),
        _ => change(thread, call.word(1), call.size(2), call.size(3)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hard_limit_goes_down_only() {
        let limits = Limits::default();
        let files = Limit::Files as usize;
        assert_eq!(limits.set(files, [2000, 1000], true), Err(Errno::EINVAL));
        assert_eq!(limits.set(files, [10, 70_000], false), Err(Errno::EPERM));
        assert_eq!(limits.set(files, [10, 70_000], true), Ok(()));
        assert_eq!(limits.set(files, [10, FILES_MOST + 1], true), Err(Errno::EPERM));
        assert_eq!(limits.set(files, [10, 20], false), Ok(()));
        assert_eq!(limits.set(files, [20, 20], false), Ok(()));
        assert_eq!(limits.get(Limit::Files), 20);
        assert_eq!(limits.get(Limit::Stack), 8 << 20);
    }
}
