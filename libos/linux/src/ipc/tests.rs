//! The calls of this subject, made by a thread of a program that there is not. What attaches memory is tested by programs.

use super::*;
use crate::system::Credentials;
use crate::testing::{at, call, run, to};
use std::vec::Vec;

const CREATE: u64 = 0o1000;
const NO_WAIT: u64 = 0o4000;
const UNDO: u16 = 0x1000;
const GET_VALUE: u64 = 12;
const GET_RAISED: u64 = 14;
const GET_ZERO: u64 = 15;
const SET_VALUE: u64 = 16;

/// A set of `count` semaphores.
async fn set(thread: &Rc<Thread>, count: u64) -> u64 {
    call(thread, number::SEMGET, &[0, count, CREATE | 0o600]).await.unwrap()
}

async fn value(thread: &Rc<Thread>, set: u64, number: u64) -> Outcome {
    call(thread, number::SEMCTL, &[set, number, GET_VALUE]).await
}

/// Operations as semop(2) takes them.
async fn operate(thread: &Rc<Thread>, set: u64, operations: &[(u16, i16, u16)]) -> Outcome {
    let bytes: Vec<u16> =
        operations.iter().flat_map(|&(number, by, flags)| [number, by as u16, flags]).collect();
    call(thread, number::SEMOP, &[set, at(&bytes[..]), operations.len() as u64]).await
}

/// Starts a task that operates; it has begun when this comes back.
async fn operating(
    thread: &Rc<Thread>,
    set: u64,
    operations: &'static [(u16, i16, u16)],
) -> Rc<core::cell::Cell<Option<Outcome>>> {
    let result = Rc::new(core::cell::Cell::new(None));
    let (thread, told) = (thread.clone(), result.clone());
    kernlet_exec::spawn("operates", async move { told.set(Some(operate(&thread, set, operations).await)) });
    kernlet_exec::yield_now().await;
    result
}

#[test]
fn identifiers_are_not_used_again_soon() {
    run(|thread| async move {
        let mut seen = Vec::new();
        for _ in 0..200 {
            let id = set(&thread, 1).await;
            assert!(!seen.contains(&id), "{id} after {seen:?}");
            seen.push(id);
            assert_eq!(call(&thread, number::SEMCTL, &[id, 0, 0]).await, Ok(0));
            assert_eq!(value(&thread, id, 0).await, Err(Errno::EINVAL));
        }
        // Places go round; the sequence tells who is meant.
        assert_eq!((seen[0], seen[1], seen[64]), (0, 1, 1 << 15));
        let (kept, other) = (set(&thread, 1).await, set(&thread, 1).await);
        assert_eq!(other, kept + 1);
        assert_eq!(thread.process.ipc.sets.highest(), other & 0x7fff);
    });
}

#[test]
fn a_key_finds_what_fits_and_is_permitted() {
    run(|thread| async move {
        let get =
            async |key: u64, size: u64, flags: u64| call(&thread, number::SHMGET, &[key, size, flags]).await;
        assert_eq!(get(7, 10, 0).await, Err(Errno::ENOENT));
        assert_eq!(get(7, 0, CREATE).await, Err(Errno::EINVAL));
        let id = get(7, 10, CREATE | 0o640).await.unwrap();
        assert_eq!(get(7, 11, CREATE).await, Err(Errno::EINVAL));
        assert_eq!(get(7, 10, CREATE | 0o2000).await, Err(Errno::EEXIST));
        assert_eq!(get(7, 0, 0o777).await, Ok(id));
        assert_ne!(get(0, 10, 0).await, get(0, 10, 0).await);
        *thread.process.credentials.borrow_mut() =
            Credentials { others: [0].into(), ..Credentials::of(5, 5) };
        assert_eq!(get(7, 0, 0o400).await, Ok(id));
        assert_eq!(get(7, 0, 0o600).await, Err(Errno::EACCES));
        *thread.process.credentials.borrow_mut() = Credentials::of(5, 5);
        assert_eq!(get(7, 0, 0o400).await, Err(Errno::EACCES));
        assert_eq!(call(&thread, number::SHMCTL, &[id, 0, 0]).await, Err(Errno::EPERM));
    });
}

