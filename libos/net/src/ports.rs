//! Who bound which port.

use crate::addr;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use kernlet_platform::cell::RefCell;
use kernlet_platform::{Errno, clock, entropy};
use kernlet_sync::{CpuLocal, SmallMap};

/// Where ports that nobody asked for by number begin (RFC 6335: dynamic ports).
const EPHEMERAL: u16 = 49152;

#[derive(Default)]
struct Table {
    bound: SmallMap<u16, Vec<IpAddr>>,
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
}

impl Ports {
    /// Binds `address`, choosing a port when it has none.
    ///
    /// # Errors
    /// EADDRINUSE when somebody else has it, or no port is left.
    pub fn bind(&'static self, mut address: SocketAddr) -> Result<Bound, Errno> {
        let mut table = self.0.borrow_mut();
        if address.port() == 0 {
            address.set_port(table.ephemeral(address.ip()).ok_or(Errno::EADDRINUSE)?);
        } else if !table.is_free(address) {
            return Err(Errno::EADDRINUSE);
        }
        table.bound.get_or_insert_with(address.port(), Vec::new).push(address.ip());
        Ok(Bound { ports: self, address })
    }
}

impl Table {
    fn is_free(&self, address: SocketAddr) -> bool {
        let others = self.bound.get(&address.port());
        !others.is_some_and(|o| o.iter().any(|&other| addr::conflict(other, address.ip())))
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
            .find(|&port| self.is_free(SocketAddr::new(ip, port)))
    }
}

impl Bound {
    /// The bound address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let mut table = self.ports.0.borrow_mut();
        if let Some(addresses) = table.bound.get_mut(&self.address.port()) {
            if let Some(i) = addresses.iter().position(|&a| a == self.address.ip()) {
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
