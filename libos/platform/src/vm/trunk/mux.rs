//! The channels of a trunk: what has come for each, and what may be sent. Frames come in here as bytes and go out as
//! bytes; there is no device in it. What is called from several places stays out of line: size counts more here.

use super::bytes::Bytes;
use crate::Errno;
use crate::event::Ready;
use alloc::vec::Vec;
use core::net::SocketAddr;
use kernlet_wire::trunk::{self, DATAGRAM_WINDOW, HEADER, Header, NOTE, STREAM_WINDOW, kind};

/// Frames of data wait here for room on the line, up to so many bytes; what is small and must not be lost always does.
const OUTPUT: usize = 128 << 10;
/// The most data in one frame, so that others get their turn.
const PIECE: usize = 16 << 10;
/// A reader tells of what it took when that is a quarter of the window.
const REPORT: u32 = STREAM_WINDOW / 4;
/// How many connections may wait to be accepted here; more wait on the host.
const BACKLOG: u32 = 16;

/// One channel.
#[derive(Default)]
struct Channel {
    /// The bytes of a stream; records of a length (`u16`) and so many bytes otherwise.
    queue: Bytes,
    ends: Option<(SocketAddr, SocketAddr)>,
    token: Option<u32>,
    credit: u32,
    /// What was taken and not reported.
    taken: u32,
    ended: bool,
    /// Writing has ended on this side.
    shut: bool,
    /// Reading has.
    deaf: bool,
    error: Option<Errno>,
    /// A writer waits for room on the line.
    blocked: bool,
}

impl Channel {
    /// Nothing more will come.
    fn is_over(&self) -> bool {
        self.ended || self.error.is_some()
    }
}

/// All channels.
#[derive(Default)]
pub struct Mux {
    /// Sorted by number.
    channels: Vec<(u32, Channel)>,
    /// The beginning of a frame that has not come whole.
    partial: Vec<u8>,
    /// For the line.
    output: Bytes,
    /// Records: what was granted (`u32`) and the message.
    replies: Bytes,
    broker: Option<u32>,
    ready: Vec<Ready>,
}

impl Mux {
    fn place(&self, id: u32) -> Result<usize, usize> {
        self.channels.binary_search_by_key(&id, |(number, _)| *number)
    }

    #[inline(never)]
    fn channel(&mut self, id: u32) -> Result<&mut Channel, Errno> {
        let place = self.place(id);
        place.ok().and_then(|at| self.channels.get_mut(at)).map(|(_, c)| c).ok_or(Errno::EBADF)
    }

    /// Makes a channel of a published port.
    pub fn add(&mut self, id: u32) {
        self.make(id);
    }

    fn make(&mut self, id: u32) -> &mut Channel {
        let at = self.place(id).unwrap_or_else(|at| {
            self.channels.insert(at, (id, Channel { credit: STREAM_WINDOW, ..Channel::default() }));
            at
        });
        &mut self.channels[at].1
    }

    #[inline(never)]
    fn report(&mut self, token: Option<u32>, readable: bool, writable: bool, ended: bool) {
        self.ready.extend(token.map(|token| Ready { token, readable, writable, ended }));
    }

    /// What became ready since this was last asked.
    pub fn take_ready(&mut self) -> Vec<Ready> {
        core::mem::take(&mut self.ready)
    }

    #[inline(never)]
    fn put(&mut self, kind: u8, channel: u32, pieces: &[&[u8]]) {
        let length = pieces.iter().map(|p| p.len()).sum::<usize>() as u32;
        self.output.put(&Header { kind, length, channel }.encode());
        pieces.iter().for_each(|piece| self.output.put(piece));
    }

    /// Bytes for the line, at most `into`; tells how many.
    pub fn take_output(&mut self, into: &mut [u8]) -> usize {
        self.output.take(into)
    }

    /// Whether bytes wait for the line.
    pub fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// There may be room for data again: those who waited for it are told.
    pub fn made_room(&mut self) {
        if self.output.len() < OUTPUT {
            for (_, channel) in &mut self.channels {
                if core::mem::take(&mut channel.blocked)
                    && let Some(token) = channel.token
                {
                    self.ready.push(Ready { token, readable: false, writable: true, ended: false });
                }
            }
        }
    }

    /// Takes in what came from the line.
    pub fn take_in(&mut self, bytes: &[u8]) {
        let mut partial = core::mem::take(&mut self.partial);
        partial.extend_from_slice(bytes);
        let mut rest = &partial[..];
        while let Some((header, payload, behind)) = trunk::split(rest) {
            self.frame(header, payload);
            rest = behind;
        }
        let used = partial.len() - rest.len();
        partial.drain(..used);
        self.partial = partial;
    }

