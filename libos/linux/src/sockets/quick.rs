//! The calls that servers make most, tried at once: no future is made for what need not wait.

use super::broken_pipe;
use super::message::Header;
use super::socket::{Socket, Speech};
use super::tcp::Tcp;
use super::transfer::{DONT_WAIT, NO_SIGNAL};
use crate::Errno;
use crate::call::{Call, Outcome, WAITS, number};
use crate::files::Kind;
use crate::thread::Thread;
use crate::user::Buffers;
use core::task::Poll;

/// Reads from or writes to a TCP connection, without waiting.
///
/// # Errors
/// [`WAITS`] when it would have to wait, or is no such call after all, and nothing was done. Else those of recv(2) and send(2).
#[inline]
pub fn try_stream(thread: &Thread, call: Call) -> Outcome {
    match call.number {
        number::READ | number::RECVFROM => receive(thread, call),
        number::WRITE | number::SENDTO | number::WRITEV | number::SENDMSG => send(thread, call),
        _ => Err(WAITS),
    }
}

/// Hands `with` the connection that a descriptor refers to, and whether calls wait at it.
fn of(thread: &Thread, descriptor: i32, with: impl FnOnce(&Socket, &Tcp, bool) -> Outcome) -> Outcome {
    let file = thread.process.files.get(descriptor)?;
    let Kind::Socket(socket) = &file.kind else { return Err(WAITS) };
    let Speech::Tcp(tcp) = &socket.speech else { return Err(WAITS) };
    // An error that is there to be told, too, is told in the one place.
    if socket.common.error.get().is_some() {
        return Err(WAITS);
    }
    with(socket, tcp, !file.non_blocking())
}

fn receive(thread: &Thread, call: Call) -> Outcome {
    let mut waits = true;
    if call.number == number::RECVFROM {
        if call.word(3) & !DONT_WAIT != 0 || call.size(4) != 0 {
            return Err(WAITS);
        }
        waits = call.word(3) == 0;
    }
    of(thread, call.int(0), |socket, tcp, blocking| {
        let mut to = Buffers::one(call.size(1), call.size(2));
        if to.remaining() == 0 || (blocking && socket.common.options.least() > 1) {
            return Err(WAITS);
        }
        match tcp.poll_receive(&socket.common, &mut to, false) {
            Poll::Ready(received) => received.map(|length| length as u64),
            Poll::Pending if blocking && waits => Err(WAITS),
            Poll::Pending => Err(Errno::EAGAIN),
        }
    })
}

fn send(thread: &Thread, call: Call) -> Outcome {
    let flags = match call.number {
        number::SENDTO if call.size(4) != 0 => return Err(WAITS),
        number::SENDTO => call.word(3),
        number::SENDMSG => call.word(2),
        _ => 0,
    };
    if flags & !(DONT_WAIT | NO_SIGNAL) != 0 {
        return Err(WAITS);
    }
    of(thread, call.int(0), |socket, tcp, blocking| {
        // Who waits, waits until all is sent.
        if blocking && flags & DONT_WAIT == 0 {
            return Err(WAITS);
        }
        let mut from = match call.number {
            number::WRITEV => Buffers::vector(call.size(1), call.size(2))?,
            number::SENDMSG => {
                let header = Header::read(call.size(1))?;
                if !header.is_bare() {
                    return Err(WAITS);
                }
                header.buffers()?
            }
            _ => Buffers::one(call.size(1), call.size(2)),
        };
        match tcp.poll_send(&socket.common, &mut from) {
            Poll::Ready(Err(Errno::EPIPE)) => {
                if flags & NO_SIGNAL == 0 {
                    broken_pipe(thread);
                }
                Err(Errno::EPIPE)
            }
            Poll::Ready(sent) => sent.map(|length| length as u64),
            Poll::Pending => Err(Errno::EAGAIN),
        }
    })
}
