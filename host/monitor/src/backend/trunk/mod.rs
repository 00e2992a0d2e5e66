//! The sockets of a virtual machine: published ports and allowed connections, each a channel on one line
//! ([`kernlet_wire::trunk`]) between the instance and this end of it.
//!
//! 1. The instance is not trusted: a frame that breaks a rule ends the trunk, and with it nothing but the instance's
//!    own connections.
//! 2. Memory is bounded: data is taken from a socket only as far as the instance has granted room and the line has, and
//!    from the instance no more than it was granted; there are at most [`MOST`] channels.
//! 3. Nothing here blocks: [`Trunk::drive`] does what can be done, and is called again when [`Trunk`], as a descriptor,
//!    is readable.

mod datagram;
mod desk;
mod line;
mod listener;
mod option;
mod stream;
#[cfg(test)]
mod tests;

use crate::grants::BoundPort;
use datagram::Datagram;
use desk::Desk;
use kernlet_broker::Broker;
use kernlet_wire::boot::Protocol;
use kernlet_wire::broker::Reply;
use kernlet_wire::options;
use kernlet_wire::trunk::{self, Header, kind};
use line::Line;
use listener::Listener;
use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use rustix::io::Errno;
use rustix::net::{SocketType, sockopt};
use std::collections::BTreeMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};
use stream::Stream;

/// How many channels an instance can have, beside those of its published ports.
const MOST: usize = 1024;
/// How many sockets are served in one call.
const TURN: usize = 64;
/// How long connections of an ended instance have to take what it wrote.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How often the line of an ended instance is read: far more than its buffer holds.
const FINAL_READS: usize = 256;

/// How a trunk stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// It goes on.
    Open,
    /// The instance's end is gone.
    Ended,
    /// The instance broke a rule: drop the trunk.
    Broken,
}

/// Why a trunk does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Ended,
    Broken,
}

#[derive(Debug)]
enum Channel {
    Listener(Listener),
    Stream(Stream),
    Datagram(Datagram),
}

impl Channel {
    fn socket(&self) -> BorrowedFd<'_> {
        match self {
            Self::Listener(listener) => listener.as_fd(),
            Self::Stream(stream) => stream.as_fd(),
            Self::Datagram(datagram) => datagram.as_fd(),
        }
    }

    /// What to wait for; nothing when there is nothing that could be done.
    fn interest(&self) -> epoll::EventFlags {
        let (read, write) = match self {
            Self::Listener(listener) => (listener.may_accept(), false),
            Self::Stream(stream) => stream.interest(),
            Self::Datagram(datagram) => (datagram.may_receive(), false),
        };
        let mut flags = epoll::EventFlags::empty();
        flags.set(epoll::EventFlags::IN, read);
        flags.set(epoll::EventFlags::OUT, write);
        flags
    }
}

/// The monitor's end of a trunk.
#[derive(Debug)]
pub(crate) struct Trunk {
    line: Line,
    desk: Desk,
    /// Each with what it is watched for.
    channels: BTreeMap<u32, (Channel, epoll::EventFlags)>,
    next: u32,
    /// Watches the line, the way to the broker, and `sockets`.
    epoll: OwnedFd,
    /// Watches the channels' sockets.
    sockets: OwnedFd,
    /// What each of the three is watched for.
    watched: [epoll::EventFlags; 3],
}

impl Trunk {
    /// A trunk on `socket`, a stream that does not block, for the published ports and whatever `broker` grants.
    pub(super) fn new(socket: OwnedFd, ports: &[BoundPort], broker: Broker) -> io::Result<Self> {
        let (epoll, sockets) =
            (epoll::create(epoll::CreateFlags::CLOEXEC)?, epoll::create(epoll::CreateFlags::CLOEXEC)?);
        let (line, desk) = (Line::new(socket), Desk::open(broker)?);
        for descriptor in [line.as_fd(), desk.as_fd(), sockets.as_fd()] {
            epoll::add(&epoll, descriptor, epoll::EventData::new_u64(0), epoll::EventFlags::IN)?;
        }
        let (watched, channels, next) = ([epoll::EventFlags::IN; 3], BTreeMap::new(), trunk::FIRST);
        let mut trunk = Self { line, desk, channels, next, epoll, sockets, watched };
        for (index, port) in ports.iter().enumerate() {
            let Some(socket) = &port.socket else { continue };
            let socket = socket.try_clone()?;
            let id = channel_of(index, port).ok_or_else(|| io::Error::other("too many published ports"))?;
            let channel = match port.protocol {
                Protocol::Tcp => Channel::Listener(Listener::new(socket)),
                Protocol::Udp => Channel::Datagram(Datagram::bound(socket)),
            };
            trunk.insert(id, channel);
        }
        Ok(trunk)
    }

