//! Datagram sockets, many datagrams for one host call (recvmmsg(2), sendmmsg(2)).

use super::super::call::{number, retried};
use super::super::descriptor::Descriptor;
use super::super::event;
use super::address::SocketAddress;
use crate::Errno;
use alloc::vec::Vec;
use core::net::SocketAddr;
#[cfg(kernlet_image)]
use kernlet_wire::trunk::NOTE;

/// MSG_DONTWAIT.
const DONT_WAIT: usize = 0x40;
/// Room for one IP_PKTINFO or IPV6_PKTINFO message: the address at which a datagram came in goes back to the
/// host with the reply, so that a socket bound to all addresses answers from the one that was asked.
const CONTROL: usize = 40;

/// struct mmsghdr.
#[derive(Clone, Copy)]
#[repr(C)]
struct Header {
    name: usize,
    name_length: u32,
    vector: usize,
    vectors: usize,
    control: usize,
    control_length: usize,
    flags: usize,
    length: u32,
}

const NO_HEADER: Header = Header {
    name: 0,
    name_length: 0,
    vector: 0,
    vectors: 1,
    control: 0,
    control_length: 0,
    flags: 0,
    length: 0,
};

/// Buffers for a batch of datagrams and the replies to them. Nothing is allocated after it was made.
pub struct Batch {
    size: usize,
    count: usize,
    queued: usize,
    sent: usize,
    received: Vec<u8>,
    replies: Vec<u8>,
    addresses: Vec<SocketAddress>,
    controls: Vec<[u64; CONTROL / 8]>,
    vectors: Vec<[usize; 2]>,
    incoming: Vec<Header>,
    outgoing: Vec<Header>,
}

impl Batch {
    /// Room for `slots` datagrams and replies of at most `size` bytes each; longer datagrams are cut off.
    pub fn new(slots: usize, size: usize) -> Self {
        let slots = slots.max(1);
        Self {
            size,
            count: 0,
            queued: 0,
            sent: 0,
            received: alloc::vec![0; slots * size],
            replies: alloc::vec![0; slots * size],
            addresses: alloc::vec![SocketAddress::ZERO; slots],
            controls: alloc::vec![[0; CONTROL / 8]; slots],
            vectors: alloc::vec![[0; 2]; 2 * slots],
            incoming: alloc::vec![NO_HEADER; slots],
            outgoing: alloc::vec![NO_HEADER; slots],
        }
    }

    /// How many datagrams were received.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether none was received.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many it takes.
    pub fn slots(&self) -> usize {
        self.incoming.len()
    }

    /// The largest datagram, in bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Datagram `index` and who sent it.
    pub fn get(&self, index: usize) -> Option<(&[u8], SocketAddr)> {
        let length = self.incoming.get(..self.count)?.get(index)?.length as usize;
        let start = index * self.size;
        Some((&self.received[start..start + length.min(self.size)], self.addresses[index].get()?))
    }

    /// Asks `answer` for the reply to each datagram in turn: it reads the datagram, writes into the buffer and
    /// returns the reply's length, 0 for no reply. The replies are queued for
    /// [`crate::socket::HostDatagram::send_batch`].
    pub fn answer(&mut self, mut answer: impl FnMut(&[u8], SocketAddr, &mut [u8]) -> usize) {
        self.queued = 0;
        self.sent = 0;
        for index in 0..self.count {
            let Some(peer) = self.addresses[index].get() else { continue };
            let start = index * self.size;
            let length = (self.incoming[index].length as usize).min(self.size);
            let datagram = &self.received[start..start + length];
            let slot = self.queued * self.size;
            let length = answer(datagram, peer, &mut self.replies[slot..slot + self.size]).min(self.size);
            if length > 0 {
                // Address and control message go back as they came.
                self.outgoing[self.queued] =
                    Header { length: length as u32, flags: 0, ..self.incoming[index] };
                self.queued += 1;
            }
        }
        self.count = 0;
    }

