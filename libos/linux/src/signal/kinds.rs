//! The numbers of signals, sets of them, and what they do when nobody handles them (signal(7)).

macro_rules! signals {
    ($($(#[$about:meta])* $name:ident = $number:literal;)*) => {
        $($(#[$about])* pub const $name: u8 = $number;)*

        /// A signal's name; `None` for those that have none of their own (the real-time signals).
        pub const fn name(number: u8) -> Option<&'static str> {
            match number {
                $($number => Some(stringify!($name)),)*
                _ => None,
            }
        }
    };
}

signals! {
    /// The terminal is gone.
    SIGHUP = 1;
    /// Ctrl-C.
    SIGINT = 2;
    /// Ctrl-\.
    SIGQUIT = 3;
    /// No instruction.
    SIGILL = 4;
    /// A breakpoint or a step.
    SIGTRAP = 5;
    /// abort(3).
    SIGABRT = 6;
    /// Memory that is mapped and not there.
    SIGBUS = 7;
    /// Arithmetic.
    SIGFPE = 8;
    /// Ends the process whatever it says.
    SIGKILL = 9;
    /// The program's own.
    SIGUSR1 = 10;
    /// Memory that is not mapped.
    SIGSEGV = 11;
    /// The program's own.
    SIGUSR2 = 12;
    /// Nobody reads what is written.
    SIGPIPE = 13;
    /// alarm(2).
    SIGALRM = 14;
    /// Please end.
    SIGTERM = 15;
    /// Of a coprocessor.
    SIGSTKFLT = 16;
    /// A child ended or stopped.
    SIGCHLD = 17;
    /// Goes on.
    SIGCONT = 18;
    /// Stops whatever it says.
    SIGSTOP = 19;
    /// Ctrl-Z.
    SIGTSTP = 20;
    /// Reads from the terminal in the background.
    SIGTTIN = 21;
    /// Writes to the terminal in the background.
    SIGTTOU = 22;
    /// Urgent data.
    SIGURG = 23;
    /// RLIMIT_CPU.
    SIGXCPU = 24;
    /// RLIMIT_FSIZE.
    SIGXFSZ = 25;
    /// ITIMER_VIRTUAL.
    SIGVTALRM = 26;
    /// ITIMER_PROF.
    SIGPROF = 27;
    /// The terminal's size changed.
    SIGWINCH = 28;
    /// A descriptor is ready (SIGPOLL).
    SIGIO = 29;
    /// Power.
    SIGPWR = 30;
    /// A call of a number that does not exist.
    SIGSYS = 31;
}

/// The first real-time signal, of which each is queued.
pub const REAL_TIME: u8 = 32;
/// The last signal.
pub const LAST: u8 = 64;

/// A set of signals, a bit each from signal 1 on, as the kernel has it.
pub type Set = u64;

/// The set of one signal.
pub const fn only(number: u8) -> Set {
    1 << (number.wrapping_sub(1) & 63)
}

/// Those that cannot be blocked, ignored or handled.
pub const NEVER_BLOCKED: Set = only(SIGKILL) | only(SIGSTOP);
/// Those that come from what a thread itself does.
pub const SYNCHRONOUS: Set =
    only(SIGSEGV) | only(SIGBUS) | only(SIGILL) | only(SIGTRAP) | only(SIGFPE) | only(SIGSYS);
/// Those that stop.
pub const STOPPING: Set = only(SIGSTOP) | only(SIGTSTP) | only(SIGTTIN) | only(SIGTTOU);
const IGNORED: Set = only(SIGCHLD) | only(SIGCONT) | only(SIGURG) | only(SIGWINCH);

/// What a signal does when nobody handles it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    /// Nothing.
    Ignore,
    /// Stops the process.
    Stop,
    /// Ends the process.
    End,
}

/// What a signal does when nobody handles it.
pub const fn default(number: u8) -> Default {
    match only(number) {
        set if set & IGNORED != 0 => Default::Ignore,
        set if set & only(SIGSTOP) != 0 => Default::Stop,
        // The process's group is orphaned: no shell could let it go on. Then these do nothing.
        set if set & STOPPING != 0 => Default::Ignore,
        _ => Default::End,
    }
}

/// The number that a program gave, if it is one of a signal.
pub fn valid(number: i32) -> Option<u8> {
    u8::try_from(number).ok().filter(|n| (1..=LAST).contains(n))
}
