//! Rewritten code: the file [`PATH`] of an image's root, which lies beside program files that stay as they are.
//!
//! 1. When an image is built, system calls in its ELF files are replaced by jumps to *stubs*, which leave for the
//!    library OS. The pages that changed are in this file, with the stubs; when the library OS maps one of these
//!    files executable, it maps the changed pages over it, and the stubs at a fixed distance from it.
//! 2. The place of the stubs is behind the last segment of the ELF file. Whoever maps a file whole for the first
//!    time keeps [`File::reserve`] bytes free behind it; a program's break begins behind them.
//! 3. The reader borrows, allocates nothing, and checks everything once in [`Rewrites::parse`]: what it hands out
//!    lies in the file, on whole pages, in order. Whether the pages hold what they should is covered by the hash
//!    of the root.
//!
//! # Layout
//!
//! All numbers are little-endian; a place is the number of a page of this file.
//!
//! | size | what |
//! | --- | --- |
//! | 32 | [`MAGIC`]; u32: [`VERSION`], number of files, of segments, of runs; u32: bytes of paths; u32: 0 |
//! | 32 each | files, by path: u32: path's offset and length, first segment, number of segments; u64: reserve, length of the file |
//! | 48 each | segments, by offset: u64: offset in the file; i64: distance of the stubs; u32: pages, first run, number of runs, place of the stubs, pages of stubs, sites that were rewritten, sites that trap; u32: 0 |
//! | 16 each | runs, by first page: u32: first page (counted from the segment's first), pages, place; u32: 0 |
//! | | paths, without separators |
//! | | pages |

mod draft;
#[cfg(test)]
mod tests;

pub use draft::{Draft, DraftFile, DraftSegment};

/// Where this file lies in an image's root.
pub const PATH: &str = "/.kernlet/rewrite";
/// Its first bytes.
pub const MAGIC: [u8; 8] = *b"KNREWRIT";
/// The version of the layout; a reader refuses every other, since the same kernlet makes image and library OS.
pub const VERSION: u32 = 1;
/// The size of a page in bytes.
pub const PAGE: u64 = 4096;

const HEADER_LEN: usize = 32;
const FILE_LEN: usize = 32;
const SEGMENT_LEN: usize = 48;
const RUN_LEN: usize = 16;

/// What is wrong with the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RewriteError {
    /// They do not begin as such a file does.
    NotRewrites,
    /// They are of another version.
    Version(u32),
    /// They end before their tables do.
    Truncated,
    /// A table breaks a rule.
    Malformed(&'static str),
}

impl core::fmt::Display for RewriteError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {
            Self::NotRewrites => f.write_str("this is no table of rewritten pages"),
            Self::Version(version) => {
                write!(f, "the table of rewritten pages has version {version}, and {VERSION} is read")
            }
            Self::Truncated => f.write_str("the table of rewritten pages is cut off"),
            Self::Malformed(what) => write!(f, "the table of rewritten pages is malformed: {what}"),
        }
    }
}

impl core::error::Error for RewriteError {}

/// The table, borrowed from the whole file.
#[derive(Debug, Clone, Copy)]
pub struct Rewrites<'a> {
    files: &'a [[u8; FILE_LEN]],
    segments: &'a [[u8; SEGMENT_LEN]],
    runs: &'a [[u8; RUN_LEN]],
    paths: &'a [u8],
}

/// What was rewritten in one file.
#[derive(Debug, Clone, Copy)]
pub struct File<'a> {
    /// Its absolute path in the root, free of symbolic links.
    pub path: &'a [u8],
    /// Bytes to keep free behind the last page that the file's segments take in memory; whole pages.
    pub reserve: u64,
    /// The length of the file that was rewritten: another length is another file.
    pub len: u64,
    segments: &'a [[u8; SEGMENT_LEN]],
    runs: &'a [[u8; RUN_LEN]],
}

/// An executable segment of a file.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a> {
    /// The offset in the file of its first page.
    pub offset: u64,
    /// How many pages of the file it has.
    pub pages: u32,
    /// Its stubs.
    pub stubs: Stubs,
    /// How many system calls in it were rewritten.
    pub rewritten: u32,
    /// How many were found that stay and trap.
    pub trapping: u32,
    runs: &'a [[u8; RUN_LEN]],
}

/// Pages of stubs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stubs {
    /// Their offset in this file, in bytes; whole pages.
    pub place: u64,
    /// How many.
    pub pages: u32,
    /// Bytes from the address of the segment's first page to theirs; whole pages, outside of the segment.
    pub distance: i64,
}

/// Neighbouring pages that are replaced by neighbouring ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The offset in the program's file of the first page replaced, in bytes.
    pub offset: u64,
    /// The offset in this file of its replacement, in bytes.
    pub place: u64,
    /// How many pages.
    pub pages: u32,
}

