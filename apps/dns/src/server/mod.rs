//! The server around the logic: sockets, files, time limits.

pub mod load;
pub mod tcp;
pub mod udp;

use core::cell::{Cell, RefCell};
use kernlet::alloc::vec::Vec;

/// What the server's tasks share.
pub struct Shared {
    /// The zones; borrowed only between two awaits.
    pub zones: RefCell<dns::Zones>,
    /// Where answers over TCP are written before their length is known.
    pub scratch: RefCell<Vec<u8>>,
    /// Open TCP connections.
    pub connections: Cell<usize>,
}

impl Shared {
    /// Serves `zones`.
    pub fn new(zones: dns::Zones) -> Self {
        Self { zones: RefCell::new(zones), scratch: RefCell::default(), connections: Cell::new(0) }
    }
}
