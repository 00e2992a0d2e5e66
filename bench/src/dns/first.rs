//! Waiting for the first answer of a server that starts.

use super::check::Checker;
use super::zone::Query;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// A server that has not begun to answer after this long never will.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a query may be under way before the next is sent.
const AGAIN: Duration = Duration::from_millis(20);
/// How long to leave a port alone that refuses.
const REFUSED: Duration = Duration::from_micros(100);

/// Asks until there is a right answer; how long that took, or nothing when time was over.
pub fn answer(server: SocketAddr, queries: &[Query], start: Instant) -> std::io::Result<Option<Duration>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(AGAIN))?;
    let mut checker = Checker::new(queries);
    let mut reply = [0; 1500];
    while start.elapsed() < PATIENCE {
        match socket.send(&queries[0].packet).and_then(|_| socket.recv(&mut reply)) {
            Ok(length) if checker.check(0, &reply[..length]).is_ok() => return Ok(Some(start.elapsed())),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Ok(_) | Err(_) => std::thread::sleep(REFUSED),
        }
    }
    Ok(None)
}

/// A UDP port of the loopback that is free now.
pub fn free_port() -> std::io::Result<u16> {
    Ok(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
