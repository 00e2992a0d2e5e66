//! UNIX sockets (unix(7)): streams, datagrams, packets in order; descriptors and identities go along.

mod connect;
mod end;
mod names;
mod receive;
mod send;

pub use connect::connect;

use super::address::Name;
use super::message::Identity;
use super::socket::DATAGRAM;
use crate::Errno;
use crate::thread::Thread;
use crate::wait::Watchers;
use alloc::rc::Rc;
use core::task::Poll;
pub use end::End;
use end::Role;
use kernlet_net::{Shutdown, ready};

/// The longest queue of connections that wait to be accepted (net.core.somaxconn).
pub const BACKLOG_MOST: usize = 4096;

/// A UNIX socket.
pub struct Unix {
    end: Rc<End>,
}

impl Unix {
    /// A new socket of a process that is `identity`.
    pub fn new(kind: u32, identity: Identity) -> Self {
        Self { end: End::new(kind, identity) }
    }

    /// Two that are connected to one another.
    pub fn pair(kind: u32, identity: Identity) -> (Self, Self) {
        let (one, other) = (End::new(kind, identity), End::new(kind, identity));
        end::join(&one, &other);
        (Self { end: one }, Self { end: other })
    }

    /// See [`super::Socket::watchers`].
    pub fn watchers(&self) -> &Watchers {
        &self.end.watchers
    }

    /// See [`super::Socket::readiness`] (unix_poll in net/unix/af_unix.c).
    pub fn readiness(&self) -> u32 {
        let end = &*self.end;
        let [no_reading, no_writing] = end.shut.get();
        match &*end.role.borrow() {
            Role::Listening { pending, .. } => return ready::when(ready::IN, !pending.is_empty()),
            Role::Fresh if end.kind != DATAGRAM => return ready::OUT | ready::HANG_UP,
            Role::Fresh | Role::Connected(_) => {}
        }
        let full = end.peer().is_some_and(|peer| peer.room(end.kind) == 0);
        ready::when(ready::IN, no_reading || !end.inbox.borrow().is_empty())
            | ready::when(ready::OUT, !full)
            | ready::when(ready::READ_HANG_UP, no_reading)
            | ready::when(ready::HANG_UP, no_reading && no_writing)
            | ready::when(ready::ERROR, end.error.get().is_some())
    }

    /// bind(2); without a name an abstract one is chosen.
    ///
    /// # Errors
    /// EINVAL when it is bound; EADDRINUSE; those of making a file.
    pub async fn bind(&self, thread: &Rc<Thread>, name: Name) -> Result<(), Errno> {
        if *self.end.name.borrow() != Name::Unnamed {
            return Err(Errno::EINVAL);
        }
        let name = names::claim(thread, name, &self.end).await?;
        *self.end.name.borrow_mut() = name;
        Ok(())
    }

    /// Who has a name that is sent to, by a socket that sends to names.
    ///
    /// # Errors
    /// ECONNREFUSED; those of finding a file.
    pub async fn named(&self, thread: &Thread, name: &Name) -> Result<Option<Rc<End>>, Errno> {
        if self.end.kind != DATAGRAM { Ok(None) } else { names::find(thread, name).await.map(Some) }
    }

    /// listen(2).
    ///
    /// # Errors
    /// EINVAL when it has no name or is connected.
    pub fn listen(&self, backlog: i32) -> Result<(), Errno> {
        let backlog = usize::try_from(backlog).unwrap_or(BACKLOG_MOST).min(BACKLOG_MOST);
        if *self.end.name.borrow() == Name::Unnamed {
            return Err(Errno::EINVAL);
        }
        let role = &mut *self.end.role.borrow_mut();
        match role {
            Role::Fresh => *role = Role::Listening { pending: Default::default(), most: backlog },
            Role::Listening { most, .. } => *most = backlog,
            Role::Connected(_) => return Err(Errno::EINVAL),
        }
        self.end.room.notify(crate::wait::Events::OUT);
        Ok(())
    }

    /// Accepts a connection; the watchers are told when there may be one.
    pub fn poll_accept(&self) -> Poll<Result<Self, Errno>> {
        let taken = match &mut *self.end.role.borrow_mut() {
            Role::Listening { pending, .. } => pending.pop_front(),
            _ => return Poll::Ready(Err(Errno::EINVAL)),
        };
        match taken {
            Some(end) => {
                self.end.room.notify(crate::wait::Events::OUT);
                Poll::Ready(Ok(Self { end }))
            }
            None if self.end.shut.get()[0] => Poll::Ready(Err(Errno::EINVAL)),
            None => Poll::Pending,
        }
    }

    /// Ends the association of a datagram socket.
    pub fn disconnect(&self) {
        if self.end.kind == DATAGRAM {
            *self.end.role.borrow_mut() = Role::Fresh;
        }
    }

    /// Its name.
    pub fn name(&self) -> Name {
        self.end.name.borrow().clone()
    }

    /// The other end's name.
    ///
    /// # Errors
    /// ENOTCONN.
    pub fn peer_name(&self) -> Result<Name, Errno> {
        match &*self.end.role.borrow() {
            Role::Connected(connected) => Ok(connected.name.clone()),
            _ => Err(Errno::ENOTCONN),
        }
    }

    /// Who connected, or listened (SO_PEERCRED).
    pub fn peer_identity(&self) -> Option<Identity> {
        match &*self.end.role.borrow() {
            Role::Connected(connected) => Some(connected.identity),
            Role::Listening { .. } => Some(self.end.identity),
            Role::Fresh => None,
        }
    }

    /// Whether it listens.
    pub fn listens(&self) -> bool {
        matches!(*self.end.role.borrow(), Role::Listening { .. })
    }

    /// See [`super::Socket::shutdown`].
    ///
    /// # Errors
    /// None: one that is not connected is shut down all the same.
    pub fn shutdown(&self, how: Shutdown) -> Result<(), Errno> {
        let (reads, writes) = (how != Shutdown::Write, how != Shutdown::Read);
        self.end.shut(reads, writes);
        if self.end.kind != DATAGRAM
            && let Some(peer) = self.end.peer()
        {
            peer.shut(writes, reads);
        }
        Ok(())
    }

    /// See [`super::Socket::take_error`].
    pub fn take_error(&self) -> Option<Errno> {
        self.end.error.take()
    }

    /// See [`super::Socket::available`].
    ///
    /// # Errors
    /// EINVAL when it listens.
    pub fn available(&self) -> Result<usize, Errno> {
        if self.listens() {
            return Err(Errno::EINVAL);
        }
        let inbox = self.end.inbox.borrow();
        Ok(if self.end.kind == DATAGRAM {
            inbox.front().map_or(0, |message| message.rest().len())
        } else {
            self.end.bytes.get()
        })
    }

    /// See [`super::Socket::unsent`].
    pub fn unsent(&self) -> usize {
        self.end.peer().map_or(0, |peer| peer.bytes.get())
    }
}
