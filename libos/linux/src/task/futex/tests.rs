//! futex(2) called by threads of a program that there is not, on words of the test's own.

use super::*;
use crate::call::number;
use crate::memory::Space;
use crate::process::Process;
use crate::system::Credentials;
use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use kernlet_exec::{Task, spawn, yield_now};
use std::boxed::Box;

fn process() -> Rc<Process> {
    Process::new(Space::new(0x1000_0000), Credentials::of(0, 0), false)
}

/// A word that stays where it is.
fn word(value: u32) -> (&'static AtomicU32, u64) {
    let word: &'static AtomicU32 = Box::leak(Box::new(AtomicU32::new(value)));
    (word, word.as_ptr() as u64)
}

async fn call(thread: &Rc<Thread>, arguments: [u64; 6]) -> Outcome {
    futex(thread, Call { number: number::FUTEX, arguments }).await
}

fn op(command: u32) -> u64 {
    (command | PRIVATE).into()
}

fn start(thread: &Rc<Thread>, arguments: [u64; 6]) -> Task<Outcome> {
    let thread = thread.clone();
    spawn("thread", async move { call(&thread, arguments).await })
}

async fn turns() {
    for _ in 0..4 {
        yield_now().await;
    }
}

#[test]
fn a_wait_ends_when_it_is_woken_its_time_is_up_or_the_word_is_another() {
    kernlet_exec::block_on(async {
        let process = process();
        let (one, other) = (Thread::new(&process), Thread::new(&process));
        let (_, at) = word(5);
        assert_eq!(call(&one, [at, op(WAIT), 4, 0, 0, 0]).await, Err(Errno::EAGAIN));
        assert_eq!(call(&one, [at + 1, op(WAIT), 5, 0, 0, 0]).await, Err(Errno::EINVAL));
        let time = [0u64, 1_000_000];
        assert_eq!(call(&one, [at, op(WAIT), 5, time.as_ptr() as u64, 0, 0]).await, Err(Errno::ETIMEDOUT));
        assert_eq!(process.futexes.queues(), 0);
        let waits = start(&one, [at, op(WAIT), 5, 0, 0, 0]);
        turns().await;
        assert_eq!(call(&other, [at, op(WAKE_BITSET), 9, 0, 0, 0]).await, Err(Errno::EINVAL));
        assert_eq!(call(&other, [at, op(WAKE), 9, 0, 0, 0]).await, Ok(1));
        assert_eq!(waits.join().await, Some(Ok(0)));
        let waits = start(&one, [at, op(WAIT), 5, 0, 0, 0]);
        turns().await;
        waits.cancel();
        assert_eq!(process.futexes.queues(), 0);
    });
}

#[test]
fn waiters_move_when_the_word_is_as_it_should_be() {
    kernlet_exec::block_on(async {
        let process = process();
        let threads: Vec<_> = (0..4).map(|_| Thread::new(&process)).collect();
        let ((_, from), (_, to)) = (word(1), word(2));
        let waits: Vec<_> = threads[1..].iter().map(|t| start(t, [from, op(WAIT), 1, 0, 0, 0])).collect();
        turns().await;
        assert_eq!(call(&threads[0], [from, op(CMP_REQUEUE), 1, 9, to, 7]).await, Err(Errno::EAGAIN));
        assert_eq!(call(&threads[0], [from, op(CMP_REQUEUE), 1, 1, to, 1]).await, Ok(2));
        turns().await;
        assert_eq!(waits.iter().map(Task::is_finished).collect::<Vec<_>>(), [true, false, false]);
        assert_eq!(call(&threads[0], [to, op(WAKE), 9, 0, 0, 0]).await, Ok(1));
        turns().await;
        assert!(waits[1].is_finished());
        // One that was moved and gives up leaves the queue that it was moved to.
        assert_eq!(call(&threads[0], [from, op(REQUEUE), 0, 1, to, 0]).await, Ok(1));
        waits[2].cancel();
        assert_eq!(process.futexes.queues(), 0);
    });
}