    fn frame(&mut self, header: Header, payload: &[u8]) {
        let id = header.channel;
        match header.kind {
            kind::BROKER => {
                self.replies.put_record(&[&id.to_le_bytes(), payload]);
                return self.report(self.broker, true, false, false);
            }
            kind::OPEN => {
                let Some((listener, local, peer)) = trunk::read_opening(payload) else { return };
                self.make(id).ends = Some((local, peer));
                let Ok(parent) = self.channel(listener) else { return };
                parent.queue.put_record(&[&id.to_le_bytes()]);
                let token = parent.token;
                return self.report(token, true, false, false);
            }
            _ => {}
        }
        let Ok(channel) = self.channel(id) else { return };
        let (mut readable, mut writable) = (true, false);
        match header.kind {
            // The host keeps to what it was granted; one that does not loses the stream, not us.
            kind::DATA if channel.queue.len() + payload.len() > STREAM_WINDOW as usize => {
                channel.error = Some(Errno::EIO);
            }
            kind::DATA if channel.deaf => return self.consumed(id, payload.len() as u32),
            kind::DATA => channel.queue.put(payload),
            kind::DATAGRAM if channel.queue.len() + payload.len() > DATAGRAM_WINDOW as usize => {}
            kind::DATAGRAM => channel.queue.put_record(&[payload]),
            kind::CREDIT => {
                channel.credit = channel.credit.saturating_add(trunk::number(payload).unwrap_or(0));
                (readable, writable) = (false, true);
            }
            kind::END => channel.ended = true,
            kind::ERROR => {
                channel.error = trunk::number(payload).map(|number| Errno(number as i32));
                writable = true;
            }
            _ => {}
        }
        let (token, over) = (channel.token, channel.is_over());
        self.report(token, readable, writable, over);
    }

    /// So much of what came was taken.
    #[inline(never)]
    fn consumed(&mut self, id: u32, amount: u32) {
        let Ok(channel) = self.channel(id) else { return };
        channel.taken += amount;
        if channel.taken >= REPORT {
            let taken = core::mem::take(&mut channel.taken);
            self.put(kind::CREDIT, id, &[&taken.to_le_bytes()]);
        }
    }

    /// Reports readiness of a channel under `token`.
    #[inline(never)]
    pub fn watch(&mut self, id: u32, token: u32) -> Result<(), Errno> {
        let channel = self.channel(id)?;
        channel.token = Some(token);
        if channel.is_over() {
            // The end may have come before anybody watched.
            self.report(Some(token), true, true, true);
        }
        Ok(())
    }

    /// The local and the other end's address.
    #[inline(never)]
    pub fn ends(&mut self, id: u32) -> Result<(SocketAddr, SocketAddr), Errno> {
        self.channel(id)?.ends.ok_or(Errno::ENOTCONN)
    }

    /// Reads of a stream; 0 bytes at its end.
    #[inline(never)]
    pub fn read(&mut self, id: u32, into: &mut [u8]) -> Result<usize, Errno> {
        let channel = self.channel(id)?;
        if channel.deaf || into.is_empty() {
            return Ok(0);
        }
        let length = channel.queue.take(into);
        if length > 0 {
            self.consumed(id, length as u32);
            return Ok(length);
        }
        match channel.error.take() {
            Some(error) => {
                (channel.ended, channel.shut) = (true, true);
                Err(error)
            }
            None if channel.ended => Ok(0),
            None => Err(Errno::EAGAIN),
        }
    }

    /// Writes what fits of the pieces to a stream.
    #[inline(never)]
    pub fn write(&mut self, id: u32, pieces: &[&[u8]]) -> Result<usize, Errno> {
        let room = OUTPUT.saturating_sub(self.output.len());
        let channel = self.channel(id)?;
        if let Some(error) = channel.error.take() {
            (channel.ended, channel.shut) = (true, true);
            return Err(error);
        }
        if channel.shut {
            return Err(Errno::EPIPE);
        }
        let total: usize = pieces.iter().map(|p| p.len()).sum();
        let length = total.min(room).min(channel.credit as usize).min(PIECE);
        if length == 0 && total > 0 {
            channel.blocked = room == 0;
            return Err(Errno::EAGAIN);
        }
        channel.credit -= length as u32;
        self.output.put(&Header { kind: kind::DATA, length: length as u32, channel: id }.encode());
        let mut left = length;
        for piece in pieces {
            let part = &piece[..piece.len().min(left)];
            self.output.put(part);
            left -= part.len();
        }
        Ok(length)
    }

