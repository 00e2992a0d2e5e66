//! Making sockets, and giving granted ones another meaning.

use super::{Outcome, SOME, at, let_through, set_up, text};
use crate::call::call;

/// sockaddr_in of 127.0.0.1 and a port.
pub fn address(port: u16) -> [u8; 16] {
    let [high, low] = port.to_be_bytes();
    [2, 0, high, low, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]
}

/// AF_INET and SOCK_DGRAM or SOCK_STREAM.
fn socket(kind: usize) -> Outcome {
    set_up(41, [2, kind, 0, 0, 0, 0])
}

/// The attack of that name, if it is one of these.
pub fn run(name: &str) -> Option<Outcome> {
    let (stream, datagram) = (1, 2);
    // The discard service, where nobody listens; any port.
    let (mut discard, mut any) = (address(9), address(0));
    Some(match name {
        "socket" => call(41, [2, stream, 0, 0, 0, 0]),
        // NETLINK_ROUTE.
        "socket-netlink" => call(41, [16, 3, 0, 0, 0, 0]),
        "socketpair" => call(53, [1, stream, 0, at(&mut [0u32; 2]), 0, 0]),
        "connect" => socket(datagram).and_then(|s| call(42, [s, at(&mut discard), 16, 0, 0, 0])),
        "bind" => socket(stream).and_then(|s| call(49, [s, at(&mut any), 16, 0, 0, 0])),
        "listen" => socket(stream).and_then(|s| call(50, [s, 1, 0, 0, 0, 0])),
        "accept" => socket(stream).and_then(|s| call(43, [s, 0, 0, 0, 0, 0]).or_else(let_through)),
        "sendto" => socket(datagram).and_then(|s| call(44, [s, text(c"x"), 1, 0, at(&mut discard), 16])),
        "recvfrom" => {
            let wait = |s| call(45, [s, at(&mut [0u8; 4]), 4, 0x40, 0, 0]).or_else(let_through);
            socket(datagram).and_then(wait)
        }
        "sendmsg-descriptor" => send_descriptor(),
        "getpeername" => socket(stream)
            .and_then(|s| call(52, [s, at(&mut any), at(&mut 16u32), 0, 0, 0]).or_else(let_through)),
        // SOL_SOCKET, SO_TYPE.
        "getsockopt" => socket(stream).and_then(|s| call(55, [s, 1, 3, at(&mut 0u32), at(&mut 4u32), 0])),
        _ => return None,
    })
}

/// Sends a descriptor along by sendmsg(2).
fn send_descriptor() -> Outcome {
    let mut pair = [SOME as u32; 2];
    set_up(53, [1, 1, 0, at(&mut pair), 0, 0])?;
    let (mut byte, mut vector) = (0u8, [0usize; 2]);
    vector = [at(&mut byte), vector[1] + 1];
    // struct cmsghdr: 20 bytes in all, SOL_SOCKET, SCM_RIGHTS, descriptor 0.
    let mut control = [20u64, 1 | 1 << 32, 0];
    let mut message = [0, 0, at(&mut vector), 1, at(&mut control), 24, 0];
    call(46, [pair[0] as usize, at(&mut message), 0, 0, 0, 0])
}
