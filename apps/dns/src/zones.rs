//! The zones that a server serves.

use crate::answer::Path;
use crate::hash::NameHash;
use crate::name::Labels;
use crate::text::{self, Loader, Source};
use crate::zone::ZoneErrors;
use crate::zone::tree::{Node, NodeId};
use crate::{Name, Zone};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::pin::pin;
use core::sync::atomic::Ordering;
use core::task::{Context, Poll, Waker};

/// A place in the table of zones.
#[derive(Clone, Copy)]
struct Slot {
    hash: u64,
    /// The index of the zone and one more; zero is an empty place.
    zone: u32,
}

/// A set of zones, each replaced as a whole.
///
/// ```
/// let mut zones = dns::Zones::new(0x5eed);
/// let text = b"@ 60 SOA ns mail 1 1h 15m 1w 60\n NS ns\nns A 192.0.2.1\n";
/// let origin = "example.com".parse().unwrap();
/// let zone = zones.load(&origin, "example.com.zone", &mut |_| Ok(text[..].into())).unwrap();
/// zones.insert(zone);
/// let query = b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x02ns\x07example\x03com\0\0\x01\0\x01";
/// let mut reply = [0; 512];
/// let length = zones.answer(query, dns::Transport::Udp, &mut reply).unwrap();
/// assert_eq!(reply[7], 1, "one answer in {length} octets");
/// ```
pub struct Zones {
    hash: NameHash,
    zones: Vec<Arc<Zone>>,
    table: Vec<Slot>,
    /// Bit n: there is a zone whose name has n labels.
    depths: u128,
}

impl Zones {
    /// A set without zones. The seed keys the hashes of names: take it from a source of entropy, so that the
    /// author of a zone file cannot make names collide.
    pub fn new(seed: u64) -> Self {
        Self {
            hash: NameHash::new(seed),
            zones: Vec::new(),
            table: vec![Slot { hash: 0, zone: 0 }; 2],
            depths: 0,
        }
    }

    /// What reads zones for this set.
    pub fn reader(&self) -> ZoneReader {
        ZoneReader(self.hash)
    }

