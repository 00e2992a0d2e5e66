//! 9P transports: one virtio-9p device for each volume of a VM. There are none on the process door.

use crate::Errno;

/// Finds the device whose mount tag is `tag`; returns its number.
pub fn open(tag: &str) -> Option<usize> {
    at_door!(p9::open(tag))
}

/// Reports under `token` when a reply has come on device `device`.
pub fn watch(device: usize, token: u32) {
    at_door!(p9::watch(device, token))
}

/// Puts a request (a whole 9P message) on the device's queue, with room for a reply of `reply` bytes. Returns a
/// slot by which [`take`] asks for the reply.
///
/// # Errors
/// EAGAIN when the queue is full, EMSGSIZE when the message or the reply is larger than the device takes, EIO when the
/// device has broken the rules.
pub fn submit(device: usize, request: &[u8], reply: usize) -> Result<u16, Errno> {
    at_door!(p9::submit(device, request, reply))
}

/// Hands the reply in `slot` to `consume` and frees the slot; `false` when it has not come yet. Of a device that has
/// broken the rules the reply is empty.
pub fn take(device: usize, slot: u16, consume: &mut dyn FnMut(&[u8])) -> bool {
    at_door!(p9::take(device, slot, consume))
}

/// On this thread, `server` answers the requests to a device of this mount tag from now on, for tests.
#[cfg(not(kernlet_image))]
pub fn serve(tag: &str, server: crate::process::p9::Server) {
    crate::process::p9::serve(tag, server);
}
