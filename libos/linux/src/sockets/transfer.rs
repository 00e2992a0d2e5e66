//! Sending and receiving (send(2), recv(2), and read(2) and write(2) on sockets).

use super::address::{self, Address};
use super::message::{Ancillary, CLOSE_ON_EXEC, HEADER, Header, Identity, Received};
use super::socket::{STREAM, Socket, Speech};
use super::{broken_pipe, socket};
use crate::call::{Call, Outcome, restart};
use crate::thread::Thread;
use crate::user::Buffers;
use crate::wait::Deadline;
use crate::{Errno, user};
use alloc::rc::Rc;
use core::task::Poll;
use kernlet_net::Memory;
use kernlet_time::Instant;

/// MSG_OOB, MSG_PEEK, MSG_TRUNC, MSG_DONTWAIT, MSG_WAITALL, MSG_ERRQUEUE, MSG_NOSIGNAL, MSG_MORE, MSG_WAITFORONE, MSG_FASTOPEN.
const OUT_OF_BAND: u32 = 0x1;
const PEEK: u32 = 0x2;
const TRUNCATE: u32 = 0x20;
pub const DONT_WAIT: u32 = 0x40;
const WAIT_ALL: u32 = 0x100;
const ERROR_QUEUE: u32 = 0x2000;
pub const NO_SIGNAL: u32 = 0x4000;
const MORE: u32 = 0x8000;
const WAIT_FOR_ONE: u32 = 0x1_0000;
const FAST_OPEN: u32 = 0x2000_0000;
/// The most messages of one call (UIO_MAXIOV).
const MESSAGES_MOST: u32 = 1024;

/// A limit that has a signal end the call for good: one with a timeout is not made again (sock_intr_errno).
pub fn interrupted(limit: Deadline) -> impl Fn(Errno) -> Errno {
    move |error| if error == restart::SYS && limit != Deadline::Never { Errno::EINTR } else { error }
}

impl Socket {
    /// Receives; waits for something unless told not to.
    ///
    /// # Errors
    /// Those of recv(2).
    pub async fn receive(
        &self,
        thread: &Thread,
        to: &mut Buffers,
        flags: u32,
        waits: bool,
        ancillary: bool,
    ) -> Result<Received, Errno> {
        if flags & OUT_OF_BAND != 0 {
            return Err(if self.common.kind == STREAM { Errno::EINVAL } else { Errno::EOPNOTSUPP });
        }
        if flags & ERROR_QUEUE != 0 {
            return Err(Errno::EAGAIN);
        }
        let peek = flags & PEEK != 0;
        let stream = self.common.kind == STREAM;
        // Of a stream nothing is asked for by nothing.
        if stream && to.remaining() == 0 && !matches!(self.speech, Speech::Unix(_)) {
            return self.peer().map(|_| Received::bytes(0));
        }
        let waits = waits && flags & DONT_WAIT == 0;
        let all = flags & WAIT_ALL != 0 && stream && !peek;
        // A stream gives no less than SO_RCVLOWAT as long as it waits for more.
        let most = to.remaining();
        let least = if all { most } else { self.common.options.least().min(most) };
        let mut received = self.receive_some(thread, to, peek, waits, ancillary).await?;
        while stream && !peek && waits && received.length > 0 && received.length < least {
            match self.receive_some(thread, to, peek, true, ancillary).await {
                Ok(more) if more.length > 0 => {
                    received.length += more.length;
                    received.whole += more.whole;
                    received.ancillary.files.extend(more.ancillary.files);
                }
                _ => break,
            }
        }
        Ok(received)
    }