    /// Reads and checks the zone `origin` from the master file named `file` in one go; `loader` gives the octets of
    /// that file, and of those that it includes, by the names as they are written. The zone is not served before it is
    /// [inserted](Zones::insert).
    pub fn load(&self, origin: &Name, file: &str, loader: Loader<'_, '_>) -> Result<Zone, ZoneErrors> {
        let mut source = Whole(loader);
        let mut reading = pin!(self.reader().read(origin, file, &mut source));
        loop {
            // The source never waits.
            if let Poll::Ready(result) = reading.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return result;
            }
        }
    }

    /// Serves a zone from now on, in place of the one of the same name, which is given back. The zone must
    /// have been loaded by this set.
    ///
    /// # Panics
    /// If the zone was loaded by a set with another seed.
    pub fn insert(&mut self, zone: Zone) -> Option<Arc<Zone>> {
        assert!(zone.tree.hash == self.hash, "a zone belongs to the set that loaded it");
        let hash = zone.tree.apex_hash;
        if let Some(at) = self.position(hash, zone.origin().wire()) {
            zone.queries.store(self.zones[at].queries(), Ordering::Relaxed);
            return Some(core::mem::replace(&mut self.zones[at], Arc::new(zone)));
        }
        self.zones.push(Arc::new(zone));
        if self.zones.len() * 2 > self.table.len() {
            self.index();
        } else {
            self.occupy(self.zones.len() - 1);
        }
        None
    }

    /// Serves a zone no longer, and gives it back.
    pub fn remove(&mut self, origin: &Name) -> Option<Arc<Zone>> {
        let hash = Labels(origin.wire()).collect::<Vec<_>>().into_iter().rev();
        let hash = hash.fold(self.hash.root(), |hash, label| self.hash.child(hash, label));
        let zone = self.zones.swap_remove(self.position(hash, origin.wire())?);
        self.index();
        Some(zone)
    }

    /// The zones, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Zone> {
        self.zones.iter().map(|zone| &**zone)
    }

    /// Makes the table anew, with room to grow.
    fn index(&mut self) {
        let size = (self.zones.len() * 4).next_power_of_two().max(2);
        self.table = vec![Slot { hash: 0, zone: 0 }; size];
        self.depths = 0;
        for n in 0..self.zones.len() {
            self.occupy(n);
        }
    }

    /// Puts a zone into the table.
    fn occupy(&mut self, n: usize) {
        let zone = &self.zones[n];
        let (hash, mask) = (zone.tree.apex_hash, self.table.len() - 1);
        let mut at = hash as usize & mask;
        while self.table[at].zone != 0 {
            at = (at + 1) & mask;
        }
        self.table[at] = Slot { hash, zone: n as u32 + 1 };
        self.depths |= 1 << zone.origin().labels();
    }

    pub(crate) fn at(&self, at: usize) -> Option<&Arc<Zone>> {
        self.zones.get(at)
    }

    /// The zone that a name belongs to: the one with the longest name that it ends with.
    #[inline]
    pub(crate) fn find(&self, path: &Path) -> Option<(usize, &Arc<Zone>)> {
        let at = self.find_above(path, path.labels())?;
        Some((at, &self.zones[at]))
    }

    /// The same for the last `labels` labels of a name.
    #[inline]
    fn find_above(&self, path: &Path, labels: usize) -> Option<usize> {
        let mut found = None;
        let mut hash = self.hash.root();
        let mut depth = 0;
        loop {
            if self.depths >> depth & 1 != 0
                && let Some(zone) = self.position(hash, path.last(depth))
            {
                found = Some(zone);
            }
            // No deeper than there are zones.
            if depth == labels || self.depths >> depth <= 1 {
                return found;
            }
            depth += 1;
            hash = self.hash.child(hash, path.label(depth));
        }
    }

    /// The index of the zone with this name, in lower-case wire form.
    #[inline]
    fn position(&self, hash: u64, name: &[u8]) -> Option<usize> {
        let mask = self.table.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.table[at];
            let zone = slot.zone.checked_sub(1)? as usize;
            if slot.hash == hash && self.zones[zone].origin().wire() == name {
                return Some(zone);
            }
            at = (at + 1) & mask;
        }
    }

    /// The zone that delegates the name of another zone served here, with the delegation's node: DS records
    /// are there (RFC 4035 section 3.1.4.1).
    pub(crate) fn delegating(&self, path: &Path) -> Option<(&Zone, NodeId)> {
        let zone = &self.zones[self.find_above(path, path.labels().checked_sub(1)?)?];
        let (node, exact) = path.walk(zone);
        (exact && zone.node(node).is(Node::CUT)).then_some((zone, node))
    }
}

/// Reads zones for the set that it is from, without holding on to that.
#[derive(Clone, Copy)]
pub struct ZoneReader(NameHash);

impl ZoneReader {
    /// Reads and checks the zone `origin` from the master file named `file`, piece by piece: the source is asked for
    /// text, and to let others work, so that a large zone can be read while the one before it is served.
    pub async fn read<S: Source>(
        self,
        origin: &Name,
        file: &str,
        source: &mut S,
    ) -> Result<Zone, ZoneErrors> {
        text::load(self.0, origin, file, source).await
    }
}

/// A source that has whole files.
struct Whole<'l, 'f>(Loader<'l, 'f>);

impl Source for Whole<'_, '_> {
    async fn read(&mut self, name: &str, offset: u64, into: &mut Vec<u8>) -> Result<usize, Box<str>> {
        if offset > 0 {
            return Ok(0);
        }
        let text = (self.0)(name)?;
        into.extend_from_slice(&text);
        Ok(text.len())
    }

    async fn pause(&mut self) {}
}
