//! Semaphores (semget(2), semop(2), semctl(2); ipc/sem.c).
//!
//! Operations that wait stand in the set's list in the order in which they came. Whoever changes a semaphore does those that can
//! be done then for those who wait, so that nobody comes in between.

use super::control as common;
use super::ids::{Body, Description, Object};
use super::waiter::{For, Waiter};
use super::{Ipc, NO_WAIT, Waits, now};
use crate::call::{Call, Outcome, WAITS};
use crate::thread::Thread;
use crate::{Errno, user};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;
use kernlet_platform::cell::RefCell;

/// The most sets (SEMMNI), semaphores of one (SEMMSL) and of all (SEMMNS).
pub const MOST: usize = 32_000;
const SET_MOST: u32 = 32_000;
const ALL_MOST: u32 = MOST as u32 * SET_MOST;
/// The most operations of a call (SEMOPM).
const OPERATIONS_MOST: u32 = 500;
/// The highest value (SEMVMX), which an adjustment does not exceed either (SEMAEM).
const VALUE_MOST: i32 = 32_767;
/// SEM_UNDO.
const UNDO: u16 = 0x1000;
/// Commands of semctl(2).
const GET_PROCESS: i32 = 11;
const GET_VALUE: i32 = 12;
const GET_ALL: i32 = 13;
const GET_RAISED: i32 = 14;
const GET_ZERO: i32 = 15;
const SET_VALUE: i32 = 16;
const SET_ALL: i32 = 17;
/// What IPC_INFO tells (`struct seminfo`).
pub const LIMITS: [u64; 5] = {
    let (most, operations, value) = (MOST as u64, OPERATIONS_MOST as u64, VALUE_MOST as u64);
    let (all, set) = (ALL_MOST as u64, SET_MOST as u64);
    [all | most << 32, all | all << 32, set | operations << 32, operations | 20 << 32, value | value << 32]
};

#[derive(Clone, Copy, Default)]
struct Semaphore {
    value: i32,
    /// The process that changed it last.
    process: u32,
}

/// Bytes of a `struct sembuf`.
const BYTES: usize = 6;

/// A `struct sembuf`.
#[derive(Clone, Copy)]
struct Operation {
    number: usize,
    change: i32,
    flags: u16,
}

impl Operation {
    fn has(self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}

/// Operations that are done together or not at all.
pub struct Operations {
    /// Each a `struct sembuf`.
    bytes: Vec<u8>,
    process: u32,
    /// One of them changes something.
    alters: bool,
    /// Which of them is waited for.
    blocking: Cell<usize>,
}

impl Operations {
    fn count(&self) -> usize {
        self.bytes.len() / BYTES
    }

    #[inline(never)]
    fn get(&self, at: usize) -> Operation {
        let half = |part: usize| {
            let place = at * BYTES + 2 * part;
            u16::from_le_bytes([self.bytes[place], self.bytes[place + 1]])
        };
        Operation { number: half(0).into(), change: (half(1) as i16).into(), flags: half(2) }
    }
}

/// A set.
pub struct Set {
    semaphores: RefCell<Vec<Semaphore>>,
    /// When it was operated on last, seconds.
    operated: Cell<u64>,
    /// What is added to each semaphore when a process ends.
    undo: RefCell<Vec<(u32, Vec<i16>)>>,
}

impl Set {
    fn new(count: usize) -> Self {
        let (operated, undo) = Default::default();
        Self { semaphores: RefCell::new(alloc::vec![Semaphore::default(); count]), operated, undo }
    }

    /// How many semaphores it has.
    pub fn count(&self) -> u64 {
        self.semaphores.borrow().len() as u64
    }

    /// See [`Object::describe`].
    pub fn describe(&self, words: &mut Description, changed: u64) {
        (words[6], words[8], words[10]) = (self.operated.get(), changed, self.count());
    }

