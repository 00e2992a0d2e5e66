//! Waiting for the first answer of a server that starts.

use super::check::Checker;
use super::zone::Query;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::{Duration, Instant};

/// A server that has not begun to answer after this long never will.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a query may be under way before the next is sent.
const AGAIN: Duration = Duration::from_millis(20);
/// How long to leave a port alone that refuses.
const REFUSED: Duration = Duration::from_micros(100);

/// Asks until there is a right answer; how long that took, or nothing when time was over.
pub fn answer(server: SocketAddr, queries: &[Query], start: Instant) -> std::io::Result<Option<Duration>> {
    answer_within(server, queries, start, PATIENCE)
}

/// The same with more or less patience.
pub fn answer_within(
    server: SocketAddr,
    queries: &[Query],
    start: Instant,
    patience: Duration,
) -> std::io::Result<Option<Duration>> {
    let from = if server.ip().is_loopback() { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
    let socket = UdpSocket::bind((from, 0))?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(AGAIN))?;
    let mut checker = Checker::new(queries);
    let mut reply = [0; 1500];
    while start.elapsed() < patience {
        match socket.send(&queries[0].packet).and_then(|_| socket.recv(&mut reply)) {
            Ok(length) if checker.check(0, &reply[..length]).is_ok() => return Ok(Some(start.elapsed())),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Ok(_) | Err(_) => std::thread::sleep(REFUSED),
        }
    }
    Ok(None)
}

/// A port of the loopback that is free now, for UDP and TCP.
pub fn free_port() -> std::io::Result<u16> {
    loop {
        let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        if is_free(port) {
            return Ok(port);
        }
    }
}

/// Waits for a port to be given back; whether it was.
pub fn becomes_free(port: u16) -> bool {
    let start = Instant::now();
    while !is_free(port) {
        if start.elapsed() > PATIENCE {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

/// Whether nobody has the port of the loopback.
pub fn is_free(port: u16) -> bool {
    let address = (Ipv4Addr::LOCALHOST, port);
    UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok()
}
