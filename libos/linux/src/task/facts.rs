//! Small things that are known of processes and threads.

use alloc::vec::Vec;
use core::cell::Cell;
use kernlet_platform::cell::RefCell;

/// What is known of a process.
#[derive(Debug)]
pub struct ProcessFacts {
    /// Its process group.
    pub group: Cell<u32>,
    /// Its session.
    pub session: Cell<u32>,
    /// Its nice value, which has no effect.
    pub nice: Cell<i8>,
    /// Its I/O priority, which has no effect.
    pub io_priority: Cell<u16>,
    /// Its execution domain (personality(2)).
    pub personality: Cell<u32>,
    /// Whether it may be looked at (PR_SET_DUMPABLE).
    pub dumpable: Cell<u32>,
    /// PR_SET_CHILD_SUBREAPER.
    pub reaper: Cell<bool>,
    /// PR_SET_THP_DISABLE.
    pub small_pages: Cell<bool>,
    /// Rows and columns of the terminal, as the monitor told last; 0: it did not.
    pub terminal_size: Cell<(u16, u16)>,
    /// What sethostname(2) set.
    pub hostname: RefCell<Option<Vec<u8>>>,
    /// What setdomainname(2) set.
    pub domain: RefCell<Option<Vec<u8>>>,
    /// Bytes that were read and written, and calls for it (/proc/PID/io).
    pub moved: [Cell<u64>; 4],
    /// The most memory that was seen to be held, bytes.
    pub peak: Cell<usize>,
    /// It was told that there are no child processes.
    pub told: Cell<bool>,
}

impl Default for ProcessFacts {
    fn default() -> Self {
        Self {
            group: Cell::new(1),
            session: Cell::new(1),
            nice: Cell::new(0),
            io_priority: Cell::new(0),
            personality: Cell::new(0),
            dumpable: Cell::new(1),
            reaper: Cell::new(false),
            small_pages: Cell::new(false),
            terminal_size: Cell::new((0, 0)),
            hostname: RefCell::default(),
            domain: RefCell::default(),
            moved: Default::default(),
            peak: Cell::new(0),
            told: Cell::new(false),
        }
    }
}

/// What is known of a thread; a new one has it from the one that made it.
#[derive(Debug)]
pub struct ThreadFacts {
    /// PR_SET_PDEATHSIG; there is no parent that could end.
    pub death_signal: Cell<u8>,
    /// PR_SET_NO_NEW_PRIVS.
    pub no_new_privileges: Cell<bool>,
    /// PR_SET_TIMERSLACK, nanoseconds; timers are as exact as the host's.
    pub timer_slack: Cell<u64>,
    /// Its scheduling policy, SCHED_OTHER, SCHED_BATCH or SCHED_IDLE.
    pub policy: Cell<u32>,
    /// PR_SET_SECUREBITS.
    pub secure_bits: Cell<u32>,
}

/// The slack of a new process.
pub const TIMER_SLACK: u64 = 50_000;

impl Default for ThreadFacts {
    fn default() -> Self {
        Self {
            death_signal: Cell::new(0),
            no_new_privileges: Cell::new(false),
            timer_slack: Cell::new(TIMER_SLACK),
            policy: Cell::new(0),
            secure_bits: Cell::new(0),
        }
    }
}

impl ThreadFacts {
    /// As those of another thread, but for what is not inherited.
    pub fn set(&self, other: &Self) {
        self.no_new_privileges.set(other.no_new_privileges.get());
        self.timer_slack.set(other.timer_slack.get());
        self.policy.set(other.policy.get());
        self.secure_bits.set(other.secure_bits.get());
    }
}