    async fn receive_some(
        &self,
        thread: &Thread,
        to: &mut Buffers,
        peek: bool,
        waits: bool,
        ancillary: bool,
    ) -> Result<Received, Errno> {
        if let Poll::Ready(received) = self.poll_receive(to, peek, ancillary) {
            return received;
        }
        if !waits {
            return Err(Errno::EAGAIN);
        }
        let limit = self.common.options.receive_timeout();
        let mut received = Poll::Pending;
        let mut ready = || {
            received = self.poll_receive(to, peek, ancillary);
            received.is_ready()
        };
        limit.ready(thread, self.watchers(), &mut ready).await.map_err(interrupted(limit))?;
        match received {
            Poll::Ready(received) => received,
            Poll::Pending => Err(Errno::EAGAIN),
        }
    }

    /// Sends all; waits for room unless told not to.
    ///
    /// # Errors
    /// Those of send(2).
    pub async fn send(
        &self,
        thread: &Thread,
        from: &mut dyn Memory,
        address: Option<&Address>,
        ancillary: &mut Ancillary,
        flags: u32,
        waits: bool,
    ) -> Result<usize, Errno> {
        if flags & (OUT_OF_BAND | FAST_OPEN) != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        if let Speech::Udp(udp) = &self.speech {
            if flags & MORE != 0 {
                return udp.hold(from);
            }
            udp.prepare(thread, &self.common, address).await?;
        }
        let there = match (&self.speech, address) {
            (Speech::Unix(unix), Some(Address::Unix(name))) => unix.named(thread, name).await?,
            _ => None,
        };
        let there = there.as_ref();
        let waits = waits && flags & DONT_WAIT == 0;
        let stream = self.common.kind == STREAM;
        let limit = self.common.options.send_timeout();
        let mut done = 0;
        let result = loop {
            let sent = match self.poll_send(there, from, address, ancillary) {
                Poll::Ready(sent) => sent,
                Poll::Pending if !waits => Err(Errno::EAGAIN),
                Poll::Pending => {
                    let mut sent = Poll::Pending;
                    let mut ready = || {
                        sent = self.poll_send(there, from, address, ancillary);
                        sent.is_ready()
                    };
                    let waited = limit.ready(thread, self.watchers(), &mut ready).await;
                    match (waited.map_err(interrupted(limit)), sent) {
                        (Ok(_), Poll::Ready(sent)) => sent,
                        (Ok(_), Poll::Pending) => Err(Errno::EAGAIN),
                        (Err(error), _) => Err(error),
                    }
                }
            };
            match sent {
                Ok(length) => done += length,
                Err(error) => break Err(error),
            }
            // Who does not wait is told of what fitted; the next call finds that nothing more does.
            if !stream || from.remaining() == 0 || !waits {
                break Ok(done);
            }
        };
        match result {
            Err(_) if done > 0 => Ok(done),
            Err(Errno::EPIPE) => {
                if stream && flags & NO_SIGNAL == 0 {
                    broken_pipe(thread);
                }
                Err(Errno::EPIPE)
            }
            other => other,
        }
    }
}

/// sendto(2).
pub async fn send_to(thread: &Rc<Thread>, call: Call) -> Outcome {
    let (file, socket) = socket(thread, call.int(0))?;
    let mut from = Buffers::one(call.size(1), call.size(2));
    let address = if call.size(4) == 0 { None } else { Some(address::read(call.size(4), call.size(5))?) };
    let waits = !file.non_blocking();
    let mut ancillary = Ancillary::default();
    let sent = socket.send(thread, &mut from, address.as_ref(), &mut ancillary, call.word(3), waits).await?;
    Ok(sent as u64)
}

/// recvfrom(2).
pub async fn receive_from(thread: &Rc<Thread>, call: Call) -> Outcome {
    let (file, socket) = socket(thread, call.int(0))?;
    let mut to = Buffers::one(call.size(1), call.size(2));
    let flags = call.word(3);
    let received = socket.receive(thread, &mut to, flags, !file.non_blocking(), false).await?;
    if call.size(4) != 0 {
        match &received.from {
            Some(from) => from.write(call.size(4), call.size(5))?,
            None => user::write(call.size(5), &0u32.to_le_bytes())?,
        }
    }
    Ok(told(&received, flags))
}

