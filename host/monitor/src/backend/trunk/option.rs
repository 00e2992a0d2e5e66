//! Options of sockets that a Linux program in a virtual machine sets: those that the filter lets a process set by itself, one
//! by one.

use kernlet_wire::options::{IP, IPV6, LINGER, SOCKET, TCP};
use rustix::net::sockopt::{
    set_ip_tos, set_ip_ttl, set_ipv6_tclass, set_ipv6_unicast_hops, set_socket_keepalive, set_socket_linger,
    set_socket_oobinline, set_socket_recv_buffer_size, set_socket_send_buffer_size, set_tcp_cork,
    set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl, set_tcp_nodelay, set_tcp_quickack,
    set_tcp_user_timeout,
};
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// Sets an option. What the host refuses, and what is not here, has no effect: the instance does not wait for an answer.
pub(super) fn set(socket: BorrowedFd<'_>, level: u32, name: u32, value: [u32; 2]) {
    let number = value[0];
    let (on, seconds) = (number != 0, Duration::from_secs(number.into()));
    let size = usize::try_from(number.min(i32::MAX as u32)).unwrap_or(0);
    let byte = u8::try_from(number);
    let _ = match (level, name) {
        (TCP, 1) => set_tcp_nodelay(socket, on),
        (TCP, 3) => set_tcp_cork(socket, on),
        (TCP, 4) => set_tcp_keepidle(socket, seconds),
        (TCP, 5) => set_tcp_keepintvl(socket, seconds),
        (TCP, 6) => set_tcp_keepcnt(socket, number),
        (TCP, 12) => set_tcp_quickack(socket, on),
        (TCP, 18) => set_tcp_user_timeout(socket, number),
        (SOCKET, 7) => set_socket_send_buffer_size(socket, size),
        (SOCKET, 8) => set_socket_recv_buffer_size(socket, size),
        (SOCKET, 9) => set_socket_keepalive(socket, on),
        (SOCKET, 10) => set_socket_oobinline(socket, on),
        // Waiting for what was written to arrive would hold up everybody: only the reset is set.
        (SOCKET, LINGER) => set_socket_linger(socket, (value == [1, 0]).then_some(Duration::ZERO)),
        (IP, 1) => byte.map_or(Ok(()), |byte| set_ip_tos(socket, byte)),
        (IP, 2) => set_ip_ttl(socket, number),
        (IPV6, 16) => set_ipv6_unicast_hops(socket, byte.ok()),
        (IPV6, 67) => set_ipv6_tclass(socket, number),
        _ => Ok(()),
    };
}
