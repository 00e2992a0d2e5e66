//! Byte ranges (RFC 9110, section 14).

use crate::number;
use alloc::vec::Vec;

/// Ranges that one request may ask for; with more the field is ignored, as section 14.2 permits for such requests.
pub const MOST: usize = 64;

/// What a Range field asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ranges {
    /// Nothing that is understood: the whole is served.
    Ignored,
    /// Nothing of the file: 416.
    Unsatisfiable,
    /// Parts of the file, from the first to the last octet, none empty.
    Parts(Vec<(u64, u64)>),
}

/// Reads the value of a Range field for a file of `length` octets.
///
/// Overlapping ranges are joined, so that the parts together are never larger than the file (section 17.15).
pub fn parse(value: &[u8], length: u64) -> Ranges {
    let Some((unit, set)) = value.split_at_checked(6) else { return Ranges::Ignored };
    if !unit.eq_ignore_ascii_case(b"bytes=") {
        return Ranges::Ignored;
    }
    let mut parts: Vec<(u64, u64)> = Vec::new();
    let mut seen = 0;
    for spec in set.split(|&b| b == b',').map(<[u8]>::trim_ascii).filter(|spec| !spec.is_empty()) {
        seen += 1;
        if seen > MOST {
            return Ranges::Ignored;
        }
        match resolve(spec, length) {
            None => return Ranges::Ignored,
            Some(None) => {}
            Some(Some(part)) => parts.push(part),
        }
    }
    match (seen, parts.is_empty()) {
        (0, _) => Ranges::Ignored,
        (_, true) => Ranges::Unsatisfiable,
        _ => Ranges::Parts(join(parts)),
    }
}

/// One range: `None` when it is none, `Some(None)` when it has nothing of the file.
#[expect(clippy::option_option, reason = "two different reasons for nothing")]
fn resolve(spec: &[u8], length: u64) -> Option<Option<(u64, u64)>> {
    let dash = spec.iter().position(|&b| b == b'-')?;
    let (first, last) = (&spec[..dash], &spec[dash + 1..]);
    // A number that is too large for us is beyond the end of every file.
    let digits =
        |text: &[u8]| text.iter().all(u8::is_ascii_digit).then(|| number::parse(text).unwrap_or(u64::MAX));
    if first.is_empty() {
        if last.is_empty() {
            return None;
        }
        let count = digits(last)?.min(length);
        return Some((count > 0).then(|| (length - count, length - 1)));
    }
    let first = digits(first)?;
    let last = if last.is_empty() { u64::MAX } else { digits(last)? };
    if last < first {
        return None;
    }
    Some((first < length).then(|| (first, last.min(length - 1))))
}

/// In the order in which they were asked for, unless some overlap: then sorted and joined.
fn join(parts: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    let mut sorted = parts.clone();
    sorted.sort_unstable();
    if !sorted.is_sorted_by(|a, b| a.1 < b.0) {
        let mut joined: Vec<(u64, u64)> = Vec::with_capacity(sorted.len());
        for (first, last) in sorted {
            match joined.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
                _ => joined.push((first, last)),
            }
        }
        return joined;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(value: &str, length: u64) -> Vec<(u64, u64)> {
        match parse(value.as_bytes(), length) {
            Ranges::Parts(parts) => parts,
            other => panic!("{value}: {other:?}"),
        }
    }

    #[test]
    fn the_examples_of_the_standard() {
        assert_eq!(parts("bytes=0-499", 10_000), [(0, 499)]);
        assert_eq!(parts("bytes=500-999", 10_000), [(500, 999)]);
        assert_eq!(parts("bytes=-500", 10_000), [(9500, 9999)]);
        assert_eq!(parts("bytes=9500-", 10_000), [(9500, 9999)]);
        assert_eq!(parts("bytes=0-0,-1", 10_000), [(0, 0), (9999, 9999)]);
        assert_eq!(parts("bytes= 0-999, 4500-5499, -1000", 10_000), [(0, 999), (4500, 5499), (9000, 9999)]);
        assert_eq!(parts("bytes=500-600,601-999", 10_000), [(500, 600), (601, 999)]);
        assert_eq!(parts("bytes=500-700,601-999", 10_000), [(500, 999)]);
        assert_eq!(parts("BYTES=900-1000, 5-7", 10_000), [(900, 1000), (5, 7)]);
    }

    #[test]
    fn ends_beyond_the_file_are_cut_and_starts_beyond_it_cannot_be_served() {
        assert_eq!(parts("bytes=5-99999999999999999999999", 10), [(5, 9)]);
        assert_eq!(parts("bytes=-50", 10), [(0, 9)]);
        assert_eq!(parts("bytes=50-60,1-1", 10), [(1, 1)]);
        for value in ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99999999999999999999-"] {
            assert_eq!(parse(value.as_bytes(), 10), Ranges::Unsatisfiable, "{value}");
        }
        assert_eq!(parse(b"bytes=0-", 0), Ranges::Unsatisfiable);
        assert_eq!(parse(b"bytes=-5", 0), Ranges::Unsatisfiable);
    }

    #[test]
    fn what_is_no_range_is_ignored() {
        for value in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "lines=1-2",
            "bytes=2-1",
            "bytes=-",
            "bytes=a-b",
            "bytes=1",
            "bytes=1-2-3",
            "bytes=+1-2",
            "bytes=1-2;3-4",
            "bytes = 1-2",
        ] {
            assert_eq!(parse(value.as_bytes(), 10), Ranges::Ignored, "{value:?}");
        }
        let many = std::format!("bytes={}", ["1-2"; MOST + 1].join(","));
        assert_eq!(parse(many.as_bytes(), 10), Ranges::Ignored);
    }

    proptest! {
        #[test]
        fn parts_lie_in_the_file_and_never_overlap(set in "[0-9,-]{0,60}", length in 0u64..2000) {
            if let Ranges::Parts(mut parts) = parse(std::format!("bytes={set}").as_bytes(), length) {
                prop_assert!(!parts.is_empty());
                parts.sort_unstable();
                prop_assert!(parts.iter().all(|&(first, last)| first <= last && last < length));
                prop_assert!(parts.windows(2).all(|two| two[0].1 < two[1].0));
            }
        }
    }
}
