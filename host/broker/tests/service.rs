//! The broker on its socket: what an instance that means no good can do to it.

mod common;

use common::*;
use kernlet_broker::{Broker, Service};
use kernlet_wire::boot::Protocol;
use kernlet_wire::broker::{HOST_ADDRESS, MAX_MESSAGE, MAX_OUTSTANDING, Reply, Request};
use proptest::prelude::*;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, send, sendmsg, socketpair,
};
use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

fn pair() -> (OwnedFd, OwnedFd) {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap()
}

fn service(broker: Broker) -> (Service, OwnedFd) {
    let (ours, theirs) = pair();
    (Service::new(broker, ours).unwrap(), theirs)
}

fn put(socket: &OwnedFd, message: &[u8]) -> Result<usize, Errno> {
    send(socket, message, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)
}

fn take(socket: &OwnedFd) -> Result<(Vec<u8>, Option<OwnedFd>), Errno> {
    let mut buffer = vec![0; MAX_MESSAGE];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let length = recvmsg(socket, &mut [IoSliceMut::new(&mut buffer)], &mut control, flags)?.bytes;
    let descriptor = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    buffer.truncate(length);
    Ok((buffer, descriptor))
}

/// Waits for an answer.
fn answer(socket: &OwnedFd) -> (Vec<u8>, Option<OwnedFd>) {
    assert!(ready(socket, PollFlags::IN, 20), "no answer came");
    take(socket).unwrap()
}

fn ready(socket: &OwnedFd, flags: PollFlags, seconds: i64) -> bool {
    let mut fds = [PollFd::new(socket, flags)];
    poll(&mut fds, Some(&Timespec { tv_sec: seconds, tv_nsec: 0 })).unwrap() > 0
}

/// The service has closed its end.
fn closed(socket: &OwnedFd) -> bool {
    ready(socket, PollFlags::IN, 20) && take(socket).is_ok_and(|(bytes, _)| bytes.is_empty())
}

#[test]
fn requests_are_answered_each_with_its_id_and_descriptor() {
    let f = Fixture::new();
    let (_service, socket) = service(f.broker);
    put(&socket, &Request::Open { at: at("file"), flags: READ, mode: 0 }.encode(1)).unwrap();
    put(&socket, &Request::RemoveFile { at: at("none") }.encode(2)).unwrap();
    let (bytes, descriptor) = answer(&socket);
    assert!(matches!(outcome(&bytes, 1), Ok(Outcome::Opened(0, _))));
    let mut text = String::new();
    std::fs::File::from(descriptor.unwrap()).read_to_string(&mut text).unwrap();
    assert_eq!(text, "contents");
    assert_eq!(outcome(&answer(&socket).0, 2), Err(ENOENT));
}

#[test]
fn a_descriptor_that_the_instance_sends_is_closed() {
    let f = Fixture::new();
    let (_service, socket) = service(f.broker);
    let (reader, writer) = std::io::pipe().unwrap();
    let message = Request::RemoveFile { at: at("none") }.encode(1);
    let descriptors = [writer.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(&socket, &[IoSlice::new(&message)], &mut control, SendFlags::empty()).unwrap();
    drop(writer);
    assert_eq!(outcome(&answer(&socket).0, 1), Err(ENOENT));
    // The pipe ends only when nobody has its other end.
    let mut rest = Vec::new();
    assert_eq!({ reader }.read_to_end(&mut rest).unwrap(), 0);
}

#[test]
fn an_instance_that_floods_is_not_read_from_and_gets_all_its_answers() {
    let f = Fixture::new();
    let (_service, socket) = service(f.broker);
    let message = Request::Stat { at: at("file"), follow: true }.encode(5);
    let (mut sent, mut received) = (0, 0);
    // Without reading a single answer, until neither side goes on.
    while ready(&socket, PollFlags::OUT, 1) && put(&socket, &message).is_ok() {
        sent += 1;
    }
    assert!(sent > MAX_OUTSTANDING && sent < 10_000, "{sent}");
    while received < sent {
        let (bytes, _) = answer(&socket);
        // What was too much for one volume at once is told so.
        assert!(matches!(outcome(&bytes, 5), Ok(Outcome::Stat(_)) | Err(ENOBUFS)));
        received += 1;
    }
    assert_eq!(take(&socket).map(|(bytes, _)| bytes), Err(Errno::AGAIN));
}

#[test]
fn a_request_that_makes_no_sense_gets_einval_and_what_is_no_message_ends_the_service() {
    let f = Fixture::new();
    let (_service, socket) = service(f.broker);
    put(&socket, &[9, 0, 0, 0, 255, 255, 1, 1]).unwrap();
    assert_eq!(outcome(&answer(&socket).0, 9), Err(EINVAL));
    put(&socket, &[1, 2]).unwrap();
    assert!(closed(&socket));
    let (_service, socket) = service(Fixture::new().broker);
    put(&socket, &vec![0; MAX_MESSAGE + 1]).unwrap();
    assert!(closed(&socket));
    let (service, socket) = service(Fixture::new().broker);
    drop(service);
    assert!(closed(&socket));
}

#[test]
fn connections_reach_the_host_s_loopback_only_where_that_was_granted() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let grants = vec![format!("host.kernlet.internal:{port}").parse().unwrap(), "*:*".parse().unwrap()];
    let (_service, socket) = service(Broker::new(Vec::new(), grants));
    let tcp = |host, port| Request::Connect { host, port, protocol: Protocol::Tcp };
    put(&socket, &tcp("host.kernlet.internal", port).encode(1)).unwrap();
    let (bytes, descriptor) = answer(&socket);
    let Ok((1, Reply::Connected { peer, .. })) = Reply::decode(&bytes) else { panic!("{bytes:?}") };
    assert_eq!(peer.port(), port);
    let mut stream = std::net::TcpStream::from(descriptor.unwrap());
    stream.write_all(b"hello").unwrap();
    let mut text = [0; 5];
    listener.accept().unwrap().0.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"hello");

    put(&socket, &Request::Resolve { host: "HOST.kernlet.internal." }.encode(2)).unwrap();
    let (bytes, _) = answer(&socket);
    let Ok((2, Reply::Addresses(addresses))) = Reply::decode(&bytes) else { panic!("{bytes:?}") };
    assert!(addresses.iter().eq([std::net::IpAddr::from(HOST_ADDRESS)]));
    for host in ["127.0.0.1", "::1", "0.0.0.0"] {
        put(&socket, &tcp(host, port).encode(3)).unwrap();
        assert_eq!(outcome(&answer(&socket).0, 3), Err(EACCES));
    }
    // The name is granted by `*`, its address is the host itself all the same.
    put(&socket, &tcp("localhost", port).encode(4)).unwrap();
    assert_eq!(outcome(&answer(&socket).0, 4), Err(ENOENT));
    drop(listener);
    put(&socket, &tcp("169.254.1.2", port).encode(5)).unwrap();
    assert_eq!(outcome(&answer(&socket).0, 5), Err(111));
}

