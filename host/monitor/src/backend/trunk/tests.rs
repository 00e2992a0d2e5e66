//! The trunk with the instance's end in the test's hands.

use super::*;
use kernlet_wire::broker::Request;
use kernlet_wire::trunk::{ADDRESS, DATAGRAM_WINDOW, FIRST, HEADER, NOTE, STREAM_WINDOW};
use proptest::prelude::*;
use rustix::net::{AddressFamily, SocketFlags, socketpair};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;

/// The instance.
struct Guest {
    end: UnixStream,
    input: Vec<u8>,
    trunk: Trunk,
}

type Frame = (u8, u32, Vec<u8>);

impl Guest {
    fn new(ports: &[BoundPort], grants: &[&str]) -> Self {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
        let grants = grants.iter().map(|g| g.parse().unwrap()).collect();
        let broker = Broker::new(Vec::new(), grants).keeping_files();
        Self { end: theirs.into(), input: Vec::new(), trunk: Trunk::new(ours, ports, broker).unwrap() }
    }

    fn say(&mut self, kind: u8, channel: u32, payload: &[u8]) {
        let header = Header { kind, length: payload.len().try_into().unwrap(), channel };
        self.end.write_all(&[&header.encode()[..], payload].concat()).unwrap();
        assert_eq!(self.trunk.drive(), Status::Open);
    }

    /// The next frame; drives the trunk until it comes.
    fn hear(&mut self) -> Frame {
        for _ in 0..10_000 {
            if let Some(frame) = self.heard() {
                return frame;
            }
            assert_eq!(self.trunk.drive(), Status::Open);
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("nothing came");
    }

    /// The next frame that came.
    fn heard(&mut self) -> Option<Frame> {
        let mut buffer = [0; 70_000];
        while let Ok(count) = self.end.read(&mut buffer) {
            if count == 0 {
                break;
            }
            self.input.extend_from_slice(&buffer[..count]);
        }
        let (header, payload, _) = trunk::split(&self.input)?;
        let frame = (header.kind, header.channel, payload.to_vec());
        self.input.drain(..HEADER + header.length as usize);
        Some(frame)
    }

    /// A connection that was accepted by the listener of channel 1.
    fn accepted(&mut self, server: SocketAddr) -> (TcpStream, u32) {
        let client = TcpStream::connect(server).unwrap();
        self.say(kind::CREDIT, 1, &1u32.to_le_bytes());
        let (what, channel, payload) = self.hear();
        assert_eq!(what, kind::OPEN);
        let peer = client.local_addr().unwrap();
        assert_eq!(trunk::read_opening(&payload), Some((1, server, peer)));
        (client, channel)
    }
}

fn tcp() -> (BoundPort, SocketAddr) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let host = socket.local_addr().unwrap();
    (BoundPort { protocol: Protocol::Tcp, port: 80, host, socket: Some(socket.into()) }, host)
}

fn udp(address: &str) -> (BoundPort, SocketAddr) {
    let publish = format!("{address}:0:53/udp").parse().unwrap();
    let port = crate::grants::bind(&publish, &crate::Home::at("/nonexistent".into())).unwrap();
    let host = port.host;
    (port, host)
}

#[test]
fn a_connection_is_accepted_when_the_program_waits_and_carried_both_ways() {
    let (port, server) = tcp();
    let mut guest = Guest::new(&[port], &[]);
    let early = TcpStream::connect(server).unwrap();
    assert_eq!(guest.trunk.drive(), Status::Open);
    assert!(guest.heard().is_none(), "nobody accepts yet");
    guest.say(kind::CREDIT, 1, &1u32.to_le_bytes());
    assert_eq!(guest.hear().0, kind::OPEN);
    drop(early);
    assert_eq!(guest.hear().0, kind::END);

    let (mut client, id) = guest.accepted(server);
    client.write_all(b"question").unwrap();
    assert_eq!(guest.hear(), (kind::DATA, id, b"question".to_vec()));
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(guest.hear(), (kind::END, id, Vec::new()));
    guest.say(kind::DATA, id, b"answer");
    guest.say(kind::CLOSE, id, &[0]);
    let mut back = String::new();
    client.read_to_string(&mut back).unwrap();
    assert_eq!(back, "answer");
    assert_eq!(guest.trunk.channels.len(), 2);
}

#[test]
fn nothing_is_taken_from_a_socket_beyond_what_the_instance_has_room_for() {
    let (port, server) = tcp();
    let mut guest = Guest::new(&[port], &[]);
    let (mut client, id) = guest.accepted(server);
    client.set_nonblocking(true).unwrap();
    let piece = [7; 10_000];
    let mut got = 0;
    for _ in 0..200 {
        let _ = client.write(&piece);
        assert_eq!(guest.trunk.drive(), Status::Open);
        while let Some((what, _, payload)) = guest.heard() {
            assert_eq!(what, kind::DATA);
            got += payload.len();
        }
    }
    assert_eq!(got, STREAM_WINDOW as usize);
    guest.say(kind::CREDIT, id, &1000u32.to_le_bytes());
    assert_eq!(guest.hear().2.len(), 1000);
}

