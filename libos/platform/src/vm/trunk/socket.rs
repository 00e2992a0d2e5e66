//! The kinds of channels.

use super::with;
use crate::Errno;
use crate::socket::{Batch, Shutdown};
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use kernlet_wire::trunk::{NOTE, is_six};

/// A channel that is owned; closed when dropped.
#[derive(Debug)]
pub struct Channel(u32);

impl Drop for Channel {
    fn drop(&mut self) {
        // Without a trunk there is nothing to close.
        let _ = with(|mux| {
            mux.close(self.0);
            Ok(())
        });
    }
}

macro_rules! channel {
    ($($kind:ident)*) => {$(
        impl $kind {
            pub(super) fn channel(&self) -> &Channel {
                &self.0
            }
        }
    )*};
}

channel! { Stream Listener Datagram }

impl Channel {
    pub(super) fn number(&self) -> u32 {
        self.0
    }

    #[inline(never)]
    fn watch(&self, token: u32) -> Result<(), Errno> {
        with(|mux| mux.watch(self.0, token))
    }
}

/// The listening socket of a published port.
#[derive(Debug)]
pub struct Listener(Channel);

impl Listener {
    /// Takes over the channel of a published port, which accepts from now on.
    pub fn new(channel: u32) -> Self {
        let _ = with(|mux| {
            mux.listen(channel);
            Ok(())
        });
        Self(Channel(channel))
    }

    /// See [`crate::socket::HostListener::accept`].
    #[inline(never)]
    pub fn accept(&self) -> Result<(Stream, SocketAddr), Errno> {
        let (channel, peer) = with(|mux| mux.accept(self.0.0))?;
        Ok((Stream::new(channel), peer))
    }

    /// See [`crate::socket::HostListener::watch`].
    pub fn watch(&self, token: u32) -> Result<(), Errno> {
        self.0.watch(token)
    }
}

/// A connected stream.
#[derive(Debug)]
pub struct Stream(Channel);

impl Stream {
    /// Takes over the channel.
    pub fn new(channel: u32) -> Self {
        Self(Channel(channel))
    }

    /// See [`crate::socket::HostStream::read`].
    #[inline(never)]
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        with(|mux| mux.read(self.0.0, buffer))
    }

    /// See [`crate::socket::HostStream::write`].
    pub fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        self.write_vectored(&[bytes])
    }

    /// See [`crate::socket::HostStream::write_vectored`].
    #[inline(never)]
    pub fn write_vectored(&self, pieces: &[&[u8]]) -> Result<usize, Errno> {
        with(|mux| mux.write(self.0.0, pieces))
    }

    /// See [`crate::socket::HostStream::shutdown`].
    #[inline(never)]
    pub fn shutdown(&self, how: Shutdown) -> Result<(), Errno> {
        with(|mux| mux.shut(self.0.0, how != Shutdown::Write, how != Shutdown::Read))
    }

    /// See [`crate::socket::HostStream::set_nodelay`].
    pub fn set_nodelay(&self, on: bool) -> Result<(), Errno> {
        with(|mux| {
            mux.set_nodelay(self.0.0, on);
            Ok(())
        })
    }

    /// See [`crate::socket::HostStream::local_address`].
    #[inline(never)]
    pub fn local_address(&self) -> Result<SocketAddr, Errno> {
        with(|mux| Ok(mux.ends(self.0.0)?.0))
    }

    /// See [`crate::socket::HostStream::watch`].
    pub fn watch(&self, token: u32) -> Result<(), Errno> {
        self.0.watch(token)
    }
}

/// A datagram socket.
#[derive(Debug)]
pub struct Datagram(Channel);

impl Datagram {
    /// Takes over the channel.
    pub fn new(channel: u32) -> Self {
        Self(Channel(channel))
    }

    /// See [`crate::socket::HostDatagram::receive_batch`].
    #[inline(never)]
    pub fn receive_batch(&self, batch: &mut Batch) -> Result<usize, Errno> {
        with(|mux| batch.fill(|into| mux.receive(self.0.0, into)))
    }

    /// See [`crate::socket::HostDatagram::send_batch`].
    #[inline(never)]
    pub fn send_batch(&self, batch: &mut Batch) -> Result<(), Errno> {
        with(|mux| batch.empty(|reply, peer, note| mux.send(self.0.0, reply, peer, note)))
    }

    /// See [`crate::socket::HostDatagram::receive_from`].
    pub fn receive_from(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr), Errno> {
        with(|mux| mux.receive(self.0.0, buffer)).map(|(length, peer, _)| (length, peer))
    }

    /// See [`crate::socket::HostDatagram::send_to`].
    pub fn send_to(&self, bytes: &[u8], peer: SocketAddr) -> Result<usize, Errno> {
        with(|mux| mux.send(self.0.0, bytes, peer, &[0; NOTE]))
    }

    /// See [`crate::socket::HostRelay::receive`].
    pub fn receive(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        self.receive_from(buffer).map(|(length, _)| length)
    }

    /// See [`crate::socket::HostRelay::send`]: a connection has one destination, which the monitor knows.
    pub fn send(&self, bytes: &[u8]) -> Result<usize, Errno> {
        self.send_to(bytes, SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0))
    }

    /// See [`crate::socket::HostDatagram::local_address`]. Of a published port only the family is known.
    #[inline(never)]
    pub fn local_address(&self) -> Result<SocketAddr, Errno> {
        with(|mux| mux.ends(self.0.0)).map(|(local, _)| local).or_else(|_| {
            let any =
                if is_six(self.0.0) { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
            Ok(SocketAddr::new(any, 0))
        })
    }

    /// See [`crate::socket::HostDatagram::watch`].
    pub fn watch(&self, token: u32) -> Result<(), Errno> {
        self.0.watch(token)
    }
}
