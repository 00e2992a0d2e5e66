//! What the system is called (uname(2), sethostname(2)).

use crate::call::{Call, Outcome, number};
use crate::process::Process;
use crate::thread::Thread;
use crate::{Errno, user};
use alloc::rc::Rc;
use alloc::vec::Vec;
use kernlet_platform::boot;

/// The release of Linux whose interface this is; what came later is ENOSYS.
pub const RELEASE: &str = "6.1.0-kernlet";
/// What uname(2) calls the version.
pub const VERSION: &str = "#1 SMP PREEMPT_DYNAMIC";
/// Bytes of each name, with the 0.
const LENGTH: usize = 65;

/// The host's name.
pub fn hostname(process: &Process) -> Vec<u8> {
    let set = process.facts.hostname.borrow();
    set.clone().unwrap_or_else(|| boot::blob().hostname().unwrap_or("kernlet").as_bytes().to_vec())
}

fn uname(process: &Process, at: usize) -> Outcome {
    let mut bytes = [0; 6 * LENGTH];
    let host = hostname(process);
    let domain = process.facts.domain.borrow();
    let names: [&[u8]; 6] = [
        b"Linux",
        &host,
        RELEASE.as_bytes(),
        VERSION.as_bytes(),
        b"x86_64",
        domain.as_deref().unwrap_or(b"(none)"),
    ];
    for (i, name) in names.into_iter().enumerate() {
        let length = name.len().min(LENGTH - 1);
        bytes[i * LENGTH..][..length].copy_from_slice(&name[..length]);
    }
    user::write(at, &bytes).map(|()| 0)
}

/// Handles uname, sethostname, setdomainname.
pub fn call(thread: &Rc<Thread>, call: Call) -> Outcome {
    let process = &thread.process;
    if call.number == number::UNAME {
        return uname(process, call.size(0));
    }
    // The name is the instance's own.
    if process.credentials.borrow().users[1] != 0 {
        return Err(Errno::EPERM);
    }
    let length = usize::try_from(call.int(1)).ok().filter(|&n| n < LENGTH).ok_or(Errno::EINVAL)?;
    let mut name = alloc::vec![0; length];
    kernlet_platform::program::read(call.size(0), &mut name)?;
    let place =
        if call.number == number::SETHOSTNAME { &process.facts.hostname } else { &process.facts.domain };
    *place.borrow_mut() = Some(name);
    Ok(0)
}
