//! Stream sockets and listeners that the monitor opened or the broker connected.

mod address;
mod datagram;
mod program;
mod relay;

pub use datagram::{Batch, HostDatagram};
pub use relay::HostRelay;

use super::call::{call, number, retried};
use super::descriptor::Descriptor;
use super::event;
use crate::Errno;
use address::SocketAddress;
use core::net::SocketAddr;

/// SOCK_NONBLOCK and SOCK_CLOEXEC.
const ACCEPT_FLAGS: usize = 0o4000 | 0o2000000;
const IPPROTO_TCP: usize = 6;
const TCP_NODELAY: usize = 1;

/// What to end of a stream (shutdown(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// No more reading.
    Read = 0,
    /// No more writing: the peer sees the end.
    Write = 1,
    /// Both.
    Both = 2,
}

/// A listening TCP socket. Not blocking.
#[derive(Debug)]
pub struct HostListener(Descriptor);

impl HostListener {
    pub(crate) fn new(descriptor: Descriptor) -> Self {
        Self(descriptor)
    }

    /// Accepts a connection.
    ///
    /// # Errors
    /// EAGAIN when there is none; the host's others (EMFILE, ECONNABORTED, ...).
    pub fn accept(&self) -> Result<(HostStream, SocketAddr), Errno> {
        let mut peer = SocketAddress::ZERO;
        let mut length = SocketAddress::SIZE as u32;
        let arguments = [self.0.raw(), &raw mut peer as usize, &raw mut length as usize, ACCEPT_FLAGS, 0, 0];
        // SAFETY: the host writes at most SIZE bytes into `peer` and 4 into `length`.
        let accepted = unsafe { retried(number::ACCEPT4, arguments)? };
        let descriptor = Descriptor::own(accepted as i32).ok_or(Errno::EBADF)?;
        Ok((HostStream::new(descriptor), peer.get().ok_or(Errno::EAFNOSUPPORT)?))
    }

    /// Reports readiness under `token` (see [`crate::event`]).
    ///
    /// # Errors
    /// The host's.
    pub fn watch(&self, token: u32) -> Result<(), Errno> {
        event::watch(self.0.number(), token)
    }
}

/// A connected stream socket. Not blocking.
#[derive(Debug)]
pub struct HostStream(Descriptor);

impl HostStream {
    pub(crate) fn new(descriptor: Descriptor) -> Self {
        Self(descriptor)
    }

    /// Reads what is there; 0 bytes at the end.
    ///
    /// # Errors
    /// EAGAIN when nothing is there; the host's others.
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        self.0.read(buffer)
    }

    /// Writes what fits.
    ///
    /// # Errors
    /// EAGAIN when nothing fits; EPIPE after the end; the host's others.
    pub fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        self.0.write(bytes)
    }

    /// Writes what fits of several pieces, at most 16 of them (writev(2)).
    ///
    /// # Errors
    /// As for [`Self::write`].
    pub fn write_vectored(&self, pieces: &[&[u8]]) -> Result<usize, Errno> {
        let mut vectors = [[0usize; 2]; 16];
        let count = pieces.len().min(vectors.len());
        for (vector, piece) in vectors.iter_mut().zip(pieces) {
            *vector = [piece.as_ptr() as usize, piece.len()];
        }
        // SAFETY: the host only reads the lent pieces.
        unsafe { retried(number::WRITEV, [self.0.raw(), vectors.as_ptr() as usize, count, 0, 0, 0]) }
    }

    /// Ends one or both directions.
    ///
    /// # Errors
    /// ENOTCONN and the host's others.
    pub fn shutdown(&self, how: Shutdown) -> Result<(), Errno> {
        // SAFETY: touches no memory.
        unsafe { call(number::SHUTDOWN, [self.0.raw(), how as usize, 0, 0, 0, 0]).map(drop) }
    }

    /// Sends small segments at once (TCP_NODELAY).
    ///
    /// # Errors
    /// The host's.
    pub fn set_nodelay(&self, on: bool) -> Result<(), Errno> {
        set_option(&self.0, IPPROTO_TCP, TCP_NODELAY, &[u32::from(on)])
    }

    /// The local address, on the host.
    ///
    /// # Errors
    /// The host's.
    pub fn local_address(&self) -> Result<SocketAddr, Errno> {
        local_address(&self.0)
    }

    /// Reports readiness under `token` (see [`crate::event`]).
    ///
    /// # Errors
    /// The host's.
    pub fn watch(&self, token: u32) -> Result<(), Errno> {
        event::watch(self.0.number(), token)
    }
}

#[cfg(not(kernlet_image))]
impl HostListener {
    /// Takes over a std listener, for tests.
    pub fn from_std(listener: std::net::TcpListener) -> Self {
        use std::os::fd::IntoRawFd;
        listener.set_nonblocking(true).expect("a socket can be made non-blocking");
        Self(Descriptor::own(listener.into_raw_fd()).expect("an open listener has a descriptor"))
    }
}

fn set_option(socket: &Descriptor, level: usize, name: usize, value: &[u32]) -> Result<(), Errno> {
    let arguments = [socket.raw(), level, name, value.as_ptr() as usize, size_of_val(value), 0];
    // SAFETY: the host reads the lent words.
    unsafe { call(number::SETSOCKOPT, arguments).map(drop) }
}

fn local_address(socket: &Descriptor) -> Result<SocketAddr, Errno> {
    let mut local = SocketAddress::ZERO;
    let mut length = SocketAddress::SIZE as u32;
    let arguments = [socket.raw(), &raw mut local as usize, &raw mut length as usize, 0, 0, 0];
    // SAFETY: the host writes at most SIZE bytes into `local` and 4 into `length`.
    unsafe { call(number::GETSOCKNAME, arguments)? };
    local.get().ok_or(Errno::EAFNOSUPPORT)
}
