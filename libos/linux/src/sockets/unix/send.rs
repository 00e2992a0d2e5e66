//! Sending to UNIX sockets.

use super::Unix;
use super::end::{BYTES_MOST, End, Message, Role};
use crate::Errno;
use crate::sockets::address::Address;
use crate::sockets::message::Ancillary;
use crate::sockets::socket::{DATAGRAM, STREAM};
use crate::wait::Events;
use alloc::rc::Rc;
use core::task::Poll;
use kernlet_net::Memory;

/// What is put in at a time, and up to what size what comes next is joined to it.
const PIECE: usize = 32 * 1024;

impl Unix {
    /// See [`crate::sockets::Socket::poll_send`].
    pub fn poll_send(
        &self,
        there: Option<&Rc<End>>,
        from: &mut dyn Memory,
        address: Option<&Address>,
        ancillary: &mut Ancillary,
    ) -> Poll<Result<usize, Errno>> {
        let end = &self.end;
        if end.shut.get()[1] {
            return Poll::Ready(Err(Errno::EPIPE));
        }
        let there = match address {
            None | Some(Address::None) => self.connected()?,
            Some(Address::Unix(_)) if end.kind == DATAGRAM => there.ok_or(Errno::ECONNREFUSED)?.clone(),
            Some(_) if end.kind == DATAGRAM => return Poll::Ready(Err(Errno::EINVAL)),
            Some(_) if matches!(*end.role.borrow(), Role::Connected(_)) => {
                return Poll::Ready(Err(Errno::EISCONN));
            }
            Some(_) => return Poll::Ready(Err(Errno::EOPNOTSUPP)),
        };
        if there.kind != end.kind {
            return Poll::Ready(Err(Errno::EPROTOTYPE));
        }
        if there.shut.get()[0] {
            return Poll::Ready(Err(Errno::EPIPE));
        }
        if end.kind == STREAM {
            return self.put_stream(&there, from, ancillary);
        }
        // One that is connected hears only whom it is connected to.
        if end.kind == DATAGRAM
            && let Role::Connected(other) = &*there.role.borrow()
            && !core::ptr::eq(other.peer.as_ptr(), Rc::as_ptr(end))
        {
            return Poll::Ready(Err(Errno::EPERM));
        }
        self.put_message(&there, from, ancillary)
    }

    fn connected(&self) -> Result<Rc<End>, Errno> {
        match &*self.end.role.borrow() {
            Role::Connected(connected) => {
                let gone = if self.end.kind == DATAGRAM { Errno::ECONNREFUSED } else { Errno::EPIPE };
                connected.peer.upgrade().ok_or(gone)
            }
            _ => Err(Errno::ENOTCONN),
        }
    }

    fn message(&self, bytes: alloc::vec::Vec<u8>, ancillary: &mut Ancillary) -> Message {
        Message {
            bytes,
            start: 0,
            files: core::mem::take(&mut ancillary.files),
            identity: ancillary.identity.unwrap_or(self.end.identity),
            from: self.end.name.borrow().clone(),
        }
    }

    fn put_stream(
        &self,
        there: &Rc<End>,
        from: &mut dyn Memory,
        ancillary: &mut Ancillary,
    ) -> Poll<Result<usize, Errno>> {
        let mut done = 0;
        while from.remaining() > 0 {
            let length = there.room(STREAM).min(from.remaining()).min(PIECE);
            if length == 0 {
                break;
            }
            let mut bytes = alloc::vec![0; length];
            let taken = match from.take(&mut bytes) {
                Ok(taken) => taken,
                Err(error) if done == 0 => return Poll::Ready(Err(error)),
                Err(_) => break,
            };
            bytes.truncate(taken);
            there.bytes.set(there.bytes.get() + taken);
            done += taken;
            let message = self.message(bytes, ancillary);
            let mut inbox = there.inbox.borrow_mut();
            match inbox.back_mut() {
                Some(last)
                    if message.files.is_empty()
                        && last.files.is_empty()
                        && last.identity == message.identity
                        && last.bytes.len() + taken <= PIECE =>
                {
                    last.bytes.extend_from_slice(&message.bytes);
                }
                _ => inbox.push_back(message),
            }
        }
        if done == 0 && from.remaining() > 0 {
            return Poll::Pending;
        }
        there.watchers.notify(Events::IN);
        Poll::Ready(Ok(done))
    }

    fn put_message(
        &self,
        there: &Rc<End>,
        from: &mut dyn Memory,
        ancillary: &mut Ancillary,
    ) -> Poll<Result<usize, Errno>> {
        let length = from.remaining();
        if length > BYTES_MOST {
            return Poll::Ready(Err(Errno::EMSGSIZE));
        }
        let room = there.room(DATAGRAM);
        if room == 0 || room < length {
            let mut waiting = there.waiting.borrow_mut();
            waiting
                .retain(|end| end.strong_count() > 0 && !core::ptr::eq(end.as_ptr(), Rc::as_ptr(&self.end)));
            waiting.push(Rc::downgrade(&self.end));
            return Poll::Pending;
        }
        let mut bytes = alloc::vec![0; length];
        if from.look(&mut bytes)? < length {
            return Poll::Ready(Err(Errno::EFAULT));
        }
        there.bytes.set(there.bytes.get() + length);
        let message = self.message(bytes, ancillary);
        there.inbox.borrow_mut().push_back(message);
        there.watchers.notify(Events::IN);
        Poll::Ready(Ok(length))
    }
}
