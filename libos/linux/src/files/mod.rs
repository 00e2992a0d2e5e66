//! Files and descriptors.

mod console;
mod description;
mod table;

pub use description::{Description, Kind};
pub use table::{Files, Table};

use crate::Errno;
use crate::call::{Call, Outcome, number, unknown};
use crate::thread::Thread;
use crate::user::Buffers;
use alloc::rc::Rc;

/// Handles the calls of this subject.
pub async fn call(thread: &Rc<Thread>, call: Call) -> Outcome {
    let files = &thread.process.files;
    match call.number {
        number::READ => {
            let mut to = Buffers::one(call.size(1), call.size(2));
            read(thread, call.int(0), &mut to).await
        }
        number::READV => {
            let mut to = Buffers::vector(call.size(1), call.size(2))?;
            read(thread, call.int(0), &mut to).await
        }
        number::WRITE => {
            let mut from = Buffers::one(call.size(1), call.size(2));
            write(thread, call.int(0), &mut from).await
        }
        number::WRITEV => {
            let mut from = Buffers::vector(call.size(1), call.size(2))?;
            write(thread, call.int(0), &mut from).await
        }
        number::CLOSE => files.table.borrow_mut().close(call.int(0)).map(|_| 0),
        number::IOCTL => Err(Errno::ENOTTY),
        _ => unknown(thread, call),
    }
}

async fn read(thread: &Rc<Thread>, descriptor: i32, to: &mut Buffers) -> Outcome {
    let file = thread.process.files.get(descriptor)?;
    file.read(thread, to).await.map(|n| n as u64)
}

async fn write(thread: &Rc<Thread>, descriptor: i32, from: &mut Buffers) -> Outcome {
    let file = thread.process.files.get(descriptor)?;
    file.write(thread, from).await.map(|n| n as u64)
}
