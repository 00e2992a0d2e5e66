//! Host sockets: published ports and brokered connections. On the process door they are descriptors, in a VM channels
//! of the trunk.

pub use crate::process::socket::{Batch, Shutdown};

use crate::boot::{Protocol, blob};
use crate::process::descriptor::Descriptor;
use crate::process::socket as process;
#[cfg(kernlet_image)]
use crate::vm::trunk as vm;
use crate::{Door, Errno, door, program};
use core::net::SocketAddr;

#[cfg(not(kernlet_image))]
use core::convert::Infallible;

/// Calls the function of the same name on whichever socket it is.
macro_rules! carried {
    ($socket:expr, $name:ident ( $($argument:expr),* )) => {
        match &$socket.0 {
            Carrier::Process(socket) => socket.$name($($argument),*),
            #[cfg(kernlet_image)]
            Carrier::Vm(socket) => socket.$name($($argument),*),
            #[cfg(not(kernlet_image))]
            Carrier::Vm(none) => match *none {},
        }
    };
}

/// A socket of the door that this instance came in by.
#[derive(Debug)]
enum Carrier<P, V> {
    Process(P),
    #[cfg_attr(not(kernlet_image), expect(dead_code, reason = "a host build has only the process door"))]
    Vm(V),
}

#[cfg(kernlet_image)]
type Listener = Carrier<process::HostListener, vm::Listener>;
#[cfg(not(kernlet_image))]
type Listener = Carrier<process::HostListener, Infallible>;
#[cfg(kernlet_image)]
type Stream = Carrier<process::HostStream, vm::Stream>;
#[cfg(not(kernlet_image))]
type Stream = Carrier<process::HostStream, Infallible>;
#[cfg(kernlet_image)]
type Datagram = Carrier<process::HostDatagram, vm::Datagram>;
#[cfg(not(kernlet_image))]
type Datagram = Carrier<process::HostDatagram, Infallible>;
#[cfg(kernlet_image)]
type Relay = Carrier<process::HostRelay, vm::Datagram>;
#[cfg(not(kernlet_image))]
type Relay = Carrier<process::HostRelay, Infallible>;

/// A listening TCP socket of the host. Not blocking.
#[derive(Debug)]
pub struct HostListener(Listener);

/// A connected stream socket of the host. Not blocking.
#[derive(Debug)]
pub struct HostStream(Stream);

/// A bound or connected UDP socket of the host. Not blocking.
#[derive(Debug)]
pub struct HostDatagram(Datagram);

/// One end of a UDP connection that the broker relays. Not blocking.
#[derive(Debug)]
pub struct HostRelay(Relay);

/// The host listeners of a published TCP port; none when it is not published.
pub fn listeners(port: u16) -> impl Iterator<Item = HostListener> {
    published(Protocol::Tcp, port).filter_map(HostListener::new)
}

/// The host sockets of a published UDP port; none when it is not published.
pub fn datagrams(port: u16) -> impl Iterator<Item = HostDatagram> {
    published(Protocol::Udp, port).filter_map(HostDatagram::new)
}

/// The descriptors or channels of a published port. The caller binds a port once: `net` keeps what it took.
fn published(protocol: Protocol, port: u16) -> impl Iterator<Item = i32> {
    blob().published().filter(move |p| p.protocol == protocol && p.port == port).map(|p| p.descriptor)
}

/// Makes what carries a socket of a descriptor or, in a VM, of a channel.
macro_rules! carry {
    ($number:expr, $process:ident, $vm:ident) => {
        match door() {
            Door::Process => {
                Descriptor::own($number).map(|d| Self(Carrier::Process(process::$process::new(d))))
            }
            #[cfg(kernlet_image)]
            Door::Vm => u32::try_from($number).ok().map(|c| Self(Carrier::Vm(vm::$vm::new(c)))),
            #[cfg(not(kernlet_image))]
            Door::Vm => None,
        }
    };
}

impl HostListener {
    fn new(number: i32) -> Option<Self> {
        carry!(number, HostListener, Listener)
    }

