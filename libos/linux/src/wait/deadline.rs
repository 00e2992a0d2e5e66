//! How long a call waits: times as programs give them.

use super::Watchers;
use crate::call::restart;
use crate::thread::Thread;
use crate::{Errno, user};
use core::future::Future;
use core::pin::pin;
use core::task::Poll;
use kernlet_exec::sleep_until;
use kernlet_time::{Duration, Instant};

const NANOSECONDS: u64 = 1_000_000_000;

/// Until when a call waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// It does not.
    Now,
    /// Until a moment.
    At(Instant),
    /// As long as it takes.
    Never,
}

impl Deadline {
    /// After so long.
    pub fn after(duration: Duration) -> Self {
        if duration.is_zero() { Self::Now } else { Self::At(Instant::now() + duration) }
    }

    /// After milliseconds; never when they are negative (poll(2)).
    pub fn milliseconds(milliseconds: i32) -> Self {
        u64::try_from(milliseconds).map_or(Self::Never, |n| Self::after(Duration::from_millis(n)))
    }

    /// After the `struct timespec` at an address; never when that is 0.
    ///
    /// # Errors
    /// EFAULT; EINVAL for a time that is none.
    pub fn timespec(address: usize) -> Result<Self, Errno> {
        Self::pair(address, NANOSECONDS, 1)
    }

    /// After the `struct timeval` at an address; never when that is 0.
    ///
    /// # Errors
    /// EFAULT; EINVAL when it is negative.
    pub fn timeval(address: usize) -> Result<Self, Errno> {
        // select(2) takes any number of microseconds.
        Self::pair(address, u64::MAX, 1000)
    }

    fn pair(address: usize, most: u64, unit: u64) -> Result<Self, Errno> {
        if address == 0 {
            return Ok(Self::Never);
        }
        let [seconds, parts] = user::read_words(address)?;
        if (seconds as i64) < 0 || (parts as i64) < 0 || parts >= most {
            return Err(Errno::EINVAL);
        }
        let parts = Duration::from_nanos(parts.saturating_mul(unit));
        Ok(Self::after(Duration::from_secs(seconds).saturating_add(parts)))
    }

    /// Tells the program what is left, as a `struct timespec` or, in microseconds, `struct timeval`. That it cannot be
    /// written changes nothing (fs/select.c).
    pub fn tell_rest(self, address: usize, microseconds: bool) {
        let rest = match self {
            Self::Never => return,
            Self::Now => Duration::ZERO,
            Self::At(at) => at.since(Instant::now()),
        };
        let parts = if microseconds { rest.subsec_micros() } else { rest.subsec_nanos() };
        if address != 0 {
            let _ = user::write_words(address, &[rest.as_secs(), parts.into()]);
        }
    }

    /// Waits for `future` in a thread's call, until the time is up (`None`) or a signal comes.
    ///
    /// # Errors
    /// ERESTARTSYS ([`restart::SYS`]) when a signal came first.
    pub async fn limit<F: Future>(self, thread: &Thread, future: F) -> Result<Option<F::Output>, Errno> {
        let mut future = pin!(future);
        let mut sleep = pin!(match self {
            Self::At(at) => Some(sleep_until(at)),
            Self::Now | Self::Never => None,
        });
        let either = core::future::poll_fn(|context| {
            if let Poll::Ready(value) = future.as_mut().poll(context) {
                return Poll::Ready(Some(value));
            }
            match sleep.as_mut().as_pin_mut() {
                Some(sleep) => sleep.poll(context).map(|()| None),
                None if self == Self::Now => Poll::Ready(None),
                None => Poll::Pending,
            }
        });
        thread.interruptible(either).await
    }
}

impl Deadline {
    /// Waits in a thread's call until something is ready, of whose changes `watchers` are told; whether it was before the
    /// time was up. There is one of this for all that wait so, as there would be many for closures of their own.
    ///
    /// # Errors
    /// ERESTARTSYS ([`restart::SYS`]) when a signal came first.
    pub async fn ready(
        self,
        thread: &Thread,
        watchers: &Watchers,
        ready: &mut dyn FnMut() -> bool,
    ) -> Result<bool, Errno> {
        let came = self.limit(thread, watchers.until(|| ready().then_some(()))).await?;
        Ok(came.is_some())
    }

    /// Waits in a thread's call until something is ready, unless it is or is not to be waited for.
    ///
    /// # Errors
    /// EAGAIN when it is not; ETIMEDOUT; ERESTARTSYS ([`restart::SYS`]) when a signal came first.
    pub async fn until_ready(
        self,
        thread: &Thread,
        watchers: &Watchers,
        non_blocking: bool,
        ready: &dyn Fn() -> bool,
    ) -> Result<(), Errno> {
        match ready() {
            true => Ok(()),
            false if non_blocking => Err(Errno::EAGAIN),
            false if self.ready(thread, watchers, &mut || ready()).await? => Ok(()),
            false => Err(Errno::ETIMEDOUT),
        }
    }
}

/// [`Deadline::until_ready`] without a limit, so without ETIMEDOUT.
pub fn until_ready(
    thread: &Thread,
    watchers: &Watchers,
    non_blocking: bool,
    ready: &dyn Fn() -> bool,
) -> impl Future<Output = Result<(), Errno>> {
    Deadline::Never.until_ready(thread, watchers, non_blocking, ready)
}

/// A wait that a signal broke off is made again only when there is no handler (poll(2), select(2)).
pub fn unless_handled(error: Errno) -> Errno {
    if error == restart::SYS { restart::NO_HANDLER } else { error }
}

/// A wait that a signal broke off is never made again (signal(7)).
pub fn never_again(error: Errno) -> Errno {
    if error == restart::SYS { Errno::EINTR } else { error }
}
