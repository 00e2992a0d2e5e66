//! What describes the system and the process: identity, limits, usage (credentials(7), getrlimit(2), uname(2)).

use crate::call::{Call, Outcome, number, unknown};
use crate::thread::Thread;
use crate::{Errno, user};
use alloc::rc::Rc;
use alloc::vec::Vec;

/// Who a process is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// Real, effective and saved user.
    pub users: [u32; 3],
    /// Real, effective and saved group.
    pub groups: [u32; 3],
    /// Other groups.
    pub others: Vec<u32>,
}

impl Credentials {
    /// All the same user and group.
    pub fn of(user: u32, group: u32) -> Self {
        Self { users: [user; 3], groups: [group; 3], others: Vec::new() }
    }
}

/// Handles the calls of this subject.
pub async fn call(thread: &Rc<Thread>, call: Call) -> Outcome {
    let who = &thread.process.credentials;
    match call.number {
        number::GETUID => Ok(who.borrow().users[0].into()),
        number::GETEUID => Ok(who.borrow().users[1].into()),
        number::GETGID => Ok(who.borrow().groups[0].into()),
        number::GETEGID => Ok(who.borrow().groups[1].into()),
        number::GETRANDOM => {
            let (at, length) = (call.size(0), call.size(1).min(256));
            if call.word(2) & !7 != 0 {
                return Err(Errno::EINVAL);
            }
            let mut bytes = [0; 256];
            kernlet_entropy::fill(&mut bytes[..length]);
            user::write(at, &bytes[..length])?;
            Ok(length as u64)
        }
        _ => unknown(thread, call),
    }
}