    /// Ends reading or writing of a stream.
    pub fn shut(&mut self, id: u32, reading: bool, writing: bool) -> Result<(), Errno> {
        let channel = self.channel(id)?;
        let ends = writing && !channel.shut;
        channel.shut |= writing;
        let (mut unread, token) = (0, channel.token);
        if reading {
            channel.deaf = true;
            unread = channel.queue.len() as u32;
            channel.queue.skip(unread as usize);
            // Who waits to read learns that nothing will come.
            self.report(token, true, false, true);
        }
        self.consumed(id, unread);
        if ends {
            self.put(kind::END, id, &[]);
        }
        Ok(())
    }

    /// Sends small segments at once, or not.
    pub fn set_nodelay(&mut self, id: u32, on: bool) {
        self.put(kind::NO_DELAY, id, &[&[on.into()]]);
    }

    /// Sets an option of the host's socket.
    pub fn set_option(&mut self, id: u32, level: u32, name: u32, value: [u32; 2]) {
        self.put(kind::OPTION, id, &[&kernlet_wire::options::encode(level, name, value)]);
    }

    /// Forgets a channel.
    #[inline(never)]
    pub fn close(&mut self, id: u32) {
        let Ok(at) = self.place(id) else { return };
        let (_, channel) = self.channels.remove(at);
        self.put(kind::CLOSE, id, &[&[(!channel.queue.is_empty()).into()]]);
    }

    /// Begins to accept connections.
    pub fn listen(&mut self, id: u32) {
        self.put(kind::CREDIT, id, &[&BACKLOG.to_le_bytes()]);
    }

    /// Accepts a connection: its channel, and who it is.
    pub fn accept(&mut self, id: u32) -> Result<(u32, SocketAddr), Errno> {
        let channel = self.channel(id)?;
        let mut number = [0; 4];
        let none = channel.queue.take_record(&mut [&mut number]).is_none();
        let error = if none { channel.error.take() } else { None };
        if none && error.is_none() {
            return Err(Errno::EAGAIN);
        }
        // An error took the place of a connection.
        self.put(kind::CREDIT, id, &[&1u32.to_le_bytes()]);
        if let Some(error) = error {
            return Err(error);
        }
        let number = u32::from_le_bytes(number);
        Ok((number, self.ends(number)?.1))
    }

    /// Receives a datagram with its note; what does not fit is cut off.
    #[inline(never)]
    pub fn receive(&mut self, id: u32, into: &mut [u8]) -> Result<(usize, SocketAddr, [u8; NOTE]), Errno> {
        let channel = self.channel(id)?;
        let (mut address, mut note) = ([0; trunk::ADDRESS], [0; NOTE]);
        let Some(length) = channel.queue.take_record(&mut [&mut address, &mut note, into]) else {
            return Err(channel.error.take().unwrap_or(Errno::EAGAIN));
        };
        self.consumed(id, (length + HEADER) as u32);
        let (peer, _) = trunk::take_address(&address).ok_or(Errno::EIO)?;
        Ok((length.saturating_sub(trunk::ADDRESS + NOTE).min(into.len()), peer, note))
    }

    /// Sends a datagram.
    #[inline(never)]
    pub fn send(
        &mut self,
        id: u32,
        bytes: &[u8],
        peer: SocketAddr,
        note: &[u8; NOTE],
    ) -> Result<usize, Errno> {
        let full = self.output.len() >= OUTPUT;
        let channel = self.channel(id)?;
        if full {
            channel.blocked = true;
            return Err(Errno::EAGAIN);
        }
        // What fits behind the headers of a packet of 65,535 bytes.
        if bytes.len() > if peer.is_ipv4() { 65_507 } else { 65_527 } {
            return Err(Errno::EMSGSIZE);
        }
        self.put(kind::DATAGRAM, id, &[&trunk::put_address(peer), note, bytes]);
        Ok(bytes.len())
    }

    /// Sends a request to the broker.
    pub fn ask(&mut self, request: &[u8]) -> Result<(), Errno> {
        if self.output.len() >= 2 * OUTPUT {
            return Err(Errno::EAGAIN);
        }
        self.put(kind::BROKER, 0, &[request]);
        Ok(())
    }

    /// Reports replies of the broker under `token`.
    pub fn watch_broker(&mut self, token: u32) {
        self.broker = Some(token);
    }

    /// The broker's next reply, with the channel that it grants or 0.
    pub fn reply(&mut self, into: &mut [u8]) -> Result<(usize, u32), Errno> {
        let mut granted = [0; 4];
        let length = self.replies.take_record(&mut [&mut granted, into]).ok_or(Errno::EAGAIN)?;
        Ok((length.saturating_sub(granted.len()).min(into.len()), u32::from_le_bytes(granted)))
    }
}

#[path = "state.rs"]
mod state;
#[cfg(test)]
#[path = "tests.rs"]
mod tests;