    /// Does what there is to do without waiting.
    pub(crate) fn drive(&mut self) -> Status {
        match self.turn() {
            Ok(()) => Status::Open,
            Err(Stop::Ended) => Status::Ended,
            Err(Stop::Broken) => Status::Broken,
        }
    }

    /// The instance has ended: what it wrote still goes out, as far as the others take it.
    pub(crate) fn finish(mut self) {
        // No more than this waits in the socket.
        for _ in 0..FINAL_READS {
            let ended = self.line.receive();
            while let Ok(Some((header, payload))) = self.line.next() {
                if self.frame(header, &payload).is_err() {
                    return;
                }
            }
            if ended.is_err() {
                break;
            }
        }
        let deadline = Instant::now() + LAST_WORDS;
        loop {
            let mut waiting = Vec::new();
            for (channel, _) in self.channels.values_mut() {
                let Channel::Stream(stream) = channel else { continue };
                if stream.last_words() {
                    waiting.push(PollFd::from_borrowed_fd((*stream).as_fd(), PollFlags::OUT));
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if waiting.is_empty() || left.is_zero() {
                return;
            }
            let left = Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() };
            let _ = poll(&mut waiting, Some(&left));
        }
    }

    fn turn(&mut self) -> Result<(), Stop> {
        self.desk.send()?;
        while self.line.has_room()
            && let Some((answer, granted)) = self.desk.answer()?
        {
            self.answer(&answer, granted);
        }
        let mut ended = Ok(());
        if self.line.has_room() && self.desk.has_room() {
            ended = self.line.receive();
            // What came before the end counts.
            while let Some((header, payload)) = self.line.next()? {
                self.frame(header, &payload)?;
            }
        }
        if self.line.has_room() {
            let mut events = [MaybeUninit::uninit(); TURN];
            let now = Timespec { tv_sec: 0, tv_nsec: 0 };
            let ready: Vec<_> = match epoll::wait(&self.sockets, &mut events, Some(&now)) {
                Ok((ready, _)) => ready.iter().map(|event| event.data.u64()).collect(),
                Err(_) => Vec::new(),
            };
            for id in ready {
                self.ready(u32::try_from(id).unwrap_or_default());
            }
        }
        ended?;
        self.line.send()?;
        self.update_interest();
        Ok(())
    }

    /// Something can be done with the socket of a channel.
    fn ready(&mut self, id: u32) {
        let place = self.channels.len() < MOST;
        let Some((channel, _)) = self.channels.get_mut(&id) else { return };
        match channel {
            Channel::Stream(stream) => {
                stream.send(id, &mut self.line);
                stream.receive(id, &mut self.line);
            }
            Channel::Datagram(datagram) => datagram.receive(id, &mut self.line),
            Channel::Listener(listener) => {
                let accepted = listener.accept(id, place, &mut self.line);
                if let Some((socket, local, peer)) = accepted {
                    let number = self.number();
                    self.line.put(kind::OPEN, number, &[&trunk::opening(id, local, peer)]);
                    self.insert(number, Channel::Stream(Stream::new(socket)));
                }
            }
        }
        self.settle(id);
    }

    /// Takes in a frame of the instance's.
    fn frame(&mut self, header: Header, payload: &[u8]) -> Result<(), Stop> {
        let id = header.channel;
        if header.kind == kind::BROKER {
            return self.desk.ask(payload);
        }
        // A channel that has ended here may still be spoken to.
        let Some((channel, _)) = self.channels.get_mut(&id) else { return Ok(()) };
        let line = &mut self.line;
        match (header.kind, channel) {
            (kind::CREDIT, channel) => {
                let more = trunk::number(payload).ok_or(Stop::Broken)?;
                match channel {
                    Channel::Listener(listener) => listener.grant(more),
                    Channel::Stream(stream) => stream.grant(more),
                    Channel::Datagram(datagram) => datagram.grant(more, id, line),
                }
            }
            (kind::DATA, Channel::Stream(stream)) => stream.take(id, payload, line)?,
            (kind::END, Channel::Stream(stream)) => stream.end(),
            (kind::NO_DELAY, Channel::Stream(stream)) => stream.set_nodelay(payload == [1]),
            (kind::OPTION, channel) => {
                let (level, name, value) = options::decode(payload).ok_or(Stop::Broken)?;
                option::set(channel.socket(), level, name, value);
            }
            (kind::DATAGRAM, Channel::Datagram(datagram)) => datagram.send(payload).ok_or(Stop::Broken)?,
            (kind::CLOSE, Channel::Stream(stream)) => stream.close(payload == [1]),
            (kind::CLOSE, _) => drop(self.channels.remove(&id)),
            _ => return Err(Stop::Broken),
        }
        self.settle(id);
        Ok(())
    }

    /// Passes the broker's answer on, and makes a channel of the socket that it grants.
    fn answer(&mut self, answer: &[u8], descriptor: Option<OwnedFd>) {
        let granted = match (descriptor, Reply::decode(answer)) {
            (None, _) => 0,
            (Some(socket), Ok((id, Reply::Connected { local, peer }))) => {
                if self.channels.len() >= MOST {
                    let refused = Reply::Error(Errno::MFILE.raw_os_error()).encode(id);
                    return self.line.put(kind::BROKER, 0, &[&refused]);
                }
                let stream = sockopt::socket_type(&socket) == Ok(SocketType::STREAM);
                let number = self.number();
                self.line.put(kind::OPEN, number, &[&trunk::opening(0, local, peer)]);
                self.insert(
                    number,
                    if stream {
                        Channel::Stream(Stream::new(socket))
                    } else {
                        Channel::Datagram(Datagram::relayed(socket, peer))
                    },
                );
                number
            }
            // A file: the broker was told to keep those.
            (Some(_), _) => 0,
        };
        self.line.put(kind::BROKER, granted, &[answer]);
    }

    /// A number for a new channel.
    fn number(&mut self) -> u32 {
        while self.next < trunk::FIRST || self.channels.contains_key(&self.next) {
            self.next = self.next.wrapping_add(1).max(trunk::FIRST);
        }
        let number = self.next;
        self.next = number.wrapping_add(1);
        number
    }

    fn insert(&mut self, id: u32, channel: Channel) {
        self.channels.insert(id, (channel, epoll::EventFlags::empty()));
        self.settle(id);
    }

    /// Watches a channel's socket for what can be done with it, and forgets one that is done.
    fn settle(&mut self, id: u32) {
        let Some((channel, watched)) = self.channels.get_mut(&id) else { return };
        if matches!(channel, Channel::Stream(stream) if stream.is_done()) {
            self.channels.remove(&id);
            return;
        }
        let (wanted, data) = (channel.interest(), epoll::EventData::new_u64(id.into()));
        if wanted == *watched {
            return;
        }
        let (epoll, socket) = (&self.sockets, channel.socket());
        // A socket that has hung up is reported whatever is asked for, so one that nobody waits for is taken out.
        let done = match (watched.is_empty(), wanted.is_empty()) {
            (true, _) => epoll::add(epoll, socket, data, wanted),
            (_, true) => epoll::delete(epoll, socket),
            _ => epoll::modify(epoll, socket, data, wanted),
        };
        if done.is_ok() {
            *watched = wanted;
        } else {
            // The host has no memory left for it; the instance is told, and nothing is waited for.
            let error = (Errno::NOMEM.raw_os_error() as u32).to_le_bytes();
            self.line.put(kind::ERROR, id, &[&error]);
        }
    }

    /// Waits for what can be done next, so that the descriptor is not readable for nothing.
    fn update_interest(&mut self) {
        let room = self.line.has_room();
        let flags = |read, write| {
            let mut flags = epoll::EventFlags::empty();
            flags.set(epoll::EventFlags::IN, read);
            flags.set(epoll::EventFlags::OUT, write);
            flags
        };
        let wanted = [
            flags(room && self.desk.has_room(), self.line.is_waiting()),
            flags(room, self.desk.is_waiting()),
            flags(room, false),
        ];
        let descriptors = [self.line.as_fd(), self.desk.as_fd(), self.sockets.as_fd()];
        for ((descriptor, wanted), watched) in descriptors.into_iter().zip(wanted).zip(self.watched) {
            if wanted != watched {
                // Modifying what was added does not fail.
                let _ = epoll::modify(&self.epoll, descriptor, epoll::EventData::new_u64(0), wanted);
            }
        }
        self.watched = wanted;
    }
}

impl AsFd for Trunk {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// The channel of a published port.
pub(super) fn channel_of(index: usize, port: &BoundPort) -> Option<u32> {
    trunk::published(index, port.host.is_ipv6())
}