    /// Fills the batch by a function that receives one datagram with a note, which goes back with its answer.
    #[cfg(kernlet_image)]
    pub(crate) fn fill(
        &mut self,
        mut receive: impl FnMut(&mut [u8]) -> Result<(usize, SocketAddr, [u8; NOTE]), Errno>,
    ) -> Result<usize, Errno> {
        self.count = 0;
        while self.count < self.incoming.len() {
            let (i, start) = (self.count, self.count * self.size);
            match receive(&mut self.received[start..start + self.size]) {
                Ok((length, peer, note)) => {
                    self.addresses[i] = SocketAddress::from(peer).0;
                    self.controls[i] = [0; CONTROL / 8];
                    for (word, part) in self.controls[i].iter_mut().zip(note.chunks(4)) {
                        *word = part.try_into().map_or(0, u32::from_le_bytes).into();
                    }
                    // The name is the datagram's number here.
                    self.incoming[i] = Header { name: i, length: length as u32, ..NO_HEADER };
                    self.count += 1;
                }
                Err(error) if self.count == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(self.count)
    }

    /// Sends the replies to a batch that [`Self::fill`] filled, by a function that sends one; what it refuses is
    /// dropped.
    #[cfg(kernlet_image)]
    pub(crate) fn empty(
        &mut self,
        mut send: impl FnMut(&[u8], SocketAddr, &[u8; NOTE]) -> Result<usize, Errno>,
    ) -> Result<(), Errno> {
        while self.sent < self.queued {
            let Header { name, length, .. } = self.outgoing[self.sent];
            let start = self.sent * self.size;
            let reply = &self.replies[start..start + (length as usize).min(self.size)];
            let mut note = [0; NOTE];
            for (part, word) in note.chunks_mut(4).zip(self.controls[name]) {
                part.copy_from_slice(&(word as u32).to_le_bytes());
            }
            if let Some(peer) = self.addresses[name].get()
                && send(reply, peer, &note) == Err(Errno::EAGAIN)
            {
                return Err(Errno::EAGAIN);
            }
            self.sent += 1;
        }
        Ok(())
    }

    /// Replies that are queued and not sent yet.
    pub fn unsent(&self) -> usize {
        self.queued - self.sent
    }
}

/// A bound or connected UDP socket. Not blocking.
#[derive(Debug)]
pub struct HostDatagram(Descriptor);

impl HostDatagram {
    pub(crate) fn new(descriptor: Descriptor) -> Self {
        Self(descriptor)
    }

    /// Receives what is there, up to the batch's slots, over what the batch held.
    ///
    /// # Errors
    /// EAGAIN when nothing is there; the host's others.
    pub fn receive_batch(&self, batch: &mut Batch) -> Result<usize, Errno> {
        batch.count = 0;
        let (base, size) = (batch.received.as_mut_ptr() as usize, batch.size);
        for (i, header) in batch.incoming.iter_mut().enumerate() {
            batch.vectors[i] = [base + i * size, size];
            *header = Header {
                name: &raw mut batch.addresses[i] as usize,
                name_length: SocketAddress::SIZE as u32,
                vector: &raw mut batch.vectors[i] as usize,
                control: &raw mut batch.controls[i] as usize,
                control_length: CONTROL,
                ..NO_HEADER
            };
        }
        let arguments =
            [self.0.raw(), batch.incoming.as_mut_ptr() as usize, batch.incoming.len(), DONT_WAIT, 0, 0];
        // SAFETY: each header leads to the address, control buffer, vector and bytes of its own slot, all owned
        // by the batch and borrowed mutably for the whole call, with their true lengths.
        let count = unsafe { retried(number::RECVMMSG, arguments)? };
        batch.count = count.min(batch.incoming.len());
        Ok(batch.count)
    }

    /// Sends the replies that [`Batch::answer`] queued; what the host refuses for one of them is dropped, as UDP
    /// may drop it anywhere.
    ///
    /// # Errors
    /// EAGAIN when the socket's buffer is full: call again with the same batch when it is writable.
    pub fn send_batch(&self, batch: &mut Batch) -> Result<(), Errno> {
        let base = batch.replies.as_mut_ptr() as usize;
        let slots = batch.incoming.len();
        for i in batch.sent..batch.queued {
            let length = batch.outgoing[i].length as usize;
            let vector = &mut batch.vectors[slots + i];
            *vector = [base + i * batch.size, length];
            batch.outgoing[i].vector = vector.as_mut_ptr() as usize;
        }
        while batch.sent < batch.queued {
            let headers = &mut batch.outgoing[batch.sent..batch.queued];
            let arguments = [self.0.raw(), headers.as_mut_ptr() as usize, headers.len(), DONT_WAIT, 0, 0];
            // SAFETY: each header leads to a reply of its own slot, and to the address and control buffer of the
            // datagram that it answers, which the batch owns; the host reads them, and writes only the lengths.
            match unsafe { retried(number::SENDMMSG, arguments) } {
                Ok(sent) => batch.sent += sent.clamp(1, batch.queued - batch.sent),
                Err(Errno::EAGAIN) => return Err(Errno::EAGAIN),
                Err(_) => batch.sent += 1,
            }
        }
        Ok(())
    }

    /// Receives one datagram; what does not fit is cut off.
    ///
    /// # Errors
    /// EAGAIN when none is there; the host's others.
    pub fn receive_from(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr), Errno> {
        let mut peer = SocketAddress::ZERO;
        let mut vector = [buffer.as_mut_ptr() as usize, buffer.len()];
        let mut header = Header {
            name: &raw mut peer as usize,
            name_length: SocketAddress::SIZE as u32,
            vector: vector.as_mut_ptr() as usize,
            ..NO_HEADER
        };
        let arguments = [self.0.raw(), &raw mut header as usize, 1, DONT_WAIT, 0, 0];
        // SAFETY: the header leads to live locals and the lent buffer, with their true lengths.
        unsafe { retried(number::RECVMMSG, arguments)? };
        Ok(((header.length as usize).min(buffer.len()), peer.get().ok_or(Errno::EAFNOSUPPORT)?))
    }

    /// Sends one datagram.
    ///
    /// # Errors
    /// EAGAIN when the socket's buffer is full; the host's others.
    pub fn send_to(&self, bytes: &[u8], peer: SocketAddr) -> Result<usize, Errno> {
        let (name, name_length) = SocketAddress::from(peer);
        let vector = [bytes.as_ptr() as usize, bytes.len()];
        let mut header = Header {
            name: &raw const name as usize,
            name_length: name_length as u32,
            vector: vector.as_ptr() as usize,
            ..NO_HEADER
        };
        let arguments = [self.0.raw(), &raw mut header as usize, 1, DONT_WAIT, 0, 0];
        // SAFETY: the host only reads the name and the lent bytes, and writes the header's length.
        unsafe { retried(number::SENDMMSG, arguments)? };
        Ok(header.length as usize)
    }

    pub(super) fn descriptor(&self) -> &Descriptor {
        &self.0
    }

    /// The local address, on the host.
    ///
    /// # Errors
    /// The host's.
    pub fn local_address(&self) -> Result<SocketAddr, Errno> {
        super::local_address(&self.0)
    }

    /// Reports readiness under `token` (see [`crate::event`]).
    ///
    /// # Errors
    /// The host's.
    pub fn watch(&self, token: u32) -> Result<(), Errno> {
        event::watch(self.0.number(), token)
    }

    /// Takes over a std socket, for tests.
    #[cfg(not(kernlet_image))]
    pub fn from_std(socket: std::net::UdpSocket) -> Self {
        use std::os::fd::IntoRawFd;
        socket.set_nonblocking(true).expect("a socket can be made non-blocking");
        Self(Descriptor::own(socket.into_raw_fd()).expect("an open socket has a descriptor"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn a_batch_answers_each_datagram_to_its_sender() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let server = HostDatagram::from_std(server);
        let clients: Vec<UdpSocket> = (0..3).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        for (i, client) in clients.iter().enumerate() {
            client.send_to(&[i as u8; 4], address).unwrap();
        }
        let mut batch = Batch::new(8, 64);
        assert_eq!(server.receive_batch(&mut batch), Ok(3));
        batch.answer(|query, _, out| {
            out[0] = query[0] + 10;
            // The second gets no reply.
            usize::from(query[0] != 1)
        });
        assert_eq!(batch.unsent(), 2);
        server.send_batch(&mut batch).unwrap();
        let mut buffer = [0; 8];
        assert_eq!((clients[0].recv(&mut buffer).unwrap(), buffer[0]), (1, 10));
        assert_eq!((clients[2].recv(&mut buffer).unwrap(), buffer[0]), (1, 12));
        clients[1].set_nonblocking(true).unwrap();
        assert!(clients[1].recv(&mut buffer).is_err());
        assert_eq!(server.receive_batch(&mut batch), Err(Errno::EAGAIN));
    }
}
