//! Host streams as a program of descriptors uses them: straight from and to its memory, with readiness that is asked for.

use super::tcp::Stream;
use super::{Watch, Watched, tcp, udp};
use crate::memory::{Memory, PIECES};
use crate::ready;
use core::task::{Context, Poll, Waker};
use kernlet_exec::Source;
use kernlet_platform::socket::HostStream;
use kernlet_platform::{Door, Errno, door};

impl<T: Watch> Watched<T> {
    /// Watches from now on, with readiness as it will be reported. What is ready already is reported, too, on the process
    /// door; in a VM `ask` tells.
    pub(super) fn watch(&self, ask: impl FnOnce(&T) -> u32) {
        if self.watched.get() {
            return;
        }
        self.watched.set(true);
        // Where watching fails it counts as ready, and trying tells of the error.
        if self.socket.watch(self.source.token()).is_ok() {
            let bits = if door() == Door::Vm { ask(&self.socket) } else { 0 };
            self.source.set(bits & (ready::IN | ready::READ_HANG_UP) != 0, bits & ready::OUT != 0);
        }
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }
}

impl Stream {
    /// Reads what is there into a program's memory; 0 bytes at the end. With `peek` it stays there.
    pub fn poll_receive(
        &self,
        context: &mut Context<'_>,
        to: &mut dyn Memory,
        peek: bool,
    ) -> Poll<Result<usize, Errno>> {
        let mut pieces = [[0; 2]; PIECES];
        let count = to.pieces(&mut pieces);
        let result = self.poll_receive_at(context, &pieces[..count], peek);
        if let Poll::Ready(Ok(length)) = result {
            to.advance(length);
        }
        result
    }

    /// The same into pieces (address and length).
    pub fn poll_receive_at(
        &self,
        context: &mut Context<'_>,
        pieces: &[[usize; 2]],
        peek: bool,
    ) -> Poll<Result<usize, Errno>> {
        let room: usize = pieces.iter().map(|[_, length]| length).sum();
        let result = self.watched.poll_read(context, |stream| stream.receive(pieces, peek));
        if let (Poll::Ready(Ok(length)), false) = (result, peek) {
            self.unsure.set(length == room);
            // A stream that gave less than there was room for is empty (epoll(7)).
            if length > 0 && length < room && self.watched.watched.get() {
                self.watched.source().clear_drained();
            }
        }
        result
    }

    /// Writes what fits from a program's memory.
    pub fn poll_send(&self, context: &mut Context<'_>, from: &mut dyn Memory) -> Poll<Result<usize, Errno>> {
        let mut pieces = [[0; 2]; PIECES];
        let count = from.pieces(&mut pieces);
        let result = self.poll_send_at(context, &pieces[..count]);
        if let Poll::Ready(Ok(length)) = result {
            from.advance(length);
        }
        result
    }

    /// The same from pieces (address and length).
    pub fn poll_send_at(
        &self,
        context: &mut Context<'_>,
        pieces: &[[usize; 2]],
    ) -> Poll<Result<usize, Errno>> {
        let room: usize = pieces.iter().map(|[_, length]| length).sum();
        let result = self.watched.poll_write(context, |stream| stream.send(pieces));
        if let Poll::Ready(Ok(length)) = result {
            // One that took less than it was given is full.
            if length < room && self.watched.watched.get() {
                self.watched.source().clear_writable();
            }
        }
        result
    }

    /// What it is ready for, and wakers that are told of the next change.
    pub fn readiness(&self, readable: &Waker, writable: &Waker) -> u32 {
        let source = self.watched.source();
        self.watched.watch(HostStream::ask);
        let [reads, writes, ended] = source.ask(readable, writable);
        if !(ended || (reads && self.unsure.get())) {
            return ready::when(ready::IN, reads) | ready::when(ready::OUT, writes);
        }
        // A reader that took all that it had room for may have taken everything; and an end is of more than one kind.
        let bits = self.watched.socket.ask();
        self.unsure.set(false);
        source.set(bits & !ready::OUT != 0, bits & ready::OUT != 0 || writes);
        bits
    }

    /// Sets an option of the host's socket.
    pub fn set_option(&self, level: u32, name: u32, value: [u32; 2]) -> Result<(), Errno> {
        self.watched.socket.set_option(level, name, value)
    }

    /// How the connection does, as a `struct tcp_info`.
    pub fn information(&self, into: &mut [u8]) -> Result<usize, Errno> {
        self.watched.socket.information(into)
    }

    /// Whether both ends have ended it, or it broke.
    pub fn is_closed(&self) -> bool {
        self.watched.watch(HostStream::ask);
        self.watched.source().is_ended() && self.watched.socket.ask() & ready::HANG_UP != 0
    }

    /// Bytes that can be read at once.
    pub fn available(&self) -> usize {
        self.watched.socket.available()
    }

    /// The error that is there to be told, once.
    pub fn take_error(&self) -> Option<Errno> {
        self.watched.socket.take_error()
    }
}

impl tcp::Published {
    /// Sets an option of the host's listeners.
    pub fn set_option(&self, level: u32, name: u32, value: [u32; 2]) {
        for listener in &self.listeners {
            // It is a wish.
            let _ = listener.socket.set_option(level, name, value);
        }
    }
}

impl udp::Published {
    /// Sets an option of the host's sockets.
    pub fn set_option(&self, level: u32, name: u32, value: [u32; 2]) {
        for socket in &self.sockets {
            // As above.
            let _ = socket.watched.socket.set_option(level, name, value);
        }
    }
}