impl<'a> Rewrites<'a> {
    /// Takes the bytes of the whole file.
    ///
    /// # Errors
    /// Any deviation from the layout, see [`RewriteError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RewriteError> {
        let header = bytes.get(..HEADER_LEN).ok_or(RewriteError::NotRewrites)?;
        if header[..8] != MAGIC {
            return Err(RewriteError::NotRewrites);
        }
        if u32_at(header, 8) != VERSION {
            return Err(RewriteError::Version(u32_at(header, 8)));
        }
        let (files, rest) = table(&bytes[HEADER_LEN..], u32_at(header, 12))?;
        let (segments, rest) = table(rest, u32_at(header, 16))?;
        let (runs, rest) = table(rest, u32_at(header, 20))?;
        let paths = rest.get(..u32_at(header, 24) as usize).ok_or(RewriteError::Truncated)?;
        let tables = bytes.len() - rest.len() + paths.len();
        let this = Self { files, segments, runs, paths };
        this.check(Bounds { first: (tables as u64).div_ceil(PAGE), end: bytes.len() as u64 / PAGE })?;
        Ok(this)
    }

    /// What was rewritten in the file at an absolute path that is free of symbolic links.
    #[must_use]
    pub fn find(&self, path: &[u8]) -> Option<File<'a>> {
        let found = self.files.binary_search_by(|file| self.path(file).unwrap_or_default().cmp(path));
        self.file(self.files.get(found.ok()?)?)
    }

    /// All files, by path.
    pub fn files(&self) -> impl Iterator<Item = File<'a>> + use<'a> {
        let this = *self;
        this.files.iter().filter_map(move |file| this.file(file))
    }

    fn path(&self, file: &[u8; FILE_LEN]) -> Option<&'a [u8]> {
        piece(self.paths, u32_at(file, 0), u32_at(file, 4))
    }

    fn file(&self, file: &[u8; FILE_LEN]) -> Option<File<'a>> {
        Some(File {
            path: self.path(file)?,
            reserve: u64_at(file, 16),
            len: u64_at(file, 24),
            segments: piece(self.segments, u32_at(file, 8), u32_at(file, 12))?,
            runs: self.runs,
        })
    }

    fn check(&self, bounds: Bounds) -> Result<(), RewriteError> {
        const OUTSIDE: RewriteError = RewriteError::Malformed("a list lies outside of its table");
        const ORDER: RewriteError = RewriteError::Malformed("lists do not follow each other");
        let mut before: Option<&[u8]> = None;
        // Each list begins where the one before ended: so reading everything takes no longer than the tables are.
        let (mut next_path, mut next_segment, mut next_run) = (0, 0, 0);
        for file in self.files {
            if (u32_at(file, 0), u32_at(file, 8)) != (next_path, next_segment) {
                return Err(ORDER);
            }
            let (path_len, count) = (u32_at(file, 4), u32_at(file, 12));
            let file = self.file(file).ok_or(OUTSIDE)?;
            (next_path, next_segment) = (next_path + path_len, next_segment + count);
            if !file.path.starts_with(b"/") || before.is_some_and(|before| before >= file.path) {
                return Err(RewriteError::Malformed("paths are not absolute and in order"));
            }
            before = Some(file.path);
            if !file.reserve.is_multiple_of(PAGE) {
                return Err(RewriteError::Malformed("a reserve is not whole pages"));
            }
            let mut end = 0;
            for raw in file.segments {
                let segment = segment(raw, self.runs).ok_or(OUTSIDE)?;
                if u32_at(raw, 20) != next_run {
                    return Err(ORDER);
                }
                next_run += u32_at(raw, 24);
                end = segment.check(end, bounds)?;
            }
        }
        Ok(())
    }
}

impl<'a> File<'a> {
    /// The executable segments, by offset; they do not overlap.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'a>> + use<'a> {
        let runs = self.runs;
        self.segments.iter().filter_map(move |raw| segment(raw, runs))
    }
}

