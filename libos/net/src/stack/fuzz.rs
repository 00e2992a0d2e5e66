//! The stack under a fuzzer: frames that may be anything, an application that may do anything, a clock that jumps.
//!
//! Whatever happens: nothing panics, the stack comes to rest and asks to be woken later rather than at once, it sends no
//! frame that is longer than the link takes or not its own, and what a flood leaves behind is bounded.

use super::build::Ends;
use super::checksum::Sum;
use super::link::{Fill, Link};
use super::listener::{BACKLOG, Listener, MOST_HALF_OPEN};
use super::stream::Stream;
use super::udp::Socket;
use super::{Stack, packet};
use crate::{Shutdown, ports};
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use kernlet_platform::Errno;
use kernlet_platform::boot::{Address, NicConfig};
use kernlet_platform::nic::{Facts, LARGEST_FRAME, Offload};
use kernlet_time::Instant;

const OURS: [u8; 6] = [2, 0, 0, 0, 0, 0xb];
const PEER: [u8; 6] = [2, 0, 0, 0, 0, 0xa];
/// What one input does at most.
const MOST: usize = 400;
/// A stack that takes more turns than this keeps itself busy.
const TURNS: usize = 2000;
/// Connections that the application makes.
const STREAMS: usize = 8;

/// The fuzzer's bytes, piece by piece; zeros at the end.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn u8(&mut self) -> u8 {
        let Some((&byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        byte
    }

    fn u16(&mut self) -> u16 {
        u16::from_le_bytes([self.u8(), self.u8()])
    }

    fn bytes(&mut self, most: usize) -> &'a [u8] {
        let length = usize::from(if most > 255 { self.u16() } else { self.u8().into() });
        let (head, rest) = self.0.split_at(length.min(most).min(self.0.len()));
        self.0 = rest;
        head
    }
}

#[derive(Default)]
struct Wire {
    coming: VecDeque<(Vec<u8>, Offload)>,
    /// The latest that was sent.
    sent: VecDeque<Vec<u8>>,
    room: usize,
}

struct End(Facts, Rc<RefCell<Wire>>);

impl Link for End {
    fn facts(&self) -> Facts {
        self.0
    }

    fn receive(&self, consume: &mut dyn FnMut(&[u8], Offload)) -> bool {
        let next = self.1.borrow_mut().coming.pop_front();
        next.map(|(frame, offload)| consume(&frame, offload)).is_some()
    }

    fn can_transmit(&self) -> bool {
        self.1.borrow().room > 0
    }

    fn transmit(&self, length: usize, fill: Fill<'_>) -> Result<(), Errno> {
        let most = if self.0.segments { LARGEST_FRAME } else { usize::from(self.0.mtu) + packet::ETHERNET };
        if length > most {
            return Err(Errno::EMSGSIZE);
        }
        if !self.can_transmit() {
            return Err(Errno::EAGAIN);
        }
        let mut frame = alloc::vec![0xa5; length];
        let offload = fill(&mut frame);
        assert!(self.0.checksums || offload == Offload::None);
        if let Offload::Sum { start, offset } = offload {
            assert!(usize::from(start + offset) + 2 <= length, "a checksum beyond the frame");
        }
        assert_eq!(frame[6..12], OURS, "a frame from somebody else");
        let mut wire = self.1.borrow_mut();
        wire.room -= 1;
        if wire.sent.len() == 16 {
            wire.sent.pop_front();
        }
        wire.sent.push_back(frame);
        Ok(())
    }

    fn flush(&self) {}
}

fn address(six: bool, host: u8) -> IpAddr {
    if six {
        Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, host.into()).into()
    } else {
        Ipv4Addr::new(10, 0, 0, host).into()
    }
}

