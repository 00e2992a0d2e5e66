//! Who came by which provider, where the address alone does not tell: 127.0.0.1 is a client on the host as well as
//! one inside the instance, and a tap and a published port may lead to the same network.

use core::mem;
use core::net::SocketAddr;
use kernlet_platform::cell::RefCell;
use kernlet_sync::SmallMap;

/// The provider by which a datagram came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Loopback.
    Inside,
    /// The host's sockets, by the one of this number.
    Host(usize),
    /// The own stack.
    Stack,
}

/// How many peers a generation remembers.
const GENERATION: usize = 512;

/// The ways by which recent peers came, in two generations: the older is forgotten when the newer is full.
#[derive(Default)]
pub struct Peers(RefCell<[SmallMap<SocketAddr, Way>; 2]>);

impl Peers {
    /// `peer` came by `way`.
    pub fn note(&self, peer: SocketAddr, way: Way) {
        let [newer, older] = &mut *self.0.borrow_mut();
        if newer.get(&peer) == Some(&way) {
            return;
        }
        if newer.len() >= GENERATION && !newer.contains_key(&peer) {
            *older = mem::take(newer);
        }
        newer.insert(peer, way);
    }

    /// By which way `peer` came last, if it came at all.
    pub fn way(&self, peer: SocketAddr) -> Option<Way> {
        let [newer, older] = &*self.0.borrow();
        newer.get(&peer).or_else(|| older.get(&peer)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_peers_are_remembered_and_old_ones_forgotten() {
        let peers = Peers::default();
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        for port in 1..=1024 {
            peers.note(at(port), Way::Host(1));
            peers.note(at(port), Way::Inside);
            assert_eq!(peers.way(at(port)), Some(Way::Inside));
        }
        assert_eq!((peers.way(at(1)), peers.way(at(2000))), (Some(Way::Inside), None));
        peers.note(at(1025), Way::Host(0));
        assert_eq!((peers.way(at(1)), peers.way(at(1024))), (None, Some(Way::Inside)));
    }
}