impl<'a> Segment<'a> {
    /// The pages that are replaced, by offset.
    pub fn runs(&self) -> impl Iterator<Item = Run> + use<'a> {
        let offset = self.offset;
        self.runs.iter().map(move |raw| Run {
            offset: offset + u64::from(u32_at(raw, 0)) * PAGE,
            pages: u32_at(raw, 4),
            place: u64::from(u32_at(raw, 8)) * PAGE,
        })
    }

    /// The pages that are replaced among the `len` bytes of the program's file from `offset` on (whole pages).
    pub fn runs_within(&self, offset: u64, len: u64) -> impl Iterator<Item = Run> + use<'a> {
        let end = offset.saturating_add(len);
        self.runs().filter_map(move |run| {
            let first = run.offset.max(offset).next_multiple_of(PAGE);
            let last = (run.offset + u64::from(run.pages) * PAGE).min(end / PAGE * PAGE);
            let pages = u32::try_from(last.checked_sub(first)? / PAGE).ok()?;
            (pages > 0).then_some(Run { offset: first, place: run.place + (first - run.offset), pages })
        })
    }

    /// Checks that it begins at `from` or later, and its pages; gives the offset of its end.
    fn check(&self, from: u64, bounds: Bounds) -> Result<u64, RewriteError> {
        let malformed = |what| Err(RewriteError::Malformed(what));
        let len = u64::from(self.pages) * PAGE;
        let end = self.offset.checked_add(len).filter(|_| self.offset.is_multiple_of(PAGE));
        // Files are shorter than 2^63 bytes; so no sum of an offset and a page number overflows.
        let Some(end) = end.filter(|&end| end <= i64::MAX as u64 && self.offset >= from) else {
            return malformed("a segment is not in its file, or not in order");
        };
        let mut next = 0;
        for raw in self.runs {
            let (first, pages, place) = (u32_at(raw, 0), u32_at(raw, 4), u32_at(raw, 8));
            let run_end = u64::from(first) + u64::from(pages);
            if pages == 0 || u64::from(first) < next || run_end > self.pages.into() {
                return malformed("pages are not in their segment, or not in order");
            }
            if !bounds.hold(place.into(), pages) {
                return malformed("a page is not in the file");
            }
            next = run_end;
        }
        let stubs = self.stubs;
        if !bounds.hold(stubs.place / PAGE, stubs.pages) {
            return malformed("stubs are not in the file");
        }
        let size = i64::from(stubs.pages) * PAGE as i64;
        let apart =
            stubs.distance >= len as i64 || stubs.distance.checked_add(size).is_some_and(|end| end <= 0);
        if stubs.distance % PAGE as i64 != 0 || stubs.distance.unsigned_abs() > 1 << 31 || !apart {
            return malformed("stubs are out of reach, or lie in their segment");
        }
        Ok(end)
    }
}

/// The pages that follow the tables.
#[derive(Clone, Copy)]
struct Bounds {
    first: u64,
    end: u64,
}

impl Bounds {
    fn hold(self, place: u64, pages: u32) -> bool {
        self.first <= place && place + u64::from(pages) <= self.end
    }
}

fn segment<'a>(raw: &[u8; SEGMENT_LEN], runs: &'a [[u8; RUN_LEN]]) -> Option<Segment<'a>> {
    Some(Segment {
        offset: u64_at(raw, 0),
        pages: u32_at(raw, 16),
        stubs: Stubs {
            distance: u64_at(raw, 8).cast_signed(),
            place: u64::from(u32_at(raw, 28)) * PAGE,
            pages: u32_at(raw, 32),
        },
        rewritten: u32_at(raw, 36),
        trapping: u32_at(raw, 40),
        runs: piece(runs, u32_at(raw, 20), u32_at(raw, 24))?,
    })
}

/// The first `count` entries of `N` bytes, and the rest.
fn table<const N: usize>(bytes: &[u8], count: u32) -> Result<(&[[u8; N]], &[u8]), RewriteError> {
    let len = (count as usize).checked_mul(N).ok_or(RewriteError::Truncated)?;
    let (table, rest) = bytes.split_at_checked(len).ok_or(RewriteError::Truncated)?;
    Ok((table.as_chunks().0, rest))
}

fn piece<T>(of: &[T], first: u32, count: u32) -> Option<&[T]> {
    of.get(first as usize..)?.get(..count as usize)
}

/// Records have fixed lengths, and `at` is a constant that lies in them.
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|bytes| bytes.first_chunk()).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|bytes| bytes.first_chunk()).map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Reads everything that a table offers, and checks that it is as promised: what a fuzzer calls with any bytes.
#[doc(hidden)]
pub fn exercise(bytes: &[u8]) -> usize {
    let Ok(rewrites) = Rewrites::parse(bytes) else { return 0 };
    let len = bytes.len() as u64;
    let mut pages = 0;
    for file in rewrites.files() {
        assert_eq!(rewrites.find(file.path).map(|found| found.path), Some(file.path));
        for segment in file.segments() {
            assert!(segment.stubs.place + u64::from(segment.stubs.pages) * PAGE <= len);
            let whole = segment.runs_within(segment.offset, u64::from(segment.pages) * PAGE);
            assert!(whole.eq(segment.runs()));
            for run in segment.runs() {
                assert!(run.place >= PAGE && run.place + u64::from(run.pages) * PAGE <= len);
                pages += run.pages as usize;
            }
        }
    }
    pages
}
