//! POSIX timers (timer_create(2)).

use super::information::Information;
use super::interval::{self, Intervals};
use super::kinds::{SIGALRM, valid};
use super::send;
use crate::call::{Call, Outcome, number};
use crate::process::Process;
use crate::system::Limit;
use crate::thread::Thread;
use crate::time::{self, Clock, read_timespec, write_timespec};
use crate::{Errno, user};
use alloc::rc::{Rc, Weak};
use core::cell::Cell;
use kernlet_exec::Task;
use kernlet_platform::cell::RefCell;
use kernlet_sync::SmallMap;

const SIGEV_SIGNAL: u32 = 0;
const SIGEV_NONE: u32 = 1;
const SIGEV_THREAD: u32 = 2;
const SIGEV_THREAD_ID: u32 = 4;
const TIMER_ABSTIME: i32 = 1;
/// CLOCK_MONOTONIC_RAW and the coarse clocks have no timers.
const WITHOUT: [i32; 3] = [4, 5, 6];

/// Who is told.
enum Target {
    Nobody,
    Process(Weak<Process>),
    Thread(Weak<Thread>),
}

/// A timer.
struct Timer {
    id: u32,
    clock: Clock,
    target: Target,
    information: Information,
    deadline: Cell<u64>,
    period: Cell<u64>,
    /// Expirations that the last signal stood for, beside its own.
    overrun: Cell<u64>,
    task: RefCell<Option<Task<()>>>,
}

/// The timers of a process.
#[derive(Default)]
pub struct Timers {
    next: Cell<u32>,
    known: RefCell<SmallMap<u32, Rc<Timer>>>,
    /// Those of setitimer(2).
    pub intervals: Intervals,
}

impl Timers {
    fn get(&self, id: i32) -> Result<Rc<Timer>, Errno> {
        self.known.borrow().get(&(id as u32)).cloned().ok_or(Errno::EINVAL)
    }

    /// The signal of a timer is about to be delivered.
    pub fn delivered(&self, id: u32, information: &Information) {
        if let Some(timer) = self.known.borrow().get(&id) {
            timer.overrun.set(information.rest[0] >> 32);
        }
    }
}

impl Timer {
    /// It has expired, and `missed` times more.
    fn expired(&self, missed: u64) {
        let pending = |p: &super::pending::Pending| p.overrun(self.id, missed + 1);
        let mut information = self.information;
        information.overrun(missed);
        // A signal that finds no room is lost, as its next one may be.
        let _ = match &self.target {
            Target::Nobody => Ok(()),
            Target::Process(process) => match process.upgrade() {
                Some(process) if !pending(&process.signals.pending) => {
                    send::send_to_process(&process, information)
                }
                _ => Ok(()),
            },
            Target::Thread(thread) => match thread.upgrade() {
                Some(thread) if !pending(&thread.signals.pending) => {
                    send::send_to_thread(&thread, information)
                }
                _ => Ok(()),
            },
        };
    }

    async fn run(&self) {
        loop {
            time::until(&self.clock, self.deadline.get()).await;
            let (deadline, period) = (self.deadline.get(), self.period.get());
            if period == 0 {
                self.deadline.set(0);
                self.expired(0);
                return;
            }
            let (next, missed) = interval::following(deadline, period, self.clock.now());
            self.deadline.set(next);
            self.expired(missed);
        }
    }

    /// What is left, and the period.
    fn left(&self) -> [u64; 2] {
        let (at, period, now) = (self.deadline.get(), self.period.get(), self.clock.now());
        let left = match at {
            0 => 0,
            _ if now < at => at - now,
            // Nobody is told, so that it does not move on by itself.
            _ if matches!(self.target, Target::Nobody) && period == 0 => 0,
            _ if matches!(self.target, Target::Nobody) => period - (now - at) % period,
            _ => 1,
        };
        [left, period]
    }

    fn stop(&self) {
        if let Some(task) = self.task.borrow_mut().take() {
            task.cancel();
        }
        self.deadline.set(0);
    }
}

