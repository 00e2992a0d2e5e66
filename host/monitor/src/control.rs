//! How other kernlet commands reach a monitor: a socket in the instance's directory, one request a packet.
//!
//! | request | answer |
//! | --- | --- |
//! | `signal N` | `ok`, or `no` when nothing runs just now |
//! | `stop SECONDS` | `exit STATUS` when the instance has ended, killed after so many seconds |
//! | `wait` | `exit STATUS` when the instance has ended |

use crate::home::Directory;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv, send,
    socket_with,
};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

pub(crate) const SOCKET: &str = "control.sock";
/// Requests and answers are words.
pub(crate) const LONGEST: usize = 64;
/// How often a monitor that lives is asked again when its socket is not there yet.
const TRIES: u32 = 200;
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// What a command asks of a monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Signal(u8),
    Stop(Duration),
    Wait,
}

impl Request {
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        match text.split_once(' ') {
            None if text == "wait" => Some(Self::Wait),
            Some(("signal", number)) => {
                number.parse().ok().filter(|n| (1..=64).contains(n)).map(Self::Signal)
            }
            Some(("stop", seconds)) => {
                seconds.parse().ok().map(|s: u32| Self::Stop(Duration::from_secs(s.into())))
            }
            _ => None,
        }
    }

    fn text(self) -> String {
        match self {
            Self::Signal(number) => format!("signal {number}"),
            Self::Stop(grace) => format!("stop {}", grace.as_secs()),
            Self::Wait => "wait".into(),
        }
    }
}

/// The socket's address. A name of a file in an open directory is short, however deep the directory lies.
pub(crate) fn address(directory: &Directory) -> Result<SocketAddrUnix, Errno> {
    SocketAddrUnix::new(format!("/proc/self/fd/{}/{SOCKET}", directory.as_fd().as_raw_fd()))
}

/// A conversation with the monitor of an instance.
#[derive(Debug)]
pub struct Client(OwnedFd);

impl Client {
    /// Connects to the monitor; `None` when there is none.
    ///
    /// # Errors
    /// The host refuses.
    pub fn connect(directory: &Directory) -> io::Result<Option<Self>> {
        let address = address(directory)?;
        for _ in 0..TRIES {
            let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
            match connect(&socket, &address) {
                Ok(()) => return Ok(Some(Self(socket))),
                Err(Errno::NOENT | Errno::CONNREFUSED) if !directory.watched() => return Ok(None),
                Err(Errno::NOENT | Errno::CONNREFUSED | Errno::AGAIN) => std::thread::sleep(BETWEEN_TRIES),
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    /// Sends a signal to the program. `false`: nothing runs that could get it.
    ///
    /// # Errors
    /// The host refuses.
    pub fn signal(&self, number: u8) -> io::Result<bool> {
        self.ask(Request::Signal(number))?;
        Ok(self.answer()?.is_some_and(|answer| answer == b"ok"))
    }

    /// Asks the program to end, and kills it after `grace`. See [`Self::ended`].
    ///
    /// # Errors
    /// The host refuses.
    pub fn stop(&self, grace: Duration) -> io::Result<()> {
        self.ask(Request::Stop(grace))
    }

    /// Asks to be told when the instance has ended. See [`Self::ended`].
    ///
    /// # Errors
    /// The host refuses.
    pub fn wait(&self) -> io::Result<()> {
        self.ask(Request::Wait)
    }

    /// Waits for the instance's end after [`Self::stop`] or [`Self::wait`]. `None`: the monitor was killed.
    ///
    /// # Errors
    /// The host refuses.
    pub fn ended(&self) -> io::Result<Option<u8>> {
        let answer = self.answer()?;
        let text = answer.as_deref().and_then(|answer| std::str::from_utf8(answer).ok());
        Ok(text.and_then(|text| text.strip_prefix("exit ")?.parse().ok()))
    }

    fn ask(&self, request: Request) -> io::Result<()> {
        match send(&self.0, request.text().as_bytes(), SendFlags::NOSIGNAL) {
            // It has just ended: the answer will say so.
            Ok(_) | Err(Errno::PIPE | Errno::CONNRESET) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn answer(&self) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = [0; LONGEST];
        loop {
            return match recv(&self.0, &mut bytes, RecvFlags::empty()) {
                Ok((_, 0)) | Err(Errno::CONNRESET) => Ok(None),
                Ok((_, length)) => Ok(Some(bytes[..length.min(LONGEST)].to_vec())),
                Err(Errno::INTR) => continue,
                Err(error) => Err(error.into()),
            };
        }
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_survive_the_round_trip() {
        for request in [Request::Signal(15), Request::Stop(Duration::from_secs(10)), Request::Wait] {
            assert_eq!(Request::parse(request.text().as_bytes()), Some(request));
        }
        for bad in ["", "signal", "signal 0", "signal 65", "stop x", "stop -1", "waiting", "wait now"] {
            assert_eq!(Request::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
