//! Receiving from UNIX sockets.

use super::Unix;
use super::end::{Message, Role};
use crate::Errno;
use crate::sockets::address::{Address, Name};
use crate::sockets::message::Received;
use crate::sockets::socket::{Common, DATAGRAM, STREAM};
use crate::user::Buffers;
use core::task::Poll;

impl Unix {
    /// See [`crate::sockets::Socket::poll_receive`].
    pub fn poll_receive(
        &self,
        common: &Common,
        to: &mut Buffers,
        peek: bool,
    ) -> Poll<Result<Received, Errno>> {
        let end = &*self.end;
        if !matches!(*end.role.borrow(), Role::Connected(_)) && end.kind != DATAGRAM {
            return Poll::Ready(Err(if end.kind == STREAM { Errno::EINVAL } else { Errno::ENOTCONN }));
        }
        if end.inbox.borrow().is_empty() {
            if let Some(error) = end.error.take() {
                return Poll::Ready(Err(error));
            }
            return if end.shut.get()[0] { Poll::Ready(Ok(Received::bytes(0))) } else { Poll::Pending };
        }
        let received = if end.kind == STREAM { self.stream(common, to, peek) } else { self.packet(to, peek) };
        if received.is_ok() && !peek {
            end.made_room();
        }
        Poll::Ready(received)
    }

    /// A whole message; what does not fit is cut off.
    fn packet(&self, to: &mut Buffers, peek: bool) -> Result<Received, Errno> {
        let mut inbox = self.end.inbox.borrow_mut();
        let Some(message) = inbox.front() else { return Err(Errno::EAGAIN) };
        let length = to.fill_whole(&message.bytes)?;
        let mut received = Received { length, whole: message.bytes.len(), ..Received::default() };
        if message.from != Name::Unnamed {
            received.from = Some(Address::Unix(message.from.clone()));
        }
        received.ancillary.identity = Some(message.identity);
        received.ancillary.files.clone_from(&message.files);
        if !peek && let Some(message) = inbox.pop_front() {
            self.end.bytes.set(self.end.bytes.get() - message.bytes.len());
        }
        Ok(received)
    }

    /// What is there of a stream, as far as it came from one sender and with no more than one bundle of descriptors.
    fn stream(&self, common: &Common, to: &mut Buffers, peek: bool) -> Result<Received, Errno> {
        let mut inbox = self.end.inbox.borrow_mut();
        let mut received = Received::default();
        let mut at = 0;
        while let Some(message) = inbox.get_mut(at) {
            if !Self::goes_on(common, &received, message) {
                break;
            }
            let length = match to.fill(message.rest()) {
                Ok(length) => length,
                Err(error) if received.length == 0 => return Err(error),
                Err(_) => break,
            };
            received.length += length;
            received.ancillary.identity = Some(message.identity);
            let whole = length == message.rest().len();
            if peek {
                received.ancillary.files.extend(message.files.iter().cloned());
                at += 1;
            } else {
                received.ancillary.files.append(&mut message.files);
                message.start += length;
                self.end.bytes.set(self.end.bytes.get() - length);
                if whole {
                    inbox.pop_front();
                }
            }
            if !whole || to.remaining() == 0 {
                break;
            }
        }
        received.whole = received.length;
        Ok(received)
    }

    fn goes_on(common: &Common, received: &Received, message: &Message) -> bool {
        let same = received.ancillary.identity.is_none_or(|identity| identity == message.identity);
        (received.ancillary.files.is_empty() || message.files.is_empty())
            && (same || !common.options.pass_credentials())
    }
}
