//! Clocks and sleeping (time(7)).

mod clock;
mod cpu;

pub use clock::{Clock, NANOSECONDS};
pub use cpu::CpuTime;

use crate::call::{Call, Outcome, WAITS, boxed, number, restart, unknown};
use crate::thread::Thread;
use crate::{Errno, user};
use alloc::rc::Rc;
use kernlet_exec::sleep_until;
use kernlet_time::Instant;

const TIMER_ABSTIME: i32 = 1;
/// ADJ_ADJTIME with ADJ_OFFSET_SINGLESHOT, without which it is wrong, and with ADJ_OFFSET_READONLY (include/linux/timex.h).
const ADJUSTMENT: u32 = 0x8001;
const ADJUSTMENT_LEFT: u32 = ADJUSTMENT | 0x2000;
/// STA_UNSYNC of adjtimex(2), and TIME_ERROR, which goes with it.
const UNSYNCHRONISED: i32 = 0x40;
const TIME_ERROR: u64 = 5;

/// Reads a timespec as nanoseconds; what is too long is as long as can be said.
///
/// # Errors
/// EFAULT; EINVAL for a negative one, or a second that is split wrongly.
pub fn read_timespec(at: usize) -> Result<u64, Errno> {
    let [seconds, nanoseconds] = user::read_words(at)?;
    if seconds > i64::MAX as u64 || nanoseconds >= NANOSECONDS {
        return Err(Errno::EINVAL);
    }
    Ok(seconds.saturating_mul(NANOSECONDS).saturating_add(nanoseconds).min(i64::MAX as u64))
}

/// Reads a timeval as nanoseconds.
///
/// # Errors
/// As for [`read_timespec`].
pub fn read_timeval(at: usize) -> Result<u64, Errno> {
    let [seconds, microseconds] = user::read_words(at)?;
    if seconds > i64::MAX as u64 || microseconds >= 1_000_000 {
        return Err(Errno::EINVAL);
    }
    Ok(seconds.saturating_mul(NANOSECONDS).saturating_add(microseconds * 1000).min(i64::MAX as u64))
}

/// Writes nanoseconds as a timespec.
///
/// # Errors
/// EFAULT.
pub fn write_timespec(at: usize, nanoseconds: u64) -> Result<(), Errno> {
    user::write_words(at, &[nanoseconds / NANOSECONDS, nanoseconds % NANOSECONDS])
}

/// Writes nanoseconds as a timeval.
///
/// # Errors
/// EFAULT.
pub fn write_timeval(at: usize, nanoseconds: u64) -> Result<(), Errno> {
    user::write_words(at, &[nanoseconds / NANOSECONDS, nanoseconds % NANOSECONDS / 1000])
}

/// Waits until a clock shows `deadline`.
pub async fn until(clock: &Clock, deadline: u64) {
    match clock {
        Clock::Steady => sleep_until(Instant::from_nanoseconds(deadline)).await,
        // The time of day may be set while somebody sleeps.
        Clock::Wall => loop {
            let left = deadline.saturating_sub(clock.now());
            if left == 0 {
                return;
            }
            sleep_until(Instant::from_nanoseconds(Clock::Steady.now().saturating_add(left))).await;
        },
        Clock::Process(process) => process.cpu.until(deadline).await,
        Clock::Thread(thread) => thread.cpu.until(deadline).await,
    }
}

/// Sleeps for `duration`, or until the deadline of the call that is made again; where the rest goes when a signal comes.
async fn sleep(thread: &Thread, clock: &Clock, duration: u64, rest: usize) -> Outcome {
    let deadline = thread.resumed().unwrap_or_else(|| clock.now().saturating_add(duration));
    if thread.interruptible(until(clock, deadline)).await.is_ok() {
        return Ok(0);
    }
    if rest != 0 {
        write_timespec(rest, deadline.saturating_sub(clock.now()))?;
    }
    thread.resume_until(deadline);
    Err(restart::BLOCK)
}

async fn clock_nanosleep(thread: &Rc<Thread>, call: Call) -> Outcome {
    let clock = Clock::that_waits(thread, call.int(0))?;
    let time = read_timespec(call.size(2))?;
    if call.int(1) & TIMER_ABSTIME == 0 {
        return sleep(thread, &clock, time, call.size(3)).await;
    }
    // A deadline stays the same when the call is made again.
    thread.interruptible(until(&clock, time)).await.map(|()| 0).map_err(|_| restart::NO_HANDLER)
}

