//! The monitor's side of [`crate::control`].

use crate::control::{LONGEST, Request, address};
use crate::home::Directory;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, accept_with, bind, listen, recv, send,
    socket_with,
};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Commands that may wait at once; more are turned away.
const MOST: usize = 64;

/// The listening socket and the commands that are connected.
#[derive(Debug, Default)]
pub(super) struct Clients {
    listener: Option<OwnedFd>,
    connected: Vec<Client>,
}

#[derive(Debug)]
struct Client {
    socket: OwnedFd,
    waits: bool,
}

impl Clients {
    /// Listens in the instance's directory.
    pub(super) fn listen(&mut self, directory: &Directory) -> Result<(), Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let listener = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        bind(&listener, &address(directory)?)?;
        listen(&listener, 16)?;
        self.listener = Some(listener);
        Ok(())
    }

    /// What to wait on: the listener, then each client.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let connected = self.connected.iter().map(|client| client.socket.as_fd());
        self.listener.iter().map(AsFd::as_fd).chain(connected)
    }

    /// Takes new connections and reads every request; `serve` answers at once, or says that the answer is the end.
    pub(super) fn serve(&mut self, mut serve: impl FnMut(Request) -> Option<&'static str>) {
        let accept =
            |listener: &OwnedFd| accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK).ok();
        while let Some(socket) = self.listener.as_ref().and_then(accept) {
            if self.connected.len() < MOST {
                self.connected.push(Client { socket, waits: false });
            }
        }
        self.connected.retain_mut(|client| {
            let mut bytes = [0; LONGEST];
            match recv(&client.socket, &mut bytes, RecvFlags::DONTWAIT) {
                Ok((_, 0)) => false,
                Ok((_, length)) => match Request::parse(&bytes[..length.min(LONGEST)]) {
                    Some(request) => {
                        match serve(request) {
                            Some(answer) => say(client, answer),
                            None => client.waits = true,
                        }
                        true
                    }
                    None => false,
                },
                Err(Errno::AGAIN | Errno::INTR) => true,
                Err(_) => false,
            }
        });
    }

    /// Tells everybody who waits that the instance has ended.
    pub(super) fn ended(&self, status: u8) {
        for client in self.connected.iter().filter(|client| client.waits) {
            say(client, &format!("exit {status}"));
        }
    }
}

fn say(client: &Client, answer: &str) {
    let _ = send(&client.socket, answer.as_bytes(), SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
}
