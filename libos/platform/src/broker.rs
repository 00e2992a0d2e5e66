//! The broker: whatever the process door needs by name goes there (see [`kernlet_wire::broker`]).

pub use crate::process::file::HostFile;
use crate::socket::{HostRelay, HostStream};
use crate::{Door, Errno, door};

/// What came with a reply.
pub struct Granted(crate::process::descriptor::Descriptor);

impl Granted {
    /// The grant is an open file or directory.
    pub fn into_file(self) -> HostFile {
        HostFile::new(self.0)
    }

    /// The grant is a connected stream socket.
    pub fn into_stream(self) -> HostStream {
        HostStream::new(self.0)
    }

    /// The grant is one end of a relayed UDP connection.
    pub fn into_relay(self) -> HostRelay {
        HostRelay::new(self.0)
    }
}

/// Sends one request.
///
/// # Errors
/// ENODEV in a VM or when there is no broker, EAGAIN when its queue is full.
pub fn send(request: &[u8]) -> Result<(), Errno> {
    match door() {
        Door::Process => crate::process::broker::send(request),
        Door::Vm => Err(Errno::ENODEV),
    }
}

/// Receives one reply into `buffer`.
///
/// # Errors
/// EAGAIN when none has come; ENODEV in a VM.
pub fn receive(buffer: &mut [u8]) -> Result<(usize, Option<Granted>), Errno> {
    match door() {
        Door::Process => crate::process::broker::receive(buffer).map(|(n, d)| (n, d.map(Granted))),
        Door::Vm => Err(Errno::ENODEV),
    }
}

/// Reports under `token` (see [`crate::event`]) when a reply has come; `false` when there is no broker.
pub fn watch(token: u32) -> bool {
    door() == Door::Process && crate::process::broker::watch(token)
}