/// An IP packet in a frame, its checksums right: that of the header, and the transport's at `sum` where there is one.
fn frame(
    to_mac: [u8; 6],
    ends: (IpAddr, IpAddr),
    protocol: u8,
    mut body: Vec<u8>,
    sum: Option<usize>,
) -> Vec<u8> {
    if let Some(at) = sum
        && body.len() >= at + 2
    {
        body[at..at + 2].fill(0);
        let whole = Sum::default().pseudo_header(ends.0, ends.1, protocol, body.len()).bytes(&body);
        body[at..at + 2].copy_from_slice(&whole.checksum().to_be_bytes());
    }
    let mut frame = [&to_mac[..], &PEER].concat();
    match ends {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let length = ((body.len() + 20) as u16).to_be_bytes();
            frame.extend_from_slice(&[8, 0, 0x45, 0, length[0], length[1], 0, 1, 0, 0, 64, protocol, 0, 0]);
            frame.extend_from_slice(&from.octets());
            frame.extend_from_slice(&to.octets());
            let sum = Sum::default().bytes(&frame[14..34]).checksum();
            frame[24..26].copy_from_slice(&sum.to_be_bytes());
        }
        (from, to) => {
            let length = (body.len() as u16).to_be_bytes();
            // Neighbour discovery is believed with the largest hop limit only.
            frame.extend_from_slice(&[0x86, 0xdd, 0x60, 0, 0, 0, length[0], length[1], protocol, 255]);
            for address in [from, to] {
                if let IpAddr::V6(address) = address {
                    frame.extend_from_slice(&address.octets());
                }
            }
        }
    }
    frame.extend_from_slice(&body);
    frame
}

/// A fragment from the peer to the stack.
fn piece(six: bool, protocol: u8, id: u8, offset: usize, more: bool, data: &[u8]) -> Vec<u8> {
    let [from, to] = [1, 2].map(|host| SocketAddr::new(address(six, host), 0));
    let ends = Ends { from_mac: PEER, to_mac: OURS, from, to };
    let mut frame = alloc::vec![0; packet::ETHERNET + ends.fragment_headers() + data.len()];
    ends.write_fragment(&mut frame, protocol, id.into(), offset, more, data);
    frame
}

struct World {
    wire: Rc<RefCell<Wire>>,
    stack: Rc<Stack>,
    now: Instant,
    listener: Listener,
    socket: Socket,
    streams: Vec<Stream>,
    offload: Offload,
}

/// Does what `bytes` say.
pub fn exercise(bytes: &[u8]) {
    let mut input = Input(bytes);
    let mut world = World::new(input.u8());
    for _ in 0..MOST {
        if input.0.is_empty() {
            break;
        }
        world.act(&mut input);
        world.settle();
    }
    world.end();
}

impl World {
    fn new(mode: u8) -> Self {
        let wire = Rc::new(RefCell::new(Wire { room: 64, ..Wire::default() }));
        let mtu = [1500, 1280, 9000, 1500][usize::from(mode >> 1 & 3)];
        let facts = Facts { mac: OURS, mtu, checksums: mode & 1 == 0, segments: mode & 0x21 == 0 };
        let mut nic = NicConfig { descriptor: -1, ..NicConfig::default() };
        if mode & 8 == 0 {
            let IpAddr::V6(six) = address(true, 2) else { unreachable!("it was asked for") };
            nic.addresses = alloc::vec![Address::V4([10, 0, 0, 2], 24), Address::V6(six.octets(), 64)];
            nic.gateways = alloc::vec![Address::V4([10, 0, 0, 1], 0)];
        }
        let stack = Stack::new(Rc::new(End(facts, wire.clone())), &nic, Some("fuzzed"));
        let any = |port| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        let (listener, socket) = (Listener::new(&stack, any(80)), Socket::new(&stack, any(53)));
        let offload = if mode & 1 == 0 && mode & 16 == 0 { Offload::Valid } else { Offload::None };
        Self { wire, stack, now: Instant::now(), listener, socket, streams: Vec::new(), offload }
    }

    fn come(&self, frame: Vec<u8>) {
        self.wire.borrow_mut().coming.push_back((frame, self.offload));
    }

    /// Lets the stack work until it waits for time to pass.
    fn settle(&mut self) -> Option<Instant> {
        for _ in 0..TURNS {
            let (busy, next) = self.stack.poll(self.now);
            if !busy && self.wire.borrow().coming.is_empty() {
                assert!(
                    next.is_none_or(|at| at > self.now),
                    "a deadline that has passed would make the stack spin"
                );
                return next;
            }
        }
        panic!("the stack keeps itself busy");
    }

