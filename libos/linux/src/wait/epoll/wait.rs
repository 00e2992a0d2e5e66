//! epoll_wait(2), epoll_pwait(2), epoll_pwait2(2).

use super::Epoll;
use crate::call::{Call, Outcome};
use crate::files::Kind;
use crate::thread::Thread;
use crate::wait::{Deadline, deadline, fair, mask};
use crate::{Errno, user};
use alloc::rc::Rc;
use kernlet_platform::program;

/// Bytes of a `struct epoll_event`, which is packed.
const EVENT: usize = 12;

/// epoll_wait(2).
pub async fn wait(thread: &Rc<Thread>, call: Call) -> Outcome {
    events(thread, call, Deadline::milliseconds(call.int(3))).await
}

/// epoll_pwait(2).
pub async fn pwait(thread: &Rc<Thread>, call: Call) -> Outcome {
    mask::set(thread, call.size(4), call.size(5))?;
    let outcome = events(thread, call, Deadline::milliseconds(call.int(3))).await;
    mask::restore(thread, outcome)
}

/// epoll_pwait2(2).
pub async fn pwait2(thread: &Rc<Thread>, call: Call) -> Outcome {
    let until = Deadline::timespec(call.size(3))?;
    mask::set(thread, call.size(4), call.size(5))?;
    let outcome = events(thread, call, until).await;
    mask::restore(thread, outcome)
}

async fn events(thread: &Rc<Thread>, call: Call, until: Deadline) -> Outcome {
    let at = call.size(1);
    let most = usize::try_from(call.int(2)).map_err(|_| Errno::EINVAL)?;
    if most == 0 || most > i32::MAX as usize / EVENT {
        return Err(Errno::EINVAL);
    }
    program::within(at, most * EVENT)?;
    let file = thread.process.files.get(call.int(0))?;
    let Kind::Epoll(epoll) = &file.kind else { return Err(Errno::EINVAL) };
    let told = epoll.wait(thread, at, most, until).await.map_err(deadline::never_again)?;
    Ok(told as u64)
}

impl Epoll {
    async fn wait(&self, thread: &Thread, at: usize, most: usize, until: Deadline) -> Result<usize, Errno> {
        fair::turn().await;
        let harvest = || match self.tell(at, most) {
            Ok(0) => None,
            other => Some(other),
        };
        if let Some(told) = harvest() {
            return told;
        }
        if until == Deadline::Now {
            fair::look().await;
            return harvest().unwrap_or(Ok(0));
        }
        fair::waits();
        until.limit(thread, self.watchers.until(harvest)).await?.unwrap_or(Ok(0))
    }

    /// Writes ready events to the program's memory; how many there were.
    fn tell(&self, at: usize, most: usize) -> Result<usize, Errno> {
        self.harvest(most, |index, event| {
            let mut bytes = [0; EVENT];
            bytes[..4].copy_from_slice(&event.events.to_le_bytes());
            bytes[4..].copy_from_slice(&event.data.to_le_bytes());
            user::write(at + index * EVENT, &bytes)
        })
    }
}