#[test]
fn what_objects_take_is_counted_and_given_back() {
    run(|thread| async move {
        let usage = thread.process.files.tree.usage.clone();
        let before = usage.pages();
        let id = call(&thread, number::SHMGET, &[0, 40_000, 0]).await.unwrap();
        assert!((10..=12).contains(&(usage.pages() - before)));
        let more = usage.most() * 4096;
        assert_eq!(call(&thread, number::SHMGET, &[0, more, 0]).await, Err(Errno::ENOMEM));
        assert_eq!(call(&thread, number::SHMGET, &[0, u64::MAX - (1 << 24), 0]).await, Err(Errno::ENOMEM));
        assert_eq!(call(&thread, number::SHMGET, &[0, u64::MAX, 0]).await, Err(Errno::EINVAL));
        assert_eq!(call(&thread, number::SHMCTL, &[id, 0, 0]).await, Ok(0));
        assert_eq!(usage.pages(), before);
        // Messages as well, however much a queue may hold.
        let queue = call(&thread, number::MSGGET, &[0, 0o600]).await.unwrap();
        let mut about = [0u64; 15];
        assert_eq!(call(&thread, number::MSGCTL, &[queue, 2, to(&mut about)]).await, Ok(0));
        about[11] = u64::MAX;
        assert_eq!(call(&thread, number::MSGCTL, &[queue, 1, at(&about)]).await, Ok(0));
        let message = [1u64; 1025];
        let failed = loop {
            if let Err(error) = call(&thread, number::MSGSND, &[queue, at(&message), 8192, NO_WAIT]).await {
                break error;
            }
        };
        assert_eq!(failed, Errno::ENOMEM);
        assert_eq!(call(&thread, number::MSGCTL, &[queue, 0, 0]).await, Ok(0));
        assert_eq!(usage.pages(), before);
    });
}

#[test]
fn operations_are_done_together_or_not_at_all() {
    run(|thread| async move {
        let set = set(&thread, 2).await;
        assert_eq!(operate(&thread, set, &[(0, 4, 0), (0, -3, 0), (1, 2, 0)]).await, Ok(0));
        let blocked = operate(&thread, set, &[(0, -1, 0), (1, 5, 0), (0, -1, NO_WAIT as u16)]).await;
        assert_eq!(blocked, Err(Errno::EAGAIN));
        assert_eq!((value(&thread, set, 0).await, value(&thread, set, 1).await), (Ok(1), Ok(2)));
        assert_eq!(operate(&thread, set, &[(1, 1, 0), (1, 32_767, 0)]).await, Err(Errno::ERANGE));
        assert_eq!(operate(&thread, set, &[(2, 1, 0)]).await, Err(Errno::EFBIG));
        assert_eq!(value(&thread, set, 1).await, Ok(2));
    });
}

#[test]
fn who_waits_is_served_in_turn_before_anybody_else() {
    run(|thread| async move {
        let set = set(&thread, 2).await;
        let two = operating(&thread, set, &[(0, -2, 0), (1, 1, 0)]).await;
        let one = operating(&thread, set, &[(0, -1, 0)]).await;
        let zero = operating(&thread, set, &[(1, 0, 0), (0, -1, 0)]).await;
        assert_eq!(call(&thread, number::SEMCTL, &[set, 0, GET_RAISED]).await, Ok(3));
        assert_eq!(operate(&thread, set, &[(0, 3, 0)]).await, Ok(0));
        // All is done though none of them has run yet; the last waits for another semaphore now.
        assert_eq!((value(&thread, set, 0).await, value(&thread, set, 1).await), (Ok(0), Ok(1)));
        assert_eq!(call(&thread, number::SEMCTL, &[set, 1, GET_ZERO]).await, Ok(1));
        assert_eq!(call(&thread, number::SEMCTL, &[set, 0, GET_RAISED]).await, Ok(0));
        kernlet_exec::yield_now().await;
        assert_eq!((two.get(), one.get(), zero.get()), (Some(Ok(0)), Some(Ok(0)), None));
        assert_eq!(call(&thread, number::SEMCTL, &[set, 0, 0]).await, Ok(0));
        kernlet_exec::yield_now().await;
        assert_eq!(zero.get(), Some(Err(Errno::EIDRM)));
    });
}