    /// Does operations, if all can be done: whether so. Those that wait know on what.
    ///
    /// # Errors
    /// EAGAIN when one is not to wait; ERANGE.
    #[inline(never)]
    fn attempt(&self, together: &Operations) -> Result<bool, Errno> {
        let semaphores = &mut *self.semaphores.borrow_mut();
        let undo = &mut *self.undo.borrow_mut();
        let mut adjust = undo.iter_mut().find(|undo| undo.0 == together.process).map(|undo| &mut undo.1[..]);
        // The adjustment of an operation's semaphore, if it is one to be undone.
        let mut adjusted = |operation: Operation, by: i32| {
            let place = adjust.as_mut().and_then(|all| all.get_mut(operation.number));
            let Some(place) = place.filter(|_| operation.has(UNDO)) else { return true };
            let new = i32::from(*place) - by;
            let fits = (-VALUE_MOST - 1..=VALUE_MOST).contains(&new);
            if fits {
                *place = new as i16;
            }
            fits
        };
        let mut failed = None;
        for at in 0..together.count() {
            let operation = together.get(at);
            let Some(semaphore) = semaphores.get_mut(operation.number) else {
                return Err(Errno::EFBIG);
            };
            let change = operation.change;
            let new = semaphore.value + change;
            let waits = new < 0 || change == 0 && new != 0;
            if !waits && new <= VALUE_MOST && adjusted(operation, change) {
                semaphore.value = new;
                continue;
            }
            together.blocking.set(at);
            failed = Some(match operation.has(NO_WAIT as u16) {
                _ if !waits => Err(Errno::ERANGE),
                true => Err(Errno::EAGAIN),
                false => Ok(false),
            });
            for done in (0..at).rev().map(|at| together.get(at)) {
                semaphores[done.number].value -= done.change;
                adjusted(done, -done.change);
            }
            break;
        }
        if let Some(failed) = failed {
            return failed;
        }
        for at in 0..together.count() {
            semaphores[together.get(at).number].process = together.process;
        }
        self.operated.set(now());
        Ok(true)
    }

    /// Gives so many semaphores from `first` on their values, which nobody undoes any more.
    fn assign(&self, first: usize, count: usize, value: &dyn Fn(usize) -> i32, process: u32) {
        let mut semaphores = self.semaphores.borrow_mut();
        let mut undo = self.undo.borrow_mut();
        for at in first..first + count {
            semaphores[at] = Semaphore { value: value(at), process };
            undo.iter_mut().for_each(|(_, by)| by[at] = 0);
        }
    }
}

impl Object {
    /// The set that it is; its table has no others.
    ///
    /// # Errors
    /// EINVAL.
    pub fn semaphores(&self) -> Result<&Set, Errno> {
        if let Body::Set(set) = &self.body { Ok(set) } else { Err(Errno::EINVAL) }
    }

    /// Does for those who wait what can be done now: what waits for zero first, as long as anything changes.
    #[inline(never)]
    fn settle(&self, set: &Set) {
        'changed: loop {
            for alters in [false, true] {
                let mut at = 0;
                while let Some(waiter) = self.waiters.get(at) {
                    at += 1;
                    let For::Operations(together) = &waiter.waits else { continue };
                    if together.alters != alters {
                        continue;
                    }
                    let done = set.attempt(together);
                    if done == Ok(false) {
                        continue;
                    }
                    at -= 1;
                    self.waiters.finish(&waiter, done.map(|_| None));
                    if alters && done.is_ok() {
                        continue 'changed;
                    }
                }
            }
            return;
        }
    }

    /// Those who wait for a semaphore: for zero, or for more.
    fn waiting(&self, number: usize, zero: bool) -> u64 {
        let mut count = 0;
        for at in 0.. {
            let Some(waiter) = self.waiters.get(at) else { break };
            if let For::Operations(together) = &waiter.waits {
                let operation = together.get(together.blocking.get());
                count += u64::from(operation.number == number && (operation.change == 0) == zero);
            }
        }
        count
    }
}

impl Ipc {
    /// A process ends: what it did with SEM_UNDO is undone.
    pub fn undo(&self, process: u32) {
        for object in self.sets.all() {
            let Ok(set) = object.semaphores() else { continue };
            let mut undo = set.undo.borrow_mut();
            let Some(at) = undo.iter().position(|undo| undo.0 == process) else { continue };
            let (_, adjustments) = undo.swap_remove(at);
            drop(undo);
            let mut semaphores = set.semaphores.borrow_mut();
            for (semaphore, by) in semaphores.iter_mut().zip(adjustments).filter(|(_, by)| *by != 0) {
                semaphore.value = (semaphore.value + i32::from(by)).clamp(0, VALUE_MOST);
                semaphore.process = process;
            }
            drop(semaphores);
            object.room.shrink(set.count() * 2);
            set.operated.set(now());
            object.settle(set);
        }
    }

    fn all_semaphores(&self) -> u64 {
        self.sets.sum(&|object| object.semaphores().map_or(0, Set::count))
    }
}

/// semget(2).
pub fn get(thread: &Rc<Thread>, call: Call) -> Outcome {
    let (key, count, flags) = (call.word(0), call.word(1), call.word(2));
    if count > SET_MOST {
        return Err(Errno::EINVAL);
    }
    let ipc = &thread.process.ipc;
    ipc.sets.get(thread, [key, flags], count.into(), &|| {
        if count == 0 {
            return Err(Errno::EINVAL);
        }
        if ipc.all_semaphores() + u64::from(count) > ALL_MOST.into() {
            return Err(Errno::ENOSPC);
        }
        Ok((Body::Set(Set::new(count as usize)), u64::from(count) * size_of::<Semaphore>() as u64))
    })
}