/// Handles timer_create.
fn create(thread: &Rc<Thread>, call: Call) -> Outcome {
    let process = &thread.process;
    let clock = Clock::of(thread, call.int(0))?;
    if WITHOUT.contains(&call.int(0)) {
        return Err(Errno::EOPNOTSUPP);
    }
    let timers = &process.signals.timers;
    if timers.known.borrow().len() as u64 >= process.limits.get(Limit::Signals) {
        return Err(Errno::EAGAIN);
    }
    let mut id = timers.next.get();
    while timers.known.borrow().contains_key(&id) {
        id = (id + 1) & i32::MAX as u32;
    }
    let whole = || Target::Process(Rc::downgrade(process));
    let (target, number, value) = match call.size(1) {
        0 => (whole(), SIGALRM, id.into()),
        at => {
            let [value, kind, of] = user::read_words(at)?;
            let (number, kind) = (valid(kind as i32), (kind >> 32) as u32);
            let target = match kind {
                SIGEV_NONE => Target::Nobody,
                SIGEV_SIGNAL | SIGEV_THREAD => whole(),
                SIGEV_THREAD_ID => {
                    let thread = process.thread(of as u32).ok_or(Errno::EINVAL)?;
                    Target::Thread(Rc::downgrade(&thread))
                }
                _ => return Err(Errno::EINVAL),
            };
            if number.is_none() && kind != SIGEV_NONE {
                return Err(Errno::EINVAL);
            }
            (target, number.unwrap_or(SIGALRM), value)
        }
    };
    user::write(call.size(2), &id.to_le_bytes())?;
    timers.next.set((id + 1) & i32::MAX as u32);
    let timer = Timer {
        id,
        clock,
        target,
        information: Information::timer(number, id, value),
        deadline: Cell::new(0),
        period: Cell::new(0),
        overrun: Cell::new(0),
        task: RefCell::default(),
    };
    timers.known.borrow_mut().insert(id, Rc::new(timer));
    Ok(0)
}

fn write_setting(at: usize, [left, period]: [u64; 2]) -> Result<(), Errno> {
    write_timespec(at, period)?;
    write_timespec(at.wrapping_add(16), left)
}

/// Forgets a signal of a timer that is set anew or gone.
fn forget(process: &Process, timer: &Timer) {
    process.signals.pending.forget_timer(timer.id);
    if let Target::Thread(thread) = &timer.target
        && let Some(thread) = thread.upgrade()
    {
        thread.signals.pending.forget_timer(timer.id);
    }
}

/// Handles timer_settime.
fn set(thread: &Rc<Thread>, call: Call) -> Outcome {
    if call.size(2) == 0 {
        return Err(Errno::EINVAL);
    }
    let period = read_timespec(call.size(2))?;
    let value = read_timespec(call.size(2).wrapping_add(16))?;
    let timer = thread.process.signals.timers.get(call.int(0))?;
    let old = timer.left();
    timer.stop();
    forget(&thread.process, &timer);
    timer.overrun.set(0);
    timer.period.set(period);
    if value != 0 {
        let absolute = call.int(1) & TIMER_ABSTIME != 0;
        timer.deadline.set(if absolute { value } else { timer.clock.now().saturating_add(value) });
        if !matches!(timer.target, Target::Nobody) {
            let running = timer.clone();
            let task = kernlet_exec::spawn("timer", async move { running.run().await });
            *timer.task.borrow_mut() = Some(task);
        }
    }
    if call.size(3) != 0 {
        write_setting(call.size(3), old)?;
    }
    Ok(0)
}

/// Handles the calls of this subject.
pub fn call(thread: &Rc<Thread>, call: Call) -> Outcome {
    let process = &thread.process;
    let timers = &process.signals.timers;
    match call.number {
        number::TIMER_CREATE => create(thread, call),
        number::TIMER_SETTIME => set(thread, call),
        number::TIMER_GETTIME => write_setting(call.size(1), timers.get(call.int(0))?.left()).map(|()| 0),
        number::TIMER_GETOVERRUN => Ok(timers.get(call.int(0))?.overrun.get()),
        _ => {
            let timer = timers.get(call.int(0))?;
            timers.known.borrow_mut().remove(&timer.id);
            timer.stop();
            forget(process, &timer);
            Ok(0)
        }
    }
}
