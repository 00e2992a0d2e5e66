//! Which CPU a file says that it needs: its GNU property note (the x86-64 psABI, 4.1.1; Linux Extensions to gABI).

/// The type of such a note, NT_GNU_PROPERTY_TYPE_0, whose owner is "GNU".
const NOTE: u32 = 5;
const OWNER: &[u8] = b"GNU\0";
/// GNU_PROPERTY_X86_ISA_1_NEEDED, a word in which each bit is a level.
const NEEDED: u32 = 0xc000_8002;
/// Levels 1 to 4.
const LEVELS: u32 = 0xf;
/// Properties begin on multiples of this.
const ALIGN: usize = 8;

/// The highest level of x86-64 (1 to 4) that the bytes of a PT_GNU_PROPERTY segment say is needed; 0: none is said. What is
/// malformed says nothing.
pub(super) fn level(bytes: &[u8]) -> u8 {
    let mut rest = bytes;
    let mut bits = 0;
    while let Some(([name, len, kind], after)) = words(rest) {
        let (name, len) = (name as usize, len as usize);
        let Some((owner, after)) = after.split_at_checked(name.next_multiple_of(4)) else { break };
        let Some((properties, after)) = after.split_at_checked(len.next_multiple_of(ALIGN)) else { break };
        if kind == NOTE && owner == OWNER {
            bits |= needed(&properties[..len]);
        }
        rest = after;
    }
    (u32::BITS - (bits & LEVELS).leading_zeros()) as u8
}

fn needed(mut properties: &[u8]) -> u32 {
    let mut bits = 0;
    while let Some(([kind, len], after)) = words(properties) {
        if let (NEEDED, 4, Some(([word], _))) = (kind, len, words(after)) {
            bits |= word;
        }
        let Some(after) = after.get((len as usize).next_multiple_of(ALIGN)..) else { break };
        properties = after;
    }
    bits
}

/// The first words, and the bytes behind them.
fn words<const N: usize>(bytes: &[u8]) -> Option<([u32; N], &[u8])> {
    let (words, rest) = bytes.split_at_checked(4 * N)?;
    let mut out = [0; N];
    for (out, word) in out.iter_mut().zip(words.as_chunks::<4>().0) {
        *out = u32::from_le_bytes(*word);
    }
    Some((out, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn note(properties: &[u32]) -> Vec<u8> {
        let head = [4, 4 * properties.len() as u32, NOTE];
        let owner = u32::from_le_bytes(*b"GNU\0");
        [&head[..], &[owner], properties].concat().iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn the_highest_level_counts() {
        assert_eq!(level(&note(&[NEEDED, 4, 1, 0])), 1);
        assert_eq!(level(&note(&[NEEDED, 4, 0b111, 0])), 3);
        assert_eq!(level(&note(&[0xc000_0002, 4, 3, 0, NEEDED, 4, 0b1000, 0])), 4);
        // What is only used is not needed.
        assert_eq!(level(&note(&[0xc001_0002, 4, 0b1000, 0])), 0);
        assert_eq!(level(&[]), 0);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), fix in any::<bool>()) {
            let mut bytes = bytes;
            if fix && bytes.len() >= 16 {
                bytes[..16].copy_from_slice(&note(&[])[..16]);
                bytes[4] = 8;
            }
            prop_assert!(level(&bytes) <= 4);
        }
    }
}