#[test]
fn datagrams_go_to_the_granted_port_only() {
    let host = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = host.local_addr().unwrap().port();
    let grants = vec![format!("host.kernlet.internal:{port}/udp").parse().unwrap()];
    let (_service, socket) = service(Broker::new(Vec::new(), grants));
    let udp = |port| Request::Connect { host: "host.kernlet.internal", port, protocol: Protocol::Udp };
    put(&socket, &udp(port).encode(1)).unwrap();
    let granted = answer(&socket).1.unwrap();
    // With an address, which a UDP socket would follow.
    let elsewhere = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = elsewhere.local_addr().unwrap();
    rustix::net::sendto(&granted, b"\0hello", SendFlags::empty(), &to).unwrap();
    let mut text = [0; 8];
    assert_eq!(host.recv_from(&mut text).unwrap().0, 5);
    elsewhere.set_nonblocking(true).unwrap();
    assert!(elsewhere.recv_from(&mut text).is_err());
    put(&socket, &udp(port.wrapping_add(1)).encode(2)).unwrap();
    assert_eq!(outcome(&answer(&socket).0, 2), Err(EACCES));
}

#[test]
fn slow_connections_hold_up_no_files() {
    let grants = vec!["192.0.2.1:9".parse().unwrap()];
    let f = Fixture::new();
    let volume = kernlet_broker::Volume::open(0, &f.inside(""), false).unwrap();
    let (_service, socket) = service(Broker::new(vec![volume], grants));
    // Nobody has this address (RFC 5737): whether it is refused or waited for, files come first.
    for id in 0..MAX_OUTSTANDING as u32 - 1 {
        let connect = Request::Connect { host: "192.0.2.1", port: 9, protocol: Protocol::Tcp };
        put(&socket, &connect.encode(100 + id)).unwrap();
    }
    put(&socket, &Request::Stat { at: at("file"), follow: true }.encode(1)).unwrap();
    while !matches!(outcome_of(&answer(&socket).0), (1, Ok(Outcome::Stat(_)))) {}
}

fn outcome_of(bytes: &[u8]) -> (u32, Result<Outcome, i32>) {
    let (id, _) = Reply::decode(bytes).unwrap();
    (id, outcome(bytes, id))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_message_harms_the_service(
        id in any::<u32>(), op in 0u16..20, body in proptest::collection::vec(any::<u8>(), 0..64)
    ) {
        // A volume of its own, in which such requests may do what they like.
        let folder = tempfile::tempdir().unwrap();
        let volume = kernlet_broker::Volume::open(0, folder.path(), false).unwrap();
        let (_service, socket) = service(Broker::new(vec![volume], Vec::new()));
        let header = u64::from(id) | u64::from(op) << 32;
        put(&socket, &[&header.to_le_bytes()[..], &body].concat()).unwrap();
        let (bytes, _) = answer(&socket);
        prop_assert_eq!(Reply::decode(&bytes).unwrap().0, id);
        put(&socket, &body).unwrap();
    }
}