#[test]
fn an_instance_that_sends_more_than_it_was_granted_loses_the_trunk() {
    let (port, server) = tcp();
    let mut guest = Guest::new(&[port], &[]);
    let (_client, id) = guest.accepted(server);
    guest.end.set_nonblocking(false).unwrap();
    let header = Header { kind: kind::DATA, length: 32 << 10, channel: id }.encode();
    let frame = [&header[..], &vec![1; 32 << 10]].concat();
    // The client reads nothing; its and our buffers are full before long.
    let broken = (0..1000).any(|_| {
        guest.end.write_all(&frame).unwrap();
        (0..4).any(|_| guest.trunk.drive() == Status::Broken)
    });
    assert!(broken);
}

#[test]
fn what_a_dead_instance_wrote_still_arrives() {
    let (port, server) = tcp();
    let mut guest = Guest::new(&[port], &[]);
    let (mut client, id) = guest.accepted(server);
    let mut frames = Vec::new();
    for _ in 0..3 {
        frames.extend(Header { kind: kind::DATA, length: 16 << 10, channel: id }.encode());
        frames.extend([5; 16 << 10]);
    }
    guest.end.write_all(&frames).unwrap();
    let Guest { end, mut trunk, .. } = guest;
    drop(end);
    while trunk.drive() == Status::Open {}
    trunk.finish();
    let mut all = Vec::new();
    client.read_to_end(&mut all).unwrap();
    assert_eq!(all.len(), 48 << 10);
}

#[test]
fn datagrams_go_back_from_the_address_that_was_asked() {
    for (address, asked) in [("0.0.0.0", "127.0.0.2"), ("[::]", "::1"), ("127.0.0.1", "127.0.0.1")] {
        let (port, server) = udp(address);
        let id = trunk::published(0, server.is_ipv6()).unwrap();
        let mut guest = Guest::new(&[port], &[]);
        let client = UdpSocket::bind(if server.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" }).unwrap();
        let asked = SocketAddr::new(asked.parse().unwrap(), server.port());
        // A datagram of the largest kind comes and goes whole.
        let query = vec![3; if server.is_ipv4() { 65_507 } else { 60_000 }];
        client.send_to(&query, asked).unwrap();
        let (what, channel, frame) = guest.hear();
        if what == kind::ERROR {
            panic!("{frame:?}");
        }
        assert_eq!((what, channel, frame.len()), (kind::DATAGRAM, id, ADDRESS + NOTE + query.len()));
        let peer = trunk::take_address(&frame).unwrap().0;
        assert_eq!(peer, client.local_addr().unwrap());
        let answer = [&frame[..ADDRESS + NOTE], b"answer"].concat();
        guest.say(kind::DATAGRAM, id, &answer);
        let mut buffer = [0; 16];
        let (length, from) = client.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..length], from), (&b"answer"[..], asked));
    }
}

#[test]
fn datagrams_wait_until_the_instance_has_room() {
    let (port, server) = udp("127.0.0.1");
    let mut guest = Guest::new(&[port], &[]);
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut got = 0;
    for _ in 0..20 {
        client.send_to(&[1; 20_000], server).unwrap();
        assert_eq!(guest.trunk.drive(), Status::Open);
        while let Some((_, _, frame)) = guest.heard() {
            got += frame.len() + HEADER;
        }
    }
    assert!(got <= DATAGRAM_WINDOW as usize && got > DATAGRAM_WINDOW as usize - 21_000, "{got}");
    guest.say(kind::CREDIT, 1, &21_000u32.to_le_bytes());
    assert_eq!(guest.hear().0, kind::DATAGRAM);
}

