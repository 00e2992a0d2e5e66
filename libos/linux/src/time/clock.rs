//! The clocks of clock_gettime(2).

use crate::Errno;
use crate::process::Process;
use crate::thread::Thread;
use alloc::rc::Rc;
use kernlet_platform::clock;

/// Nanoseconds of a second.
pub const NANOSECONDS: u64 = 1_000_000_000;

const REALTIME: i32 = 0;
const MONOTONIC: i32 = 1;
const PROCESS_CPUTIME: i32 = 2;
const THREAD_CPUTIME: i32 = 3;
const MONOTONIC_RAW: i32 = 4;
const REALTIME_COARSE: i32 = 5;
const MONOTONIC_COARSE: i32 = 6;
const BOOTTIME: i32 = 7;
const REALTIME_ALARM: i32 = 8;
const BOOTTIME_ALARM: i32 = 9;
const TAI: i32 = 11;
/// In a negative number: it names a thread; else a process.
const OF_THREAD: i32 = 4;
/// In a negative number: what is measured; 3 would be a descriptor.
const WHAT: i32 = 3;
/// What the coarse clocks of a kernel with 250 ticks a second tell.
const TICK: u64 = 4_000_000;

/// A clock.
#[derive(Clone)]
pub enum Clock {
    /// The time of day.
    Wall,
    /// The time since the start, which never jumps.
    Steady,
    /// The CPU time of a process.
    Process(Rc<Process>),
    /// The CPU time of a thread.
    Thread(Rc<Thread>),
}

impl Clock {
    /// The clock of a number (clockid_t).
    ///
    /// # Errors
    /// EINVAL.
    pub fn of(thread: &Rc<Thread>, number: i32) -> Result<Self, Errno> {
        match number {
            // The offset of TAI is 0 as long as nobody has set it.
            REALTIME | REALTIME_COARSE | REALTIME_ALARM | TAI => Ok(Self::Wall),
            MONOTONIC | MONOTONIC_RAW | MONOTONIC_COARSE | BOOTTIME | BOOTTIME_ALARM => Ok(Self::Steady),
            PROCESS_CPUTIME => Ok(Self::Process(thread.process.clone())),
            THREAD_CPUTIME => Ok(Self::Thread(thread.clone())),
            0.. => Err(Errno::EINVAL),
            _ if number & WHAT == WHAT => Err(Errno::EINVAL),
            _ => Self::of_task(thread, !(number >> 3) as u32, number & OF_THREAD != 0),
        }
    }

    /// The clock of a process or thread (clock_getcpuclockid(3), pthread_getcpuclockid(3)); 0 is the caller.
    fn of_task(thread: &Rc<Thread>, id: u32, one: bool) -> Result<Self, Errno> {
        let process = &thread.process;
        match id {
            0 if one => Ok(Self::Thread(thread.clone())),
            _ if one => process.thread(id).map(Self::Thread).ok_or(Errno::EINVAL),
            _ if id == 0 || id == process.id => Ok(Self::Process(process.clone())),
            _ => Err(Errno::EINVAL),
        }
    }

    /// A clock by which one can wait.
    ///
    /// # Errors
    /// EINVAL; EOPNOTSUPP for one that only tells the time.
    pub fn that_waits(thread: &Rc<Thread>, number: i32) -> Result<Self, Errno> {
        match number {
            THREAD_CPUTIME | MONOTONIC_RAW | REALTIME_COARSE | MONOTONIC_COARSE | REALTIME_ALARM
            | BOOTTIME_ALARM => Err(Errno::EOPNOTSUPP),
            _ => match Self::of(thread, number)? {
                Self::Thread(other) if Rc::ptr_eq(&other, thread) => Err(Errno::EINVAL),
                clock => Ok(clock),
            },
        }
    }

    /// A clock's resolution, nanoseconds.
    ///
    /// # Errors
    /// EINVAL.
    pub fn resolution(thread: &Rc<Thread>, number: i32) -> Result<u64, Errno> {
        Self::of(thread, number)?;
        Ok(if matches!(number, REALTIME_COARSE | MONOTONIC_COARSE) { TICK } else { 1 })
    }

    /// What it shows, nanoseconds.
    pub fn now(&self) -> u64 {
        match self {
            Self::Wall => clock::wall(),
            Self::Steady => clock::monotonic(),
            Self::Process(process) => process.cpu.get(),
            Self::Thread(thread) => thread.cpu.get(),
        }
    }
}
