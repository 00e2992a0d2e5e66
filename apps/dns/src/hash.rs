//! The hash of domain names, computed a label at a time from the root, so that a walk down a tree of names
//! hashes every label once.
//!
//! It is keyed: the owner of a zone file must not be able to pick names that all land in one place. The mixing
//! step is a 64×64→128 bit multiplication whose halves are folded, as in wyhash and foldhash.

/// A keyed hash of names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct NameHash {
    seed: u64,
    key: u64,
}

impl NameHash {
    pub(crate) fn new(seed: u64) -> Self {
        // Two different, never degenerate, words out of one seed (the constants are digits of pi).
        let spread = fold(seed ^ 0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7345);
        Self { seed: spread ^ 0xa409_3822_299f_31d1, key: fold(spread, 0x082e_fa98_ec4e_6c89) | 1 << 63 | 1 }
    }

    /// The hash of the root name.
    pub(crate) fn root(&self) -> u64 {
        self.seed
    }

    /// The hash of the name that puts `label` (with its length octet, in lower case) in front of the name that
    /// hashes to `parent`.
    #[inline]
    pub(crate) fn child(&self, parent: u64, label: &[u8]) -> u64 {
        let mut hash = parent;
        let mut rest = label;
        while let Some((chunk, tail)) = rest.split_first_chunk::<8>() {
            hash = fold(hash ^ u64::from_le_bytes(*chunk), self.key);
            rest = tail;
        }
        // The length octet in front makes the padding of the last chunk unambiguous.
        fold(hash ^ short(rest), self.key)
    }
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ (product >> 64) as u64
}

/// Up to seven octets as one word, without a loop.
#[inline]
fn short(bytes: &[u8]) -> u64 {
    let n = bytes.len();
    if let (Some(head), Some(tail)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        u64::from(u32::from_le_bytes(*head)) | u64::from(u32::from_le_bytes(*tail)) << 32
    } else if n > 0 {
        u64::from(bytes[0]) | u64::from(bytes[n / 2]) << 8 | u64::from(bytes[n - 1]) << 16
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_labels_and_seeds_hash_differently() {
        let mut seen = std::collections::HashSet::new();
        for seed in 0..4 {
            let hash = NameHash::new(seed);
            for n in 0..10_000u32 {
                let text = n.to_string();
                let mut label = vec![text.len() as u8];
                label.extend_from_slice(text.as_bytes());
                assert!(seen.insert(hash.child(hash.root(), &label)));
            }
        }
    }
}
