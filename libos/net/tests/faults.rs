//! Published ports on a host whose calls fail now and then, or do only a part: nothing is lost that TCP promises,
//! nothing is answered twice, errors are told once, and waiting costs no host calls.

use kernlet_exec::block_on;
use kernlet_net::{Batch, Errno, SocketAddr, TcpListener, UdpSocket, publish};
use kernlet_platform::faults::{Call, Fault, Injection, inject};
use kernlet_time::Duration;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net;
use std::thread;

fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

const fn fails(call: Call, error: Errno) -> (Call, Fault) {
    (call, Fault::Error(error))
}

/// What any host does to streams.
const STREAMS: &[(Call, Fault)] = &[
    fails(Call::Read, Errno::EINTR),
    fails(Call::Read, Errno::EAGAIN),
    (Call::Read, Fault::Short),
    fails(Call::Write, Errno::EINTR),
    fails(Call::Write, Errno::EAGAIN),
    (Call::Write, Fault::Short),
    fails(Call::Writev, Errno::EINTR),
    fails(Call::Writev, Errno::EAGAIN),
    (Call::Writev, Fault::Short),
    fails(Call::Accept, Errno::EINTR),
    fails(Call::Accept, Errno::EAGAIN),
    fails(Call::Accept, Errno::ECONNABORTED),
    fails(Call::SetOption, Errno::ENOBUFS),
    fails(Call::Wait, Errno::EINTR),
];

/// Nothing happens for a while: that takes a few host calls, not many.
async fn rests(injection: &Injection) {
    injection.share(0);
    kernlet_exec::sleep(Duration::from_millis(5)).await;
    let before = injection.calls();
    kernlet_exec::sleep(Duration::from_millis(20)).await;
    let calls = injection.calls() - before;
    assert!(calls < 30, "{calls} host calls while nothing happened");
}

/// Sends `bytes` to an echo server with faults and gives what came back.
fn echoed(seed: u64, share: u32, bytes: Vec<u8>) -> Vec<u8> {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // Each case has a thread, and so an instance, of its own.
    let server = thread::spawn(move || {
        publish::tcp(80, [listener]);
        let injection = inject(seed, share, STREAMS);
        block_on(async move {
            let listener = TcpListener::bind(at("[::]:80")).await.unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 5000];
            loop {
                let length = stream.read(&mut buffer).await.unwrap();
                if length == 0 {
                    break;
                }
                let (head, tail) = buffer[..length].split_at(length / 3);
                let written = stream.write_vectored(&[head, tail]).await.unwrap();
                stream.write_all(&buffer[written..length]).await.unwrap();
            }
            rests(&injection).await;
        });
    });
    let mut client = net::TcpStream::connect(address).unwrap();
    let mut sender = client.try_clone().unwrap();
    let sending = thread::spawn(move || {
        sender.write_all(&bytes).unwrap();
        sender.shutdown(net::Shutdown::Write).unwrap();
    });
    let mut reply = Vec::new();
    client.read_to_end(&mut reply).unwrap();
    sending.join().unwrap();
    server.join().unwrap();
    reply
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_stream_loses_and_doubles_nothing(seed in any::<u64>(), share in 100u32..700, length in 1usize..60_000) {
        let bytes: Vec<u8> = (0..length).map(|i| (i * 31 % 253) as u8).collect();
        let back = echoed(seed, share, bytes.clone());
        prop_assert!(back == bytes, "{} of {} bytes came back", back.len(), bytes.len());
    }

    #[test]
    fn each_datagram_is_answered_once_or_lost_for_a_reason(seed in any::<u64>(), share in 100u32..600) {
        const RULES: &[(Call, Fault)] = &[
            fails(Call::ReceiveBatch, Errno::EINTR),
            fails(Call::ReceiveBatch, Errno::EAGAIN),
            (Call::ReceiveBatch, Fault::Short),
            fails(Call::SendBatch, Errno::EINTR),
            fails(Call::SendBatch, Errno::EAGAIN),
            (Call::SendBatch, Fault::Short),
            fails(Call::Wait, Errno::EINTR),
        ];
        let (lost, doubled) = served(seed, share, RULES);
        prop_assert_eq!((lost, doubled), (0, 0));
    }

    #[test]
    fn a_reply_that_the_host_refuses_takes_no_other_with_it(seed in any::<u64>(), share in 100u32..400) {
        const RULES: &[(Call, Fault)] =
            &[fails(Call::SendBatch, Errno::ENOBUFS), (Call::SendBatch, Fault::Short)];
        let (lost, doubled) = served(seed, share, RULES);
        prop_assert_eq!(doubled, 0);
        // Most get through, also those that went out together with one that did not.
        prop_assert!(lost < 150, "{} of 200", lost);
    }
}

