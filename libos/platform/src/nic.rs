//! The Ethernet device: virtio-net in a VM, a granted tap on the process door. Frames carry no virtio header
//! up here; checksum offload is told by [`Offload`].

use crate::Errno;

/// What a received frame needs no more, or a sent one still needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Offload {
    /// Checksums are in the frame: check them (receive), nothing to do (transmit).
    #[default]
    None,
    /// Received: the device checked the transport checksum, or the frame never left the host.
    Valid,
    /// To send: the device is to sum from `start` on (bytes from the frame's start) and store at `start + offset`,
    /// where the sum of the pseudo-header stands already (virtio 1.2, 5.1.6.2).
    Sum {
        /// Where the summed bytes start.
        start: u16,
        /// Where the checksum lies, from `start`.
        offset: u16,
    },
}

/// The device's facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its MAC address.
    pub mac: [u8; 6],
    /// The largest IP packet, in bytes.
    pub mtu: u16,
    /// [`Offload::Sum`] may be used, and received frames may be [`Offload::Valid`].
    pub checksums: bool,
}

/// Finds and starts the Ethernet device. `None` when there is none.
pub fn open() -> Option<Facts> {
    at_door!(nic::open())
}

/// Reports under `token` when frames have come or there is room again.
pub fn watch(token: u32) {
    at_door!(nic::watch(token))
}

/// Hands the next received frame to `consume`; `false` when there is none.
pub fn receive(consume: &mut dyn FnMut(&[u8], Offload)) -> bool {
    at_door!(nic::receive(consume))
}

/// Whether a frame can be sent now.
pub fn can_transmit() -> bool {
    at_door!(nic::can_transmit())
}

/// Sends a frame of `length` bytes (at most MTU + 14) which `fill` writes, returning the offload it wants.
///
/// # Errors
/// EAGAIN when the ring is full, EMSGSIZE when the frame is too long.
pub fn transmit(length: usize, fill: &mut dyn FnMut(&mut [u8]) -> Offload) -> Result<(), Errno> {
    at_door!(nic::transmit(length, fill))
}

/// Tells the device of everything that was queued by [`transmit`] (one notification for a batch).
pub fn flush() {
    at_door!(nic::flush())
}
