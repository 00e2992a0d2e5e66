//! The Ethernet device: virtio-net in a VM, a granted tap on the process door. Frames carry no virtio header
//! up here; what is left to the device is told by [`Offload`].

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
    /// To send: a TCP segment longer than the MTU, summed as with [`Offload::Sum`] and cut by the device.
    Segments {
        /// Where the TCP header starts.
        start: u16,
        /// Where the checksum lies, from `start`.
        offset: u16,
        /// The length of all headers.
        headers: u16,
        /// How many bytes of data each piece has.
        size: u16,
        /// The packet is of IPv6.
        six: bool,
    },
}

/// The length of struct virtio_net_hdr (virtio 1.2, 5.1.6) without `num_buffers`.
pub(crate) const HEADER: usize = 10;

/// Flags and kinds of segmentation in it.
mod header {
    pub const NEEDS_CSUM: u8 = 1;
    pub const DATA_VALID: u8 = 2;
    pub const GSO_TCPV4: u8 = 1;
    pub const GSO_TCPV6: u8 = 4;
}

impl Offload {
    /// What the header in front of a received frame says. Of one that is longer than the MTU the checksum is still to be
    /// computed, so that it counts as right.
    pub(crate) fn received(flags: u8) -> Self {
        if flags & (header::NEEDS_CSUM | header::DATA_VALID) != 0 { Self::Valid } else { Self::None }
    }

    /// The header in front of a frame to send.
    pub(crate) fn header(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let (start, offset) = match self {
            Self::None | Self::Valid => return bytes,
            Self::Sum { start, offset } => (start, offset),
            Self::Segments { start, offset, headers, size, six } => {
                bytes[1] = if six { header::GSO_TCPV6 } else { header::GSO_TCPV4 };
                bytes[2..4].copy_from_slice(&headers.to_le_bytes());
                bytes[4..6].copy_from_slice(&size.to_le_bytes());
                (start, offset)
            }
        };
        bytes[0] = header::NEEDS_CSUM;
        bytes[6..8].copy_from_slice(&start.to_le_bytes());
        bytes[8..10].copy_from_slice(&offset.to_le_bytes());
        bytes
    }
}

/// The longest frame of all: an IP packet of 65,535 bytes.
pub const LARGEST_FRAME: usize = 14 + 65_535;

/// The device's facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its MAC address.
    pub mac: [u8; 6],
    /// The largest IP packet, in bytes.
    pub mtu: u16,
    /// [`Offload::Sum`] may be used, and received frames may be [`Offload::Valid`].
    pub checksums: bool,
    /// [`Offload::Segments`] may be used, for frames up to [`LARGEST_FRAME`], and such frames may be received.
    pub segments: bool,
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

/// Sends a frame of `length` bytes (at most MTU + 14, or [`LARGEST_FRAME`] for one that the device cuts) which `fill`
/// writes, returning the offload it wants.
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
