//! Streams from and to a program's memory, and what a channel is ready for now.

use super::socket::{Channel, Datagram, Listener, Stream};
use super::with;
use crate::{Errno, program};

/// What is copied at a time: the mux is not held while the program's memory is touched, which may have to be filled in.
const CHUNK: usize = 4096;

impl Channel {
    fn set_option(&self, level: u32, name: u32, value: [u32; 2]) -> Result<(), Errno> {
        with(|mux| {
            mux.set_option(self.number(), level, name, value);
            Ok(())
        })
    }
}

impl Listener {
    /// See [`crate::socket::HostListener::set_option`].
    pub fn set_option(&self, level: u32, name: u32, value: [u32; 2]) -> Result<(), Errno> {
        self.channel().set_option(level, name, value)
    }
}

impl Datagram {
    /// See [`crate::socket::HostDatagram::set_option`].
    pub fn set_option(&self, level: u32, name: u32, value: [u32; 2]) -> Result<(), Errno> {
        self.channel().set_option(level, name, value)
    }
}

impl Stream {
    /// See [`crate::socket::HostStream::set_option`].
    pub fn set_option(&self, level: u32, name: u32, value: [u32; 2]) -> Result<(), Errno> {
        self.channel().set_option(level, name, value)
    }

    /// See [`crate::socket::HostStream::information`].
    pub fn information(&self, _: &mut [u8]) -> Result<usize, Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// See [`crate::socket::HostStream::receive`].
    pub fn receive(&self, pieces: &[[usize; 2]], peek: bool) -> Result<usize, Errno> {
        let mut chunk = [0; CHUNK];
        let (mut done, mut skipped) = (0, 0);
        for &[at, length] in pieces {
            let mut filled = 0;
            while filled < length {
                let part = &mut chunk[..(length - filled).min(CHUNK)];
                let copied = with(|mux| mux.peek(self.channel().number(), skipped, part))?;
                if copied == 0 {
                    // The end, an error, or nothing yet: reading tells which.
                    return if done > 0 { Ok(done) } else { self.read(&mut chunk[..1]) };
                }
                if let Err(error) = program::write(at + filled, &part[..copied]) {
                    return if done > 0 { Ok(done) } else { Err(error) };
                }
                match peek {
                    true => skipped += copied,
                    false => with(|mux| mux.skip(self.channel().number(), copied))?,
                }
                (filled, done) = (filled + copied, done + copied);
            }
        }
        Ok(done)
    }

    /// See [`crate::socket::HostStream::send`].
    pub fn send(&self, pieces: &[[usize; 2]]) -> Result<usize, Errno> {
        let mut chunk = [0; CHUNK];
        let mut done = 0;
        for &[at, length] in pieces {
            let mut taken = 0;
            while taken < length {
                let part = &mut chunk[..(length - taken).min(CHUNK)];
                let written = program::read(at + taken, part).and_then(|()| self.write(part));
                match written {
                    Ok(written) => {
                        (taken, done) = (taken + written, done + written);
                        if written < part.len() {
                            return Ok(done);
                        }
                    }
                    Err(_) if done > 0 => return Ok(done),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(done)
    }

    /// See [`crate::socket::HostStream::ask`].
    pub fn ask(&self) -> u32 {
        with(|mux| mux.ask_state(self.channel().number())).unwrap_or(0)
    }

    /// See [`crate::socket::HostStream::available`].
    pub fn available(&self) -> usize {
        with(|mux| mux.available(self.channel().number())).unwrap_or(0)
    }

    /// See [`crate::socket::HostStream::take_error`].
    pub fn take_error(&self) -> Option<Errno> {
        with(|mux| mux.take_error(self.channel().number())).ok().flatten()
    }
}