fn told(received: &Received, flags: u32) -> u64 {
    (if flags & TRUNCATE != 0 { received.whole } else { received.length }) as u64
}

/// sendmsg(2).
pub async fn send_message(thread: &Rc<Thread>, call: Call) -> Outcome {
    let (file, socket) = socket(thread, call.int(0))?;
    send_one(thread, &socket, call.size(1), call.word(2), !file.non_blocking()).await.map(|n| n as u64)
}

async fn send_one(
    thread: &Rc<Thread>,
    socket: &Rc<Socket>,
    at: usize,
    flags: u32,
    waits: bool,
) -> Result<usize, Errno> {
    let header = Header::read(at)?;
    let address = header.address()?;
    let process = &thread.process;
    let own = Identity::of(process.id, &process.credentials.borrow());
    let mut ancillary = header.ancillary(&process.files, own)?;
    let mut from = header.buffers()?;
    socket.send(thread, &mut from, address.as_ref(), &mut ancillary, flags, waits).await
}

/// recvmsg(2).
pub async fn receive_message(thread: &Rc<Thread>, call: Call) -> Outcome {
    let (file, socket) = socket(thread, call.int(0))?;
    receive_one(thread, &socket, call.size(1), call.word(2), !file.non_blocking()).await
}

async fn receive_one(
    thread: &Rc<Thread>,
    socket: &Rc<Socket>,
    at: usize,
    flags: u32,
    waits: bool,
) -> Outcome {
    let header = Header::read(at)?;
    let mut to = header.buffers()?;
    let received = socket.receive(thread, &mut to, flags, waits, true).await?;
    let told = told(&received, flags);
    let with_identity = socket.common.options.pass_credentials();
    let close_on_exec = flags & CLOSE_ON_EXEC != 0;
    header.tell(&thread.process.files, received, flags & CLOSE_ON_EXEC, close_on_exec, with_identity)?;
    Ok(told)
}

/// sendmmsg(2).
pub async fn send_messages(thread: &Rc<Thread>, call: Call) -> Outcome {
    let (file, socket) = socket(thread, call.int(0))?;
    let count = call.word(2).min(MESSAGES_MOST);
    for i in 0..count {
        let at = call.size(1).wrapping_add(i as usize * (HEADER + 8));
        match send_one(thread, &socket, at, call.word(3), !file.non_blocking()).await {
            Ok(sent) => user::write(at.wrapping_add(HEADER), &(sent as u32).to_le_bytes())?,
            Err(error) if i == 0 => return Err(error),
            Err(_) => return Ok(i.into()),
        }
    }
    Ok(count.into())
}

/// recvmmsg(2).
pub async fn receive_messages(thread: &Rc<Thread>, call: Call) -> Outcome {
    let (file, socket) = socket(thread, call.int(0))?;
    let (count, mut flags) = (call.word(2).min(MESSAGES_MOST), call.word(3));
    let until = Deadline::timespec(call.size(4))?;
    for i in 0..count {
        let at = call.size(1).wrapping_add(i as usize * (HEADER + 8));
        match receive_one(thread, &socket, at, flags & !WAIT_FOR_ONE, !file.non_blocking()).await {
            Ok(length) => user::write(at.wrapping_add(HEADER), &(length as u32).to_le_bytes())?,
            Err(error) if i == 0 => return Err(error),
            Err(_) => return Ok(i.into()),
        }
        if flags & WAIT_FOR_ONE != 0 {
            flags |= DONT_WAIT;
        }
        // The time is looked at behind each datagram only (recvmmsg(2), BUGS).
        let over = matches!(until, Deadline::At(at) if Instant::now() >= at) || until == Deadline::Now;
        if over {
            return Ok(u64::from(i) + 1);
        }
    }
    Ok(count.into())
}
