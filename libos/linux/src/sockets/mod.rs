//! Sockets (socket(7)).
//!
//! A [`Socket`] has what all have in common and what it speaks. Each kind is tried (`poll_receive`, `poll_send`, `poll_accept`)
//! and asked (`readiness`); who waits does so on the socket's watchers, which are told when a trial may succeed. So any
//! number of threads and epoll instances wait for one socket.

mod address;
mod calls;
mod ioctl;
mod listing;
mod message;
mod names;
mod netlink;
mod options;
mod quick;
mod socket;
mod tcp;
#[cfg(test)]
mod tests;
mod transfer;
mod udp;
mod unix;

pub use ioctl::control;
pub use quick::try_stream;
pub use socket::{Socket, Speech};

use crate::Errno;
use crate::call::{Call, Outcome, WAITS, boxed, number, unknown};
use crate::files::{Description, Kind};
use crate::signal;
use crate::thread::Thread;
use crate::user::{Buffers, Slice};
use alloc::rc::Rc;

/// Handles the calls of this subject that never wait.
#[inline(never)]
pub fn at_once(thread: &Rc<Thread>, call: Call) -> Outcome {
    match call.number {
        number::SOCKET => calls::create(thread, call),
        number::SOCKETPAIR => calls::pair(thread, call),
        number::LISTEN => calls::listen(thread, call),
        number::SHUTDOWN => calls::shutdown(thread, call),
        number::GETSOCKNAME => calls::local_name(thread, call),
        number::GETPEERNAME => calls::peer_name(thread, call),
        number::SETSOCKOPT => options::set(thread, call),
        number::GETSOCKOPT => options::get(thread, call),
        _ => Err(WAITS),
    }
}

/// Handles those that may wait.
pub async fn call(thread: &Rc<Thread>, call: Call) -> Outcome {
    match call.number {
        number::RECVFROM => transfer::receive_from(thread, call).await,
        number::SENDTO => transfer::send_to(thread, call).await,
        number::RECVMSG => transfer::receive_message(thread, call).await,
        number::SENDMSG => transfer::send_message(thread, call).await,
        number::RECVMMSG => boxed(transfer::receive_messages(thread, call)).await,
        number::SENDMMSG => boxed(transfer::send_messages(thread, call)).await,
        number::ACCEPT => boxed(calls::accept(thread, call, 0)).await,
        number::ACCEPT4 => boxed(calls::accept(thread, call, call.word(3))).await,
        number::BIND => boxed(calls::bind(thread, call)).await,
        number::CONNECT => boxed(calls::connect(thread, call)).await,
        _ => unknown(thread, call),
    }
}

/// The socket that a descriptor refers to.
///
/// # Errors
/// EBADF, ENOTSOCK.
fn socket(thread: &Thread, descriptor: i32) -> Result<(Rc<Description>, Rc<Socket>), Errno> {
    let file = thread.process.files.get(descriptor)?;
    match &file.kind {
        Kind::Socket(socket) => {
            let socket = socket.clone();
            Ok((file, socket))
        }
        _ => Err(Errno::ENOTSOCK),
    }
}

/// A thread wrote to a stream that has no reader.
fn broken_pipe(thread: &Thread) {
    signal::raise(thread, signal::SIGPIPE);
}

impl Socket {
    /// read(2).
    ///
    /// # Errors
    /// Those of recv(2).
    pub async fn read(&self, thread: &Thread, non_blocking: bool, to: &mut Buffers) -> Result<usize, Errno> {
        self.receive(thread, to, 0, !non_blocking, false).await.map(|received| received.length)
    }

    /// Sends bytes of the library OS (sendfile(2), splice(2)).
    ///
    /// # Errors
    /// Those of send(2).
    pub async fn put(&self, thread: &Thread, non_blocking: bool, bytes: &[u8]) -> Result<usize, Errno> {
        let mut ancillary = message::Ancillary::default();
        self.send(thread, &mut Slice(bytes), None, &mut ancillary, 0, !non_blocking).await
    }

    /// write(2).
    ///
    /// # Errors
    /// Those of send(2).
    pub async fn write(
        &self,
        thread: &Thread,
        non_blocking: bool,
        from: &mut Buffers,
    ) -> Result<usize, Errno> {
        self.send(thread, from, None, &mut message::Ancillary::default(), 0, !non_blocking).await
    }
}
