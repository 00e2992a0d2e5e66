//! The calls of this subject, made by a thread of a program that there is not.

use crate::Errno;
use crate::call::{Outcome, number};
use crate::testing::{at, call, run, to};
use crate::thread::Thread;
use alloc::rc::Rc;
use std::vec::Vec;

const IN: u32 = 0x1;
const OUT: u32 = 0x4;
const ONE_SHOT: u32 = 1 << 30;
const EDGE: u32 = 1 << 31;

async fn eventfd(thread: &Rc<Thread>, count: u64) -> u64 {
    call(thread, number::EVENTFD2, &[count, 0o4000]).await.unwrap()
}

async fn add(thread: &Rc<Thread>, fd: u64, value: u64) -> Outcome {
    call(thread, number::WRITE, &[fd, &raw const value as u64, 8]).await
}

async fn take(thread: &Rc<Thread>, fd: u64) -> Result<u64, Errno> {
    let mut value = 0u64;
    call(thread, number::READ, &[fd, &raw mut value as u64, 8]).await?;
    Ok(core::hint::black_box(value))
}

async fn control(thread: &Rc<Thread>, set: u64, operation: u64, fd: u64, events: u32, data: u64) -> Outcome {
    let mut event = events.to_le_bytes().to_vec();
    event.extend(data.to_le_bytes());
    call(thread, number::EPOLL_CTL, &[set, operation, fd, event.as_ptr() as u64]).await
}

/// What epoll_wait tells: events and data.
async fn ready(thread: &Rc<Thread>, set: u64, timeout: i64) -> Vec<(u32, u64)> {
    let mut bytes = std::vec![0u8; 12 * 8];
    let arguments = [set, bytes.as_mut_ptr() as u64, 8, timeout as u64];
    let count = call(thread, number::EPOLL_WAIT, &arguments).await.unwrap();
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    (0..count as usize).map(|i| (word(12 * i), u64::from(word(12 * i + 4)))).collect()
}

#[test]
fn an_eventfd_counts_and_a_semaphore_gives_one_at_a_time() {
    run(|thread| async move {
        let fd = eventfd(&thread, 3).await;
        assert_eq!(take(&thread, fd).await, Ok(3));
        assert_eq!(take(&thread, fd).await, Err(Errno::EAGAIN));
        assert_eq!(add(&thread, fd, u64::MAX).await, Err(Errno::EINVAL));
        assert_eq!(add(&thread, fd, u64::MAX - 1).await, Ok(8));
        assert_eq!(add(&thread, fd, 1).await, Err(Errno::EAGAIN));
        let semaphore = call(&thread, number::EVENTFD2, &[2, 0o4001]).await.unwrap();
        assert_eq!(take(&thread, semaphore).await, Ok(1));
        assert_eq!(take(&thread, semaphore).await, Ok(1));
        assert_eq!(take(&thread, semaphore).await, Err(Errno::EAGAIN));
        assert_eq!(call(&thread, number::EVENTFD2, &[0, 2]).await, Err(Errno::EINVAL));
    });
}

#[test]
fn a_level_triggered_item_is_told_until_it_is_drained() {
    run(|thread| async move {
        let set = call(&thread, number::EPOLL_CREATE1, &[0]).await.unwrap();
        let fd = eventfd(&thread, 0).await;
        control(&thread, set, 1, fd, IN, 7).await.unwrap();
        assert_eq!(ready(&thread, set, 0).await, []);
        add(&thread, fd, 1).await.unwrap();
        assert_eq!(ready(&thread, set, -1).await, [(IN, 7)]);
        assert_eq!(ready(&thread, set, -1).await, [(IN, 7)]);
        take(&thread, fd).await.unwrap();
        assert_eq!(ready(&thread, set, 0).await, []);
    });
}