#[test]
fn connections_are_made_as_far_as_they_were_granted() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let host = "host.kernlet.internal";
    let mut guest =
        Guest::new(&[], &[&format!("{host}:{port}"), &format!("{host}:{closed}"), &format!("{host}:*/udp")]);
    let mut ask = |port, protocol| {
        guest.say(kind::BROKER, 0, &Request::Connect { host, port, protocol }.encode(7));
        let mut opened = None;
        loop {
            let (what, channel, payload) = guest.hear();
            if what == kind::OPEN {
                opened = Some(channel);
                continue;
            }
            let (id, reply) = Reply::decode(&payload).unwrap();
            assert_eq!((what, id), (kind::BROKER, 7));
            return match reply {
                Reply::Connected { peer, .. } => {
                    assert_eq!((Some(channel), peer.port()), (opened, port));
                    Ok(channel)
                }
                Reply::Error(number) => Err(Errno::from_raw_os_error(number)),
                other => panic!("{other:?}"),
            };
        }
    };
    let id = ask(port, Protocol::Tcp).unwrap();
    assert_eq!(ask(9, Protocol::Tcp), Err(Errno::ACCESS));
    assert_eq!(ask(closed, Protocol::Tcp), Err(Errno::CONNREFUSED));
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let datagrams = ask(peer.local_addr().unwrap().port(), Protocol::Udp).unwrap();
    guest.say(kind::DATA, id, b"hello");
    let mut buffer = [0; 5];
    server.accept().unwrap().0.read_exact(&mut buffer).unwrap();
    assert_eq!(&buffer, b"hello");
    // A connected socket sends to its one place, whatever the instance names.
    let elsewhere = "192.0.2.1:9".parse().unwrap();
    guest.say(kind::DATAGRAM, datagrams, &[&trunk::put_address(elsewhere)[..], &[0; NOTE], b"hi"].concat());
    assert_eq!(peer.recv(&mut buffer).unwrap(), 2);
}

#[test]
fn an_instance_has_no_more_than_so_many_connections() {
    let (port, server) = tcp();
    let mut guest = Guest::new(&[port], &[]);
    let (_client, id) = guest.accepted(server);
    // As if all others were taken.
    for number in 0..MOST {
        let (socket, _) = UnixStream::pair().unwrap();
        let channel = Channel::Stream(Stream::new(socket.into()));
        guest.trunk.channels.insert(FIRST * 2 + number as u32, (channel, epoll::EventFlags::empty()));
    }
    let _second = TcpStream::connect(server).unwrap();
    guest.say(kind::CREDIT, 1, &1u32.to_le_bytes());
    let refused = (Errno::MFILE.raw_os_error() as u32).to_le_bytes().to_vec();
    assert_eq!(guest.hear(), (kind::ERROR, 1, refused));
    guest.say(kind::CLOSE, id, &[0]);
    assert!(!guest.trunk.channels.contains_key(&id));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_frames_of_an_instance_make_the_monitor_panic_or_keep_much(
        frames in proptest::collection::vec((0u8..11, 0u32..6, proptest::collection::vec(any::<u8>(), 0..80)), 1..40),
        cut in 1usize..70,
    ) {
        let (stream, server) = tcp();
        let (datagram, _) = udp("127.0.0.1");
        let mut guest = Guest::new(&[stream, datagram], &[]);
        let (_client, id) = guest.accepted(server);
        let mut bytes = Vec::new();
        for (kind, channel, payload) in frames {
            let channel = if channel == 5 { id } else { channel };
            bytes.extend(Header { kind, length: payload.len() as u32, channel }.encode());
            bytes.extend(payload);
        }
        for piece in bytes.chunks(cut) {
            guest.end.write_all(piece).unwrap();
            if guest.trunk.drive() != Status::Open {
                break;
            }
            guest.heard();
        }
        prop_assert!(guest.trunk.channels.len() <= 3);
    }
}

#[test]
fn options_of_a_connection_are_set_and_no_others() {
    let (port, server) = tcp();
    let mut guest = Guest::new(&[port], &[]);
    let (_client, id) = guest.accepted(server);
    let say = |guest: &mut Guest, level, name, value| {
        guest.say(kind::OPTION, id, &options::encode(level, name, value));
    };
    let (broadcast, device, reuse_port) = ((1, 6), (1, 25), (1, 15));
    for (level, name) in [(6, 1), (1, 9), broadcast, device, reuse_port] {
        say(&mut guest, level, name, [1, 0]);
    }
    say(&mut guest, 6, 4, [77, 0]);
    say(&mut guest, 0, 2, [33, 0]);
    let (channel, _) = &guest.trunk.channels[&id];
    let socket = channel.socket();
    assert_eq!(sockopt::tcp_nodelay(socket), Ok(true));
    assert_eq!(sockopt::socket_keepalive(socket), Ok(true));
    assert_eq!(sockopt::tcp_keepidle(socket), Ok(Duration::from_secs(77)));
    assert_eq!(sockopt::ip_ttl(socket), Ok(33));
    assert_eq!(sockopt::socket_broadcast(socket), Ok(false));
    assert_eq!(sockopt::socket_reuseport(socket), Ok(false));
    // With SO_LINGER of no time the other end sees a reset.
    let (client, id) = guest.accepted(server);
    guest.say(kind::OPTION, id, &options::encode(options::SOCKET, options::LINGER, [1, 0]));
    guest.say(kind::CLOSE, id, &[0]);
    let mut client = client;
    let error = client.read(&mut [0; 8]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}
