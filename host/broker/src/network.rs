//! Names and connections, on the host's network. These functions block: they run in the pool.

use crate::grant::{Target, is_elsewhere};
use kernlet_wire::boot::Protocol;
use kernlet_wire::broker::{HOST_ADDRESS, MAX_ADDRESSES};
use rustix::io::Errno;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How long all addresses of a host together may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long one of several addresses may take.
const EACH: Duration = Duration::from_secs(8);

/// A socket that is connected and does not block, with its own address and the one it reached.
#[derive(Debug)]
pub struct Connected {
    pub socket: OwnedFd,
    pub local: SocketAddr,
    pub peer: SocketAddr,
}

/// The addresses of a target, as an instance is told them.
pub fn resolve(target: &Target) -> Result<Vec<IpAddr>, Errno> {
    match target {
        Target::Host => Ok(vec![HOST_ADDRESS.into()]),
        Target::Address(address) => Ok(vec![*address]),
        Target::Name(name) => {
            let mut addresses = Vec::new();
            for found in (name.as_str(), 0).to_socket_addrs().map_err(|error| unresolved(&error))? {
                let address = found.ip().to_canonical();
                if is_elsewhere(address) && !addresses.contains(&address) && addresses.len() < MAX_ADDRESSES {
                    addresses.push(address);
                }
            }
            if addresses.is_empty() { Err(Errno::NOENT) } else { Ok(addresses) }
        }
    }
}

/// std does not tell the reasons of getaddrinfo(3) apart; a name that does not exist is the usual one.
fn unresolved(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::NOENT)
}

/// Connects to the first address of `target` that answers.
pub fn connect(target: &Target, port: u16, protocol: Protocol) -> Result<Connected, Errno> {
    let addresses = match target {
        Target::Host => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        other => resolve(other)?,
    };
    let deadline = Instant::now() + PATIENCE;
    let mut last = Errno::TIMEDOUT;
    for (i, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let patience = if i + 1 == addresses.len() { left } else { left.min(EACH) };
        if patience.is_zero() {
            break;
        }
        let peer = SocketAddr::new(*address, port);
        let connected = match protocol {
            Protocol::Tcp => tcp(peer, patience),
            Protocol::Udp => udp(peer),
        };
        match connected {
            Ok(connected) => return Ok(connected),
            Err(error) if error.kind() == ErrorKind::TimedOut => last = Errno::TIMEDOUT,
            Err(error) => last = Errno::from_io_error(&error).unwrap_or(Errno::IO),
        }
    }
    Err(last)
}

fn tcp(peer: SocketAddr, patience: Duration) -> io::Result<Connected> {
    let stream = TcpStream::connect_timeout(&peer, patience)?;
    stream.set_nonblocking(true)?;
    let local = stream.local_addr()?;
    // A connection to a free port of one's own can, by chance, meet itself.
    if local == peer {
        return Err(ErrorKind::ConnectionRefused.into());
    }
    Ok(Connected { socket: stream.into(), local, peer })
}

fn udp(peer: SocketAddr) -> io::Result<Connected> {
    let own: IpAddr =
        if peer.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((own, 0))?;
    socket.connect(peer)?;
    socket.set_nonblocking(true)?;
    let local = socket.local_addr()?;
    Ok(Connected { socket: socket.into(), local, peer })
}
