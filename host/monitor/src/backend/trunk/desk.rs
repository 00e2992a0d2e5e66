//! The way to the broker: for it the trunk is the instance, on the other end of its socket pair.

use super::Stop;
use kernlet_broker::{Broker, Service};
use kernlet_wire::broker::{MAX_MESSAGE, MAX_OUTSTANDING};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, SocketFlags, SocketType,
    recvmsg, send, socketpair,
};
use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// An answer of the broker's, with the descriptor that it grants.
type Answer = (Vec<u8>, Option<OwnedFd>);

#[derive(Debug)]
pub(super) struct Desk {
    socket: OwnedFd,
    /// Requests that found no room in the socket.
    requests: VecDeque<Vec<u8>>,
    /// Works until it is dropped.
    _service: Service,
}

impl Desk {
    pub(super) fn open(broker: Broker) -> io::Result<Self> {
        let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let (socket, theirs) = pair?;
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Self { socket, requests: VecDeque::new(), _service: Service::new(broker, theirs)? })
    }

    /// Whether more may be asked.
    pub(super) fn has_room(&self) -> bool {
        self.requests.len() < MAX_OUTSTANDING
    }

    /// Whether requests wait for room in the socket.
    pub(super) fn is_waiting(&self) -> bool {
        !self.requests.is_empty()
    }

    /// Takes a request of the instance's.
    pub(super) fn ask(&mut self, request: &[u8]) -> Result<(), Stop> {
        if request.is_empty() || request.len() > MAX_MESSAGE {
            return Err(Stop::Broken);
        }
        self.requests.push_back(request.to_vec());
        self.send()
    }

    /// Sends what the socket takes.
    pub(super) fn send(&mut self) -> Result<(), Stop> {
        while let Some(request) = self.requests.front() {
            match send(&self.socket, request, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(_) => drop(self.requests.pop_front()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                // The broker gives up when it is sent what is no message.
                Err(_) => return Err(Stop::Broken),
            }
        }
        Ok(())
    }

    /// The next answer, if there is one.
    pub(super) fn answer(&self) -> Result<Option<Answer>, Stop> {
        let mut bytes = vec![0; MAX_MESSAGE];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let length = match recvmsg(&self.socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags) {
            Ok(message) => message.bytes,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
            Err(_) => return Err(Stop::Broken),
        };
        if length == 0 {
            return Err(Stop::Broken);
        }
        let mut granted = None;
        for part in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = part {
                granted = descriptors.last().or(granted);
            }
        }
        bytes.truncate(length);
        Ok(Some((bytes, granted)))
    }
}

impl AsFd for Desk {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
