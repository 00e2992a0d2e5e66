//! The control socket to the monitor.

use super::call::{number, retried};
use crate::boot;
use kernlet_wire::control::{MAX_MESSAGE, Message};

/// MSG_DONTWAIT.
const DONT_WAIT: usize = 0x40;

/// See [`crate::control::send`].
pub fn send(message: Message) {
    let socket = boot::blob().descriptors().control;
    if socket >= 0 {
        let mut buffer = [0; MAX_MESSAGE];
        let bytes = message.encode(&mut buffer);
        // SAFETY: the host only reads the lent bytes. A monitor that is gone takes this process with it.
        let _ = unsafe {
            retried(number::WRITE, [socket as usize, bytes.as_ptr() as usize, bytes.len(), 0, 0, 0])
        };
    }
}

/// See [`crate::control::receive`].
pub fn receive() -> Option<Message> {
    let socket = boot::blob().descriptors().control;
    if socket < 0 {
        return None;
    }
    let mut buffer = [0u8; MAX_MESSAGE];
    let mut vector = [buffer.as_mut_ptr() as usize, buffer.len()];
    // struct msghdr: only the vector is set.
    let mut header = [0usize, 0, &raw mut vector as usize, 1, 0, 0, 0];
    // SAFETY: the header leads only to the vector, and that to the buffer, with their true lengths.
    let length = unsafe {
        retried(number::RECVMSG, [socket as usize, &raw mut header as usize, DONT_WAIT, 0, 0, 0]).ok()?
    };
    let (message, _) = Message::decode(buffer.get(..length)?).ok()??;
    Some(message)
}

/// See [`crate::control::watch`].
pub fn watch(token: u32) -> bool {
    super::event::watch(boot::blob().descriptors().control, token).is_ok()
}
