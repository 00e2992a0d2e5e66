//! Published UDP ports of a virtual machine.
//!
//! QEMU's user network drops what a guest sends by UDP when it is restricted, answers from a published port among
//! them; unrestricted it would let the guest send anywhere. So the monitor stands on the machine's network itself, as
//! a neighbour at [`OWN_ADDRESS`]: a datagram from a client goes in from a port that stands for that client, and what
//! the program sends back there goes out to it. Nothing else that the guest sends is looked at.

use crate::grants::BoundPort;
use kernlet_wire::boot::Protocol;
use rustix::event::epoll;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr,
    IpProtocol, Ipv4Address, Ipv4Packet, Ipv4Repr, UdpPacket, UdpRepr,
};
use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixDatagram;

/// The machine's own addresses.
pub(super) const GUEST_ADDRESS: [u8; 4] = [10, 0, 2, 15];
pub(super) const GUEST_MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
/// The relay's, which QEMU's user network does not use.
const OWN_ADDRESS: Ipv4Address = Ipv4Address::new(10, 0, 2, 100);
const OWN_MAC: EthernetAddress = EthernetAddress([0x52, 0x54, 0, 0x12, 0x34, 0x64]);
/// Ports that stand for clients: the newest client takes over that of the oldest.
const CLIENT_PORTS: std::ops::Range<u16> = 20_000..28_192;
/// The largest datagram that fits into an Ethernet frame; larger ones would need fragments.
const LARGEST: usize = 1472;
const HEADERS: usize = 14 + 20 + 8;
/// How many datagrams one call of [`Relay::drive`] takes each way.
const TURN: usize = 64;

/// Carries datagrams between clients and the guest. As a descriptor it is readable when there is something to carry.
#[derive(Debug)]
pub(crate) struct Relay {
    frames: UnixDatagram,
    ports: Vec<(UdpSocket, u16)>,
    clients: Clients,
    epoll: OwnedFd,
}

/// Which port stands for which client of which published port.
#[derive(Debug)]
struct Clients {
    by_address: HashMap<(usize, SocketAddr), u16>,
    by_port: HashMap<u16, (usize, SocketAddr)>,
    next: u16,
}

impl Clients {
    fn port(&mut self, index: usize, client: SocketAddr) -> u16 {
        if let Some(&port) = self.by_address.get(&(index, client)) {
            return port;
        }
        let port = self.next;
        self.next = if port + 1 == CLIENT_PORTS.end { CLIENT_PORTS.start } else { port + 1 };
        if let Some(old) = self.by_port.insert(port, (index, client)) {
            self.by_address.remove(&old);
        }
        self.by_address.insert((index, client), port);
        port
    }
}

impl Relay {
    /// For the published UDP ports among `ports`, if there are any; with QEMU's end of the frames.
    pub(super) fn open(ports: &[BoundPort]) -> io::Result<Option<(Self, OwnedFd)>> {
        let mut sockets = Vec::new();
        for port in ports.iter().filter(|port| port.protocol == Protocol::Udp) {
            if let Some(socket) = &port.socket {
                sockets.push((UdpSocket::from(socket.try_clone()?), port.port));
            }
        }
        if sockets.is_empty() {
            return Ok(None);
        }
        let (frames, theirs) = UnixDatagram::pair()?;
        frames.set_nonblocking(true)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let watched = sockets.iter().map(|(socket, _)| socket.as_fd()).chain([frames.as_fd()]);
        for descriptor in watched {
            epoll::add(&epoll, descriptor, epoll::EventData::new_u64(0), epoll::EventFlags::IN)?;
        }
        let clients =
            Clients { by_address: HashMap::new(), by_port: HashMap::new(), next: CLIENT_PORTS.start };
        Ok(Some((Self { frames, ports: sockets, clients, epoll }, theirs.into())))
    }

    /// Carries what is there. What does not fit anywhere is lost, as datagrams are.
    pub(crate) fn drive(&mut self) {
        let mut buffer = [0; HEADERS + LARGEST + 1];
        for _ in 0..TURN {
            match self.frames.recv(&mut buffer) {
                Ok(length) => drop(self.receive(&buffer[..length])),
                Err(_) => break,
            }
        }
        for index in 0..self.ports.len() {
            for _ in 0..TURN {
                let Some(Ok((length, client))) = self.ports.get(index).map(|(s, _)| s.recv_from(&mut buffer))
                else {
                    break;
                };
                if length <= LARGEST {
                    let from = self.clients.port(index, client);
                    let frame = datagram(from, self.ports[index].1, &buffer[..length]);
                    let _ = self.frames.send(&frame);
                }
            }
        }
    }

    /// Answers who asks for our address, and passes datagrams on to the clients that they are for.
    fn receive(&self, frame: &[u8]) -> Option<()> {
        let frame = EthernetFrame::new_checked(frame).ok()?;
        match frame.ethertype() {
            EthernetProtocol::Arp => {
                let question = ArpRepr::parse(&ArpPacket::new_checked(frame.payload()).ok()?).ok()?;
                let _ = self.frames.send(&introduction(question)?);
            }
            EthernetProtocol::Ipv4 if frame.dst_addr() == OWN_MAC => {
                let packet = Ipv4Packet::new_checked(frame.payload()).ok()?;
                let head = Ipv4Repr::parse(&packet, &ChecksumCapabilities::default()).ok()?;
                let whole = !packet.more_frags() && packet.frag_offset() == 0;
                if head.next_header != IpProtocol::Udp || head.dst_addr != OWN_ADDRESS || !whole {
                    return None;
                }
                let datagram = UdpPacket::new_checked(packet.payload()).ok()?;
                let valid = datagram.verify_checksum(&head.src_addr.into(), &head.dst_addr.into());
                let (index, client) = *self.clients.by_port.get(&datagram.dst_port())?;
                let (socket, port) = self.ports.get(index)?;
                if valid && datagram.src_port() == *port {
                    let _ = socket.send_to(datagram.payload(), client);
                }
            }
            _ => {}
        }
        Some(())
    }
}

