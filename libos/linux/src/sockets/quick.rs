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
use crate::user::MOVED_MOST;
use core::task::Poll;
use kernlet_net::PIECES;
use kernlet_platform::program;

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
        let pieces = [[call.size(1), call.size(2).min(MOVED_MOST)]];
        if pieces[0][1] == 0 || (blocking && socket.common.options.least() > 1) {
            return Err(WAITS);
        }
        match tcp.receive_at(&socket.common, &pieces) {
            Some(Poll::Ready(received)) => received.map(|length| length as u64),
            Some(Poll::Pending) if !(blocking && waits) => Err(Errno::EAGAIN),
            _ => Err(WAITS),
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
        let mut pieces = [[0; 2]; PIECES];
        let count = match call.number {
            number::WRITEV => vector(call.size(1), call.size(2), &mut pieces)?,
            number::SENDMSG => {
                let header = Header::read(call.size(1))?;
                let (at, count) = header.bare().ok_or(WAITS)?;
                vector(at, count, &mut pieces)?
            }
            _ => {
                pieces[0] = [call.size(1), call.size(2).min(MOVED_MOST)];
                1
            }
        };
        match tcp.send_at(&socket.common, &pieces[..count]) {
            None => Err(WAITS),
            Some(polled) => match polled {
                Poll::Ready(Err(Errno::EPIPE)) => {
                    if flags & NO_SIGNAL == 0 {
                        broken_pipe(thread);
                    }
                    Err(Errno::EPIPE)
                }
                Poll::Ready(sent) => sent.map(|length| length as u64),
                Poll::Pending => Err(Errno::EAGAIN),
            },
        }
    })
}

/// Reads an array of `struct iovec` into `pieces`; what is unusual about it is for [`Buffers::vector`] to look at.
///
/// [`Buffers::vector`]: crate::user::Buffers::vector
fn vector(at: usize, count: usize, pieces: &mut [[usize; 2]; PIECES]) -> Result<usize, Errno> {
    let mut words = [[0u64; 2]; PIECES];
    let words = words.get_mut(..count).ok_or(WAITS)?;
    program::read_words(at, words.as_flattened_mut()).map_err(|_| WAITS)?;
    let (mut used, mut total) = (0, 0);
    for [base, length] in words.iter().map(|piece| piece.map(|word| word as usize)) {
        total += length.min(MOVED_MOST);
        if length > MOVED_MOST || total > MOVED_MOST {
            return Err(WAITS);
        }
        if length > 0 {
            pieces[used] = [base, length];
            used += 1;
        }
    }
    if used == 0 { Err(WAITS) } else { Ok(used) }
}
