//! Calls about users, groups and capabilities.

use super::credentials::ALL;
use super::{Credentials, credentials};
use crate::call::{Call, Outcome, number, unknown};
use crate::thread::Thread;
use crate::{Errno, user};
use alloc::collections::BinaryHeap;
use alloc::rc::Rc;
use alloc::vec::Vec;

/// NGROUPS_MAX.
const GROUPS_MOST: usize = 65_536;
/// Versions of capget(2): with 32 bits, and two with 64.
const VERSIONS: [(u32, usize); 3] = [(0x1998_0330, 1), (0x2007_1026, 2), (0x2008_0522, 2)];

fn write_three(call: Call, ids: [u32; 3]) -> Outcome {
    for (i, id) in ids.into_iter().enumerate() {
        user::write(call.size(i), &id.to_le_bytes())?;
    }
    Ok(0)
}

fn get_groups(who: &Credentials, call: Call) -> Outcome {
    let room = usize::try_from(call.int(0)).map_err(|_| Errno::EINVAL)?;
    let bytes: Vec<u8> = who.others.iter().flat_map(|id| id.to_le_bytes()).collect();
    if room != 0 {
        if room < who.others.len() {
            return Err(Errno::EINVAL);
        }
        user::write(call.size(1), &bytes)?;
    }
    Ok(who.others.len() as u64)
}

fn set_other_groups(who: &mut Credentials, call: Call) -> Outcome {
    who.need(credentials::SETGID)?;
    let count = usize::try_from(call.int(0)).ok().filter(|&n| n <= GROUPS_MOST).ok_or(Errno::EINVAL)?;
    let mut bytes = alloc::vec![0; 4 * count];
    if count > 0 {
        kernlet_platform::program::read(call.size(1), &mut bytes)?;
    }
    let (words, _) = bytes.as_chunks::<4>();
    // A heap sorts with a tenth of the code that sorting a slice takes.
    let others: BinaryHeap<u32> = words.iter().map(|&b| u32::from_le_bytes(b)).collect();
    who.others = others.into_sorted_vec();
    Ok(0)
}

/// Reads the header of capget(2) and capset(2): how many words the sets take, and of whom.
fn header(at: usize) -> Result<Option<(usize, u32)>, Errno> {
    let version = user::read_u32(at)?;
    match VERSIONS.iter().find(|(known, _)| *known == version) {
        Some(&(_, words)) => Ok(Some((words, user::read_u32(at.wrapping_add(4))?))),
        None => {
            user::write(at, &VERSIONS[2].0.to_le_bytes())?;
            Ok(None)
        }
    }
}

fn capget(thread: &Rc<Thread>, call: Call) -> Outcome {
    let Some((words, of)) = header(call.size(0))? else {
        return if call.size(1) == 0 { Ok(0) } else { Err(Errno::EINVAL) };
    };
    if (of as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    if of != 0 && thread.process.thread(of).is_none() {
        return Err(Errno::ESRCH);
    }
    if call.size(1) == 0 {
        return Ok(0);
    }
    let sets = thread.process.credentials.borrow().capabilities;
    for word in 0..words {
        for (i, set) in [sets.effective, sets.permitted, sets.inheritable].into_iter().enumerate() {
            let part = (set >> (32 * word)) as u32;
            user::write(call.size(1).wrapping_add(12 * word + 4 * i), &part.to_le_bytes())?;
        }
    }
    Ok(0)
}

fn capset(thread: &Rc<Thread>, call: Call) -> Outcome {
    let (words, of) = header(call.size(0))?.ok_or(Errno::EINVAL)?;
    if of != 0 && of != thread.id {
        return Err(Errno::EPERM);
    }
    let mut sets = [0u64; 3];
    for word in 0..words {
        for (i, set) in sets.iter_mut().enumerate() {
            let part = user::read_u32(call.size(1).wrapping_add(12 * word + 4 * i))?;
            *set |= u64::from(part) << (32 * word);
        }
    }
    let [effective, permitted, inheritable] = sets.map(|set| set & ALL);
    thread.process.credentials.borrow_mut().set_capabilities(effective, permitted, inheritable).map(|()| 0)
}

/// Handles the calls of this subject.
pub fn call(thread: &Rc<Thread>, call: Call) -> Outcome {
    let outcome = handle(thread, call);
    thread.process.tell_identity();
    outcome
}

fn handle(thread: &Rc<Thread>, call: Call) -> Outcome {
    let mut who = match call.number {
        number::CAPGET => return capget(thread, call),
        number::CAPSET => return capset(thread, call),
        _ => thread.process.credentials.borrow_mut(),
    };
    let three = [call.word(0), call.word(1), call.word(2)];
    let done = |()| 0;
    match call.number {
        number::GETUID => Ok(who.users[0].into()),
        number::GETEUID => Ok(who.users[1].into()),
        number::GETGID => Ok(who.groups[0].into()),
        number::GETEGID => Ok(who.groups[1].into()),
        number::GETRESUID => write_three(call, who.users),
        number::GETRESGID => write_three(call, who.groups),
        number::SETUID => who.set_user(three[0]).map(done),
        number::SETGID => who.set_group(three[0]).map(done),
        number::SETREUID => who.set_two_users(three[0], three[1]).map(done),
        number::SETREGID => who.set_two_groups(three[0], three[1]).map(done),
        number::SETRESUID => who.set_users(three).map(done),
        number::SETRESGID => who.set_groups(three).map(done),
        number::SETFSUID => Ok(who.set_filesystem(0, three[0]).into()),
        number::SETFSGID => Ok(who.set_filesystem(1, three[0]).into()),
        number::GETGROUPS => get_groups(&who, call),
        number::SETGROUPS => set_other_groups(&mut who, call),
        _ => {
            drop(who);
            unknown(thread, call)
        }
    }
}