#[test]
fn what_a_process_did_is_undone_when_it_ends() {
    run(|thread| async move {
        let set = set(&thread, 2).await;
        assert_eq!(operate(&thread, set, &[(0, 5, UNDO), (1, 9, UNDO)]).await, Ok(0));
        assert_eq!(operate(&thread, set, &[(0, -2, UNDO), (0, -1, 0)]).await, Ok(0));
        // What is set is not undone.
        assert_eq!(call(&thread, number::SEMCTL, &[set, 1, SET_VALUE, 4]).await, Ok(0));
        let waits = operating(&thread, set, &[(0, 0, 0)]).await;
        thread.process.ipc.undo(thread.process.id);
        kernlet_exec::yield_now().await;
        assert_eq!(waits.get(), Some(Ok(0)));
        assert_eq!((value(&thread, set, 0).await, value(&thread, set, 1).await), (Ok(0), Ok(4)));
        thread.process.ipc.undo(thread.process.id);
        assert_eq!(value(&thread, set, 1).await, Ok(4));
    });
}

#[test]
fn an_adjustment_that_does_not_fit_changes_nothing() {
    run(|thread| async move {
        let set = set(&thread, 2).await;
        assert_eq!(operate(&thread, set, &[(0, i16::MAX, UNDO), (0, -i16::MAX, 0)]).await, Ok(0));
        assert_eq!(operate(&thread, set, &[(0, 1, UNDO), (0, 1, UNDO)]).await, Err(Errno::ERANGE));
        assert_eq!(operate(&thread, set, &[(0, 1, UNDO)]).await, Ok(0));
        assert_eq!(operate(&thread, set, &[(0, 1, UNDO)]).await, Err(Errno::ERANGE));
        assert_eq!(value(&thread, set, 0).await, Ok(1));
        // The lowest number there is.
        assert_eq!(operate(&thread, set, &[(1, i16::MIN, UNDO | NO_WAIT as u16)]).await, Err(Errno::EAGAIN));
    });
}

#[test]
fn a_message_goes_to_the_first_who_wants_it() {
    run(|thread| async move {
        let queue = call(&thread, number::MSGGET, &[0, 0o600]).await.unwrap();
        let receiving = async |kind: i64, most: u64| {
            let result = Rc::new(core::cell::Cell::new(None));
            let (thread, told) = (thread.clone(), result.clone());
            kernlet_exec::spawn("receives", async move {
                let mut message = [0u64; 4];
                let arguments = [queue, to(&mut message), most, kind as u64, 0];
                let outcome = call(&thread, number::MSGRCV, &arguments).await;
                told.set(Some((outcome, core::hint::black_box(message)[0])));
            });
            kernlet_exec::yield_now().await;
            result
        };
        let send = async |kind: u64| call(&thread, number::MSGSND, &[queue, at(&[kind, 7, 7]), 12, 0]).await;
        let (short, low, any) = (receiving(5, 4).await, receiving(-5, 16).await, receiving(0, 16).await);
        assert_eq!(send(5).await, Ok(0));
        assert_eq!(send(9).await, Ok(0));
        let mut about = [0u64; 15];
        assert_eq!(call(&thread, number::MSGCTL, &[queue, 2, to(&mut about)]).await, Ok(0));
        assert_eq!(core::hint::black_box(about)[10], 0, "nothing is left in the queue");
        kernlet_exec::yield_now().await;
        assert_eq!(short.get(), Some((Err(Errno::E2BIG), 0)));
        assert_eq!((low.get(), any.get()), (Some((Ok(12), 5)), Some((Ok(12), 9))));
    });
}
