//! Host sockets: what the process door has for published ports and brokered connections. A VM has none.

pub use crate::process::socket::{Batch, HostDatagram, HostListener, HostStream, Shutdown};

use crate::boot::{Protocol, blob};
use crate::process::descriptor::Descriptor;

/// The published TCP ports of this instance, each with its host listener.
pub fn listener(port: u16) -> Option<HostListener> {
    published(Protocol::Tcp, port).map(HostListener::new)
}

/// The published UDP ports of this instance, each with its host socket.
pub fn datagram(port: u16) -> Option<HostDatagram> {
    published(Protocol::Udp, port).map(HostDatagram::new)
}

/// Takes the descriptor of a published port. The caller binds a port once: `net` keeps what it took.
fn published(protocol: Protocol, port: u16) -> Option<Descriptor> {
    let found = blob().published().find(|p| p.protocol == protocol && p.port == port)?;
    Descriptor::own(found.descriptor)
}
