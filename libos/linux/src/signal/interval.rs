//! Interval timers (setitimer(2), alarm(2)).

use super::information::Information;
use super::kinds::{SIGALRM, SIGPROF, SIGVTALRM};
use super::send;
use crate::Errno;
use crate::call::{Call, Outcome, number};
use crate::process::Process;
use crate::thread::Thread;
use crate::time::{self, Clock, NANOSECONDS, read_timeval, write_timeval};
use alloc::rc::Rc;
use core::cell::Cell;
use kernlet_exec::Task;
use kernlet_platform::cell::RefCell;

/// ITIMER_REAL. ITIMER_VIRTUAL and ITIMER_PROF measure the same here, as what the library OS does for a thread is not told
/// apart from what that does by itself.
const REAL: usize = 0;
/// How many there are.
const KINDS: usize = 3;
/// Timers fire no closer than this (the timer slack of Linux).
pub const SLACK: u64 = 50_000;

/// One timer.
#[derive(Default)]
pub struct Interval {
    deadline: Cell<u64>,
    period: Cell<u64>,
    task: RefCell<Option<Task<()>>>,
}

/// Those of a process.
pub type Intervals = [Interval; KINDS];

/// The deadline that follows one that has passed, and how many were skipped.
pub fn following(deadline: u64, period: u64, now: u64) -> (u64, u64) {
    let soonest = now.saturating_add(SLACK.min(period));
    let skipped = soonest.saturating_sub(deadline) / period;
    (deadline.saturating_add(period.saturating_mul(skipped + 1)), skipped)
}

fn clock(process: &Rc<Process>, kind: usize) -> Clock {
    if kind == REAL { Clock::Steady } else { Clock::Process(process.clone()) }
}

/// What is left, and the period.
fn get(process: &Rc<Process>, kind: usize) -> [u64; 2] {
    let timer = &process.signals.timers.intervals[kind];
    let left = match timer.deadline.get() {
        0 => 0,
        // One that is about to fire is not one that is off.
        at => at.saturating_sub(clock(process, kind).now()).max(1000),
    };
    [left, timer.period.get()]
}

fn set(process: &Rc<Process>, kind: usize, value: u64, period: u64) {
    let timer = &process.signals.timers.intervals[kind];
    if let Some(task) = timer.task.borrow_mut().take() {
        task.cancel();
    }
    // One of real time that is off has no period either (do_setitimer in kernel/time/itimer.c).
    timer.period.set(if value == 0 && kind == REAL { 0 } else { period });
    if value == 0 {
        timer.deadline.set(0);
        return;
    }
    let clock = clock(process, kind);
    timer.deadline.set(clock.now().saturating_add(value));
    let process = process.clone();
    let task = kernlet_exec::spawn("interval timer", async move {
        let timer = &process.signals.timers.intervals[kind];
        loop {
            time::until(&clock, timer.deadline.get()).await;
            let signal = [SIGALRM, SIGVTALRM, SIGPROF][kind];
            // It is not queued, and so never refused.
            let _ = send::send_to_process(&process, Information::kernel(signal));
            let period = timer.period.get();
            if period == 0 {
                timer.deadline.set(0);
                return;
            }
            timer.deadline.set(following(timer.deadline.get(), period, clock.now()).0);
        }
    });
    *timer.task.borrow_mut() = Some(task);
}

/// Handles getitimer, setitimer and alarm.
pub fn call(thread: &Rc<Thread>, call: Call) -> Outcome {
    let process = &thread.process;
    if call.number == number::ALARM {
        let [left, _] = get(process, REAL);
        set(process, REAL, u64::from(call.word(0)) * NANOSECONDS, 0);
        // Rounded, but never to 0.
        let seconds = (left + NANOSECONDS / 2) / NANOSECONDS;
        return Ok(if left > 0 { seconds.max(1) } else { 0 });
    }
    let kind = usize::try_from(call.int(0)).ok().filter(|&kind| kind < KINDS).ok_or(Errno::EINVAL)?;
    let write = |at: usize, [left, period]: [u64; 2]| {
        write_timeval(at, period)?;
        write_timeval(at.wrapping_add(16), left)
    };
    let old = get(process, kind);
    if call.number == number::GETITIMER {
        return write(call.size(1), old).map(|()| 0);
    }
    // No new value turns it off, as Linux still has it.
    let (value, period) = match call.size(1) {
        0 => (0, 0),
        at => (read_timeval(at.wrapping_add(16))?, read_timeval(at)?),
    };
    set(process, kind, value, period);
    if call.size(2) != 0 {
        write(call.size(2), old)?;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_that_is_late_skips_what_it_missed() {
        assert_eq!(following(1_000_000, 1_000_000, 1_000_100), (2_000_000, 0));
        assert_eq!(following(1_000_000, 1_000_000, 4_500_000), (5_000_000, 3));
        let (next, skipped) = following(1000, 1, 2000);
        assert!(next > 2000 && skipped >= 1000);
        let (next, _) = following(1000, 1000, 2000);
        assert!(next > 2000);
    }
}
