//! Waiting: one epoll instance, edge-triggered.

use super::call::{call, number};
use crate::Errno;
use crate::event::Ready;

const EPOLL_CTL_ADD: usize = 1;
const EPOLLIN: u32 = 0x1;
const EPOLLOUT: u32 = 0x4;
const EPOLLERR: u32 = 0x8;
const EPOLLHUP: u32 = 0x10;
const EPOLLRDHUP: u32 = 0x2000;
const EPOLLET: u32 = 1 << 31;

/// How many events one wait takes.
const BATCH: usize = 64;

/// struct epoll_event, which x86-64 packs.
#[derive(Clone, Copy)]
#[repr(C, packed)]
struct Event {
    events: u32,
    data: u64,
}

fn epoll() -> Result<usize, Errno> {
    #[cfg(kernlet_image)]
    {
        let descriptor = crate::boot::blob().descriptors().epoll;
        if descriptor < 0 { Err(Errno::EBADF) } else { Ok(descriptor as usize) }
    }
    #[cfg(not(kernlet_image))]
    {
        static EPOLL: crate::cpu::CpuLocal<usize> = crate::cpu::CpuLocal::new(|| {
            // SAFETY: touches no memory.
            unsafe { call(number::EPOLL_CREATE1, [0; 6]) }.expect("the host has epoll")
        });
        Ok(*EPOLL.get())
    }
}

/// Reports readiness of `descriptor` under `token`, for reading and writing, as edges. Ends when it is closed.
pub fn watch(descriptor: i32, token: u32) -> Result<(), Errno> {
    if descriptor < 0 {
        return Err(Errno::EBADF);
    }
    let mut event = Event { events: EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, data: u64::from(token) };
    let arguments = [epoll()?, EPOLL_CTL_ADD, descriptor as usize, &raw mut event as usize, 0, 0];
    // SAFETY: the host reads one epoll_event.
    unsafe { call(number::EPOLL_CTL, arguments).map(drop) }
}

/// See [`crate::event::wait`].
pub fn wait(deadline: Option<u64>, report: &mut dyn FnMut(Ready)) {
    let mut events = [Event { events: 0, data: 0 }; BATCH];
    let timeout = deadline.map(|at| {
        let left = if at == 0 { 0 } else { at.saturating_sub(crate::clock::monotonic()) };
        [left / 1_000_000_000, left % 1_000_000_000]
    });
    let timeout = timeout.as_ref().map_or(0, |t| t.as_ptr() as usize);
    let Ok(epoll) = epoll() else { return };
    let arguments = [epoll, events.as_mut_ptr() as usize, BATCH, timeout, 0, 8];
    // SAFETY: the host writes at most BATCH events and reads a timespec that lives to the end of this function.
    // An interrupted wait counts as one that found nothing.
    let count = unsafe { call(number::EPOLL_PWAIT2, arguments) }.unwrap_or(0);
    for event in events.iter().take(count) {
        let (events, data) = (event.events, event.data);
        let broken = events & (EPOLLERR | EPOLLHUP) != 0;
        report(Ready {
            token: data as u32,
            readable: broken || events & (EPOLLIN | EPOLLRDHUP) != 0,
            writable: broken || events & EPOLLOUT != 0,
            ended: broken || events & EPOLLRDHUP != 0,
        });
    }
}
