//! A published TCP port. Connections are accepted as far as the program waits for them; the others wait in the host's
//! queue, as those of a process do.

use super::line::Line;
use kernlet_wire::trunk::kind;
use rustix::io::Errno;
use rustix::net::{SocketFlags, acceptfrom_with, getsockname};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

#[derive(Debug)]
pub(super) struct Listener {
    socket: OwnedFd,
    /// How many connections the instance has room for.
    allowed: u32,
}

impl Listener {
    pub(super) const fn new(socket: OwnedFd) -> Self {
        Self { socket, allowed: 0 }
    }

    pub(super) const fn may_accept(&self) -> bool {
        self.allowed > 0
    }

    pub(super) fn grant(&mut self, more: u32) {
        self.allowed = self.allowed.saturating_add(more);
    }

    /// Accepts a connection: its socket, the local address and the other end's. Without a `place` for it, and when the
    /// host has none, the program is told as by accept(2).
    pub(super) fn accept(
        &mut self,
        id: u32,
        place: bool,
        line: &mut Line,
    ) -> Option<(OwnedFd, SocketAddr, SocketAddr)> {
        if self.allowed == 0 {
            return None;
        }
        let accepted = || -> Result<_, Errno> {
            if !place {
                return Err(Errno::MFILE);
            }
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let (socket, peer) = acceptfrom_with(&self.socket, flags)?;
            let address = |any: rustix::net::SocketAddrAny| any.try_into().map_err(|_| Errno::AFNOSUPPORT);
            let local = address(getsockname(&socket)?)?;
            Ok((socket, local, address(peer.ok_or(Errno::CONNABORTED)?)?))
        };
        match accepted() {
            Ok(accepted) => {
                self.allowed -= 1;
                Some(accepted)
            }
            Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                self.allowed -= 1;
                let error = (Errno::MFILE.raw_os_error() as u32).to_le_bytes();
                line.put(kind::ERROR, id, &[&error]);
                None
            }
            // Nobody is there any more, or this connection ended before it was accepted.
            Err(_) => None,
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