#[test]
fn an_edge_triggered_item_is_told_once_for_each_change() {
    run(|thread| async move {
        let set = call(&thread, number::EPOLL_CREATE1, &[0]).await.unwrap();
        let fd = eventfd(&thread, 1).await;
        control(&thread, set, 1, fd, IN | EDGE, 7).await.unwrap();
        assert_eq!(ready(&thread, set, -1).await, [(IN, 7)]);
        assert_eq!(ready(&thread, set, 0).await, []);
        add(&thread, fd, 1).await.unwrap();
        assert_eq!(ready(&thread, set, -1).await, [(IN, 7)]);
        assert_eq!(ready(&thread, set, 0).await, []);
    });
}

#[test]
fn an_item_with_one_shot_waits_until_it_is_armed_again() {
    run(|thread| async move {
        let set = call(&thread, number::EPOLL_CREATE1, &[0]).await.unwrap();
        let fd = eventfd(&thread, 1).await;
        control(&thread, set, 1, fd, IN | ONE_SHOT, 7).await.unwrap();
        assert_eq!(ready(&thread, set, -1).await, [(IN, 7)]);
        add(&thread, fd, 1).await.unwrap();
        assert_eq!(ready(&thread, set, 0).await, []);
        control(&thread, set, 3, fd, IN | ONE_SHOT, 8).await.unwrap();
        assert_eq!(ready(&thread, set, 0).await, [(IN, 8)]);
    });
}

#[test]
fn a_closed_descriptor_drops_out_of_its_sets_and_its_number_may_come_again() {
    run(|thread| async move {
        let set = call(&thread, number::EPOLL_CREATE1, &[0]).await.unwrap();
        let fd = eventfd(&thread, 1).await;
        control(&thread, set, 1, fd, IN, 7).await.unwrap();
        assert_eq!(control(&thread, set, 1, fd, IN, 7).await, Err(Errno::EEXIST));
        call(&thread, number::CLOSE, &[fd]).await.unwrap();
        assert_eq!(ready(&thread, set, 0).await, []);
        assert_eq!(eventfd(&thread, 1).await, fd);
        control(&thread, set, 1, fd, IN, 9).await.unwrap();
        assert_eq!(ready(&thread, set, 0).await, [(IN, 9)]);
        control(&thread, set, 2, fd, 0, 0).await.unwrap();
        assert_eq!(control(&thread, set, 2, fd, 0, 0).await, Err(Errno::ENOENT));
        assert_eq!(ready(&thread, set, 0).await, []);
    });
}

#[test]
fn what_a_descriptor_referred_to_before_stays_an_item_of_its_own_until_it_is_closed() {
    run(|thread| async move {
        let set = call(&thread, number::EPOLL_CREATE1, &[0]).await.unwrap();
        let fd = eventfd(&thread, 1).await;
        let mut copies = Vec::new();
        for data in [1, 2, 3] {
            copies.push(call(&thread, number::DUP, &[fd]).await.unwrap());
            control(&thread, set, 1, fd, IN, data).await.unwrap();
            assert_eq!(control(&thread, set, 1, fd, IN, data).await, Err(Errno::EEXIST));
            let other = eventfd(&thread, 1).await;
            call(&thread, number::DUP2, &[other, fd]).await.unwrap();
            call(&thread, number::CLOSE, &[other]).await.unwrap();
        }
        assert_eq!(ready(&thread, set, 0).await, [(IN, 1), (IN, 2), (IN, 3)]);
        call(&thread, number::CLOSE, &[copies[1]]).await.unwrap();
        assert_eq!(ready(&thread, set, 0).await, [(IN, 1), (IN, 3)]);
        call(&thread, number::DUP2, &[copies[0], fd]).await.unwrap();
        control(&thread, set, 2, fd, 0, 0).await.unwrap();
        assert_eq!(ready(&thread, set, 0).await, [(IN, 3)]);
        assert_eq!(control(&thread, set, 2, fd, 0, 0).await, Err(Errno::ENOENT));
    });
}

