//! What a server of many datagrams keeps between its calls.

use crate::loopback::udp::Endpoint;
use alloc::vec::Vec;
use core::net::SocketAddr;
use kernlet_platform::socket;

/// Buffers for [`super::UdpSocket::serve_batch`], made once.
pub struct Batch {
    pub(super) host: socket::Batch,
    /// The reply that is being written, for the providers that copy it away at once.
    pub(super) reply: Vec<u8>,
    pub(super) slots: usize,
}

impl Batch {
    /// Room for `slots` datagrams at a time (64 is a good number) and for replies of at most `size` bytes each.
    /// Datagrams longer than `size` are cut off.
    pub fn new(slots: usize, size: usize) -> Self {
        let slots = slots.max(1);
        Self { host: socket::Batch::new(slots, size), reply: alloc::vec![0; size], slots }
    }

    /// Answers what came in inside the instance, at most one batch of it; tells whether there was any.
    pub(super) fn serve_inside(
        &mut self,
        endpoint: &Endpoint,
        mut answer: impl FnMut(&[u8], SocketAddr, &mut [u8]) -> usize,
    ) -> bool {
        for served in 0..self.slots {
            let Some((datagram, peer)) = endpoint.take() else { return served > 0 };
            let datagram = &datagram[..datagram.len().min(self.reply.len())];
            let length = answer(datagram, peer, &mut self.reply).min(self.reply.len());
            if length > 0 {
                // Inside the instance only a reply that is too long for UDP fails, and it is dropped.
                let _ = endpoint.send(&self.reply[..length], peer);
            }
        }
        true
    }
}