    /// Accepts a connection.
    ///
    /// # Errors
    /// EAGAIN when there is none; the host's others (EMFILE, ECONNABORTED, ...).
    pub fn accept(&self) -> Result<(HostStream, SocketAddr), Errno> {
        match &self.0 {
            Carrier::Process(socket) => {
                socket.accept().map(|(stream, peer)| (HostStream(Carrier::Process(stream)), peer))
            }
            #[cfg(kernlet_image)]
            Carrier::Vm(socket) => {
                socket.accept().map(|(stream, peer)| (HostStream(Carrier::Vm(stream)), peer))
            }
            #[cfg(not(kernlet_image))]
            Carrier::Vm(none) => match *none {},
        }
    }

    /// Reports readiness under `token` (see [`crate::event`]).
    ///
    /// # Errors
    /// The host's.
    pub fn watch(&self, token: u32) -> Result<(), Errno> {
        carried!(self, watch(token))
    }

    /// Sets an option of [`kernlet_wire::options`].
    ///
    /// # Errors
    /// As for [`HostStream::set_option`].
    pub fn set_option(&self, level: u32, name: u32, value: [u32; 2]) -> Result<(), Errno> {
        carried!(self, set_option(level, name, value))
    }

    /// Takes over a std listener, for tests.
    #[cfg(not(kernlet_image))]
    pub fn from_std(listener: std::net::TcpListener) -> Self {
        Self(Carrier::Process(process::HostListener::from_std(listener)))
    }
}

impl HostStream {
    /// What the broker granted on the process door.
    pub(crate) fn granted(descriptor: Descriptor) -> Self {
        Self(Carrier::Process(process::HostStream::new(descriptor)))
    }

    /// What the broker granted in a VM.
    #[cfg(kernlet_image)]
    pub(crate) fn carried(channel: u32) -> Self {
        Self(Carrier::Vm(vm::Stream::new(channel)))
    }

    /// Reads what is there; 0 bytes at the end.
    ///
    /// # Errors
    /// EAGAIN when nothing is there; the host's others.
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        carried!(self, read(buffer))
    }

    /// Writes what fits.
    ///
    /// # Errors
    /// EAGAIN when nothing fits; EPIPE after the end; the host's others.
    pub fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        carried!(self, write(bytes))
    }

    /// Writes what fits of several pieces, at most 16 of them (writev(2)).
    ///
    /// # Errors
    /// As for [`Self::write`].
    pub fn write_vectored(&self, pieces: &[&[u8]]) -> Result<usize, Errno> {
        carried!(self, write_vectored(pieces))
    }

    /// Reads what is there into pieces of a program's memory (address and length, at most 16); 0 bytes at the end. With
    /// `peek` it stays there.
    ///
    /// # Errors
    /// EFAULT; EAGAIN when nothing is there; the host's others.
    pub fn receive(&self, pieces: &[[usize; 2]], peek: bool) -> Result<usize, Errno> {
        pieces.iter().try_for_each(|[at, length]| program::within(*at, *length))?;
        carried!(self, receive(pieces, peek))
    }

    /// Writes what fits of pieces of a program's memory (address and length, at most 16).
    ///
    /// # Errors
    /// EFAULT; as for [`Self::write`].
    pub fn send(&self, pieces: &[[usize; 2]]) -> Result<usize, Errno> {
        pieces.iter().try_for_each(|[at, length]| program::within(*at, *length))?;
        carried!(self, send(pieces))
    }

    /// What it is ready for now, as the bits of poll(2).
    pub fn ask(&self) -> u32 {
        carried!(self, ask())
    }

    /// Bytes that can be read at once.
    pub fn available(&self) -> usize {
        carried!(self, available())
    }

    /// The error that is there to be told (SO_ERROR): it is told once.
    pub fn take_error(&self) -> Option<Errno> {
        carried!(self, take_error())
    }

    /// Ends one or both directions.
    ///
    /// # Errors
    /// ENOTCONN and the host's others.
    pub fn shutdown(&self, how: Shutdown) -> Result<(), Errno> {
        carried!(self, shutdown(how))
    }

    /// Sends small segments at once (TCP_NODELAY).
    ///
    /// # Errors
    /// The host's.
    pub fn set_nodelay(&self, on: bool) -> Result<(), Errno> {
        carried!(self, set_nodelay(on))
    }

    /// Sets an option of [`kernlet_wire::options`], whose value is one word, or two.
    ///
    /// # Errors
    /// The host's; EPERM for those that are not listed, and for a native program. In a VM none, as it is not waited for.
    pub fn set_option(&self, level: u32, name: u32, value: [u32; 2]) -> Result<(), Errno> {
        carried!(self, set_option(level, name, value))
    }

    /// How the connection does, as a `struct tcp_info`; tells the length.
    ///
    /// # Errors
    /// EOPNOTSUPP in a VM; the host's.
    pub fn information(&self, into: &mut [u8]) -> Result<usize, Errno> {
        carried!(self, information(into))
    }

    /// The local address, on the host.
    ///
    /// # Errors
    /// The host's.
    pub fn local_address(&self) -> Result<SocketAddr, Errno> {
        carried!(self, local_address())
    }

    /// Reports readiness under `token` (see [`crate::event`]).
    ///
    /// # Errors
    /// The host's.
    pub fn watch(&self, token: u32) -> Result<(), Errno> {
        carried!(self, watch(token))
    }
}