#[test]
fn sets_stand_in_sets_but_in_no_circle_and_not_too_deep() {
    run(|thread| async move {
        let mut sets = Vec::new();
        for _ in 0..7 {
            sets.push(call(&thread, number::EPOLL_CREATE1, &[0]).await.unwrap());
        }
        let fd = eventfd(&thread, 0).await;
        control(&thread, sets[1], 1, fd, IN, 5).await.unwrap();
        control(&thread, sets[0], 1, sets[1], IN, 6).await.unwrap();
        assert_eq!(control(&thread, sets[1], 1, sets[0], IN, 0).await, Err(Errno::ELOOP));
        assert_eq!(control(&thread, sets[0], 1, sets[0], IN, 0).await, Err(Errno::EINVAL));
        assert_eq!(ready(&thread, sets[0], 0).await, []);
        add(&thread, fd, 1).await.unwrap();
        assert_eq!(ready(&thread, sets[0], 0).await, [(IN, 6)]);
        take(&thread, fd).await.unwrap();
        assert_eq!(ready(&thread, sets[0], 0).await, []);
        for i in (1..4).rev() {
            control(&thread, sets[i], 1, sets[i + 1], IN, 0).await.unwrap();
        }
        assert_eq!(control(&thread, sets[5], 1, sets[0], IN, 0).await, Err(Errno::ELOOP));
    });
}

#[test]
fn what_waits_is_woken_by_another_thread() {
    run(|thread| async move {
        let set = call(&thread, number::EPOLL_CREATE1, &[0]).await.unwrap();
        let fd = eventfd(&thread, 0).await;
        control(&thread, set, 1, fd, IN | OUT, 7).await.unwrap();
        assert_eq!(ready(&thread, set, -1).await, [(OUT, 7)]);
        control(&thread, set, 3, fd, IN, 7).await.unwrap();
        let other = thread.clone();
        kernlet_exec::spawn("other", async move {
            kernlet_exec::yield_now().await;
            add(&other, fd, 1).await.unwrap();
        });
        assert_eq!(ready(&thread, set, -1).await, [(IN, 7)]);
    });
}

#[test]
fn poll_tells_of_those_that_are_ready_and_of_what_is_not_open() {
    run(|thread| async move {
        let fd = eventfd(&thread, 1).await as i32;
        let entry = |fd: i32, wanted: u16| {
            let mut bytes = fd.to_le_bytes().to_vec();
            bytes.extend(wanted.to_le_bytes());
            bytes.extend([0xff, 0xff]);
            bytes
        };
        let mut all = [entry(fd, 1), entry(99, 1), entry(-1, 1), entry(fd, 4)].concat();
        let at = all.as_mut_ptr() as u64;
        assert_eq!(call(&thread, number::POLL, &[at, 4, u64::MAX]).await, Ok(3));
        let told: Vec<_> = all.chunks(8).map(|c| u16::from_le_bytes([c[6], c[7]])).collect();
        assert_eq!(told, [1, 0x20, 0, 4]);
        take(&thread, fd as u64).await.unwrap();
        assert_eq!(call(&thread, number::POLL, &[at, 1, 0]).await, Ok(0));
        assert_eq!(call(&thread, number::POLL, &[at, 1, 1]).await, Ok(0));
        assert_eq!(call(&thread, number::POLL, &[at, 5000, 1]).await, Err(Errno::EINVAL));
    });
}

#[test]
fn select_tells_in_its_sets_and_of_the_time_that_is_left() {
    run(|thread| async move {
        let (one, other) = (eventfd(&thread, 1).await, eventfd(&thread, 0).await);
        let mut sets = [1u64 << one | 1 << other, 1 << other, 0];
        let mut time = [5u64, 0];
        let at = |i: usize| (&raw mut sets[i]) as u64;
        let mut at = at;
        let arguments = [other + 1, at(0), at(1), at(2), time.as_mut_ptr() as u64];
        assert_eq!(call(&thread, number::SELECT, &arguments).await, Ok(2));
        assert_eq!(core::hint::black_box(sets), [1 << one, 1 << other, 0]);
        assert!(core::hint::black_box(time)[0] <= 5);
        let closed = [1u64 << 50];
        let arguments = [64, closed.as_ptr() as u64, 0, 0, time.as_mut_ptr() as u64];
        // Beyond the table nothing is looked at; within it, what is not open is an error.
        assert!(call(&thread, number::SELECT, &arguments).await.is_err());
    });
}

