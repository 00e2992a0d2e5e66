//! A map of connections by hash.
//!
//! Who sends segments chooses addresses and ports: hashes have a secret key, so that nobody can fill one place.

use super::connection::Tuple;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::sync::atomic::{AtomicU64, Ordering};
use kernlet_platform::{clock, entropy};

/// The fewest slots that a map with an entry has; a power of two, as all sizes.
const FEWEST: usize = 8;

/// A map from a connection's ends to what is known of it. Entries lie in open slots, of which at least a quarter is
/// free: one whose place is taken stands in the next that is free.
pub struct TupleMap<V> {
    slots: Vec<Option<(Tuple, V)>>,
    len: usize,
}

impl<V> Default for TupleMap<V> {
    fn default() -> Self {
        Self { slots: Vec::new(), len: 0 }
    }
}

impl<V> TupleMap<V> {
    /// The slot in which `tuple` stands, or in which it would.
    fn place(&self, tuple: &Tuple) -> usize {
        let last = self.slots.len().wrapping_sub(1);
        let mut at = hash(tuple) as usize & last;
        while let Some(Some((other, _))) = self.slots.get(at)
            && other != tuple
        {
            at = (at + 1) & last;
        }
        at
    }

    /// What is known of `tuple`.
    pub fn get(&self, tuple: &Tuple) -> Option<&V> {
        self.slots.get(self.place(tuple))?.as_ref().map(|(_, value)| value)
    }

    /// Notes `value` of `tuple`, in place of what was known.
    pub fn insert(&mut self, tuple: Tuple, value: V) {
        if (self.len + 1) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        let at = self.place(&tuple);
        if self.slots[at].replace((tuple, value)).is_none() {
            self.len += 1;
        }
    }

    fn grow(&mut self) {
        let size = (self.slots.len() * 2).max(FEWEST);
        let mut slots = Vec::new();
        slots.resize_with(size, || None);
        for (tuple, value) in core::mem::replace(&mut self.slots, slots).into_iter().flatten() {
            let at = self.place(&tuple);
            self.slots[at] = Some((tuple, value));
        }
    }

    /// Forgets `tuple`. Those behind it that are not at their own place move up.
    pub fn remove(&mut self, tuple: &Tuple) {
        let mut hole = self.place(tuple);
        if self.slots.get_mut(hole).and_then(Option::take).is_none() {
            return;
        }
        self.len -= 1;
        let last = self.slots.len() - 1;
        let mut at = hole;
        loop {
            at = (at + 1) & last;
            let Some((other, _)) = &self.slots[at] else { return };
            let home = hash(other) as usize & last;
            if at.wrapping_sub(home) & last >= at.wrapping_sub(hole) & last {
                self.slots.swap(hole, at);
                hole = at;
            }
        }
    }

    /// How many are known.
    #[cfg(any(test, fuzzing))]
    pub fn len(&self) -> usize {
        self.len
    }
}

/// The key of all hashes, made at the first one.
fn key() -> [u64; 2] {
    static KEY: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];
    let known = KEY.each_ref().map(|half| half.load(Ordering::Relaxed));
    if known != [0; 2] {
        return known;
    }
    let seed = entropy::seed().unwrap_or_default();
    let half = |i: usize| seed[i..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    // Without entropy there are no secrets; the clock is better than nothing, and the last bit makes it no zero.
    let made = [half(16), half(24) ^ clock::monotonic() | 1];
    KEY.iter().zip(made).for_each(|(half, made)| half.store(made, Ordering::Relaxed));
    made
}

/// SipHash-1-3 of the ends, with a key that nobody else knows.
pub fn hash(tuple: &Tuple) -> u64 {
    let [k0, k1] = key();
    let mut v = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    let ports = u64::from(tuple.local.port()) << 16 | u64::from(tuple.remote.port());
    let ends = [tuple.local.ip(), tuple.remote.ip()].map(halves);
    let length = 40u64 << 56;
    for word in [ends[0][0], ends[0][1], ends[1][0], ends[1][1], ports, length] {
        v[3] ^= word;
        round(&mut v);
        v[0] ^= word;
    }
    v[2] ^= 0xff;
    (0..3).for_each(|_| round(&mut v));
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

fn halves(address: IpAddr) -> [u64; 2] {
    let bits = match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    };
    [(bits >> 64) as u64, bits as u64]
}

fn round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[2] = v[2].wrapping_add(v[3]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[1]);
    v[0] = v[0].wrapping_add(v[3]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn tuple(number: u16) -> Tuple {
        let remote = if number.is_multiple_of(3) {
            ([192, 0, 2, number as u8], number).into()
        } else {
            ([0x2001, 0xdb8, 0, 0, 0, 0, 0, number], 4000).into()
        };
        Tuple { local: ([10, 0, 0, 1], 53).into(), remote }
    }

    #[test]
    fn it_does_what_the_standard_map_does() {
        let (mut map, mut wanted) = (TupleMap::default(), HashMap::new());
        let mut random = 1u32;
        for round in 0..20_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let number = (random >> 16) as u16 % 500;
            // It grows first, and shrinks later.
            if (random >> 8) % 100 < if round < 10_000 { 70 } else { 30 } {
                map.insert(tuple(number), round);
                wanted.insert(number, round);
            } else {
                map.remove(&tuple(number));
                wanted.remove(&number);
            }
            let asked = (random >> 4) as u16 % 500;
            assert_eq!(map.get(&tuple(asked)), wanted.get(&asked));
            assert_eq!(map.len(), wanted.len());
        }
        assert!((0..500).all(|number| map.get(&tuple(number)) == wanted.get(&number)));
    }

    #[test]
    fn every_part_of_a_connections_ends_changes_the_hash() {
        let one = Tuple { local: ([10, 0, 0, 1], 53).into(), remote: ([10, 0, 0, 2], 4000).into() };
        let others = [
            Tuple { local: ([10, 0, 0, 3], 53).into(), ..one },
            Tuple { local: ([10, 0, 0, 1], 54).into(), ..one },
            Tuple { remote: ([10, 0, 0, 3], 4000).into(), ..one },
            Tuple { remote: ([10, 0, 0, 2], 4001).into(), ..one },
            Tuple { local: one.remote, remote: one.local },
        ];
        assert!(others.iter().all(|other| hash(other) != hash(&one)));
        assert_eq!(hash(&one), hash(&one));
    }
}
