//! The writer's side of the table of rewritten pages.

use super::{FILE_LEN, HEADER_LEN, MAGIC, PAGE, RUN_LEN, SEGMENT_LEN, VERSION};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// What is to be written: files by path. The same draft makes the same bytes.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// By absolute path in the root, free of symbolic links.
    pub files: BTreeMap<Vec<u8>, DraftFile>,
}

/// What was rewritten in one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DraftFile {
    /// The file's length.
    pub len: u64,
    /// Bytes to keep free behind the file's last page in memory; whole pages.
    pub reserve: u64,
    /// Its executable segments with anything rewritten, by offset.
    pub segments: Vec<DraftSegment>,
}

/// What was rewritten in one executable segment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DraftSegment {
    /// The offset in the file of its first page.
    pub offset: u64,
    /// How many pages of the file it has.
    pub pages: u32,
    /// Pages that are replaced, by their number from the segment's first: [`PAGE`] bytes each.
    pub replaced: BTreeMap<u32, Vec<u8>>,
    /// The stubs; filled up to whole pages with `int3`.
    pub stubs: Vec<u8>,
    /// Bytes from the address of the segment's first page to the stubs; whole pages.
    pub distance: i64,
    /// How many system calls were rewritten.
    pub rewritten: u32,
    /// How many were found that stay and trap.
    pub trapping: u32,
}

/// Traps when it is executed.
const INT3: u8 = 0xcc;

impl Draft {
    /// The bytes of the file; `None` when there is more than its 32-bit numbers hold (16 TiB of pages).
    #[must_use]
    pub fn encode(&self) -> Option<Vec<u8>> {
        let all = || self.files.values().flat_map(|file| &file.segments);
        let segments = all().count();
        let run_count: usize = all().map(|segment| runs(segment).count()).sum();
        let paths: usize = self.files.keys().map(Vec::len).sum();
        let tables =
            HEADER_LEN + self.files.len() * FILE_LEN + segments * SEGMENT_LEN + run_count * RUN_LEN + paths;
        let mut place = u32::try_from((tables as u64).div_ceil(PAGE)).ok()?;

        let mut out = MAGIC.to_vec();
        let counts = [self.files.len(), segments, run_count, paths, 0];
        put32(&mut out, VERSION);
        for count in counts {
            put32(&mut out, u32::try_from(count).ok()?);
        }
        let (mut path_at, mut segment_at) = (0, 0);
        for (path, file) in &self.files {
            let count = file.segments.len() as u32;
            [path_at, path.len() as u32, segment_at, count].into_iter().for_each(|n| put32(&mut out, n));
            out.extend_from_slice(&file.reserve.to_le_bytes());
            out.extend_from_slice(&file.len.to_le_bytes());
            (path_at, segment_at) = (path_at + path.len() as u32, segment_at + count);
        }
        let (mut run_list, mut run_at) = (Vec::new(), 0);
        for segment in all() {
            let mut count = 0;
            for (first, pages) in runs(segment) {
                [first, pages, place, 0].into_iter().for_each(|n| put32(&mut run_list, n));
                (count, place) = (count + 1, place.checked_add(pages)?);
            }
            let stub_pages = u32::try_from((segment.stubs.len() as u64).div_ceil(PAGE)).ok()?;
            out.extend_from_slice(&segment.offset.to_le_bytes());
            out.extend_from_slice(&segment.distance.to_le_bytes());
            [segment.pages, run_at, count, place, stub_pages, segment.rewritten, segment.trapping, 0]
                .into_iter()
                .for_each(|n| put32(&mut out, n));
            (run_at, place) = (run_at + count, place.checked_add(stub_pages)?);
        }
        out.append(&mut run_list);
        self.files.keys().for_each(|path| out.extend_from_slice(path));
        fill(&mut out, 0);
        for segment in all() {
            segment.replaced.values().for_each(|page| out.extend_from_slice(page));
            out.extend_from_slice(&segment.stubs);
            fill(&mut out, INT3);
        }
        Some(out)
    }
}

/// Neighbouring replaced pages as (first, count).
fn runs(segment: &DraftSegment) -> impl Iterator<Item = (u32, u32)> + '_ {
    let mut pages = segment.replaced.keys().copied().peekable();
    core::iter::from_fn(move || {
        let first = pages.next()?;
        let mut count = 1;
        while pages.next_if_eq(&(first + count)).is_some() {
            count += 1;
        }
        Some((first, count))
    })
}

fn put32(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn fill(out: &mut Vec<u8>, with: u8) {
    out.resize(out.len().next_multiple_of(PAGE as usize), with);
}
