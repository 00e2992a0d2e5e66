//! A UDP socket that sends and receives in batches.

use nix::errno::Errno;
use nix::sys::socket::{
    MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg, setsockopt, sockopt::RcvBuf, sockopt::SndBuf,
};
use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

/// Packets in one system call.
pub const BATCH: usize = 64;
/// No answer here comes near this.
const PACKET: usize = 1500;
/// Wanted room of a socket; the system may give less.
const BUFFER: usize = 4 << 20;

/// A connected socket with its buffers.
#[derive(Debug)]
pub struct BatchSocket {
    socket: UdpSocket,
    headers: MultiHeaders<SockaddrIn>,
    buffers: Box<[[u8; PACKET]; BATCH]>,
    lengths: [usize; BATCH],
}

impl BatchSocket {
    /// A socket that talks to `server` only.
    pub fn connect(server: SocketAddr) -> std::io::Result<Self> {
        let from = if server.ip().is_loopback() { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
        let socket = UdpSocket::bind((from, 0))?;
        socket.connect(server)?;
        // Less room than wanted shows as loss, which is counted.
        let _ = setsockopt(&socket, RcvBuf, &BUFFER);
        let _ = setsockopt(&socket, SndBuf, &BUFFER);
        Ok(Self {
            socket,
            headers: MultiHeaders::preallocate(BATCH, None),
            buffers: Box::new([[0; PACKET]; BATCH]),
            lengths: [0; BATCH],
        })
    }

    /// Sends up to a batch of packets; how many went out.
    pub fn send(&mut self, packets: &[Vec<u8>]) -> Result<usize, Errno> {
        let slices: [[IoSlice<'_>; 1]; BATCH] =
            std::array::from_fn(|i| [IoSlice::new(packets.get(i).map_or(&[], Vec::as_slice))]);
        let count = packets.len().min(BATCH);
        let addresses = [None::<SockaddrIn>; BATCH];
        let fd = self.socket.as_raw_fd();
        let sent = sendmmsg(
            fd,
            &mut self.headers,
            &slices[..count],
            &addresses[..count],
            [],
            MsgFlags::MSG_DONTWAIT,
        );
        match sent {
            Ok(sent) => Ok(sent.count()),
            Err(Errno::EAGAIN | Errno::ENOBUFS) => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Takes what has arrived, up to a batch, without waiting.
    pub fn receive(&mut self) -> Result<impl Iterator<Item = &[u8]>, Errno> {
        let fd = self.socket.as_raw_fd();
        let mut slices = self.buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
        let received = recvmmsg(fd, &mut self.headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None);
        let count = match received {
            Ok(packets) => {
                packets.zip(&mut self.lengths).map(|(packet, length)| *length = packet.bytes).count()
            }
            Err(Errno::EAGAIN) => 0,
            Err(error) => return Err(error),
        };
        Ok(self.buffers.iter().zip(&self.lengths).take(count).map(|(buffer, &length)| &buffer[..length]))
    }
}