    fn act(&mut self, input: &mut Input<'_>) {
        let context = Context::from_waker(Waker::noop());
        match input.u8() % 21 {
            0 => self.come([&OURS[..], &PEER, input.bytes(9100)].concat()),
            1 => self.come(input.bytes(9100).to_vec()),
            2 | 3 => self.datagram(input),
            4..8 => self.segment(input),
            8 => self.dhcp(input),
            9 => self.neighbours(input),
            10 => self.fragment(input),
            11 => self.reflect(input),
            12 => self.now = self.now + Duration::from_millis(1 << (input.u8() % 20)),
            13 => {
                // To the next thing that is to be done.
                if let Some(next) = self.settle() {
                    self.now = next;
                }
            }
            14 => self.wire.borrow_mut().room = usize::from(input.u8()),
            15 => {
                let mut reply = alloc::vec![0; 66_000];
                let grow = usize::from(input.u8()) * 260;
                let _ = self.socket.poll_serve(&context, 64, &mut reply, |query, _, out| {
                    let length = (query.len() + grow).min(out.len());
                    out[..length].fill(query.first().copied().unwrap_or(0));
                    length
                });
            }
            16 => {
                if let Poll::Ready(stream) = self.listener.poll_accept(&context)
                    && self.streams.len() < STREAMS
                {
                    self.streams.push(stream);
                }
            }
            17 => {
                let length = usize::from(input.u16());
                let to = SocketAddr::new(address(input.u8() & 1 != 0, input.u8()), 4000);
                let _ = self.socket.poll_send(&context, &alloc::vec![1; length], to);
            }
            20 => self.pieces(input),
            18 if self.streams.len() < STREAMS && input.u8() & 3 == 0 => {
                let bound = ports::TCP.get().bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)));
                let to = SocketAddr::new(address(input.u8() & 1 != 0, 1), 5000);
                self.streams.extend(bound.and_then(|bound| Stream::open(&self.stack, bound, to)));
            }
            _ => self.use_stream(input),
        }
    }

    fn use_stream(&mut self, input: &mut Input<'_>) {
        let context = Context::from_waker(Waker::noop());
        if self.streams.is_empty() {
            return;
        }
        let which = usize::from(input.u8()) % self.streams.len();
        let stream = &self.streams[which];
        match input.u8() % 8 {
            0 | 1 => drop(stream.poll_read(&context, &mut alloc::vec![0; usize::from(input.u16())])),
            2 | 3 => drop(stream.poll_write(&context, &alloc::vec![7; usize::from(input.u16())])),
            4 => drop(stream.shutdown(Shutdown::Write)),
            5 => drop(stream.shutdown(Shutdown::Both)),
            6 => drop(stream.poll_connected(&context)),
            _ => drop(self.streams.swap_remove(which)),
        }
    }

    fn datagram(&self, input: &mut Input<'_>) {
        let (how, payload) = (input.u8(), input.bytes(2000));
        let ends = (address(how & 1 != 0, 1 + (how >> 2 & 3)), address(how & 1 != 0, 2));
        let port = if how & 2 == 0 { 53u16 } else { 54 };
        let length = (payload.len() + 8) as u16;
        let header = [4000u16.to_be_bytes(), port.to_be_bytes(), length.to_be_bytes(), [0; 2]].concat();
        self.come(frame(OURS, ends, packet::UDP, [&header, payload].concat(), Some(6)));
    }

    /// A TCP segment of one of a few connections, whose numbers fit to what the stack sent last, or nearly.
    fn segment(&self, input: &mut Input<'_>) {
        let (how, flags, payload) = (input.u8(), input.u8(), input.bytes(1600));
        let six = how & 1 != 0;
        let (ours, theirs) =
            if how & 2 == 0 { (80u16, 4000 + u16::from(how >> 4)) } else { self.opened(six) };
        let (mut sequence, mut acknowledged) = (1000, 0);
        let start = packet::ETHERNET + if six { 40 } else { 20 };
        let wire = self.wire.borrow();
        let tcp = |f: &&Vec<u8>| {
            f[if six { 20 } else { 23 }] == packet::TCP
                && f.get(start..start + 4) == Some(&[ours.to_be_bytes(), theirs.to_be_bytes()].concat()[..])
        };
        if let Some(last) = wire.sent.iter().rev().filter(|f| f.len() >= start + 20).find(tcp) {
            let number = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|i| last[start + at + i]));
            let header = usize::from(last[start + 12] >> 4) * 4;
            let data = last.len().saturating_sub(start + header) as u32;
            sequence = number(8);
            acknowledged = number(4).wrapping_add(data).wrapping_add((last[start + 13] & 3).min(1).into());
        }
        drop(wire);
        if how & 8 != 0 {
            sequence = sequence.wrapping_add(i32::from(input.u8() as i8).unsigned_abs() * 97);
            acknowledged = acknowledged.wrapping_sub(input.u8().into());
        }
        let options = if how & 4 != 0 { &payload[..payload.len().min(40) & !3] } else { &[][..] };
        let offset = ((20 + options.len()) / 4) as u8;
        let window = if how & 8 != 0 { input.u16() } else { 0xffff };
        let header = [
            &theirs.to_be_bytes()[..],
            &ours.to_be_bytes(),
            &sequence.to_be_bytes(),
            &acknowledged.to_be_bytes(),
            &[offset << 4, flags & 0x3f],
            &window.to_be_bytes(),
            &[0; 4],
            options,
            payload,
        ]
        .concat();
        self.come(frame(OURS, (address(six, 1), address(six, 2)), packet::TCP, header, Some(16)));
    }

    /// The ports of a connection that the application opened.
    fn opened(&self, six: bool) -> (u16, u16) {
        let opened = self.streams.iter().map(Stream::tuple);
        opened
            .filter(|t| t.remote.is_ipv6() == six)
            .map(|t| (t.local.port(), t.remote.port()))
            .next()
            .unwrap_or((80, 81))
    }

    /// A DHCP server's reply to what was asked last, with options of any kind.
    fn dhcp(&self, input: &mut Input<'_>) {
        let (kind, options) = (input.u8(), input.bytes(255));
        let wire = self.wire.borrow();
        let asked = wire.sent.iter().rev().find(|f| f.get(36..38) == Some(&[0, 67]) && f.len() > 42 + 240);
        let Some(asked) = asked else { return };
        let mut payload = asked[42..42 + 240].to_vec();
        drop(wire);
        payload[0] = 2;
        payload[16..20].copy_from_slice(&[10, 0, 0, if kind & 0x80 == 0 { 2 } else { kind }]);
        payload.extend_from_slice(&[53, 1, kind % 9, 54, 4, 10, 0, 0, 1]);
        if kind & 0x40 == 0 {
            payload.extend_from_slice(&[1, 4, 255, 255, 255, 0, 51, 4, 0, 0, 1, 0, 3, 4, 10, 0, 0, 1]);
        }
        payload.extend_from_slice(options);
        payload.push(255);
        let length = ((payload.len() + 8) as u16).to_be_bytes();
        let header = [0, 67, 0, 68, length[0], length[1], 0, 0];
        let ends = (address(false, 1), Ipv4Addr::BROADCAST.into());
        self.come(frame([0xff; 6], ends, packet::UDP, [&header[..], &payload].concat(), Some(6)));
    }

    /// ARP replies and neighbour and router advertisements, so that the stack knows whom to send to.
    fn neighbours(&self, input: &mut Input<'_>) {
        let (how, tail) = (input.u8(), input.bytes(255));
        let local: IpAddr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1).into();
        let all: IpAddr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1).into();
        match how % 3 {
            0 => {
                let kind = 1 + (how >> 2 & 1);
                let head = [&OURS[..], &PEER, &[8, 6, 0, 1, 8, 0, 6, 4, 0, kind], &PEER].concat();
                self.come([&head[..], &[10, 0, 0, 1 + (how >> 4)], &OURS, &[10, 0, 0, 2], tail].concat());
            }
            1 => {
                let IpAddr::V6(target) = address(true, 1 + (how >> 4)) else { return };
                let body =
                    [&[136, 0, 0, 0, 0x60, 0, 0, 0][..], &target.octets(), &[2, 1], &PEER, tail].concat();
                self.come(frame(OURS, (target.into(), address(true, 2)), 58, body, Some(2)));
            }
            _ => {
                let mut body = alloc::vec![134, 0, 0, 0, 64, how, 0, if how & 4 == 0 { 30 } else { 0 }];
                body.extend_from_slice(&[0; 8]);
                if how & 8 == 0 {
                    body.extend_from_slice(&[3, 4, 64, 0xc0, 0, 0, 0, how, 0, 0, 0, 60, 0, 0, 0, 0]);
                    body.extend_from_slice(&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
                }
                body.extend_from_slice(tail);
                self.come(frame([0x33, 0x33, 0, 0, 0, 1], (local, all), 58, body, Some(2)));
            }
        }
    }

    /// A fragment of one of a few packets, anywhere in it.
    fn fragment(&self, input: &mut Input<'_>) {
        let (how, place, payload) = (input.u8(), input.u16(), input.bytes(1480));
        let six = how & 16 != 0;
        let protocol = [packet::UDP, packet::TCP, 1, 58][usize::from(how & 3)];
        let (id, offset, more) = (how >> 2 & 3, usize::from(place & !7), place & 1 != 0);
        self.come(piece(six, protocol, id, offset, more, payload));
    }

    /// A datagram or an echo request in fragments, of which some may be missing, doubled, out of order or overlap.
    fn pieces(&self, input: &mut Input<'_>) {
        let (how, payload) = (input.u8(), input.bytes(9000));
        let six = how & 1 != 0;
        let ends = (address(six, 1), address(six, 2));
        let length = ((payload.len() + 8) as u16).to_be_bytes();
        let (protocol, header, sum) = match (how & 2 == 0, six) {
            (true, _) => (packet::UDP, [15, 160, 0, 53, length[0], length[1], 0, 0], Some(6)),
            (false, true) => (packet::ICMPV6, [128, 0, 0, 0, 0, 1, 0, 1], Some(2)),
            (false, false) => (packet::ICMP, [8, 0, 0, 0, 0, 1, 0, 1], None),
        };
        let whole = frame(OURS, ends, protocol, [&header, payload].concat(), sum);
        let mut body = whole[packet::ETHERNET + if six { 40 } else { 20 }..].to_vec();
        if protocol == packet::ICMP {
            let sum = Sum::default().bytes(&body).checksum();
            body[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        let size = (usize::from(how >> 4) + 1) * 88;
        let count = body.len().div_ceil(size);
        for i in 0..count {
            let at = if how & 4 == 0 { i } else { count - 1 - i } * size;
            let (mut start, mut end) = (at, (at + size).min(body.len()));
            if how & 8 != 0 {
                match input.u8() {
                    0..200 => {}
                    200..220 => continue,
                    220..240 => {
                        self.come(piece(six, protocol, 9, start, end < body.len(), &body[start..end]))
                    }
                    240..250 => start = start.saturating_sub(8),
                    _ => end = (end + 8).min(body.len()),
                }
            }
            self.come(piece(six, protocol, 9, start, end < body.len(), &body[start..end]));
        }
    }

    /// What was sent comes back, changed in one place.
    fn reflect(&self, input: &mut Input<'_>) {
        let (which, at, value) = (input.u8(), input.u16(), input.u8());
        let wire = self.wire.borrow();
        if wire.sent.is_empty() {
            return;
        }
        let mut frame = wire.sent[usize::from(which) % wire.sent.len()].clone();
        drop(wire);
        frame.copy_within(6..12, 0);
        let place = usize::from(at) % frame.len();
        frame[place] = value;
        self.come(frame);
    }

    /// Everybody goes away; in the end nothing is left but what a listener keeps waiting.
    fn end(mut self) {
        let connections = |world: &Self| world.stack.tcp.connections.borrow().len();
        assert!(connections(&self) <= BACKLOG + MOST_HALF_OPEN + 2 * STREAMS + 1024);
        let (packets, bytes) = self.stack.inner.borrow().fragments.held();
        assert!(packets <= 16 && bytes <= 256 * 1024 && self.stack.inner.borrow().neighbours.len() <= 256);
        self.streams.clear();
        self.wire.borrow_mut().room = 4096;
        let end = self.now + Duration::from_secs(1000);
        while let Some(next) = self.settle().filter(|next| *next < end) {
            self.now = next;
            self.wire.borrow_mut().room = 4096;
        }
        let inner = self.stack.inner.borrow();
        assert!(
            inner.fragments.held() == (0, 0) && inner.outgoing.is_empty(),
            "what nobody waits for is kept"
        );
        drop(inner);
        drop(self.listener);
        drop(self.socket);
    }
}