fn adjtimex(at: usize) -> Outcome {
    match user::read_u32(at)? {
        // Nothing, or what is left of an adjustment, is only asked for.
        0 => {}
        modes if modes & ADJUSTMENT_LEFT == ADJUSTMENT_LEFT => {}
        modes if modes & ADJUSTMENT == ADJUSTMENT & !1 => return Err(Errno::EINVAL),
        _ => return Err(Errno::EPERM),
    }
    let mut timex = [0; 208];
    timex[40..44].copy_from_slice(&UNSYNCHRONISED.to_le_bytes());
    let now = Clock::Wall.now();
    timex[72..80].copy_from_slice(&(now / NANOSECONDS).to_le_bytes());
    timex[80..88].copy_from_slice(&(now % NANOSECONDS / 1000).to_le_bytes());
    timex[88..96].copy_from_slice(&10_000u64.to_le_bytes());
    user::write(at, &timex)?;
    Ok(TIME_ERROR)
}

/// clock_settime(2): what can be set, nobody may.
fn set_clock(thread: &Rc<Thread>, id: i32, to: usize) -> Outcome {
    match id {
        0 => drop(read_timespec(to)?),
        ..0 => drop(Clock::of(thread, id)?),
        _ => return Err(Errno::EINVAL),
    }
    Err(Errno::EPERM)
}

/// Handles the calls of this subject that never wait.
#[inline(never)]
pub fn at_once(thread: &Rc<Thread>, call: Call) -> Outcome {
    match call.number {
        number::CLOCK_GETTIME => {
            let now = Clock::of(thread, call.int(0))?.now();
            write_timespec(call.size(1), now).map(|()| 0)
        }
        number::CLOCK_GETRES => {
            let resolution = Clock::resolution(thread, call.int(0))?;
            if call.size(1) != 0 {
                write_timespec(call.size(1), resolution)?;
            }
            Ok(0)
        }
        number::GETTIMEOFDAY => {
            if call.size(0) != 0 {
                write_timeval(call.size(0), Clock::Wall.now())?;
            }
            if call.size(1) != 0 {
                user::write(call.size(1), &[0; 8])?;
            }
            Ok(0)
        }
        number::TIME => {
            let now = Clock::Wall.now() / NANOSECONDS;
            if call.size(0) != 0 {
                user::write(call.size(0), &now.to_le_bytes())?;
            }
            Ok(now)
        }
        // The clock is the host's.
        number::CLOCK_SETTIME => set_clock(thread, call.int(0), call.size(1)),
        number::SETTIMEOFDAY => Err(Errno::EPERM),
        number::ADJTIMEX => adjtimex(call.size(0)),
        number::CLOCK_ADJTIME if call.int(0) == 0 => adjtimex(call.size(1)),
        number::CLOCK_ADJTIME => Err(Errno::EOPNOTSUPP),
        _ => Err(WAITS),
    }
}

/// Handles those that may wait.
pub async fn call(thread: &Rc<Thread>, call: Call) -> Outcome {
    match call.number {
        number::NANOSLEEP => {
            let duration = read_timespec(call.size(0))?;
            sleep(thread, &Clock::Steady, duration, call.size(1)).await
        }
        number::CLOCK_NANOSLEEP => boxed(clock_nanosleep(thread, call)).await,
        _ => unknown(thread, call),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written_as_structures() {
        let spec = [3u64, 999_999_999];
        assert_eq!(read_timespec(spec.as_ptr() as usize), Ok(3_999_999_999));
        for wrong in [[1, 1_000_000_000], [u64::MAX, 0], [0, u64::MAX]] {
            assert_eq!(read_timespec(core::hint::black_box(&wrong).as_ptr() as usize), Err(Errno::EINVAL));
        }
        let far = [i64::MAX as u64, 5];
        assert_eq!(read_timespec(core::hint::black_box(&far).as_ptr() as usize), Ok(i64::MAX as u64));
        let to = std::vec![0u64; 2];
        write_timeval(to.as_ptr() as usize, 2_000_003_999).unwrap();
        assert_eq!(core::hint::black_box(&to)[..], [2, 3]);
        assert_eq!(read_timeval(to.as_ptr() as usize), Ok(2_000_003_000));
    }
}