#[test]
fn the_second_word_is_changed_and_compared() {
    kernlet_exec::block_on(async {
        let process = process();
        let threads: Vec<_> = (0..3).map(|_| Thread::new(&process)).collect();
        let ((_, first), (second, at)) = (word(1), word(40));
        let one = start(&threads[1], [first, op(WAIT), 1, 0, 0, 0]);
        let two = start(&threads[2], [at, op(WAIT), 40, 0, 0, 0]);
        turns().await;
        // FUTEX_OP(ADD, -2, GT, 40): 40 is not greater than 40.
        let code = 1 << 28 | 4 << 24 | 0xffe << 12 | 40;
        assert_eq!(call(&threads[0], [first, op(WAKE_OP), 1, 1, at, code]).await, Ok(1));
        assert_eq!(second.load(SeqCst), 38);
        // FUTEX_OP(SET | SHIFT, 4, EQ, 38).
        let code = 8 << 28 | 4 << 12 | 38;
        assert_eq!(call(&threads[0], [first, op(WAKE_OP), 1, 1, at, code]).await, Ok(1));
        assert_eq!(second.load(SeqCst), 16);
        assert_eq!((one.join().await, two.join().await), (Some(Ok(0)), Some(Ok(0))));
        assert_eq!(call(&threads[0], [first, op(WAKE_OP), 1, 1, at, 6 << 28]).await, Err(Errno::ENOSYS));
    });
}

#[test]
fn a_lock_with_an_owner_is_handed_to_who_waits_for_it() {
    kernlet_exec::block_on(async {
        let process = process();
        let (one, other) = (Thread::new(&process), Thread::new(&process));
        let (lock, at) = word(0);
        assert_eq!(call(&one, [at, op(LOCK_PI), 0, 0, 0, 0]).await, Ok(0));
        assert_eq!(lock.load(SeqCst), one.id);
        assert_eq!(call(&one, [at, op(LOCK_PI), 0, 0, 0, 0]).await, Err(Errno::EDEADLK));
        assert_eq!(call(&other, [at, op(TRYLOCK_PI), 0, 0, 0, 0]).await, Err(Errno::EAGAIN));
        assert_eq!(call(&other, [at, op(UNLOCK_PI), 0, 0, 0, 0]).await, Err(Errno::EPERM));
        let past = [1u64, 0];
        assert_eq!(
            call(&other, [at, op(LOCK_PI), 0, past.as_ptr() as u64, 0, 0]).await,
            Err(Errno::ETIMEDOUT)
        );
        let waits = start(&other, [at, op(LOCK_PI2), 0, 0, 0, 0]);
        turns().await;
        assert_eq!(lock.load(SeqCst), one.id | 1 << 31);
        assert_eq!(call(&one, [at, op(WAKE), 1, 0, 0, 0]).await, Err(Errno::EINVAL));
        assert_eq!(call(&one, [at, op(UNLOCK_PI), 0, 0, 0, 0]).await, Ok(0));
        assert_eq!(waits.join().await, Some(Ok(0)));
        assert_eq!(lock.load(SeqCst) & inherit::OWNER, other.id);
        assert_eq!(call(&other, [at, op(UNLOCK_PI), 0, 0, 0, 0]).await, Ok(0));
        assert_eq!(lock.load(SeqCst), 0);
        lock.store(4_000_000, SeqCst);
        assert_eq!(call(&one, [at, op(LOCK_PI), 0, 0, 0, 0]).await, Err(Errno::ESRCH));
    });
}

#[test]
fn waiters_of_a_condition_move_to_its_lock_and_get_it_in_turn() {
    kernlet_exec::block_on(async {
        let process = process();
        let threads: Vec<_> = (0..3).map(|_| Thread::new(&process)).collect();
        let ((_, condition), (lock, at)) = (word(7), word(0));
        let waits: Vec<_> = threads[1..]
            .iter()
            .map(|t| start(t, [condition, op(WAIT_REQUEUE_PI), 7, 0, at, u32::MAX.into()]))
            .collect();
        turns().await;
        let request = [condition, op(CMP_REQUEUE_PI), 1, 9, at, 7];
        assert_eq!(call(&threads[0], [condition, op(CMP_REQUEUE_PI), 2, 9, at, 7]).await, Err(Errno::EINVAL));
        assert_eq!(call(&threads[0], request).await, Ok(2));
        turns().await;
        assert!(waits[0].is_finished() && !waits[1].is_finished());
        assert_eq!(lock.load(SeqCst), threads[1].id | 1 << 31);
        assert_eq!(call(&threads[1], [at, op(UNLOCK_PI), 0, 0, 0, 0]).await, Ok(0));
        turns().await;
        assert!(waits[1].is_finished());
        assert_eq!(process.futexes.queues(), 0);
    });
}

