//! Who bound which port.

use crate::addr;
use alloc::vec::Vec;
use core::cell::Cell;
use core::net::{IpAddr, SocketAddr};
use kernlet_platform::cell::RefCell;
use kernlet_platform::{Errno, clock, entropy};
use kernlet_sync::{CpuLocal, SmallMap};

/// Where ports that nobody asked for by number begin (RFC 6335: dynamic ports).
const EPHEMERAL: u16 = 49152;

/// With whom an address is shared (socket(7)), as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share(u8);

impl Share {
    /// With nobody.
    pub const NONE: Self = Self(0);
    /// SO_REUSEADDR: with those that have it, too, as long as none of them listens.
    pub const ADDRESS: Self = Self(1);
    /// SO_REUSEPORT: with those that have it, too.
    pub const PORT: Self = Self(2);
    /// IPV6_V6ONLY: `[::]` leaves IPv4 to others.
    pub const SIX_ONLY: Self = Self(4);
    /// It listens.
    const LISTENS: Self = Self(8);

    /// These and those.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn has(self, all: Self) -> bool {
        self.0 & all.0 == all.0
    }
}

/// A bound address with what is said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Holder {
    ip: IpAddr,
    share: Share,
}

impl Holder {
    fn six_only(self) -> bool {
        self.share.has(Share::SIX_ONLY)
    }

    /// Whether the two cannot be bound to the same port.
    fn excludes(self, other: Self) -> bool {
        let apart = (self.six_only() && other.ip.is_ipv4()) || (other.six_only() && self.ip.is_ipv4());
        let (both, either) = (self.share.0 & other.share.0, self.share.0 | other.share.0);
        let shared = Share(both).has(Share::PORT)
            || (Share(both).has(Share::ADDRESS) && !Share(either).has(Share::LISTENS));
        !apart && !shared && addr::conflict(self.ip, other.ip)
    }
}

#[derive(Default)]
struct Table {
    bound: SmallMap<u16, Vec<Holder>>,
    /// State of the choice of ephemeral ports; 0: not seeded yet.
    random: u64,
}

/// The ports of one protocol.
pub struct Ports(RefCell<Table>);

/// UDP's ports.
pub static UDP: CpuLocal<Ports> = CpuLocal::new(|| Ports(RefCell::default()));
/// TCP's ports.
pub static TCP: CpuLocal<Ports> = CpuLocal::new(|| Ports(RefCell::default()));

/// A bound address; free again when this is dropped.
pub struct Bound {
    ports: &'static Ports,
    address: SocketAddr,
    share: Cell<Share>,
}

impl Ports {
    /// Binds `address`, choosing a port when it has none.
    ///
    /// # Errors
    /// EADDRINUSE when somebody else has it, or no port is left.
    pub fn bind(&'static self, address: SocketAddr) -> Result<Bound, Errno> {
        self.bind_shared(address, Share::NONE)
    }

    /// Binds `address`, which others may have as far as both say so.
    ///
    /// # Errors
    /// As for [`Self::bind`].
    pub fn bind_shared(&'static self, mut address: SocketAddr, share: Share) -> Result<Bound, Errno> {
        let mut table = self.0.borrow_mut();
        let holder = Holder { ip: address.ip(), share };
        if address.port() == 0 {
            address.set_port(table.ephemeral(address.ip()).ok_or(Errno::EADDRINUSE)?);
        } else if !table.is_free(address.port(), holder) {
            return Err(Errno::EADDRINUSE);
        }
        table.bound.get_or_insert_with(address.port(), Vec::new).push(holder);
        Ok(Bound { ports: self, address, share: Cell::new(share) })
    }
}

impl Table {
    fn is_free(&self, port: u16, holder: Holder) -> bool {
        let others = self.bound.get(&port);
        !others.is_some_and(|o| o.iter().any(|&other| other.excludes(holder)))
    }

