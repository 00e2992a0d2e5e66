//! The broker on its socket.

use crate::broker::{Answer, Broker, Job};
use crate::crew::{self, Plan, Work};
use crate::relay::Relay;
use kernlet_wire::broker::{MAX_MESSAGE, MAX_OUTSTANDING};
use rustix::io::Errno;
use rustix::net::{
    RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, Shutdown, recv, send, sendmsg, shutdown,
};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// How much of answers may wait to be read, in bytes; the kernel doubles it, and counts about a kilobyte for the
/// smallest. It holds [`MAX_OUTSTANDING`] answers, each of which may have a handle in the broker.
const UNREAD: usize = 32 << 10;

/// A broker at work on the monitor's end of the socket pair, on threads of its own; it ends when this is dropped, when
/// the instance closes its end, and when that sends what is no message.
///
/// Datagrams that the instance has sent go out before it is dropped. Otherwise whoever drops it does not wait: a thread that hangs in a file system ends when that lets go of it.
#[derive(Debug)]
pub struct Service {
    socket: Arc<OwnedFd>,
    relay: Arc<Relay>,
}

impl Service {
    /// Serves `socket`, one end of a SOCK_SEQPACKET pair.
    ///
    /// An instance that does not read its answers is not read from any more when they fill the socket; one that asks
    /// for more than [`MAX_OUTSTANDING`] things that hang in one volume is told so (ENOBUFS).
    ///
    /// # Errors
    /// The host is out of threads or descriptors.
    pub fn new(broker: Broker, socket: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, false)?;
        rustix::net::sockopt::set_socket_send_buffer_size(&socket, UNREAD)?;
        let (socket, relay) = (Arc::new(socket), broker.relay());
        crew::start(Served { broker, socket: socket.clone() }, MAX_OUTSTANDING)?;
        Ok(Self { socket, relay })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = shutdown(&self.socket, Shutdown::Both);
        self.relay.flush();
    }
}

/// What the crew works on.
struct Served {
    broker: Broker,
    socket: Arc<OwnedFd>,
}

impl Work for Served {
    type Job = Job;

    fn widths(&self) -> Vec<usize> {
        self.broker.widths()
    }

    fn receive(&self) -> Option<Job> {
        let mut buffer = [0; MAX_MESSAGE + 1];
        // No room is given for descriptors: the kernel drops those that were sent along, they never arrive here.
        let length = loop {
            match recv(&self.socket, &mut buffer[..], RecvFlags::empty()) {
                Ok((length, _)) => break length,
                Err(Errno::INTR) => {}
                Err(_) => return None,
            }
        };
        // Nothing is the end (or an empty message), and more than fits is no message.
        let message = buffer.get(..length).filter(|m| !m.is_empty() && m.len() <= MAX_MESSAGE)?;
        self.broker.accept(message).ok()
    }

    fn plan(&self, job: &Job) -> Plan {
        job.plan()
    }

    fn perform(&self, job: Job) {
        let answer = self.broker.perform(job);
        self.deliver(&answer);
    }

    fn refuse(&self, job: Job) {
        self.deliver(&Answer::error(job.id(), Errno::NOBUFS));
    }

    fn close(&self) {
        let _ = shutdown(&self.socket, Shutdown::Both);
    }
}

impl Served {
    /// Sends an answer, waiting while the socket is full. An error is the end of the instance, which the receiver
    /// learns as well.
    fn deliver(&self, answer: &Answer) {
        loop {
            match self.send(answer) {
                Err(Errno::INTR) => {}
                // Too many descriptors are on their way to instances that do not fetch them.
                Err(Errno::TOOMANYREFS) if answer.descriptor.is_some() => {
                    self.broker.undelivered(answer);
                    return self.deliver(&Answer::error(answer.id(), Errno::MFILE));
                }
                _ => return,
            }
        }
    }

    fn send(&self, answer: &Answer) -> Result<usize, Errno> {
        let flags = SendFlags::NOSIGNAL;
        let Some(descriptor) = &answer.descriptor else {
            return send(&self.socket, &answer.bytes, flags);
        };
        let descriptors = [descriptor.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
        sendmsg(&self.socket, &[IoSlice::new(&answer.bytes)], &mut control, flags)
    }
}
