//! Copying between processes (process_vm_readv(2)), of which there is one.

use crate::Errno;
use crate::call::{Call, Outcome, number};
use crate::thread::Thread;
use crate::user::Buffers;
use alloc::rc::Rc;

/// Bytes that are copied at a time.
const CHUNK: usize = 4096;

/// Handles process_vm_readv and process_vm_writev.
pub fn call(thread: &Rc<Thread>, call: Call) -> Outcome {
    if call.arguments[5] != 0 {
        return Err(Errno::EINVAL);
    }
    let local = Buffers::vector(call.size(1), call.size(2))?;
    let remote = Buffers::vector(call.size(3), call.size(4))?;
    if thread.process.thread(call.word(0)).is_none() {
        return Err(Errno::ESRCH);
    }
    let (mut from, mut to) =
        if call.number == number::PROCESS_VM_READV { (remote, local) } else { (local, remote) };
    let mut chunk = [0; CHUNK];
    let mut done = 0;
    loop {
        let most = from.remaining().min(to.remaining()).min(CHUNK);
        if most == 0 {
            return Ok(done);
        }
        let moved = from.take(&mut chunk[..most]).and_then(|length| to.fill(&chunk[..length]));
        match moved {
            Ok(length) => {
                done += length as u64;
                if length < most {
                    return Ok(done);
                }
            }
            Err(_) if done > 0 => return Ok(done),
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Space;
    use crate::process::Process;
    use crate::system::Credentials;

    #[test]
    fn pieces_are_copied_as_far_as_both_sides_reach() {
        let process = Process::new(Space::new(0x1000_0000), Credentials::of(0, 0), false);
        let thread = Thread::new(&process);
        let from = std::vec![b'x'; 10_000];
        let to = std::vec![0u8; 9000];
        let remote = [from.as_ptr() as u64, 6000, from.as_ptr() as u64, 4000];
        let local = [to.as_ptr() as u64, 9000];
        let mut arguments = [thread.id.into(), local.as_ptr() as u64, 1, remote.as_ptr() as u64, 2, 0];
        let read = |arguments| super::call(&thread, Call { number: number::PROCESS_VM_READV, arguments });
        assert_eq!(read(arguments), Ok(9000));
        assert!(core::hint::black_box(&to).iter().all(|&b| b == b'x'));
        arguments[0] = 99;
        assert_eq!(read(arguments), Err(Errno::ESRCH));
        arguments[5] = 1;
        assert_eq!(read(arguments), Err(Errno::EINVAL));
    }
}