/// Asks an echoing server 200 things; how many of the answers never came, and how many came twice.
fn served(seed: u64, share: u32, rules: &'static [(Call, Fault)]) -> (usize, usize) {
    const ALL: u32 = 200;
    let socket = net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let server = thread::spawn(move || {
        publish::udp(53, [socket]);
        let injection = inject(seed, share, rules);
        block_on(async move {
            let server = UdpSocket::bind(at("0.0.0.0:53")).await.unwrap();
            let mut batch = Batch::new(16, 512);
            let mut served = 0;
            while served < ALL {
                let answer = |query: &[u8], _: SocketAddr, reply: &mut [u8]| {
                    served += 1;
                    reply[..4].copy_from_slice(query);
                    4
                };
                server.serve_batch(&mut batch, answer).await.unwrap();
            }
            rests(&injection).await;
        });
    });
    let client = net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for number in 0..ALL {
        client.send_to(&number.to_be_bytes(), address).unwrap();
    }
    server.join().unwrap();
    client.set_nonblocking(true).unwrap();
    let mut came: BTreeMap<u32, usize> = BTreeMap::new();
    let mut reply = [0; 16];
    while let Ok((4, _)) = client.recv_from(&mut reply) {
        *came.entry(u32::from_be_bytes(*reply.first_chunk().unwrap())).or_default() += 1;
    }
    (ALL as usize - came.len(), came.values().filter(|times| **times > 1).count())
}

#[test]
fn a_host_out_of_descriptors_is_told_once_for_each_try_and_loses_no_client() {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    publish::tcp(80, [listener]);
    let client = thread::spawn(move || {
        let mut text = String::new();
        net::TcpStream::connect(address).unwrap().read_to_string(&mut text).unwrap();
        text
    });
    let injection = inject(1, 1000, &[fails(Call::Accept, Errno::EMFILE)]);
    block_on(async move {
        let listener = TcpListener::bind(at("0.0.0.0:80")).await.unwrap();
        for tries in 1..=3 {
            assert_eq!(listener.accept().await.map(drop), Err(Errno::EMFILE));
            assert_eq!(injection.calls_of(Call::Accept), tries);
        }
        injection.share(0);
        let (stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"served").await.unwrap();
    });
    assert_eq!(client.join().unwrap(), "served");
}

#[test]
fn an_error_of_the_host_ends_a_stream_and_is_told_as_it_is() {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    publish::tcp(80, [listener]);
    let injection = inject(1, 1000, &[fails(Call::Read, Errno::ETIMEDOUT), fails(Call::Write, Errno::EPIPE)]);
    block_on(async move {
        let listener = TcpListener::bind(at("0.0.0.0:80")).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        assert_eq!(stream.read(&mut [0; 9]).await, Err(Errno::ETIMEDOUT));
        assert_eq!(stream.write_all(b"x").await, Err(Errno::EPIPE));
        assert_eq!(injection.calls_of(Call::Read) + injection.calls_of(Call::Write), 2);
    });
    drop(client);
}

#[test]
fn a_stream_that_cannot_be_watched_is_an_error_and_no_hang() {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let _client = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    publish::tcp(80, [listener]);
    block_on(async move {
        let listener = TcpListener::bind(at("0.0.0.0:80")).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let _injection = inject(1, 1000, &[fails(Call::Watch, Errno::ENOSPC)]);
        assert_eq!(stream.read(&mut [0; 9]).await, Err(Errno::ENOSPC));
    });
}