#[test]
fn a_timer_counts_how_often_it_went_off() {
    run(|thread| async move {
        let fd = call(&thread, number::TIMERFD_CREATE, &[1, 0o4000]).await.unwrap();
        let set = |interval: u64, value: u64| [0, interval, 0, value];
        assert_eq!(take(&thread, fd).await, Err(Errno::EAGAIN));
        let spec = set(1_000_000, 1_000_000);
        call(&thread, number::TIMERFD_SETTIME, &[fd, 0, spec.as_ptr() as u64, 0]).await.unwrap();
        let mut entry = (fd as u32).to_le_bytes().to_vec();
        entry.extend([1, 0, 0, 0]);
        assert_eq!(call(&thread, number::POLL, &[entry.as_mut_ptr() as u64, 1, u64::MAX]).await, Ok(1));
        assert!(take(&thread, fd).await.unwrap() >= 1);
        let mut left = [0u64; 4];
        call(&thread, number::TIMERFD_GETTIME, &[fd, left.as_mut_ptr() as u64]).await.unwrap();
        let left = core::hint::black_box(left);
        assert!(left[1] == 1_000_000 && left[2] == 0 && left[3] <= 1_000_000);
        // An absolute time that has passed goes off at once, once.
        let spec = set(0, 1);
        call(&thread, number::TIMERFD_SETTIME, &[fd, 1, spec.as_ptr() as u64, 0]).await.unwrap();
        assert_eq!(take(&thread, fd).await, Ok(1));
        assert_eq!(take(&thread, fd).await, Err(Errno::EAGAIN));
        let wrong = set(0, 1_000_000_000);
        let arguments = [fd, 0, wrong.as_ptr() as u64, 0];
        assert_eq!(call(&thread, number::TIMERFD_SETTIME, &arguments).await, Err(Errno::EINVAL));
    });
}

#[test]
fn a_mask_for_the_wait_is_put_back_after_it() {
    run(|thread| async move {
        thread.signals.mask.set(1);
        let mask = u64::MAX;
        let time = [0u64, 0];
        let at = |x: &u64| core::ptr::from_ref(x) as u64;
        let arguments = [0, 0, time.as_ptr() as u64, at(&mask), 8];
        assert_eq!(call(&thread, number::PPOLL, &arguments).await, Ok(0));
        assert_eq!((thread.signals.mask.get(), thread.saved_mask.get()), (1, None));
        let arguments = [0, 0, time.as_ptr() as u64, at(&mask), 4];
        assert_eq!(call(&thread, number::PPOLL, &arguments).await, Err(Errno::EINVAL));
    });
}

#[test]
fn signals_that_are_blocked_are_read() {
    run(|thread| async move {
        let set = 1u64 << 9;
        thread.signals.mask.set(set);
        let fd = call(&thread, number::SIGNALFD4, &[u64::MAX, at(&set), 8, 0o4000]).await.unwrap();
        let mut told = [0u8; 256];
        let arguments = [fd, to(&mut told), 256];
        assert_eq!(call(&thread, number::READ, &arguments).await, Err(Errno::EAGAIN));
        let epoll = call(&thread, number::EPOLL_CREATE1, &[0]).await.unwrap();
        control(&thread, epoll, 1, fd, IN, 4).await.unwrap();
        assert_eq!(ready(&thread, epoll, 0).await, []);
        crate::signal::raise(&thread, 10);
        assert_eq!(ready(&thread, epoll, -1).await, [(IN, 4)]);
        assert_eq!(call(&thread, number::READ, &arguments).await, Ok(128));
        let told = core::hint::black_box(told);
        assert_eq!((told[0], told[12]), (10, thread.process.id as u8));
        assert_eq!(ready(&thread, epoll, 0).await, []);
    });
}
