//! Streams of the host straight from and to a program's memory, and what a socket is ready for now.

use super::super::call::{call, number, retried};
use super::super::descriptor::Descriptor;
use super::{HostDatagram, HostListener, HostStream, IPPROTO_TCP};
use crate::Errno;
use kernlet_wire::options;

/// MSG_PEEK, MSG_TRUNC, MSG_DONTWAIT.
const PEEK: usize = 0x02;
const TRUNCATE: usize = 0x20;
const DONT_WAIT: usize = 0x40;
/// TCP_INFO.
const INFORMATION: usize = 11;
/// More than any socket holds.
const ALL: usize = 0x7fff_0000;
/// POLLIN, POLLOUT, POLLRDHUP; errors and hang-ups are told of in any case.
const EVENTS: u16 = 0x1 | 0x4 | 0x2000;

/// What a descriptor is ready for now, as the bits of poll(2); 0 when the host does not tell.
fn ask(socket: &Descriptor) -> u32 {
    let mut entry = [socket.number() as u32, u32::from(EVENTS)];
    // SAFETY: the host reads and writes one `struct pollfd`.
    match unsafe { call(number::POLL, [entry.as_mut_ptr() as usize, 1, 0, 0, 0, 0]) } {
        Ok(1) => entry[1] >> 16,
        _ => 0,
    }
}

/// recvmsg(2) into pieces.
///
/// # Safety
/// The host may write to the pieces.
unsafe fn receive(socket: &Descriptor, pieces: &[[usize; 2]], flags: usize) -> Result<usize, Errno> {
    // struct msghdr: no address, the pieces, no control message.
    let mut message = [0, 0, pieces.as_ptr() as usize, pieces.len(), 0, 0, 0];
    let arguments = [socket.raw(), message.as_mut_ptr() as usize, flags | DONT_WAIT, 0, 0, 0];
    // SAFETY: the header is a live local; the caller vouches for the pieces.
    unsafe { retried(number::RECVMSG, arguments) }
}

/// See [`crate::socket::HostStream::set_option`].
fn set_option(socket: &Descriptor, level: u32, name: u32, value: [u32; 2]) -> Result<(), Errno> {
    let words = if (level, name) == (options::SOCKET, options::LINGER) { 2 } else { 1 };
    super::set_option(socket, level as usize, name as usize, &value[..words])
}

impl HostListener {
    /// See [`crate::socket::HostListener::set_option`].
    pub fn set_option(&self, level: u32, name: u32, value: [u32; 2]) -> Result<(), Errno> {
        set_option(&self.0, level, name, value)
    }
}

impl HostDatagram {
    /// See [`crate::socket::HostDatagram::set_option`].
    pub fn set_option(&self, level: u32, name: u32, value: [u32; 2]) -> Result<(), Errno> {
        set_option(self.descriptor(), level, name, value)
    }
}

impl HostStream {
    /// See [`crate::socket::HostStream::set_option`].
    pub fn set_option(&self, level: u32, name: u32, value: [u32; 2]) -> Result<(), Errno> {
        set_option(&self.0, level, name, value)
    }

    /// See [`crate::socket::HostStream::information`].
    pub fn information(&self, into: &mut [u8]) -> Result<usize, Errno> {
        let mut length = into.len() as u32;
        let arguments =
            [self.0.raw(), IPPROTO_TCP, INFORMATION, into.as_mut_ptr() as usize, &raw mut length as usize, 0];
        // SAFETY: the host writes at most as many bytes as the lent buffer has, and how many into a live local.
        unsafe { call(number::GETSOCKOPT, arguments)? };
        Ok((length as usize).min(into.len()))
    }

    /// See [`crate::socket::HostStream::receive`]. The pieces lie where only the program's memory may be.
    pub fn receive(&self, pieces: &[[usize; 2]], peek: bool) -> Result<usize, Errno> {
        match pieces {
            // SAFETY: the piece may only be the program's memory, on which nothing of Rust's relies.
            [[at, length]] if !peek => unsafe {
                retried(number::READ, [self.0.raw(), *at, *length, 0, 0, 0])
            },
            // SAFETY: as above.
            _ => unsafe { receive(&self.0, pieces, if peek { PEEK } else { 0 }) },
        }
    }

    /// See [`crate::socket::HostStream::send`].
    pub fn send(&self, pieces: &[[usize; 2]]) -> Result<usize, Errno> {
        match pieces {
            // SAFETY: the host only reads.
            [[at, length]] => unsafe { retried(number::WRITE, [self.0.raw(), *at, *length, 0, 0, 0]) },
            // SAFETY: as above.
            _ => unsafe {
                retried(number::WRITEV, [self.0.raw(), pieces.as_ptr() as usize, pieces.len(), 0, 0, 0])
            },
        }
    }

    /// See [`crate::socket::HostStream::ask`].
    pub fn ask(&self) -> u32 {
        ask(&self.0)
    }

    /// See [`crate::socket::HostStream::available`].
    pub fn available(&self) -> usize {
        // SAFETY: with MSG_TRUNC nothing is written (tcp(7)), and with MSG_PEEK nothing is taken off.
        unsafe { receive(&self.0, &[[0, ALL]], PEEK | TRUNCATE) }.unwrap_or(0)
    }

    /// See [`crate::socket::HostStream::take_error`].
    pub fn take_error(&self) -> Option<Errno> {
        let mut byte = 0u8;
        // SAFETY: the host writes at most one byte into a live local.
        match unsafe { receive(&self.0, &[[&raw mut byte as usize, 1]], PEEK) } {
            Err(error) if error != Errno::EAGAIN => Some(error),
            _ => None,
        }
    }
}
