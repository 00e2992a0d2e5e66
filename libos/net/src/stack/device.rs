//! What smoltcp sees of the link during one call: at most one received frame, and room to send.

use super::checksum::Sum;
use super::link::Link;
use super::packet::{ETHERNET, TCP, UDP};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::num::{NonZeroU16, NonZeroUsize};
use kernlet_platform::nic::{LARGEST_FRAME, Offload};
use smoltcp::phy::{Checksum, ChecksumCapabilities, Device, DeviceCapabilities, Medium};
use smoltcp::phy::{PacketMeta, RxToken, TxToken};
use smoltcp::time::Instant;

/// The link for one call into smoltcp.
pub struct Pass<'p> {
    pub link: &'p dyn Link,
    pub frame: Option<&'p [u8]>,
}

/// The frame.
pub struct Received<'p>(&'p [u8]);

/// The room, and the size of the pieces that what goes there is to be cut into.
pub struct Room<'p>(&'p dyn Link, Option<NonZeroU16>);

impl Device for Pass<'_> {
    type RxToken<'a>
        = Received<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = Room<'a>
    where
        Self: 'a;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Room<'_>)> {
        let frame = self.frame.take()?;
        Some((Received(frame), Room(self.link, None)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Room<'_>> {
        if self.link.can_transmit() { Some(Room(self.link, None)) } else { None }
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let facts = self.link.facts();
        let mut checksum = ChecksumCapabilities::default();
        if facts.checksums {
            // Received ones are checked by the device or in `packet`, sent ones are left to the device.
            checksum.tcp = Checksum::None;
            checksum.udp = Checksum::None;
        }
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = usize::from(facts.mtu) + ETHERNET;
        capabilities.checksum = checksum;
        if facts.segments {
            // smoltcp 0.14 drops those of IPv6, as packets that would have to be fragmented.
            capabilities.segmentation.tcpv4 = NonZeroUsize::new(LARGEST_FRAME);
        }
        capabilities
    }
}

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

impl TxToken for Room<'_> {
    fn set_meta(&mut self, meta: PacketMeta) {
        self.1 = meta.segmentation_offload_size;
    }

    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let checksums = self.0.facts().checksums;
        let (mut f, mut result) = (Some(f), None);
        // A reply to a received frame finds no room when the ring is full: it is lost, as on any full link.
        let _ = self.0.transmit(length, &mut |frame| {
            if let Some(f) = f.take() {
                result = Some(f(frame));
            }
            match (checksums, self.1) {
                (true, Some(size)) => cut(offload(frame), frame, size.get()),
                (true, None) => offload(frame),
                (false, _) => Offload::None,
            }
        });
        match (result, f) {
            (Some(result), _) => result,
            (None, Some(f)) => f(&mut alloc::vec![0; length]),
            (None, None) => unreachable!("the closure leaves a result when it is called"),
        }
    }
}

/// Has a TCP segment cut into pieces with `size` bytes of data.
fn cut(sum: Offload, frame: &[u8], size: u16) -> Offload {
    let Offload::Sum { start, offset } = sum else { return sum };
    let header = frame.get(usize::from(start) + 12).map_or(0, |words| u16::from(words >> 4) * 4);
    Offload::Segments { start, offset, headers: start + header, size, six: frame[12] == 0x86 }
}

/// Prepares the transport checksum of a whole packet for the device: stores the pseudo-header's sum where the
/// checksum belongs.
pub fn offload(frame: &mut [u8]) -> Offload {
    prepare(frame).unwrap_or(Offload::None)
}

fn prepare(frame: &mut [u8]) -> Option<Offload> {
    let ip = frame.get(ETHERNET..)?;
    let (source, destination, protocol, header): (IpAddr, IpAddr, u8, usize) = match frame.get(12..14)? {
        [0x08, 0x00] => {
            let h = ip.first_chunk::<20>()?;
            // Fragments go without: smoltcp has left out the checksum of the whole, which UDP over IPv4 may.
            if u16::from_be_bytes([h[6], h[7]]) & 0x3fff != 0 {
                return None;
            }
            let source = Ipv4Addr::new(h[12], h[13], h[14], h[15]);
            let destination = Ipv4Addr::new(h[16], h[17], h[18], h[19]);
            (source.into(), destination.into(), h[9], usize::from(h[0] & 0xf) * 4)
        }
        [0x86, 0xdd] => {
            let h = ip.first_chunk::<40>()?;
            let address = |at: usize| h[at..].first_chunk::<16>().map(|b| Ipv6Addr::from(*b));
            (address(8)?.into(), address(24)?.into(), h[6], 40)
        }
        _ => return None,
    };
    let offset = match protocol {
        TCP => 16,
        UDP => 6,
        _ => return None,
    };
    let start = ETHERNET + header;
    let length = frame.len().checked_sub(start)?;
    let sum = Sum::default().pseudo_header(source, destination, protocol, length).folded();
    frame.get_mut(start + offset..start + offset + 2)?.copy_from_slice(&sum.to_be_bytes());
    Some(Offload::Sum { start: start as u16, offset: offset as u16 })
}