impl AsFd for Relay {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

fn ethernet(ethertype: EthernetProtocol, payload: usize) -> (Vec<u8>, EthernetRepr) {
    let head = EthernetRepr { src_addr: OWN_MAC, dst_addr: EthernetAddress(GUEST_MAC), ethertype };
    (vec![0; head.buffer_len() + payload], head)
}

/// The answer to a question for our address.
fn introduction(question: ArpRepr) -> Option<Vec<u8>> {
    let ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr,
        source_protocol_addr,
        target_protocol_addr: OWN_ADDRESS,
        ..
    } = question
    else {
        return None;
    };
    let answer = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Reply,
        source_hardware_addr: OWN_MAC,
        source_protocol_addr: OWN_ADDRESS,
        target_hardware_addr: source_hardware_addr,
        target_protocol_addr: source_protocol_addr,
    };
    let (mut bytes, head) = ethernet(EthernetProtocol::Arp, answer.buffer_len());
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    head.emit(&mut frame);
    answer.emit(&mut ArpPacket::new_unchecked(frame.payload_mut()));
    Some(bytes)
}

/// A frame with a datagram for the guest.
fn datagram(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let checksums = ChecksumCapabilities::default();
    let udp = UdpRepr { src_port: from, dst_port: to };
    let ip = Ipv4Repr {
        src_addr: OWN_ADDRESS,
        dst_addr: GUEST_ADDRESS.into(),
        next_header: IpProtocol::Udp,
        payload_len: udp.header_len() + payload.len(),
        hop_limit: 64,
    };
    let (mut bytes, head) = ethernet(EthernetProtocol::Ipv4, ip.buffer_len() + ip.payload_len);
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    head.emit(&mut frame);
    let mut packet = Ipv4Packet::new_unchecked(frame.payload_mut());
    ip.emit(&mut packet, &checksums);
    let mut inner = UdpPacket::new_unchecked(packet.payload_mut());
    let fill = |buffer: &mut [u8]| buffer.copy_from_slice(payload);
    udp.emit(&mut inner, &ip.src_addr.into(), &ip.dst_addr.into(), payload.len(), fill, &checksums);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn relay() -> (Relay, UnixDatagram, SocketAddr) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let host = socket.local_addr().unwrap();
        let port = BoundPort { protocol: Protocol::Udp, port: 53, host, socket: Some(socket.into()) };
        let (relay, theirs) = Relay::open(&[port]).unwrap().unwrap();
        (relay, theirs.into(), host)
    }

    /// What the guest would send back: the same datagram, addresses and ports swapped.
    fn answer(frame: &[u8]) -> Vec<u8> {
        let mut frame = frame.to_vec();
        for (a, b, length) in [(0, 6, 6), (26, 30, 4), (34, 36, 2)] {
            for i in 0..length {
                frame.swap(a + i, b + i);
            }
        }
        frame
    }

    #[test]
    fn a_datagram_goes_in_and_its_answer_comes_back() {
        let (mut relay, guest, host) = relay();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.send_to(b"question", host).unwrap();
        relay.drive();
        let mut buffer = [0; 2000];
        let length = guest.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[HEADERS..length], b"question");
        guest.send(&answer(&buffer[..length])).unwrap();
        relay.drive();
        let (length, from) = client.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..length], from), (&b"question"[..], host));
    }

    #[test]
    fn the_guest_reaches_nobody_who_did_not_ask() {
        let (mut relay, guest, _) = relay();
        let frame = datagram(CLIENT_PORTS.start, 53, b"hello");
        guest.send(&answer(&frame)).unwrap();
        relay.drive();
        assert!(relay.clients.by_port.is_empty());
    }

    #[test]
    fn ports_of_the_oldest_clients_are_used_again() {
        let mut clients =
            Clients { by_address: HashMap::new(), by_port: HashMap::new(), next: CLIENT_PORTS.start };
        let of = |n: u32| SocketAddr::from(([10, (n >> 16) as u8, (n >> 8) as u8, n as u8], 1));
        let first = clients.port(0, of(0));
        assert_eq!(clients.port(0, of(0)), first);
        for n in 1..20_000 {
            clients.port(0, of(n));
        }
        assert_eq!(clients.by_address.len(), CLIENT_PORTS.len());
        assert_eq!(clients.by_port.len(), CLIENT_PORTS.len());
    }

    proptest! {
        #[test]
        fn no_frame_makes_the_relay_panic(mut frame in proptest::collection::vec(any::<u8>(), 0..100), kind in 0..3) {
            let (relay, _guest, _) = relay();
            let kinds: [&[u8]; 2] = [&[8, 0], &[8, 6]];
            if let (Some(place), Some(bytes)) = (frame.get_mut(12..14), kinds.get(kind as usize)) {
                place.copy_from_slice(bytes);
            }
            if let Some(place) = frame.get_mut(..6) {
                place.copy_from_slice(&OWN_MAC.0);
            }
            let _ = relay.receive(&frame);
        }
    }
}
