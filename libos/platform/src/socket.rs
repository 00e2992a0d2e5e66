//! Host sockets: what the process door has for published ports and brokered connections. A VM has none.

pub use crate::process::socket::{Batch, HostDatagram, HostListener, HostRelay, HostStream, Shutdown};

use crate::boot::{Protocol, blob};
use crate::process::descriptor::Descriptor;

/// The host listeners of a published TCP port; none when it is not published.
pub fn listeners(port: u16) -> impl Iterator<Item = HostListener> {
    published(Protocol::Tcp, port).map(HostListener::new)
}

/// The host sockets of a published UDP port; none when it is not published.
pub fn datagrams(port: u16) -> impl Iterator<Item = HostDatagram> {
    published(Protocol::Udp, port).map(HostDatagram::new)
}

/// Takes the descriptors of a published port. The caller binds a port once: `net` keeps what it took.
fn published(protocol: Protocol, port: u16) -> impl Iterator<Item = Descriptor> {
    let wanted = blob().published().filter(move |p| p.protocol == protocol && p.port == port);
    wanted.filter_map(|p| Descriptor::own(p.descriptor))
}
