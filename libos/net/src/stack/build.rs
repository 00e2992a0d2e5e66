//! The packets that the stack writes itself.

use super::checksum::Sum;
use super::device;
use super::packet::{ETHERNET, FRAGMENT, FRAGMENT_HEADER, TCP, UDP, UDP_HEADER};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use kernlet_platform::nic::Offload;

/// The usual number of hops that a packet may take.
const HOPS: u8 = 64;

/// Who speaks to whom.
#[derive(Clone, Copy)]
pub struct Ends {
    pub from_mac: [u8; 6],
    pub to_mac: [u8; 6],
    pub from: SocketAddr,
    pub to: SocketAddr,
}

impl Ends {
    /// The length of the IP header.
    pub fn ip_header(&self) -> usize {
        if self.to.is_ipv4() { 20 } else { 40 }
    }

    /// Writes the Ethernet and IP headers; returns where what is behind them begins.
    pub fn write_ip(&self, frame: &mut [u8], protocol: u8) -> usize {
        let start = ETHERNET + self.ip_header();
        let length = frame.len() - start;
        frame[..6].copy_from_slice(&self.to_mac);
        frame[6..12].copy_from_slice(&self.from_mac);
        match (self.from.ip(), self.to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                frame[12..16].copy_from_slice(&[0x08, 0x00, 0x45, 0]);
                frame[16..18].copy_from_slice(&((20 + length) as u16).to_be_bytes());
                // Not to be fragmented, so it needs no identification (RFC 6864).
                frame[18..26].copy_from_slice(&[0, 0, 0x40, 0, HOPS, protocol, 0, 0]);
                frame[26..30].copy_from_slice(&from.octets());
                frame[30..34].copy_from_slice(&to.octets());
                let sum = Sum::default().bytes(&frame[14..34]).checksum();
                frame[24..26].copy_from_slice(&sum.to_be_bytes());
            }
            (from, to) => {
                frame[12..18].copy_from_slice(&[0x86, 0xdd, 0x60, 0, 0, 0]);
                frame[18..20].copy_from_slice(&(length as u16).to_be_bytes());
                frame[20..22].copy_from_slice(&[protocol, HOPS]);
                for (address, at) in [(from, 22), (to, 38)] {
                    if let IpAddr::V6(address) = address {
                        frame[at..at + 16].copy_from_slice(&address.octets());
                    }
                }
            }
        }
        start
    }

    /// Writes the headers up to the transport's ports; returns where the transport's header begins.
    fn write(&self, frame: &mut [u8], protocol: u8) -> usize {
        let start = self.write_ip(frame, protocol);
        self.write_ports(&mut frame[start..]);
        start
    }

    fn write_ports(&self, transport: &mut [u8]) {
        transport[..2].copy_from_slice(&self.from.port().to_be_bytes());
        transport[2..4].copy_from_slice(&self.to.port().to_be_bytes());
    }

    /// Leaves the checksum to the device or fills it in.
    fn finish(&self, frame: &mut [u8], start: usize, protocol: u8, at: usize, checksums: bool) -> Offload {
        if checksums {
            return device::offload(frame);
        }
        let part = &frame[start..];
        let sum =
            Sum::default().pseudo_header(self.from.ip(), self.to.ip(), protocol, part.len()).bytes(part);
        frame[start + at..start + at + 2].copy_from_slice(&sum.checksum().to_be_bytes());
        Offload::None
    }

    /// The length of the frame that carries `payload` bytes by UDP.
    pub fn datagram_length(&self, payload: usize) -> usize {
        ETHERNET + self.ip_header() + UDP_HEADER + payload
    }

    /// Writes a UDP datagram; `frame` has [`Self::datagram_length`].
    pub fn write_datagram(&self, frame: &mut [u8], payload: &[u8], checksums: bool) -> Offload {
        let start = self.write(frame, UDP);
        let length = (UDP_HEADER + payload.len()) as u16;
        frame[start + 4..start + 6].copy_from_slice(&length.to_be_bytes());
        frame[start + 6..start + 8].fill(0);
        frame[start + 8..].copy_from_slice(payload);
        self.finish(frame, start, UDP, 6, checksums)
    }

    /// A UDP datagram behind its IP header, the checksum filled in, as fragments need it.
    pub fn datagram(&self, payload: &[u8]) -> Vec<u8> {
        let length = UDP_HEADER + payload.len();
        let mut datagram = Vec::with_capacity(length);
        datagram.resize(UDP_HEADER, 0);
        datagram.extend_from_slice(payload);
        self.write_ports(&mut datagram);
        datagram[4..6].copy_from_slice(&(length as u16).to_be_bytes());
        let sum = Sum::default().pseudo_header(self.from.ip(), self.to.ip(), UDP, length).bytes(&datagram);
        datagram[6..8].copy_from_slice(&sum.checksum().to_be_bytes());
        datagram
    }

    /// The length of the headers of a fragment behind the Ethernet header.
    pub fn fragment_headers(&self) -> usize {
        if self.to.is_ipv4() { 20 } else { 40 + FRAGMENT_HEADER }
    }

    /// Writes the fragment that holds `data`, at `offset` (a multiple of 8) of what is behind the IP header of the whole
    /// packet; `frame` has the length of the headers and the data.
    pub fn write_fragment(
        &self,
        frame: &mut [u8],
        protocol: u8,
        id: u32,
        offset: usize,
        more: bool,
        data: &[u8],
    ) {
        let (offset, more) = (offset as u16, u16::from(more));
        if self.to.is_ipv4() {
            self.write_ip(frame, protocol);
            frame[18..20].copy_from_slice(&(id as u16).to_be_bytes());
            frame[20..22].copy_from_slice(&(offset >> 3 | more << 13).to_be_bytes());
            frame[24..26].fill(0);
            let sum = Sum::default().bytes(&frame[14..34]).checksum();
            frame[24..26].copy_from_slice(&sum.to_be_bytes());
        } else {
            let at = self.write_ip(frame, FRAGMENT);
            frame[at..at + 2].copy_from_slice(&[protocol, 0]);
            frame[at + 2..at + 4].copy_from_slice(&(offset | more).to_be_bytes());
            frame[at + 4..at + 8].copy_from_slice(&id.to_be_bytes());
        }
        frame[ETHERNET + self.fragment_headers()..].copy_from_slice(data);
    }

    /// The length of a TCP segment without data or options, as a frame.
    pub fn acknowledgement_length(&self) -> usize {
        ETHERNET + self.ip_header() + 20
    }

    /// Writes a bare acknowledgement with the sequence number `sequence`.
    pub fn write_acknowledgement(
        &self,
        frame: &mut [u8],
        sequence: u32,
        acknowledged: u32,
        checksums: bool,
    ) -> Offload {
        let start = self.write(frame, TCP);
        frame[start + 4..start + 8].copy_from_slice(&sequence.to_be_bytes());
        frame[start + 8..start + 12].copy_from_slice(&acknowledged.to_be_bytes());
        frame[start + 12..start + 20].copy_from_slice(&[5 << 4, 0x10, 0, 0, 0, 0, 0, 0]);
        self.finish(frame, start, TCP, 16, checksums)
    }
}
