//! eventfd(2): a counter.

use super::watchers::{Events, Watchers};
use super::{registered, until_ready};
use crate::Errno;
use crate::call::Outcome;
use crate::files::Kind;
use crate::thread::Thread;
use crate::user::Buffers;
use core::cell::Cell;

/// EFD_SEMAPHORE, EFD_NONBLOCK, EFD_CLOEXEC.
const SEMAPHORE: u32 = 1;
const NON_BLOCKING: u32 = 0o4000;
const CLOSE_ON_EXEC: u32 = 0o2000000;
/// The most that it counts.
const MOST: u64 = u64::MAX - 1;

/// A counter that is waited for.
pub struct EventFd {
    count: Cell<u64>,
    semaphore: bool,
    watchers: Watchers,
}

/// eventfd(2), eventfd2(2).
pub fn create(thread: &Thread, count: u32, flags: u32) -> Outcome {
    if flags & !(SEMAPHORE | NON_BLOCKING | CLOSE_ON_EXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    let kind = Kind::EventFd(EventFd::new(count.into(), flags & SEMAPHORE != 0));
    registered(thread, kind, 2 | flags & NON_BLOCKING, flags & CLOSE_ON_EXEC != 0)
}

impl EventFd {
    /// A counter that begins at `count`.
    pub fn new(count: u64, semaphore: bool) -> Self {
        Self { count: Cell::new(count), semaphore, watchers: Watchers::new() }
    }

    /// Reads the count and sets it to 0; of a semaphore reads 1 and counts it off.
    ///
    /// # Errors
    /// EINVAL for fewer than 8 bytes; EAGAIN.
    pub async fn read(&self, thread: &Thread, non_blocking: bool, to: &mut Buffers) -> Result<usize, Errno> {
        if to.remaining() < 8 {
            return Err(Errno::EINVAL);
        }
        until_ready(thread, &self.watchers, non_blocking, &|| self.count.get() > 0).await?;
        let value = self.take();
        self.watchers.notify(Events::OUT);
        to.fill(&value.to_le_bytes())
    }

    fn take(&self) -> u64 {
        let count = self.count.get();
        let value = if self.semaphore { count.min(1) } else { count };
        self.count.set(count - value);
        value
    }

    /// Adds.
    ///
    /// # Errors
    /// EINVAL for fewer than 8 bytes and for the one number that cannot be counted; EAGAIN when it would be too much.
    pub async fn write(
        &self,
        thread: &Thread,
        non_blocking: bool,
        from: &mut Buffers,
    ) -> Result<usize, Errno> {
        let mut bytes = [0; 8];
        if from.remaining() < 8 {
            return Err(Errno::EINVAL);
        }
        if from.take(&mut bytes)? < 8 {
            return Err(Errno::EFAULT);
        }
        let value = u64::from_le_bytes(bytes);
        if value > MOST {
            return Err(Errno::EINVAL);
        }
        until_ready(thread, &self.watchers, non_blocking, &|| self.count.get() <= MOST - value).await?;
        self.count.set(self.count.get() + value);
        self.watchers.notify(Events::IN);
        Ok(8)
    }

    /// See [`crate::files::Description::readiness`].
    pub fn readiness(&self) -> Events {
        let count = self.count.get();
        Events::IN.when(count > 0).or(Events::OUT.when(count < MOST))
    }

    /// See [`crate::files::Description::watchers`].
    pub fn watchers(&self) -> &Watchers {
        &self.watchers
    }
}
