//! The commands that shmctl(2), semctl(2) and msgctl(2) have in common.

use super::ids::{Body, Description};
use super::{Ids, Ipc, msg, sem, shm};
use crate::call::Outcome;
use crate::system::credentials::SYS_RESOURCE;
use crate::thread::Thread;
use crate::{Errno, user};
use kernlet_platform::program;

const REMOVE: i32 = 0;
const SET: i32 = 1;
const STAT: i32 = 2;
const INFO: i32 = 3;

/// What a kind of objects has of its own.
pub struct Kind {
    /// Its objects.
    ids: fn(&Ipc) -> &Ids,
    /// The command that describes the object at a place (SHM_STAT); those that tell what there is (SHM_INFO), and describe without
    /// asking who may know (SHM_STAT_ANY) follow it.
    first: i32,
    /// Words of a description.
    words: usize,
    /// The limits as IPC_INFO tells them.
    limits: &'static [u64],
    /// What there is of all objects, put into that.
    totals: fn(&Ipc, &mut [u64]),
    /// The words of that.
    totals_words: usize,
}

/// Segments.
pub static SEGMENTS: Kind = Kind {
    ids: |ipc| &ipc.segments,
    first: 13,
    words: 14,
    limits: &shm::LIMITS,
    totals: shm::totals,
    totals_words: 6,
};
/// Sets of semaphores.
pub static SETS: Kind = Kind {
    ids: |ipc| &ipc.sets,
    first: 18,
    words: 13,
    limits: &sem::LIMITS,
    totals: sem::totals,
    totals_words: 5,
};
/// Queues.
pub static QUEUES: Kind = Kind {
    ids: |ipc| &ipc.queues,
    first: 11,
    words: 15,
    limits: &msg::LIMITS,
    totals: msg::totals,
    totals_words: 4,
};

/// Does a command about the object `id` of a kind, with what lies at `at`.
///
/// # Errors
/// EINVAL, EACCES, EPERM, EFAULT.
#[inline(never)]
pub fn control(thread: &Thread, kind: &Kind, id: u32, command: i32, at: usize) -> Outcome {
    let ipc = &thread.process.ipc;
    let ids = (kind.ids)(ipc);
    let special = command.wrapping_sub(kind.first);
    match (command, special) {
        _ if (id as i32) < 0 => Err(Errno::EINVAL),
        (INFO, _) | (_, 1) => {
            let mut words = [0; 9];
            let mut length = kind.limits.len();
            words[..length].copy_from_slice(kind.limits);
            if command != INFO {
                (kind.totals)(ipc, &mut words);
                length = kind.totals_words;
            }
            user::write_words(at, &words[..length]).map(|()| ids.highest())
        }
        (STAT, _) | (_, 0 | 2) => {
            let of_place = command != STAT;
            let object = if of_place { ids.at_place_of(id).ok_or(Errno::EINVAL)? } else { ids.find(id)? };
            if special != 2 {
                object.may(thread, 0o4)?;
            }
            user::write_words(at, &object.describe()[..kind.words])?;
            Ok(if of_place { object.id.into() } else { 0 })
        }
        (SET | REMOVE, _) => {
            let mut words = Description::default();
            if command == SET {
                program::read_words(at, &mut words[..kind.words])?;
            }
            let object = ids.find(id)?;
            let who = thread.process.credentials.borrow();
            if who.users[1] != 0 && !object.is_of(who.users[1]) {
                return Err(Errno::EPERM);
            }
            if command == REMOVE {
                // A segment stays as long as it is attached.
                match &object.body {
                    Body::Segment(segment) => segment.remove(ids, &object),
                    Body::Set(_) | Body::Queue(_) => ids.remove(&object),
                }
                object.told(Errno::EIDRM);
                return Ok(0);
            }
            let most = words[11];
            let queue = object.queue();
            if queue.is_ok() && most > msg::BYTES_MOST {
                who.need(SYS_RESOURCE)?;
            }
            object.set(&words)?;
            if let Ok(queue) = queue {
                queue.most.set(most);
                object.told(Errno::EAGAIN);
            }
            Ok(0)
        }
        _ => Err(Errno::EINVAL),
    }
}
