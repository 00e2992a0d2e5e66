//! Contents against a vector, and their room.

use super::*;
use proptest::prelude::*;

fn usage() -> Rc<Usage> {
    Rc::new(Usage::new(1 << 20))
}

proptest! {
    #[test]
    fn contents_behave_like_a_vector(
        base in 0usize..30_000,
        steps in proptest::collection::vec(
            (0u8..4, prop_oneof![0u64..40_000, 255_000u64..270_000], 0usize..9000, any::<u8>()),
            1..30,
        )
    ) {
        let base: &'static [u8] = std::vec::Vec::leak((0..base).map(|i| i as u8 | 1).collect());
        let (mut content, mut model) = (Content::new(usage(), base), base.to_vec());
        for (what, at, length, byte) in steps {
            match what {
                0 => {
                    let bytes = std::vec![byte; length];
                    prop_assert_eq!(content.write_at(at, &bytes), Ok(length));
                    if length > 0 {
                        model.resize(model.len().max(at as usize + length), 0);
                        model[at as usize..at as usize + length].copy_from_slice(&bytes);
                    }
                }
                1 => {
                    content.set_len(at).unwrap();
                    model.resize(at as usize, 0);
                }
                2 => {
                    content.zero(at, at + length as u64).unwrap();
                    let end = model.len().min(at as usize + length);
                    if (at as usize) < end {
                        model[at as usize..end].fill(0);
                    }
                }
                _ => {
                    let mut buffer = std::vec![0xee; length];
                    let count = content.read_at(at, &mut buffer);
                    let wanted = model.get(at as usize..).unwrap_or(&[]);
                    prop_assert_eq!(&buffer[..count], &wanted[..length.min(wanted.len())]);
                    let mut other = std::vec![0xee; length];
                    let address = other.as_mut_ptr() as usize;
                    prop_assert_eq!(content.read(at, &mut Buffers::one(address, length)), Ok(count));
                    prop_assert_eq!(&other[..count], &buffer[..count]);
                }
            }
            prop_assert_eq!(content.length(), model.len() as u64);
            // No byte that is not zero lies in a hole.
            let mut at = 0;
            while let Ok(hole) = content.seek(at, Seek::Hole) {
                let end = content.seek(hole, Seek::Data).unwrap_or(content.length());
                prop_assert!(model[hole as usize..end as usize].iter().all(|&b| b == 0));
                at = end;
            }
        }
    }
}

#[test]
fn a_change_takes_the_memory_of_the_change() {
    let usage = usage();
    let base: &'static [u8] = std::vec::Vec::leak(std::vec![7; 100 * PAGE]);
    let mut content = Content::new(usage.clone(), base);
    assert_eq!(content.sealed().map(<[u8]>::as_ptr), Some(base.as_ptr()));
    content.write_at(10 * PAGE as u64 + 5, b"changed").unwrap();
    assert_eq!(usage.pages(), 1);
    assert_eq!(content.sealed(), None);
    let mut bytes = std::vec![0; 100 * PAGE];
    assert_eq!(content.read_at(0, &mut bytes), 100 * PAGE);
    assert_eq!(&bytes[10 * PAGE + 3..10 * PAGE + 14], b"\x07\x07changed\x07\x07");
    drop(content);
    assert_eq!(usage.pages(), 0);
}

#[test]
fn what_finds_no_room_is_told_and_what_was_written_stays() {
    let usage = Rc::new(Usage::new(4));
    let mut content = Content::new(usage.clone(), &[]);
    assert_eq!(content.write_at(0, &[1; 5 * PAGE]), Ok(4 * PAGE));
    assert_eq!(content.write_at(4 * PAGE as u64, &[1]), Err(Errno::ENOSPC));
    assert_eq!(content.write_at(u64::MAX, &[1]), Err(Errno::EFBIG));
    content.set_len(1 << 50).unwrap();
    content.zero(0, 1 << 49).unwrap();
    assert_eq!(usage.pages(), 0);
    assert_eq!(content.reserve(0, 1 << 50), Err(Errno::ENOSPC));
    assert_eq!(content.seek(0, Seek::Hole), Ok(0));
    assert_eq!(content.seek(0, Seek::Data), Err(Errno::ENXIO));
    content.write_at(1 << 40, &[1]).unwrap();
    assert_eq!(content.seek(0, Seek::Data), Ok(1 << 40));
}
