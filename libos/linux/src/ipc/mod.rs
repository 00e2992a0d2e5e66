//! System V IPC (sysvipc(7)): shared memory, semaphores, message queues.
//!
//! The objects are the instance's, not a process's: each process has the same [`Ipc`].

mod control;
mod ids;
mod msg;
mod room;
mod sem;
mod shm;
mod waiter;

pub use ids::{Description, Ids, Object};
pub use msg::Queue;
pub use sem::Set;
pub use shm::{Attachment, Segment};

use crate::Errno;
use crate::call::{Call, Outcome, WAITS, boxed, number};
use crate::files::tree::Usage;
use crate::thread::Thread;
use crate::wait::{Deadline, never_again, unless_handled};
use alloc::rc::Rc;
use room::Room;
use waiter::{Waiter, Waiters};

/// IPC_NOWAIT.
const NO_WAIT: u32 = 0o4000;

/// All objects of an instance.
pub struct Ipc {
    /// Segments of shared memory.
    pub segments: Ids,
    /// Sets of semaphores.
    pub sets: Ids,
    /// Message queues.
    pub queues: Ids,
}

impl Ipc {
    /// None yet. What they take is counted with the files in memory.
    pub fn new(usage: &Rc<Usage>) -> Rc<Self> {
        let room = Rc::new(Room::new(usage.clone()));
        let ids = |most| Ids::new(most, room.clone());
        Rc::new(Self { segments: ids(shm::MOST), sets: ids(sem::MOST), queues: ids(msg::MOST) })
    }
}

/// Who waits, when a call comes to that: then its outcome is [`WAITS`].
type Waits = Option<Rc<Waiter>>;

/// Goes on after a wait, which the time or a signal may have ended.
fn go_on(
    thread: &Rc<Thread>,
    call: Call,
    waiter: &Rc<Waiter>,
    came: Result<bool, Errno>,
    waits: &mut Waits,
) -> Outcome {
    let object = &waiter.object;
    let came = came.map_err(if is_operation(call) { never_again } else { unless_handled });
    if let Some(message) = waiter.message.take() {
        came?;
        return if object.gone.get() {
            Err(Errno::EIDRM)
        } else {
            msg::put(thread, object, call, message, waits)
        };
    }
    match waiter.got.take() {
        Some(Ok(Some(message))) => msg::give(&message, call),
        Some(Ok(None)) => Ok(0),
        // The queue has changed: whether it may be read is asked again.
        Some(Err(Errno::EAGAIN)) if !is_operation(call) => msg::receive(thread, call, waits),
        Some(Err(error)) => Err(error),
        None => {
            object.waiters.remove(waiter);
            Err(came.err().unwrap_or(Errno::EAGAIN))
        }
    }
}

fn is_operation(call: Call) -> bool {
    matches!(call.number, number::SEMOP | number::SEMTIMEDOP)
}

fn first_step(thread: &Rc<Thread>, call: Call, waits: &mut Waits) -> Outcome {
    match call.number {
        number::MSGSND => msg::send(thread, call, waits),
        number::MSGRCV => msg::receive(thread, call, waits),
        _ => sem::operate(thread, call, waits),
    }
}

/// Until when a call waits.
fn deadline(call: Call) -> Result<Deadline, Errno> {
    if call.number == number::SEMTIMEDOP { Deadline::timespec(call.size(3)) } else { Ok(Deadline::Never) }
}

/// Handles the calls of this subject as far as they need not wait.
#[inline(never)]
pub fn at_once(thread: &Rc<Thread>, call: Call) -> Outcome {
    match call.number {
        number::SHMGET => shm::get(thread, call),
        number::SHMAT => shm::attach(thread, call),
        number::SHMDT => shm::detach(thread, call.size(0)),
        number::SHMCTL => shm::control(thread, call),
        number::SEMGET => sem::get(thread, call),
        number::SEMCTL => sem::control(thread, call),
        number::MSGGET => msg::get(thread, call),
        number::MSGCTL => msg::control(thread, call),
        number::SEMOP | number::SEMTIMEDOP | number::MSGSND | number::MSGRCV => {
            deadline(call)?;
            first_step(thread, call, &mut None)
        }
        _ => Err(WAITS),
    }
}

/// Handles those that wait.
pub async fn call(thread: &Rc<Thread>, call: Call) -> Outcome {
    boxed(wait(thread, call)).await
}

async fn wait(thread: &Rc<Thread>, call: Call) -> Outcome {
    let deadline = deadline(call)?;
    let mut waits = None;
    let mut outcome = first_step(thread, call, &mut waits);
    while let Some(waiter) = waits.take() {
        let watchers = match waiter.object.queue() {
            Ok(queue) if waiter.sends() => &queue.senders,
            _ => {
                waiter.object.waiters.add(&waiter);
                &waiter.watchers
            }
        };
        let came = deadline.ready(thread, watchers, &mut || waiter.is_over()).await;
        outcome = go_on(thread, call, &waiter, came, &mut waits);
    }
    outcome
}

/// Seconds since 1970, as the objects' times are told.
fn now() -> u64 {
    kernlet_platform::clock::wall() / 1_000_000_000
}

#[cfg(test)]
mod tests;
