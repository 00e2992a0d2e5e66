//! Options of the host's sockets that a Linux program may set through the library OS (socket(7), tcp(7), ip(7), ipv6(7)).
//!
//! Each is about the one connection or port that it is set for, and bounded by the host's own limits. What touches the
//! host's routing, devices, filters, credentials or other sockets is not here: SO_MARK, SO_BINDTODEVICE, SO_ATTACH_*,
//! SO_RCVBUFFORCE, SO_REUSEPORT, TCP_ULP, TCP_MD5SIG, TCP_FASTOPEN, TCP_REPAIR, TCP_CONGESTION, IP_HDRINCL, IP_TRANSPARENT,
//! IP_OPTIONS and all others.

/// SOL_SOCKET, IPPROTO_IP, IPPROTO_TCP, IPPROTO_IPV6.
pub const SOCKET: u32 = 1;
/// IPPROTO_IP.
pub const IP: u32 = 0;
/// IPPROTO_TCP.
pub const TCP: u32 = 6;
/// IPPROTO_IPV6.
pub const IPV6: u32 = 41;

/// SO_LINGER, whose value is two words.
pub const LINGER: u32 = 13;

/// The options, by level.
pub const LISTED: &[(u64, &[u64])] = &[
    // TCP_NODELAY, TCP_CORK, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_DEFER_ACCEPT, TCP_QUICKACK, TCP_USER_TIMEOUT.
    (TCP as u64, &[1, 3, 4, 5, 6, 9, 12, 18]),
    // SO_SNDBUF, SO_RCVBUF, SO_KEEPALIVE, SO_OOBINLINE, SO_LINGER.
    (SOCKET as u64, &[7, 8, 9, 10, LINGER as u64]),
    // IP_TOS, IP_TTL, IP_MTU_DISCOVER.
    (IP as u64, &[1, 2, 10]),
    // IPV6_UNICAST_HOPS, IPV6_MTU_DISCOVER, IPV6_TCLASS.
    (IPV6 as u64, &[16, 23, 67]),
];

/// Whether an option is one of these.
pub fn is_listed(level: u32, name: u32) -> bool {
    LISTED.iter().any(|(l, names)| *l == u64::from(level) && names.contains(&name.into()))
}

/// An option and its value as the bytes of a frame ([`crate::trunk::kind::OPTION`]).
pub fn encode(level: u32, name: u32, value: [u32; 2]) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (to, word) in bytes.chunks_mut(4).zip([level, name, value[0], value[1]]) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// Reads a frame: level, name and value.
pub fn decode(payload: &[u8]) -> Option<(u32, u32, [u32; 2])> {
    let bytes: &[u8; 16] = payload.try_into().ok()?;
    let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    Some((word(0), word(4), [word(8), word(12)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_read_as_it_was_written() {
        let bytes = encode(SOCKET, LINGER, [1, 0]);
        assert_eq!(decode(&bytes), Some((SOCKET, LINGER, [1, 0])));
        assert_eq!((decode(&bytes[1..]), decode(&[])), (None, None));
    }

    #[test]
    fn what_reaches_beyond_the_socket_is_not_listed() {
        assert!(is_listed(TCP, 1) && is_listed(SOCKET, LINGER) && is_listed(IPV6, 67));
        // SO_BINDTODEVICE, SO_ATTACH_FILTER, SO_MARK, SO_REUSEPORT, TCP_MD5SIG, TCP_FASTOPEN, TCP_ULP, IP_HDRINCL.
        let others = [(1, 25), (1, 26), (1, 36), (1, 15), (6, 14), (6, 23), (6, 31), (0, 3)];
        assert!(others.iter().all(|(level, name)| !is_listed(*level, *name)));
    }
}