/// semop(2), semtimedop(2).
///
/// # Errors
/// The call's; [`WAITS`], with who waits.
pub fn operate(thread: &Rc<Thread>, call: Call, waits: &mut Waits) -> Outcome {
    let (id, at, count) = (call.word(0), call.size(1), call.word(2));
    if count > OPERATIONS_MOST {
        return Err(Errno::E2BIG);
    }
    if count == 0 || (id as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    let bytes = user::bytes(at, count as usize * BYTES)?;
    let process = thread.process.id;
    let mut together = Operations { bytes, process, alters: false, blocking: Cell::new(0) };
    let [mut beyond, mut undoes] = [false; 2];
    let ids = &thread.process.ipc.sets;
    let object = ids.find(id)?;
    let set = object.semaphores()?;
    let semaphores = set.count() as usize;
    for at in 0..count as usize {
        let operation = together.get(at);
        beyond |= operation.number >= semaphores;
        undoes |= operation.has(UNDO);
        together.alters |= operation.change != 0;
    }
    if beyond {
        return Err(Errno::EFBIG);
    }
    object.may(thread, if together.alters { 0o2 } else { 0o4 })?;
    if undoes && !set.undo.borrow().iter().any(|undo| undo.0 == process) {
        object.room.grow(semaphores as u64 * 2)?;
        set.undo.borrow_mut().push((process, alloc::vec![0; semaphores]));
    }
    if !set.attempt(&together)? {
        *waits = Some(Waiter::new(&object, For::Operations(together), process, None));
        return Err(WAITS);
    }
    if together.alters {
        object.settle(set);
    }
    Ok(0)
}

/// semctl(2).
pub fn control(thread: &Rc<Thread>, call: Call) -> Outcome {
    let (id, command, at) = (call.word(0), call.int(2), call.size(3));
    if (id as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    let process = &thread.process;
    let ids = &process.ipc.sets;
    match command {
        SET_VALUE if !(0..=VALUE_MOST).contains(&call.int(3)) => Err(Errno::ERANGE),
        GET_PROCESS | GET_VALUE | GET_ALL | GET_RAISED | GET_ZERO | SET_VALUE | SET_ALL => {
            let object = ids.find(id)?;
            let set = object.semaphores()?;
            let changes = matches!(command, SET_VALUE | SET_ALL);
            let may = object.may(thread, if changes { 0o2 } else { 0o4 });
            let number = call.word(1);
            let beyond = !matches!(command, GET_ALL | SET_ALL) && u64::from(number) >= set.count();
            // Whether it may comes first, but for SETVAL.
            if command == SET_VALUE && beyond {
                return Err(Errno::EINVAL);
            }
            may?;
            if beyond {
                return Err(Errno::EINVAL);
            }
            match command {
                GET_ALL => {
                    for (place, semaphore) in set.semaphores.borrow().iter().enumerate() {
                        user::write(at.wrapping_add(2 * place), &(semaphore.value as u16).to_le_bytes())?;
                    }
                }
                SET_ALL => {
                    let count = set.count() as usize;
                    let bytes = user::bytes(at, 2 * count)?;
                    let value = |at: usize| i32::from(bytes[2 * at]) | i32::from(bytes[2 * at + 1]) << 8;
                    if (0..count).any(|at| value(at) > VALUE_MOST) {
                        return Err(Errno::ERANGE);
                    }
                    set.assign(0, count, &value, process.id);
                }
                SET_VALUE => set.assign(number as usize, 1, &|_| call.int(3), process.id),
                GET_RAISED | GET_ZERO => return Ok(object.waiting(number as usize, command == GET_ZERO)),
                _ => {
                    let semaphore = set.semaphores.borrow()[number as usize];
                    return Ok(if command == GET_VALUE {
                        semaphore.value as u64
                    } else {
                        semaphore.process.into()
                    });
                }
            }
            if changes {
                object.changed.set(now());
                object.settle(set);
            }
            Ok(0)
        }
        _ => common::control(thread, &common::SETS, id, command, at),
    }
}

/// What SEM_INFO tells besides: how many sets and semaphores there are.
pub fn totals(ipc: &Ipc, words: &mut [u64]) {
    words[3] = u64::from(OPERATIONS_MOST) | ipc.sets.count() << 32;
    words[4] = VALUE_MOST as u64 | ipc.all_semaphores() << 32;
}
