//! UDP connections that the broker relays (see [`kernlet_wire::broker`]): each message is a byte and a datagram.

use super::super::call::{number, retried};
use super::super::descriptor::Descriptor;
use super::super::event;
use crate::Errno;
use kernlet_wire::broker::DATAGRAM;

/// The instance's end of a relayed UDP connection. Not blocking.
#[derive(Debug)]
pub struct HostRelay(Descriptor);

impl HostRelay {
    pub(crate) fn new(descriptor: Descriptor) -> Self {
        Self(descriptor)
    }

    /// Receives one datagram; what does not fit is cut off.
    ///
    /// # Errors
    /// EAGAIN when none is there; EPIPE when the broker has gone; the host's others.
    pub fn receive(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let mut kind = 0u8;
        let mut vectors = [[&raw mut kind as usize, 1], [buffer.as_mut_ptr() as usize, buffer.len()]];
        // struct msghdr: no address, the vectors, no control message.
        let mut message = [0, 0, vectors.as_mut_ptr() as usize, vectors.len(), 0, 0, 0];
        // SAFETY: the host writes a byte into `kind` and at most `len` bytes into the lent buffer.
        let length =
            unsafe { retried(number::RECVMSG, [self.0.raw(), message.as_mut_ptr() as usize, 0, 0, 0, 0])? };
        length.checked_sub(1).ok_or(Errno::EPIPE)
    }

    /// Sends one datagram.
    ///
    /// # Errors
    /// EAGAIN when there is no room, EMSGSIZE when it is too long, EPIPE when the broker has gone.
    pub fn send(&self, bytes: &[u8]) -> Result<usize, Errno> {
        let kind = DATAGRAM;
        let vectors = [[&raw const kind as usize, 1], [bytes.as_ptr() as usize, bytes.len()]];
        // SAFETY: the host only reads a live local and the lent bytes.
        unsafe {
            retried(number::WRITEV, [self.0.raw(), vectors.as_ptr() as usize, vectors.len(), 0, 0, 0])?;
        }
        Ok(bytes.len())
    }

    /// Reports readiness under `token` (see [`crate::event`]).
    ///
    /// # Errors
    /// The host's.
    pub fn watch(&self, token: u32) -> Result<(), Errno> {
        event::watch(self.0.number(), token)
    }
}