    /// A free port, unpredictable from outside (RFC 6056) as far as the seed is.
    fn ephemeral(&mut self, ip: IpAddr) -> Option<u16> {
        if self.random == 0 {
            self.random = entropy::seed().map_or_else(clock::monotonic, |s| {
                s.first_chunk::<8>().map_or(1, |b| u64::from_le_bytes(*b))
            }) | 1;
        }
        // xorshift64 (Marsaglia 2003).
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let count = u16::MAX - EPHEMERAL + 1;
        let first = (self.random >> 32) as u16 % count;
        (0..count)
            .map(|i| EPHEMERAL + (first.wrapping_add(i)) % count)
            .find(|&port| self.is_free(port, Holder { ip, share: Share::NONE }))
    }
}

impl Bound {
    /// The bound address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it is bound.
    pub fn local(&self) -> Local {
        Local { address: self.address, six_only: self.holder().six_only() }
    }

    fn holder(&self) -> Holder {
        Holder { ip: self.address.ip(), share: self.share.get() }
    }

    /// It listens from now on, which not all share.
    ///
    /// # Errors
    /// EADDRINUSE when somebody else listens there.
    pub fn listens(&self) -> Result<(), Errno> {
        let mut table = self.ports.0.borrow_mut();
        let Some(holders) = table.bound.get_mut(&self.address.port()) else { return Ok(()) };
        let before = self.holder();
        let now = Holder { share: before.share.and(Share::LISTENS), ..before };
        let Some(own) = holders.iter().position(|h| *h == before) else { return Ok(()) };
        let others = holders.iter().enumerate().filter(|(i, _)| *i != own);
        if others.clone().any(|(_, other)| other.share.has(Share::LISTENS) && other.excludes(now)) {
            return Err(Errno::EADDRINUSE);
        }
        holders[own] = now;
        self.share.set(now.share);
        Ok(())
    }
}

/// Where a socket is bound, for those who look for the one that something is for.
#[derive(Clone, Copy, Debug)]
pub struct Local {
    /// The address.
    pub address: SocketAddr,
    six_only: bool,
}

impl Local {
    /// Whether it serves a published port together with `others`: one for IPv6 only leaves it to them.
    pub fn shares(&self, others: bool) -> bool {
        !(self.six_only && others)
    }

    /// Whether it takes what is sent to `to`.
    pub fn takes(&self, to: IpAddr) -> bool {
        addr::takes(self.address.ip(), to) && !(self.six_only && to.is_ipv4())
    }
}

impl From<SocketAddr> for Local {
    fn from(address: SocketAddr) -> Self {
        Self { address, six_only: false }
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let mut table = self.ports.0.borrow_mut();
        if let Some(addresses) = table.bound.get_mut(&self.address.port()) {
            if let Some(i) = addresses.iter().position(|h| *h == self.holder()) {
                addresses.swap_remove(i);
            }
            if addresses.is_empty() {
                table.bound.remove(&self.address.port());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(address: &str) -> Result<Bound, Errno> {
        UDP.get().bind(address.parse().unwrap())
    }

    #[test]
    fn a_port_is_bound_once_for_overlapping_addresses() {
        let wildcard = bind("0.0.0.0:53").unwrap();
        assert_eq!(bind("127.0.0.1:53").err(), Some(Errno::EADDRINUSE));
        assert_eq!(bind("[::]:53").err(), Some(Errno::EADDRINUSE));
        let six = bind("[::1]:53").unwrap();
        drop(wildcard);
        let four = bind("127.0.0.1:53").unwrap();
        assert_eq!(bind("[::1]:53").err(), Some(Errno::EADDRINUSE));
        drop((four, six));
        assert!(bind("[::]:53").is_ok());
    }

    #[test]
    fn ephemeral_ports_differ_and_run_out_in_the_end() {
        let mut all = Vec::new();
        while let Ok(bound) = bind("127.0.0.1:0") {
            assert!(bound.address().port() >= EPHEMERAL);
            all.push(bound);
        }
        assert_eq!(all.len(), 16384);
        all.pop();
        assert!(bind("127.0.0.1:0").is_ok());
    }
}