#[test]
fn the_locks_of_a_thread_that_ends_say_so() {
    kernlet_exec::block_on(async {
        let process = process();
        let (one, other) = (Thread::new(&process), Thread::new(&process));
        // An entry of the list lies 8 bytes before its word.
        let list: &'static [core::sync::atomic::AtomicU64; 8] = Box::leak(Box::default());
        let base = list.as_ptr() as u64;
        let (head, first, second) = (base, base + 24, base + 40);
        let set = |at: u64, value: u64| list[((at - base) / 8) as usize].store(value, SeqCst);
        set(head, first);
        set(head + 8, 8);
        set(head + 16, 0);
        set(first, second);
        set(second, head);
        set(first + 8, (one.id | 1 << 31).into());
        set(second + 8, other.id.into());
        one.robust_list.set(head as usize);
        let waits = start(&other, [first + 8, op(WAIT), (one.id | 1 << 31).into(), 0, 0, 0]);
        let (inherited, at) = word(one.id);
        let (clear, joined) = word(one.id);
        one.clear_child_tid.set(joined as usize);
        let third = Thread::new(&process);
        let heir = start(&third, [at, op(LOCK_PI), 0, 0, 0, 0]);
        let joins = start(&Thread::new(&process), [joined, u64::from(WAIT), one.id.into(), 0, 0, 0]);
        turns().await;
        end(&one);
        assert_eq!((waits.join().await, heir.join().await), (Some(Ok(0)), Some(Ok(0))));
        assert_eq!(joins.join().await, Some(Ok(0)));
        assert_eq!(clear.load(SeqCst), 0);
        assert_eq!(list[4].load(SeqCst) as u32, 1 << 31 | 1 << 30);
        assert_eq!(list[6].load(SeqCst) as u32, other.id);
        assert_eq!(inherited.load(SeqCst), third.id | 1 << 31 | 1 << 30);
    });
}

#[test]
fn a_robust_list_that_is_a_ring_ends() {
    let process = process();
    let thread = Thread::new(&process);
    let list: &'static [core::sync::atomic::AtomicU64; 5] = Box::leak(Box::default());
    let base = list.as_ptr() as u64;
    list[0].store(base + 24, SeqCst);
    list[3].store(base + 24, SeqCst);
    thread.robust_list.set(base as usize);
    end(&thread);
    assert_eq!(thread.robust_list.get(), 0);
}

#[test]
fn several_words_are_waited_for_at_once() {
    kernlet_exec::block_on(async {
        let process = process();
        let (one, other) = (Thread::new(&process), Thread::new(&process));
        let ((_, a), (_, b)) = (word(1), word(2));
        let flags = u64::from(SIZE_32 | PRIVATE);
        let vector: &'static [u64; 6] = Box::leak(Box::new([1, a, flags, 2, b, flags]));
        let at = vector.as_ptr() as u64;
        let wait = move |count: u64| Call { number: number::FUTEX_WAITV, arguments: [at, count, 0, 0, 0, 0] };
        assert_eq!(wait_vector(&one, wait(0)).await, Err(Errno::EINVAL));
        let waits = spawn("thread", {
            let one = one.clone();
            async move { wait_vector(&one, wait(2)).await }
        });
        turns().await;
        assert_eq!(call(&other, [b, op(WAKE), 1, 0, 0, 0]).await, Ok(1));
        assert_eq!(waits.join().await, Some(Ok(1)));
        assert_eq!(process.futexes.queues(), 0);
    });
}
