//! Descriptors that refer to a process (pidfd_open(2)), and what of two processes is the same (kcmp(2)).

use crate::call::{Call, Outcome, number};
use crate::files::tree::{self, Location};
use crate::files::{Description, Kind};
use crate::process::Process;
use crate::signal::{self, Information};
use crate::thread::Thread;
use crate::user::Buffers;
use crate::wait::{self, Watchers};
use crate::{Errno, memory, user};
use alloc::rc::{Rc, Weak};
use core::cmp::Ordering;

/// PIDFD_NONBLOCK.
const NON_BLOCKING: u32 = 0o4000;
/// Bytes of a siginfo_t.
const INFORMATION: usize = signal::INFORMATION;
/// The highest type of kcmp(2) that compares what processes have, KCMP_SYSVSEM, and KCMP_FILE.
const SAME_MOST: i32 = 6;
const FILE: i32 = 0;
/// MADV_WILLNEED, MADV_COLD, MADV_PAGEOUT, MADV_COLLAPSE.
const ADVICES: [i32; 4] = [3, 20, 21, 25];

/// A process that a descriptor refers to.
pub struct PidFd {
    process: Weak<Process>,
    /// Told when the process ends, which nobody lives to see.
    watchers: Watchers,
}

impl PidFd {
    /// See [`Description::watchers`].
    pub fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    /// The process's number.
    pub fn number(&self) -> Option<u32> {
        self.process.upgrade().map(|process| process.id)
    }
}

fn open(thread: &Rc<Thread>, id: i32, flags: u32) -> Outcome {
    if flags & !NON_BLOCKING != 0 || id <= 0 {
        return Err(Errno::EINVAL);
    }
    let process = &thread.process;
    if id as u32 != process.id {
        // A thread that does not lead its process has none.
        return Err(if process.thread(id as u32).is_some() { Errno::EINVAL } else { Errno::ESRCH });
    }
    let pidfd = PidFd { process: Rc::downgrade(process), watchers: Watchers::new() };
    wait::registered(thread, Kind::PidFd(pidfd), flags | 2, true)
}

/// The process that a descriptor refers to.
///
/// # Errors
/// EBADF when it is another kind of descriptor; ESRCH.
fn process(thread: &Thread, descriptor: i32) -> Result<Rc<Process>, Errno> {
    match &thread.process.files.get(descriptor)?.kind {
        Kind::PidFd(pidfd) => pidfd.process.upgrade().ok_or(Errno::ESRCH),
        _ => Err(Errno::EBADF),
    }
}

/// Whether a descriptor is of the process's own directory of /proc.
fn of_directory(thread: &Thread, descriptor: i32) -> Result<bool, Errno> {
    let file = thread.process.files.get(descriptor)?;
    let found = file.place.as_ref().and_then(|place| place.found.as_ref()).filter(|_| !file.is_path());
    Ok(matches!(found, Some(Location::Node(node)) if matches!(&node.kind, tree::Kind::Generated(generated)
        if generated.of_process() == Some(thread.process.id))))
}

fn send_signal(thread: &Rc<Thread>, call: Call) -> Outcome {
    if call.word(3) != 0 {
        return Err(Errno::EINVAL);
    }
    let to = match process(thread, call.int(0)) {
        // Its directory of /proc stands for a process as well.
        Err(Errno::EBADF) if of_directory(thread, call.int(0))? => thread.process.clone(),
        other => other?,
    };
    let asked = signal::asked(call.int(1))?;
    let information = match call.size(2) {
        0 => signal::own(thread, asked.unwrap_or_default(), signal::code::USER),
        at => {
            let bytes = user::read::<INFORMATION>(at)?;
            if i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) != call.int(1) {
                return Err(Errno::EINVAL);
            }
            Information::given(asked.unwrap_or_default(), &bytes).ok_or(Errno::E2BIG)?
        }
    };
    if asked.is_some() {
        signal::send_to_process(&to, information)?;
    }
    Ok(0)
}

fn get_descriptor(thread: &Rc<Thread>, call: Call) -> Outcome {
    if call.word(2) != 0 {
        return Err(Errno::EINVAL);
    }
    let file = process(thread, call.int(0))?.files.get(call.int(1))?;
    let descriptor = thread.process.files.table.borrow_mut().insert(file, true, 0)?;
    Ok(descriptor as u64)
}

fn compare(thread: &Rc<Thread>, call: Call) -> Outcome {
    let known = |id: u32| thread.process.thread(id).is_some();
    if !known(call.word(0)) || !known(call.word(1)) {
        return Err(Errno::ESRCH);
    }
    let open = |at: usize| -> Result<Rc<Description>, Errno> {
        thread.process.files.get(i32::try_from(call.arguments[at]).map_err(|_| Errno::EBADF)?)
    };
    match call.int(2) {
        FILE => {
            let [one, other] = [open(3)?, open(4)?].map(|file| Rc::as_ptr(&file).addr());
            Ok(match one.cmp(&other) {
                Ordering::Equal => 0,
                Ordering::Less => 1,
                Ordering::Greater => 2,
            })
        }
        // Memory, descriptors, directories, signals: threads have them in common.
        1..=SAME_MOST => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

/// process_madvise(2): tells how many bytes were advised about.
fn advise(thread: &Rc<Thread>, call: Call) -> Outcome {
    if call.word(4) != 0 {
        return Err(Errno::EINVAL);
    }
    let mut pieces = Buffers::vector(call.size(1), call.size(2))?;
    process(thread, call.int(0))?;
    if !ADVICES.contains(&call.int(3)) {
        return Err(Errno::EINVAL);
    }
    let mut done = 0;
    while let Some((address, length)) = pieces.piece() {
        let [mut one, at] = [call, call];
        one.arguments = [address as u64, length as u64, at.arguments[3], 0, 0, 0];
        match memory::madvise(thread, one) {
            Ok(_) => done += length as u64,
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        }
        pieces.advance(length);
    }
    Ok(done)
}

/// Checks what waitid(2) is to wait for: there are no children, so that all that is right is ECHILD.
pub fn wait_for(thread: &Rc<Thread>, kind: i32, id: i32) -> Outcome {
    const ALL: i32 = 0;
    const ONE: i32 = 1;
    const GROUP: i32 = 2;
    const DESCRIPTOR: i32 = 3;
    match kind {
        ALL => {}
        ONE if id <= 0 => return Err(Errno::EINVAL),
        GROUP | DESCRIPTOR if id < 0 => return Err(Errno::EINVAL),
        ONE | GROUP => {}
        DESCRIPTOR => drop(process(thread, id)?),
        _ => return Err(Errno::EINVAL),
    }
    Err(Errno::ECHILD)
}

/// Handles the calls of this subject.
pub fn call(thread: &Rc<Thread>, call: Call) -> Outcome {
    match call.number {
        number::PIDFD_OPEN => open(thread, call.int(0), call.word(1)),
        number::PIDFD_SEND_SIGNAL => send_signal(thread, call),
        number::PIDFD_GETFD => get_descriptor(thread, call),
        number::PROCESS_MADVISE => advise(thread, call),
        // process_mrelease(2) is for who is being killed.
        number::PROCESS_MRELEASE => {
            process(thread, call.int(0))?;
            Err(Errno::EINVAL)
        }
        _ => compare(thread, call),
    }
}
