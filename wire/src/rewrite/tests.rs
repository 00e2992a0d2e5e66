use super::*;
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;

fn page(with: u8) -> Vec<u8> {
    vec![with; PAGE as usize]
}

fn draft() -> Draft {
    let segment = DraftSegment {
        offset: 0x2000,
        pages: 20,
        replaced: [(3, page(3)), (4, page(4)), (9, page(9))].into(),
        stubs: vec![0x90; 5000],
        distance: 0x40000,
        rewritten: 7,
        trapping: 1,
    };
    let low =
        DraftSegment { offset: 0x30000, distance: -0x5000, replaced: BTreeMap::new(), ..segment.clone() };
    let libc = DraftFile { len: 0x50_0000, reserve: 0x4000, segments: vec![segment.clone(), low] };
    let ld = DraftFile { len: 0x1234, reserve: 0x2000, segments: vec![segment] };
    Draft { files: [(b"/lib/libc.so.6".to_vec(), libc), (b"/lib/ld.so".to_vec(), ld)].into() }
}

#[test]
fn what_is_written_is_read_back() {
    let bytes = draft().encode().unwrap();
    assert_eq!(bytes.len() % PAGE as usize, 0);
    let rewrites = Rewrites::parse(&bytes).unwrap();
    let paths: Vec<_> = rewrites.files().map(|file| file.path).collect();
    assert_eq!(paths, [&b"/lib/ld.so"[..], b"/lib/libc.so.6"]);
    let libc = rewrites.find(b"/lib/libc.so.6").unwrap();
    assert_eq!((libc.len, libc.reserve), (0x50_0000, 0x4000));
    let segments: Vec<_> = libc.segments().collect();
    assert_eq!(segments.iter().map(|s| s.offset).collect::<Vec<_>>(), [0x2000, 0x30000]);
    assert_eq!((segments[0].pages, segments[0].rewritten, segments[0].trapping), (20, 7, 1));
    assert_eq!((segments[0].stubs.pages, segments[0].stubs.distance), (2, 0x40000));
    assert_eq!((segments[1].stubs.distance, segments[1].runs().count()), (-0x5000, 0));
}

#[test]
fn neighbouring_pages_are_one_run_and_hold_what_was_written() {
    let bytes = draft().encode().unwrap();
    let file = Rewrites::parse(&bytes).unwrap().find(b"/lib/ld.so").unwrap();
    let segment = file.segments().next().unwrap();
    let runs: Vec<_> = segment.runs().collect();
    assert_eq!(runs.iter().map(|r| (r.offset, r.pages)).collect::<Vec<_>>(), [(0x5000, 2), (0xb000, 1)]);
    let at = |place: u64| bytes[place as usize];
    assert_eq!([at(runs[0].place), at(runs[0].place + PAGE), at(runs[1].place)], [3, 4, 9]);
    let stubs = segment.stubs.place as usize;
    assert_eq!([bytes[stubs], bytes[stubs + 4999], bytes[stubs + 5000]], [0x90, 0x90, 0xcc]);
}

#[test]
fn a_mapping_of_a_part_gets_its_part_of_the_runs() {
    let bytes = draft().encode().unwrap();
    let file = Rewrites::parse(&bytes).unwrap().find(b"/lib/ld.so").unwrap();
    let segment = file.segments().next().unwrap();
    let whole = segment.runs().next().unwrap();
    let part: Vec<_> = segment.runs_within(0x6000, 0x2000).collect();
    assert_eq!(part, [Run { offset: 0x6000, place: whole.place + PAGE, pages: 1 }]);
    assert_eq!(segment.runs_within(0x7000, 0x2000).count(), 0);
    assert_eq!(segment.runs_within(0, u64::MAX).count(), 2);
}

#[test]
fn a_path_that_is_not_there_is_not_found() {
    let bytes = draft().encode().unwrap();
    let rewrites = Rewrites::parse(&bytes).unwrap();
    for path in ["", "/", "/lib", "/lib/libc.so", "/lib/libc.so.66", "lib/ld.so"] {
        assert!(rewrites.find(path.as_bytes()).is_none(), "{path}");
    }
}

#[test]
fn errors_tell_what_is_wrong() {
    let bytes = draft().encode().unwrap();
    let error = |bytes: &[u8]| Rewrites::parse(bytes).unwrap_err();
    assert_eq!(error(b"\x7fELF"), RewriteError::NotRewrites);
    assert_eq!(error(&bytes[..40]), RewriteError::Truncated);
    let changed = |at: usize, with: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = with;
        bytes
    };
    assert_eq!(error(&changed(8, 9)), RewriteError::Version(9));
    assert_eq!(error(&bytes[..bytes.len() - 1]), RewriteError::Malformed("stubs are not in the file"));
    let segments = HEADER_LEN + 2 * FILE_LEN;
    let in_segment = RewriteError::Malformed("stubs are out of reach, or lie in their segment");
    // Distances of 0x10000, below the 20 pages, and one that is no whole pages.
    assert_eq!(error(&changed(segments + 10, 1)), in_segment);
    assert_eq!(error(&changed(segments + 8, 1)), in_segment);
    let runs = segments + 3 * SEGMENT_LEN;
    let place = runs + 8;
    assert_eq!(error(&changed(place, 0)), RewriteError::Malformed("a page is not in the file"));
    assert_eq!(error(&changed(place + 3, 1)), RewriteError::Malformed("a page is not in the file"));
    let order = RewriteError::Malformed("pages are not in their segment, or not in order");
    assert_eq!(error(&changed(runs + 4, 0)), order);
    assert_eq!(error(&changed(runs + 4, 19)), order);
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic_and_within_the_file(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        exercise(&bytes);
        let mut headed = MAGIC.to_vec();
        headed.extend_from_slice(&VERSION.to_le_bytes());
        // Small counts, so that tables fit.
        headed.extend(bytes.iter().enumerate().map(|(i, b)| if i < 16 && i % 4 != 0 { 0 } else { *b }));
        exercise(&headed);
    }

    #[test]
    fn changed_bytes_are_refused_or_read_within_the_file(
        changes in proptest::collection::vec((0usize..500, any::<u8>()), 0..6), cut in 0usize..40_000,
    ) {
        let mut bytes = draft().encode().unwrap();
        for (at, with) in changes {
            bytes[at] = with;
        }
        exercise(&bytes);
        bytes.truncate(bytes.len().saturating_sub(cut));
        exercise(&bytes);
    }
}
