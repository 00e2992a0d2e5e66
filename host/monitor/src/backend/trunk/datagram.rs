//! A datagram socket of the instance's: a published port, or a connection that the broker relays.

use super::line::Line;
use kernlet_wire::broker::DATAGRAM;
use kernlet_wire::trunk::{self, DATAGRAM_WINDOW, HEADER, NOTE, kind};
use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, SockaddrStorage, recvmsg, sendmsg,
};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::io::{IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// The largest by UDP, or by the broker with its byte.
const LARGEST: usize = 65_528;
/// How many are received in one call.
const TURN: usize = 32;

#[derive(Debug)]
pub(super) struct Datagram {
    socket: OwnedFd,
    /// The one that it exchanges datagrams with, if the broker relays them: then each is a message of one byte more.
    peer: Option<SocketAddr>,
    /// How much the instance has room for.
    credit: u32,
    /// A datagram for which there is none: the bytes of its frame.
    held: Option<Vec<u8>>,
    /// The broker has given the connection up.
    gone: bool,
}

impl Datagram {
    pub(super) const fn bound(socket: OwnedFd) -> Self {
        Self { socket, peer: None, credit: DATAGRAM_WINDOW, held: None, gone: false }
    }

    pub(super) const fn relayed(socket: OwnedFd, peer: SocketAddr) -> Self {
        Self { socket, peer: Some(peer), credit: DATAGRAM_WINDOW, held: None, gone: false }
    }

    pub(super) const fn may_receive(&self) -> bool {
        self.held.is_none() && !self.gone
    }

    pub(super) fn grant(&mut self, more: u32, id: u32, line: &mut Line) {
        self.credit = self.credit.saturating_add(more).min(DATAGRAM_WINDOW);
        if let Some(held) = self.held.take() {
            self.pass(id, held, line);
        }
    }

    /// Passes a datagram on, or keeps it until there is room.
    fn pass(&mut self, id: u32, frame: Vec<u8>, line: &mut Line) {
        let cost = (frame.len() + HEADER) as u32;
        match self.credit.checked_sub(cost) {
            Some(left) => {
                self.credit = left;
                line.put(kind::DATAGRAM, id, &[&frame]);
            }
            None => self.held = Some(frame),
        }
    }

    /// Receives what is there and the instance has room for.
    pub(super) fn receive(&mut self, id: u32, line: &mut Line) {
        let mut buffer = [0; LARGEST];
        for _ in 0..TURN {
            if self.held.is_some() || !line.has_room() {
                return;
            }
            match self.receive_one(&mut buffer) {
                Ok(Some(frame)) => self.pass(id, frame, line),
                Ok(None) => {}
                Err(nix::Error::EAGAIN) => return,
                Err(nix::Error::EINTR) => {}
                Err(error) => {
                    self.gone = self.peer.is_some();
                    return line.put(kind::ERROR, id, &[&(error as u32).to_le_bytes()]);
                }
            }
        }
    }

    fn receive_one(&self, buffer: &mut [u8; LARGEST]) -> nix::Result<Option<Vec<u8>>> {
        if let Some(peer) = self.peer {
            let received = recv(&self.socket, &mut buffer[..], RecvFlags::DONTWAIT);
            let (length, _) = received.map_err(|error| nix::Error::from_raw(error.raw_os_error()))?;
            let payload = buffer.get(1..length.min(LARGEST)).ok_or(nix::Error::EPIPE)?;
            return Ok(Some([&trunk::put_address(peer)[..], &[0; NOTE], payload].concat()));
        }
        let mut control = nix::cmsg_space!(libc::in6_pktinfo);
        let mut vector = [IoSliceMut::new(buffer)];
        let descriptor = self.socket.as_raw_fd();
        let message =
            recvmsg::<SockaddrStorage>(descriptor, &mut vector, Some(&mut control), MsgFlags::MSG_DONTWAIT)?;
        let mut note = [0; NOTE];
        for part in message.cmsgs().into_iter().flatten() {
            match part {
                ControlMessageOwned::Ipv4PacketInfo(info) => {
                    // As the kernel has it: in network order.
                    let asked = Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes());
                    note = write_note(asked.to_ipv6_mapped(), info.ipi_ifindex as u32);
                }
                ControlMessageOwned::Ipv6PacketInfo(info) => {
                    note = write_note(Ipv6Addr::from(info.ipi6_addr.s6_addr), info.ipi6_ifindex);
                }
                _ => {}
            }
        }
        let peer = message.address.as_ref().and_then(address);
        let length = message.bytes.min(LARGEST);
        let Some(peer) = peer else { return Ok(None) };
        Ok(Some([&trunk::put_address(peer)[..], &note, &buffer[..length]].concat()))
    }

    /// Sends a datagram of the instance's; what the host refuses is lost, as datagrams are. `None` when it is none.
    pub(super) fn send(&self, frame: &[u8]) -> Option<()> {
        let (peer, rest) = trunk::take_address(frame)?;
        let (note, payload) = rest.split_first_chunk::<NOTE>()?;
        if self.peer.is_some() {
            // It leads to that one place, whatever is named.
            let message = [&[DATAGRAM], payload].concat();
            let _ = send(&self.socket, &message, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
            return Some(());
        }
        let vector = [IoSlice::new(payload)];
        let (descriptor, flags) = (self.socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL);
        let (asked, interface) = read_note(note);
        let _ = match (peer, asked) {
            (SocketAddr::V4(peer), IpAddr::V4(asked)) if !asked.is_unspecified() => {
                let info = libc::in_pktinfo {
                    ipi_ifindex: interface as i32,
                    ipi_spec_dst: libc::in_addr { s_addr: u32::from_ne_bytes(asked.octets()) },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                let control = [ControlMessage::Ipv4PacketInfo(&info)];
                sendmsg(descriptor, &vector, &control, flags, Some(&SockaddrIn::from(peer)))
            }
            (SocketAddr::V6(peer), IpAddr::V6(asked)) if !asked.is_unspecified() => {
                let info = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr { s6_addr: asked.octets() },
                    ipi6_ifindex: interface,
                };
                let control = [ControlMessage::Ipv6PacketInfo(&info)];
                sendmsg(descriptor, &vector, &control, flags, Some(&SockaddrIn6::from(peer)))
            }
            (peer, _) => sendmsg(descriptor, &vector, &[], flags, Some(&SockaddrStorage::from(peer))),
        };
        Some(())
    }
}

fn write_note(asked: Ipv6Addr, interface: u32) -> [u8; NOTE] {
    let mut note = [0; NOTE];
    note[..16].copy_from_slice(&asked.octets());
    note[16..].copy_from_slice(&interface.to_le_bytes());
    note
}

fn read_note(note: &[u8; NOTE]) -> (IpAddr, u32) {
    let (asked, interface) = note.split_at(16);
    let asked = <[u8; 16]>::try_from(asked).unwrap_or_default();
    let interface = interface.try_into().map_or(0, u32::from_le_bytes);
    (IpAddr::from(asked).to_canonical(), interface)
}

fn address(any: &SockaddrStorage) -> Option<SocketAddr> {
    let four = any.as_sockaddr_in().map(|a| SocketAddr::from((a.ip(), a.port())));
    four.or_else(|| any.as_sockaddr_in6().map(|a| std::net::SocketAddrV6::from(*a).into()))
}

impl AsFd for Datagram {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
