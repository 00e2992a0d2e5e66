//! The broker on its socket, made for a loop that waits for many things.

use crate::broker::{Answer, Broker};
use kernlet_wire::broker::{MAX_MESSAGE, MAX_OUTSTANDING};
use rustix::event::epoll;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recv, send, sendmsg};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How many requests one call of [`Service::drive`] takes, so that a busy instance does not keep a monitor from its
/// other work.
const TURN: usize = 32;

/// Whether a service goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It does.
    Open,
    /// The instance has ended, or sent what is no message: drop the service.
    Closed,
}

/// A broker and the monitor's end of the socket pair. As a descriptor ([`AsFd`]) it is readable when there is
/// something to do: then call [`Self::drive`].
///
/// An instance that sends requests faster than they are answered, or does not read the answers, is not read from
/// until at most [`MAX_OUTSTANDING`] answers are outstanding.
#[derive(Debug)]
pub struct Service {
    socket: OwnedFd,
    broker: Broker,
    /// Watches the socket and the broker's bell.
    epoll: OwnedFd,
    /// Answers that found no room in the socket.
    queue: VecDeque<Answer>,
    /// Requests that the broker answers later.
    pending: usize,
    interest: epoll::EventFlags,
    buffer: Vec<u8>,
}

impl Service {
    /// Serves `socket`, one end of a SOCK_SEQPACKET pair.
    ///
    /// # Errors
    /// The host is out of descriptors.
    pub fn new(broker: Broker, socket: OwnedFd) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let interest = epoll::EventFlags::IN;
        epoll::add(&epoll, &socket, epoll::EventData::new_u64(0), interest)?;
        epoll::add(&epoll, broker.bell(), epoll::EventData::new_u64(1), epoll::EventFlags::IN)?;
        let buffer = vec![0; MAX_MESSAGE + 1];
        Ok(Self { socket, broker, epoll, queue: VecDeque::new(), pending: 0, interest, buffer })
    }

    /// Does what there is to do without waiting.
    pub fn drive(&mut self) -> Status {
        match self.turn() {
            Ok(()) => Status::Open,
            Err(Closed) => Status::Closed,
        }
    }

    /// Serves until the instance ends; for a thread of its own.
    pub fn run(mut self) {
        let mut events = [MaybeUninit::uninit(); 2];
        while self.drive() == Status::Open {
            match epoll::wait(&self.epoll, &mut events, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    fn turn(&mut self) -> Result<(), Closed> {
        while let Some(answer) = self.broker.finished() {
            self.pending = self.pending.saturating_sub(1);
            self.queue.push_back(answer);
        }
        self.flush()?;
        for _ in 0..TURN {
            if !self.has_room() || !self.take_request()? {
                break;
            }
            self.flush()?;
        }
        self.update_interest()
    }

    fn has_room(&self) -> bool {
        self.queue.len() + self.pending < MAX_OUTSTANDING
    }

    /// Takes one request; `false` when there is none.
    fn take_request(&mut self) -> Result<bool, Closed> {
        // No room is given for descriptors: the kernel drops those that were sent along, they never arrive here.
        let length = match recv(&self.socket, &mut self.buffer[..], RecvFlags::DONTWAIT) {
            Ok((length, _)) => length,
            Err(Errno::AGAIN) => return Ok(false),
            Err(Errno::INTR) => return Ok(true),
            Err(_) => return Err(Closed),
        };
        // Nothing is the end (or an empty message), and more than fits is no message.
        if length == 0 || length > MAX_MESSAGE {
            return Err(Closed);
        }
        match self.broker.handle(&self.buffer[..length]) {
            Ok(Some(answer)) => self.queue.push_back(answer),
            Ok(None) => self.pending += 1,
            Err(_) => return Err(Closed),
        }
        Ok(true)
    }

    /// Sends what the socket takes.
    fn flush(&mut self) -> Result<(), Closed> {
        while let Some(answer) = self.queue.front() {
            match self.send(answer) {
                Ok(_) => drop(self.queue.pop_front()),
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                // Too many descriptors are on their way to instances that do not fetch them.
                Err(Errno::TOOMANYREFS) => {
                    let (failed, handle) = (answer.undelivered(), answer.handle());
                    if let Some(handle) = handle {
                        self.broker.forget(handle);
                    }
                    self.queue[0] = failed;
                }
                Err(_) => return Err(Closed),
            }
        }
        Ok(())
    }

    fn send(&self, answer: &Answer) -> Result<usize, Errno> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let Some(descriptor) = &answer.descriptor else {
            return send(&self.socket, &answer.bytes, flags);
        };
        let descriptors = [descriptor.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
        sendmsg(&self.socket, &[IoSlice::new(&answer.bytes)], &mut control, flags)
    }

    /// Waits for what can be done next, so that the descriptor is not readable for nothing.
    fn update_interest(&mut self) -> Result<(), Closed> {
        let mut interest = epoll::EventFlags::empty();
        interest.set(epoll::EventFlags::IN, self.has_room());
        interest.set(epoll::EventFlags::OUT, !self.queue.is_empty());
        if interest.is_empty() && self.hung_up() {
            // This would be reported forever while the pool works for nobody.
            return Err(Closed);
        }
        if interest != self.interest {
            self.interest = interest;
            epoll::modify(&self.epoll, &self.socket, epoll::EventData::new_u64(0), interest)
                .map_err(|_| Closed)?;
        }
        Ok(())
    }

    fn hung_up(&self) -> bool {
        let mut socket = [rustix::event::PollFd::new(&self.socket, rustix::event::PollFlags::empty())];
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        let _ = rustix::event::poll(&mut socket, Some(&now));
        socket[0].revents().contains(rustix::event::PollFlags::HUP)
    }
}

impl AsFd for Service {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// The instance has ended, or the socket cannot be used any more.
struct Closed;
