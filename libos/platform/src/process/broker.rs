//! The socket to the broker: messages with, in a reply, at most one descriptor.

use super::call::{number, retried};
use super::descriptor::Descriptor;
use crate::{Errno, boot};

/// Sends one request, whole.
pub fn send(message: &[u8]) -> Result<(), Errno> {
    let socket = boot::blob().descriptors().broker;
    // SAFETY: the host only reads the lent bytes.
    unsafe {
        retried(number::WRITE, [socket as usize, message.as_ptr() as usize, message.len(), 0, 0, 0])?;
    }
    Ok(())
}

#[repr(C)]
struct Message {
    name: usize,
    name_length: u32,
    vector: *mut [usize; 2],
    vectors: usize,
    control: *mut u8,
    control_length: usize,
    flags: i32,
}

/// MSG_DONTWAIT and MSG_CMSG_CLOEXEC.
const FLAGS: usize = 0x40 | 0x4000_0000;

/// Receives one reply with its descriptor.
pub fn receive(buffer: &mut [u8]) -> Result<(usize, Option<Descriptor>), Errno> {
    let socket = boot::blob().descriptors().broker;
    let mut vector = [buffer.as_mut_ptr() as usize, buffer.len()];
    // Room for one cmsghdr (16 bytes) with one descriptor: more than one is not sent, and would be cut off.
    let mut control = [0u64; 3];
    let mut message = Message {
        name: 0,
        name_length: 0,
        vector: &raw mut vector,
        vectors: 1,
        control: control.as_mut_ptr().cast(),
        control_length: 24,
        flags: 0,
    };
    // SAFETY: every pointer in `message` leads to a live local or the lent buffer, with its true length.
    let length =
        unsafe { retried(number::RECVMSG, [socket as usize, &raw mut message as usize, FLAGS, 0, 0, 0])? };
    let granted = (message.control_length >= 20 && control[1] == (1 | 1 << 32))
        .then(|| Descriptor::own(control[2] as u32 as i32))
        .flatten();
    Ok((length, granted))
}

/// See [`crate::broker::watch`].
pub fn watch(token: u32) -> bool {
    super::event::watch(boot::blob().descriptors().broker, token).is_ok()
}
