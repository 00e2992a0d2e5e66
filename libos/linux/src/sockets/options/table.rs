//! Options that are numbers: what they are at first and what they may be.

use super::{IP, IPV6, SOCKET, TCP};
use crate::sockets::address::{INET, INET6};
use crate::sockets::socket::{Common, STREAM};

/// What a number may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// 0 or 1; any other number counts as 1.
    Switch,
    /// One of these, at both ends included.
    Between(i32, i32),
}

/// An option that is a number.
#[derive(Clone, Copy, Debug)]
pub struct Number {
    level: i32,
    option: i32,
    /// What it is as long as it is not set.
    pub first: i32,
    /// What it may be.
    pub range: Range,
}

const fn switch(level: i32, option: i32, first: i32) -> Number {
    Number { level, option, first, range: Range::Switch }
}

const fn number(level: i32, option: i32, first: i32, least: i32, most: i32) -> Number {
    Number { level, option, first, range: Range::Between(least, most) }
}

const ANY: i32 = i32::MAX;

/// The options. Most are of no effect in a network that stays inside, or are up to the host, which has its own; those of effect
/// are asked for where they matter.
const NUMBERS: &[Number] = &[
    // SO_DEBUG, SO_REUSEADDR, SO_DONTROUTE, SO_BROADCAST, SO_KEEPALIVE, SO_OOBINLINE, SO_NO_CHECK, SO_PRIORITY, SO_REUSEPORT,
    // SO_PASSCRED, SO_RCVLOWAT, SO_TIMESTAMP, SO_TIMESTAMPNS, SO_MARK, SO_RXQ_OVFL, SO_BUSY_POLL, SO_INCOMING_CPU.
    switch(SOCKET, 1, 0),
    switch(SOCKET, 2, 0),
    switch(SOCKET, 5, 0),
    switch(SOCKET, 6, 0),
    switch(SOCKET, 9, 0),
    switch(SOCKET, 10, 0),
    switch(SOCKET, 11, 0),
    number(SOCKET, 12, 0, 0, ANY),
    switch(SOCKET, 15, 0),
    switch(SOCKET, 16, 0),
    number(SOCKET, 18, 1, i32::MIN, ANY),
    switch(SOCKET, 29, 0),
    switch(SOCKET, 35, 0),
    number(SOCKET, 36, 0, i32::MIN, ANY),
    switch(SOCKET, 40, 0),
    number(SOCKET, 46, 0, 0, ANY),
    number(SOCKET, 49, -1, i32::MIN, ANY),
    // TCP_NODELAY, TCP_MAXSEG, TCP_CORK, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_SYNCNT, TCP_LINGER2, TCP_DEFER_ACCEPT,
    // TCP_WINDOW_CLAMP, TCP_QUICKACK, TCP_THIN_LINEAR_TIMEOUTS, TCP_USER_TIMEOUT, TCP_FASTOPEN, TCP_NOTSENT_LOWAT,
    // TCP_FASTOPEN_CONNECT.
    switch(TCP, 1, 0),
    number(TCP, 2, 536, 88, 32767),
    switch(TCP, 3, 0),
    number(TCP, 4, 7200, 1, 32767),
    number(TCP, 5, 75, 1, 32767),
    number(TCP, 6, 9, 1, 127),
    number(TCP, 7, 6, 1, 127),
    number(TCP, 8, 60, i32::MIN, ANY),
    number(TCP, 9, 0, i32::MIN, ANY),
    number(TCP, 10, 0, 0, ANY),
    switch(TCP, 12, 1),
    switch(TCP, 16, 0),
    number(TCP, 18, 0, 0, ANY),
    number(TCP, 23, 0, 0, ANY),
    number(TCP, 25, 0, i32::MIN, ANY),
    switch(TCP, 30, 0),
    // IP_TOS, IP_TTL, IP_PKTINFO, IP_MTU_DISCOVER, IP_RECVERR, IP_FREEBIND, IP_BIND_ADDRESS_NO_PORT, IP_MULTICAST_TTL,
    // IP_MULTICAST_LOOP.
    number(IP, 1, 0, 0, 255),
    number(IP, 2, 64, 1, 255),
    switch(IP, 8, 0),
    number(IP, 10, 1, 0, 5),
    switch(IP, 11, 0),
    switch(IP, 15, 0),
    switch(IP, 24, 0),
    number(IP, 33, 1, 0, 255),
    switch(IP, 34, 1),
    // IPV6_UNICAST_HOPS, IPV6_MULTICAST_HOPS, IPV6_MULTICAST_LOOP, IPV6_MTU_DISCOVER, IPV6_RECVERR, IPV6_V6ONLY,
    // IPV6_RECVPKTINFO, IPV6_DONTFRAG, IPV6_TCLASS, IPV6_AUTOFLOWLABEL, IPV6_FREEBIND.
    number(IPV6, 16, 64, -1, 255),
    number(IPV6, 18, 1, -1, 255),
    switch(IPV6, 19, 1),
    number(IPV6, 23, 1, 0, 5),
    switch(IPV6, 25, 0),
    switch(IPV6, 26, 0),
    switch(IPV6, 49, 0),
    switch(IPV6, 62, 0),
    number(IPV6, 67, 0, -1, 255),
    switch(IPV6, 70, 0),
    switch(IPV6, 78, 0),
];

/// The option of this number, as far as a socket has it.
pub fn find(common: &Common, level: i32, option: i32) -> Option<Number> {
    let fits = match level {
        SOCKET => true,
        TCP => common.kind == STREAM && matches!(common.family, INET | INET6),
        IP => matches!(common.family, INET | INET6),
        IPV6 => common.family == INET6,
        _ => false,
    };
    NUMBERS.iter().find(|n| fits && n.level == level && n.option == option).copied()
}