impl HostDatagram {
    fn new(number: i32) -> Option<Self> {
        carry!(number, HostDatagram, Datagram)
    }

    /// Receives what is there, up to the batch's slots, over what the batch held.
    ///
    /// # Errors
    /// EAGAIN when nothing is there; the host's others.
    pub fn receive_batch(&self, batch: &mut Batch) -> Result<usize, Errno> {
        carried!(self, receive_batch(batch))
    }

    /// Sends the replies that [`Batch::answer`] queued; what the host refuses for one of them is dropped, as UDP
    /// may drop it anywhere.
    ///
    /// # Errors
    /// EAGAIN when there is no room: call again with the same batch when the socket is writable.
    pub fn send_batch(&self, batch: &mut Batch) -> Result<(), Errno> {
        carried!(self, send_batch(batch))
    }

    /// Receives one datagram; what does not fit is cut off.
    ///
    /// # Errors
    /// EAGAIN when none is there; the host's others.
    pub fn receive_from(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr), Errno> {
        carried!(self, receive_from(buffer))
    }

    /// Sends one datagram.
    ///
    /// # Errors
    /// EAGAIN when there is no room; the host's others.
    pub fn send_to(&self, bytes: &[u8], peer: SocketAddr) -> Result<usize, Errno> {
        carried!(self, send_to(bytes, peer))
    }

    /// The local address, on the host; in a VM of a published port no more than its family.
    ///
    /// # Errors
    /// The host's.
    pub fn local_address(&self) -> Result<SocketAddr, Errno> {
        carried!(self, local_address())
    }

    /// Reports readiness under `token` (see [`crate::event`]).
    ///
    /// # Errors
    /// The host's.
    pub fn watch(&self, token: u32) -> Result<(), Errno> {
        carried!(self, watch(token))
    }

    /// Sets an option of [`kernlet_wire::options`].
    ///
    /// # Errors
    /// As for [`HostStream::set_option`].
    pub fn set_option(&self, level: u32, name: u32, value: [u32; 2]) -> Result<(), Errno> {
        carried!(self, set_option(level, name, value))
    }

    /// Takes over a std socket, for tests.
    #[cfg(not(kernlet_image))]
    pub fn from_std(socket: std::net::UdpSocket) -> Self {
        Self(Carrier::Process(process::HostDatagram::from_std(socket)))
    }
}

impl HostRelay {
    /// What the broker granted on the process door.
    pub(crate) fn granted(descriptor: Descriptor) -> Self {
        Self(Carrier::Process(process::HostRelay::new(descriptor)))
    }

    /// What the broker granted in a VM.
    #[cfg(kernlet_image)]
    pub(crate) fn carried(channel: u32) -> Self {
        Self(Carrier::Vm(vm::Datagram::new(channel)))
    }

    /// Receives one datagram; what does not fit is cut off.
    ///
    /// # Errors
    /// EAGAIN when none is there; EPIPE when the broker has gone; the host's others.
    pub fn receive(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        carried!(self, receive(buffer))
    }

    /// Sends one datagram.
    ///
    /// # Errors
    /// EAGAIN when there is no room, EMSGSIZE when it is too long, EPIPE when the broker has gone.
    pub fn send(&self, bytes: &[u8]) -> Result<usize, Errno> {
        carried!(self, send(bytes))
    }

    /// Reports readiness under `token` (see [`crate::event`]).
    ///
    /// # Errors
    /// The host's.
    pub fn watch(&self, token: u32) -> Result<(), Errno> {
        carried!(self, watch(token))
    }
}
