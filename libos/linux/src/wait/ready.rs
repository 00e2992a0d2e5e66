//! Asking descriptions, and waiting for several of them.

use super::watchers::{Events, Place};
use super::{Deadline, fair};
use crate::Errno;
use crate::files::Description;
use crate::thread::Thread;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::task::{Poll, Waker};

/// POLLRDNORM, POLLRDBAND, POLLWRNORM, POLLWRBAND.
pub const READ_NORMAL: u32 = 0x40;
pub const READ_BAND: u32 = 0x80;
pub const WRITE_NORMAL: u32 = 0x100;
pub const WRITE_BAND: u32 = 0x200;

/// What of `wanted` a description is ready for now, errors and hang-ups always included.
pub fn ask(file: &Description, wanted: u32) -> u32 {
    let asked = wanted | Events::ALWAYS.0;
    let mut events = file.readiness().0;
    if events & Events::IN.0 != 0 {
        events |= READ_NORMAL;
    }
    if events & Events::OUT.0 != 0 {
        events |= WRITE_NORMAL;
    }
    events & asked
}

/// A task's watches on several descriptions, taken away when this is dropped.
struct Watching<'f> {
    files: &'f [Rc<Description>],
    places: Vec<Option<Place>>,
    waker: Option<Waker>,
}

impl Watching<'_> {
    fn leave(&mut self, waker: &Waker) {
        if self.waker.as_ref().is_some_and(|w| w.will_wake(waker)) {
            return;
        }
        self.take();
        self.places = self.files.iter().map(|f| f.watchers().map(|w| w.wake(waker))).collect();
        self.waker = Some(waker.clone());
    }

    fn take(&mut self) {
        for (file, place) in self.files.iter().zip(self.places.drain(..)) {
            if let (Some(watchers), Some(place)) = (file.watchers(), place) {
                watchers.remove(place);
            }
        }
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.take();
    }
}

/// Waits until `ready` gives something, asking it again after each change of one of `files`; `None` when the time is up.
///
/// # Errors
/// ERESTARTSYS when a signal came first.
pub async fn until<T>(
    thread: &Thread,
    files: &[Rc<Description>],
    deadline: Deadline,
    mut ready: impl FnMut() -> Option<T>,
) -> Result<Option<T>, Errno> {
    fair::turn().await;
    if let Some(value) = ready() {
        return Ok(Some(value));
    }
    if deadline == Deadline::Now {
        fair::look().await;
        return Ok(ready());
    }
    let mut watching = Watching { files, places: Vec::new(), waker: None };
    let wait = core::future::poll_fn(|context| {
        if kernlet_sync::trace::leaf() {
            return Poll::Pending;
        }
        // The watches are left before it is asked.
        watching.leave(context.waker());
        ready().map_or(Poll::Pending, Poll::Ready)
    });
    fair::waits();
    deadline.limit(thread, wait).await
}
