//! timerfd_create(2): timers that are read.

use super::watchers::{Events, Watchers};
use super::{Deadline, registered};
use crate::call::{Call, Outcome};
use crate::files::{Description, Kind};
use crate::thread::Thread;
use crate::user::Buffers;
use crate::{Errno, user};
use alloc::rc::Rc;
use core::cell::Cell;
use kernlet_exec::{Task, sleep_until, spawn};
use kernlet_platform::cell::RefCell;
use kernlet_time::{Duration, Instant, unix_time};

/// CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM.
const CLOCKS: [i32; 5] = [0, 1, 7, 8, 9];
const REAL_TIME: [i32; 2] = [0, 8];
/// TFD_NONBLOCK, TFD_CLOEXEC.
const NON_BLOCKING: u32 = 0o4000;
const CLOSE_ON_EXEC: u32 = 0o2000000;
/// TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET.
const ABSOLUTE: u32 = 1;
const CANCEL_ON_SET: u32 = 2;

/// When a timer goes off.
#[derive(Clone, Copy, Debug, Default)]
struct Setting {
    /// Nanoseconds of the monotonic clock; `None`: it is not set.
    next: Option<u64>,
    /// Nanoseconds between one time and the next; 0: it goes off once.
    interval: u64,
}

impl Setting {
    /// How often it has gone off until `now`, and how it goes on.
    fn passed(self, now: u64) -> (u64, Self) {
        match self.next {
            Some(next) if next <= now => {
                // What goes off once stays set, in the past, until it is read.
                let more = (now - next).checked_div(self.interval).unwrap_or(0);
                let next = (self.interval > 0).then(|| next + (more + 1) * self.interval);
                (more + 1, Self { next, ..self })
            }
            _ => (0, self),
        }
    }
}

/// A timer.
pub struct TimerFd {
    clock: i32,
    setting: Cell<Setting>,
    watchers: Rc<Watchers>,
    /// Tells the watchers when it goes off.
    alarm: RefCell<Option<Task<()>>>,
}

/// timerfd_create(2).
pub fn create(thread: &Thread, call: Call) -> Outcome {
    let (clock, flags) = (call.int(0), call.word(1));
    if !CLOCKS.contains(&clock) || flags & !(NON_BLOCKING | CLOSE_ON_EXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    let timer = TimerFd {
        clock,
        setting: Cell::default(),
        watchers: Rc::new(Watchers::new()),
        alarm: RefCell::default(),
    };
    registered(thread, Kind::TimerFd(timer), flags & NON_BLOCKING | 2, flags & CLOSE_ON_EXEC != 0)
}

fn timer(file: &Description) -> Result<&TimerFd, Errno> {
    if let Kind::TimerFd(timer) = &file.kind { Ok(timer) } else { Err(Errno::EINVAL) }
}

/// timerfd_settime(2).
pub fn set(thread: &Thread, call: Call) -> Outcome {
    let flags = call.word(1);
    let words: [u64; 4] = user::read_words(call.size(2))?;
    let valid =
        words.iter().enumerate().all(|(i, w)| *w <= i64::MAX as u64 && (i % 2 == 0 || *w < 1_000_000_000));
    if flags & !(ABSOLUTE | CANCEL_ON_SET) != 0 || !valid {
        return Err(Errno::EINVAL);
    }
    let file = thread.process.files.get(call.int(0))?;
    let timer = timer(&file)?;
    let before = timer.words();
    let [interval, value] =
        [0, 2].map(|i| words[i].saturating_mul(1_000_000_000).saturating_add(words[i + 1]));
    timer.set(value, interval, flags & ABSOLUTE != 0);
    if call.size(3) != 0 {
        user::write_words(call.size(3), &before)?;
    }
    Ok(0)
}

/// timerfd_gettime(2).
pub fn get(thread: &Thread, call: Call) -> Outcome {
    let file = thread.process.files.get(call.int(0))?;
    user::write_words(call.size(1), &timer(&file)?.words())?;
    Ok(0)
}

impl TimerFd {
    fn set(&self, value: u64, interval: u64, absolute: bool) {
        let now = Instant::now().nanoseconds();
        let from = match absolute {
            // The moment of the monotonic clock at which the time of day was 0.
            true if REAL_TIME.contains(&self.clock) => now.wrapping_sub(unix_time().as_nanos() as u64),
            true => 0,
            false => now,
        };
        // A moment before this instance's clock began is one that has passed.
        let at = if absolute {
            (from as i64).saturating_add(value.min(i64::MAX as u64) as i64).max(1) as u64
        } else {
            from.saturating_add(value)
        };
        self.setting.set(Setting { next: (value > 0).then_some(at), interval });
        self.arm();
    }

    /// Has the watchers told when it goes off next.
    fn arm(&self) {
        let before = self.alarm.take();
        before.iter().for_each(Task::cancel);
        let Some(next) = self.setting.get().next else { return };
        let watchers = self.watchers.clone();
        let alarm = spawn("timerfd", async move {
            sleep_until(Instant::from_nanoseconds(next)).await;
            watchers.notify(Events::IN);
        });
        *self.alarm.borrow_mut() = Some(alarm);
    }

    /// The `struct itimerspec` of what is left.
    fn words(&self) -> [u64; 4] {
        let now = Instant::now().nanoseconds();
        let setting = self.setting.get();
        let (_, on) = setting.passed(now);
        let left = on.next.map_or(0, |next| next.saturating_sub(now));
        let [interval, left] = [setting.interval, left].map(Duration::from_nanos);
        [interval.as_secs(), interval.subsec_nanos().into(), left.as_secs(), left.subsec_nanos().into()]
    }

    /// Reads how often it has gone off since it was set or read.
    ///
    /// # Errors
    /// EINVAL for fewer than 8 bytes; EAGAIN.
    pub async fn read(&self, thread: &Thread, non_blocking: bool, to: &mut Buffers) -> Result<usize, Errno> {
        if to.remaining() < 8 {
            return Err(Errno::EINVAL);
        }
        let mut times = self.take();
        if times.is_none() && !non_blocking {
            let mut gone_off = || {
                times = self.take();
                times.is_some()
            };
            Deadline::Never.ready(thread, &self.watchers, &mut gone_off).await?;
        }
        to.fill(&times.ok_or(Errno::EAGAIN)?.to_le_bytes())
    }

    fn take(&self) -> Option<u64> {
        let (times, on) = self.setting.get().passed(Instant::now().nanoseconds());
        if times == 0 {
            return None;
        }
        self.setting.set(on);
        self.arm();
        Some(times)
    }

    /// See [`Description::readiness`].
    pub fn readiness(&self) -> Events {
        let now = || Instant::now().nanoseconds();
        Events::IN.when(self.setting.get().next.is_some_and(|next| next <= now()))
    }

    /// See [`Description::watchers`].
    pub fn watchers(&self) -> &Watchers {
        &self.watchers
    }
}

impl Drop for TimerFd {
    fn drop(&mut self) {
        self.alarm.take().iter().for_each(Task::cancel);
    }
}
