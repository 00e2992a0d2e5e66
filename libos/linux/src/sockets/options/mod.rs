//! Options of sockets (socket(7), tcp(7), ip(7), ipv6(7)).

mod effect;
mod get;
mod set;
mod table;

pub use get::get;
pub use set::set;

use super::address::INET6;
use crate::wait::Deadline;
use core::cell::Cell;
use kernlet_net::Share;
use kernlet_platform::cell::RefCell;
use kernlet_sync::SmallMap;
use kernlet_time::Duration;

/// Levels.
pub const SOCKET: i32 = 1;
pub const IP: i32 = 0;
pub const TCP: i32 = 6;
pub const IPV6: i32 = 41;

/// SO_REUSEADDR, SO_REUSEPORT, SO_PASSCRED, SO_TIMESTAMP, SO_TIMESTAMPNS, TCP_NODELAY, IPV6_V6ONLY, IP_PKTINFO, IPV6_RECVPKTINFO.
const REUSE_ADDRESS: i32 = 2;
const REUSE_PORT: i32 = 15;
const PASS_CREDENTIALS: i32 = 16;
const TIME_STAMP: i32 = 29;
const TIME_STAMP_FINE: i32 = 35;
const NO_DELAY: i32 = 1;
const SIX_ONLY: i32 = 26;
const PACKET_INFO: i32 = 8;
const PACKET_INFO_SIX: i32 = 49;

/// What was set of a socket's options.
#[derive(Default)]
pub struct Options {
    /// Numbers, by level and option.
    numbers: RefCell<SmallMap<(i32, i32), i32>>,
    /// SO_RCVTIMEO, SO_SNDTIMEO; zero: none.
    timeouts: Cell<[Duration; 2]>,
    /// SO_LINGER, while it is on.
    linger: Cell<Option<u32>>,
    /// SO_RCVLOWAT, when it is more than 1.
    least: Cell<u32>,
}

impl Options {
    fn number(&self, level: i32, option: i32) -> Option<i32> {
        self.numbers.borrow().get(&(level, option)).copied()
    }

    fn is_set(&self, level: i32, option: i32) -> bool {
        self.number(level, option).is_some_and(|value| value != 0)
    }

    fn store(&self, level: i32, option: i32, value: i32) {
        self.numbers.borrow_mut().insert((level, option), value);
    }

    /// What a connection inherits of its listener.
    pub fn inherit(&self) -> Self {
        let numbers = self.numbers.borrow().iter().fold(SmallMap::new(), |mut all, (key, value)| {
            all.insert(*key, *value);
            all
        });
        Self {
            numbers: RefCell::new(numbers),
            timeouts: self.timeouts.clone(),
            linger: self.linger.clone(),
            least: self.least.clone(),
        }
    }

    /// With whom an address is shared.
    pub fn share(&self) -> Share {
        let all = [
            (self.is_set(SOCKET, REUSE_ADDRESS), Share::ADDRESS),
            (self.is_set(SOCKET, REUSE_PORT), Share::PORT),
            (self.six_only(), Share::SIX_ONLY),
        ];
        all.iter().filter(|(on, _)| *on).fold(Share::NONE, |share, (_, one)| share.and(*one))
    }

    /// IPV6_V6ONLY.
    pub fn six_only(&self) -> bool {
        self.is_set(IPV6, SIX_ONLY)
    }

    /// SO_RCVLOWAT: so many bytes a stream must have before it is ready to be read.
    pub fn least(&self) -> usize {
        self.least.get() as usize
    }

    /// SO_PASSCRED.
    pub fn pass_credentials(&self) -> bool {
        self.is_set(SOCKET, PASS_CREDENTIALS)
    }

    /// SO_TIMESTAMP, SO_TIMESTAMPNS: which control message tells when a datagram came; one excludes the other.
    pub fn wants_time(&self) -> Option<i32> {
        [TIME_STAMP_FINE, TIME_STAMP].into_iter().find(|option| self.is_set(SOCKET, *option))
    }

    /// IP_PKTINFO, IPV6_RECVPKTINFO.
    pub fn wants_packet_info(&self, family: u16) -> bool {
        if family == INET6 { self.is_set(IPV6, PACKET_INFO_SIX) } else { self.is_set(IP, PACKET_INFO) }
    }

    /// SO_RCVTIMEO, from now on.
    pub fn receive_timeout(&self) -> Deadline {
        Self::limit(self.timeouts.get()[0])
    }

    /// SO_SNDTIMEO, from now on.
    pub fn send_timeout(&self) -> Deadline {
        Self::limit(self.timeouts.get()[1])
    }

    fn limit(timeout: Duration) -> Deadline {
        if timeout.is_zero() { Deadline::Never } else { Deadline::after(timeout) }
    }
}
