//! ICMP of the stack's own: that a UDP port is closed, and echoes of requests that came in fragments. Other requests
//! smoltcp answers.

use super::build::Ends;
use super::checksum::Sum;
use super::inner::{Inner, is_group};
use super::packet::{Datagram, ETHERNET, ICMP, ICMPV6, icmp};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use kernlet_platform::nic::Offload;
use kernlet_time::Instant;

/// The header of the messages that are sent here.
const HEADER: usize = 8;

impl Inner {
    /// Answers a datagram for an address of ours, which lies in `frame` and nobody takes: port unreachable (RFC 1122,
    /// 4.1.3.1; RFC 4443, 3.1).
    pub fn refuse(&mut self, frame: &[u8], datagram: &Datagram, now: Instant) {
        let (peer, own) = (datagram.source.ip(), datagram.destination.ip());
        // What was sent to a group by its MAC address is not refused either, and nobody knows who sent from no address.
        if frame[0] & 1 != 0 || peer.is_unspecified() || is_group(&self.iface, peer) {
            return;
        }
        // As much of it as surely gets there: RFC 1812, 4.3.2.3; RFC 4443, 2.4.
        let (message, most) = if own.is_ipv4() { ([3, 3], 576 - 20) } else { ([1, 4], 1280 - 40) };
        let original = &frame[ETHERNET..datagram.payload.end];
        let original = &original[..original.len().min(most - HEADER)];
        let bytes = [&message[..], &[0; HEADER - 2], original].concat();
        self.send_icmp(own, peer, datagram.mac, bytes, now);
    }

    /// Answers an echo request (RFC 792; RFC 4443, 4.2), which is a whole packet in `frame`; drops anything else.
    pub fn answer_echo(&mut self, frame: &[u8], now: Instant) {
        let Some((own, peer, mac, message)) = request(frame) else { return };
        if self.is_own(own) && !peer.is_unspecified() && !is_group(&self.iface, peer) {
            self.send_icmp(own, peer, mac, message, now);
        }
    }

    /// Sends an ICMP message, its checksum still to be filled in, back to where something came from.
    fn send_icmp(&mut self, from: IpAddr, to: IpAddr, to_mac: [u8; 6], mut message: Vec<u8>, now: Instant) {
        let (facts, protocol) = (self.link.facts(), icmp(to));
        message[2..4].fill(0);
        let sum = sum(from, to, &message).checksum();
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        let (from, to) = (SocketAddr::new(from, 0), SocketAddr::new(to, 0));
        let ends = Ends { from_mac: facts.mac, to_mac, from, to };
        let length = ends.ip_header() + message.len();
        if length > facts.mtu.into() {
            self.outgoing.push(&*self.link, ends, protocol, message, now);
            return;
        }
        // One that finds no room is lost.
        let _ = self.link.transmit(ETHERNET + length, &mut |frame| {
            let start = ends.write_ip(frame, protocol);
            frame[start..].copy_from_slice(&message);
            Offload::None
        });
    }
}

/// The sum over an ICMP message; over IPv6 it takes in the pseudo-header.
fn sum(source: IpAddr, destination: IpAddr, message: &[u8]) -> Sum {
    let sum = Sum::default();
    match source {
        IpAddr::V4(_) => sum,
        IpAddr::V6(_) => sum.pseudo_header(source, destination, ICMPV6, message.len()),
    }
    .bytes(message)
}

/// To whom an echo request went, who sent it with which MAC address, and the reply to it.
fn request(frame: &[u8]) -> Option<(IpAddr, IpAddr, [u8; 6], Vec<u8>)> {
    let ip = frame.get(ETHERNET..)?;
    // Headers as the stack wrote them: without options.
    let (source, destination, protocol, start, kinds): (IpAddr, IpAddr, u8, usize, [u8; 2]) =
        if ip.first()? >> 4 == 4 {
            let address = |at: usize| Some(Ipv4Addr::from(*ip.get(at..)?.first_chunk::<4>()?));
            (address(12)?.into(), address(16)?.into(), *ip.get(9)?, 20, [8, 0])
        } else {
            let address = |at: usize| Some(Ipv6Addr::from(*ip.get(at..)?.first_chunk::<16>()?));
            (address(8)?.into(), address(24)?.into(), *ip.get(6)?, 40, [128, 129])
        };
    let message = ip.get(start..)?;
    let known = message.len() >= HEADER && message[..2] == [kinds[0], 0];
    if !matches!(protocol, ICMP | ICMPV6) || !known || !sum(source, destination, message).is_right() {
        return None;
    }
    let mut reply = message.to_vec();
    reply[0] = kinds[1];
    Some((destination, source, *frame.get(6..)?.first_chunk()?, reply))
}
