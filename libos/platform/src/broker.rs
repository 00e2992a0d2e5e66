//! The broker: whatever is needed by name goes there (see [`kernlet_wire::broker`]): on the process door all that
//! volumes and connections need, in a VM connections and volumes that are single files.

use crate::process::descriptor::Descriptor;
pub use crate::process::file::HostFile;
use crate::socket::{HostRelay, HostStream};
use crate::{Door, Errno, door};

/// What came with a reply.
pub struct Granted(Grant);

enum Grant {
    Descriptor(Descriptor),
    #[cfg(kernlet_image)]
    Channel(u32),
}

impl Granted {
    /// The grant is an open file or directory; `None` in a VM, where files stay with the broker.
    pub fn into_file(self) -> Option<HostFile> {
        match self.0 {
            Grant::Descriptor(descriptor) => Some(HostFile::new(descriptor)),
            #[cfg(kernlet_image)]
            Grant::Channel(_) => None,
        }
    }

    /// The grant is a connected stream socket.
    pub fn into_stream(self) -> HostStream {
        match self.0 {
            Grant::Descriptor(descriptor) => HostStream::granted(descriptor),
            #[cfg(kernlet_image)]
            Grant::Channel(channel) => HostStream::carried(channel),
        }
    }

    /// The grant is one end of a relayed UDP connection.
    pub fn into_relay(self) -> HostRelay {
        match self.0 {
            Grant::Descriptor(descriptor) => HostRelay::granted(descriptor),
            #[cfg(kernlet_image)]
            Grant::Channel(channel) => HostRelay::carried(channel),
        }
    }
}

/// Sends one request.
///
/// # Errors
/// ENODEV or EBADF when there is no broker, EAGAIN when its queue is full.
pub fn send(request: &[u8]) -> Result<(), Errno> {
    match door() {
        Door::Process => crate::process::broker::send(request),
        #[cfg(kernlet_image)]
        Door::Vm => crate::vm::trunk::ask(request),
        #[cfg(not(kernlet_image))]
        Door::Vm => Err(Errno::ENODEV),
    }
}

/// Receives one reply into `buffer`.
///
/// # Errors
/// EAGAIN when none has come; ENODEV or EBADF when there is no broker.
pub fn receive(buffer: &mut [u8]) -> Result<(usize, Option<Granted>), Errno> {
    match door() {
        Door::Process => {
            let (length, granted) = crate::process::broker::receive(buffer)?;
            Ok((length, granted.map(|d| Granted(Grant::Descriptor(d)))))
        }
        #[cfg(kernlet_image)]
        Door::Vm => {
            let (length, channel) = crate::vm::trunk::reply(buffer)?;
            Ok((length, (channel != 0).then_some(Granted(Grant::Channel(channel)))))
        }
        #[cfg(not(kernlet_image))]
        Door::Vm => Err(Errno::ENODEV),
    }
}

/// Reports under `token` (see [`crate::event`]) when a reply has come; `false` when there is no broker.
pub fn watch(token: u32) -> bool {
    match door() {
        Door::Process => crate::process::broker::watch(token),
        #[cfg(kernlet_image)]
        Door::Vm => crate::vm::trunk::watch_broker(token),
        #[cfg(not(kernlet_image))]
        Door::Vm => false,
    }
}
