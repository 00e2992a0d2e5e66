//! The manifest of a sealed image: what the image is, how it starts, and what its bytes must be.
//!
//! 1. It is read in two places that trust it differently: by the monitor, to which an image is an untrusted
//!    file, and by the library OS inside, which was loaded together with it. Both use this one reader.
//! 2. The reader borrows from the bytes, allocates nothing, checks everything once in [`Manifest::parse`], and
//!    never panics. What it hands out afterwards cannot be wrong in form.
//! 3. It is a list of tag-length-value records. A reader skips optional tags that it does not know, and
//!    refuses mandatory ones ([`MANDATORY`] is a bit of the tag): a newer writer says by that bit which of its
//!    additions an older reader may overlook.
//!
//! # Layout
//!
//! All numbers are little-endian. Offsets are bytes.
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 8 | [`MAGIC`] |
//! | 8 | 2 | major version: a reader refuses a greater one |
//! | 10 | 2 | minor version: for the reader's information |
//! | 12 | 4 | length of the whole manifest, this header included |
//! | 16 | | entries: [`crate::tlv`] records |
//!
//! # The build id
//!
//! SHA-256 over the manifest itself with the values of the build id and of the signature taken as zeros
//! ([`Manifest::canonical`]). The manifest holds the hashes of all segments and of the root file system, so the
//! build id covers every byte of the image, and signing an image does not change it.

use crate::tlv::{MANDATORY, TlvError};
use core::fmt;

mod draft;
mod read;
#[cfg(test)]
mod tests;

pub use draft::{Draft, set_build_id};
use read::{Fields, check_header, is_shown, offset_in, records, segment};

/// The first bytes of a manifest.
pub const MAGIC: [u8; 8] = *b"\x7fKERNLET";
/// The major version that this crate writes, and the greatest that it reads.
pub const MAJOR: u16 = 1;
/// The minor version that this crate writes.
pub const MINOR: u16 = 0;
/// The type of the ELF program header that points at the manifest ("knlt", in the range for systems).
pub const PT_KERNLET: u32 = 0x6b6e_6c74;
/// The longest manifest: the default arguments and environment of a program fit many times (Linux allows a
/// single one 128 KiB), and a monitor that reads one can afford the memory.
pub const MAX_LEN: usize = 1 << 20;
/// The room kept for a signature: scheme, key identifier and a signature of at most 64 bytes each fit.
pub const SIGNATURE_LEN: usize = 128;

const HEADER_LEN: usize = 16;

/// The tags of entries. An optional one stands without the [`MANDATORY`] bit.
mod tag {
    use super::MANDATORY;
    pub const BUILD_ID: u16 = MANDATORY | 1;
    pub const NAME: u16 = MANDATORY | 2;
    pub const KIND: u16 = MANDATORY | 3;
    pub const ARG: u16 = MANDATORY | 4;
    pub const ENV: u16 = MANDATORY | 5;
    pub const WORKDIR: u16 = MANDATORY | 6;
    pub const IDENTITY: u16 = MANDATORY | 7;
    pub const POLICY: u16 = MANDATORY | 8;
    pub const ROOT: u16 = MANDATORY | 9;
    pub const SEGMENT: u16 = MANDATORY | 10;
    pub const VERSION: u16 = 11;
    pub const SECTIONS: u16 = 12;
    pub const CRATES: u16 = 13;
    pub const SIGNATURE: u16 = 14;
    pub const PROGRAM: u16 = MANDATORY | 15;
    pub const LEAD: u16 = MANDATORY | 16;
    pub const CPU: u16 = 17;
}

/// What is wrong with a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ManifestError {
    /// The bytes do not begin as a manifest does.
    NotAManifest,
    /// The manifest ends before its own length says.
    Truncated {
        /// How many bytes it should have.
        need: usize,
        /// How many there are.
        have: usize,
    },
    /// It would be longer than [`MAX_LEN`].
    TooLong {
        /// Its length.
        len: usize,
    },
    /// It was written in a later format.
    NewerVersion {
        /// The major version found; this reader knows [`MAJOR`].
        major: u16,
        /// The minor version found.
        minor: u16,
    },
    /// It holds an entry that this reader does not know and may not overlook.
    UnknownEntry {
        /// The tag, with its [`MANDATORY`] bit.
        tag: u16,
        /// The minor version of the manifest's format; this reader knows [`MINOR`].
        minor: u16,
    },
    /// An entry that has to be there is not.
    Missing(&'static str),
    /// An entry that may be there once is there twice.
    Twice(&'static str),
    /// The value of an entry is malformed.
    Malformed(&'static str),
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotAManifest => f.write_str("not a kernlet manifest"),
            Self::Truncated { need, have } => {
                write!(f, "the manifest is cut off: it has {have} bytes and needs {need}")
            }
            Self::TooLong { len } => {
                write!(f, "the manifest has {len} bytes, and {MAX_LEN} is the most allowed")
            }
            Self::NewerVersion { major, minor } => {
                write!(f, "the image has format {major}.{minor}, and this kernlet reads up to {MAJOR}.x")
            }
            Self::UnknownEntry { tag, minor } => write!(
                f,
                "the manifest (format {MAJOR}.{minor}) holds an entry {tag:#x} that this kernlet \
                 (format {MAJOR}.{MINOR}) does not know and may not overlook"
            ),
            Self::Missing(field) => write!(f, "the manifest has no {field}"),
            Self::Twice(field) => write!(f, "the manifest has more than one {field}"),
            Self::Malformed(field) => write!(f, "the manifest's {field} is malformed"),
        }
    }
}

impl core::error::Error for ManifestError {}

/// A SHA-256 hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Digest(pub [u8; 32]);

/// Names one sealed image: equal ids mean equal bytes (signature aside).
pub type BuildId = Digest;

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What kind of program the image holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// A Rust crate on the native API, linked together with the library OS.
    Native = 1,
    /// A Linux executable on the library OS's Linux system calls.
    Linux = 2,
}

/// Who the program is inside, as files and system calls see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Identity {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// What the image permits at its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// The instance may start although no source of entropy was found.
    pub start_without_entropy: bool,
}

impl Policy {
    const START_WITHOUT_ENTROPY: u32 = 1;

    const fn bits(self) -> u32 {
        if self.start_without_entropy { Self::START_WITHOUT_ENTROPY } else { 0 }
    }

    const fn from_bits(bits: u32) -> Option<Self> {
        if bits & !Self::START_WITHOUT_ENTROPY != 0 {
            return None;
        }
        Some(Self { start_without_entropy: bits & Self::START_WITHOUT_ENTROPY != 0 })
    }
}

/// Where the root file system lies, and its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Root {
    /// From the manifest's first byte to the file system's first, in memory as in the file; whole pages.
    pub offset: u64,
    /// Its length in bytes; whole pages.
    pub len: u64,
    /// The hash of these bytes.
    pub digest: Digest,
}

/// One loadable segment of the image and the hash of its bytes in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentDigest {
    /// Its address at link time.
    pub address: u64,
    /// How many of its bytes are in the file.
    pub file_len: u64,
    /// The hash of these bytes.
    pub digest: Digest,
}

/// A parsed manifest, borrowed from its bytes.
#[derive(Debug, Clone, Copy)]
pub struct Manifest<'a> {
    bytes: &'a [u8],
    /// The format's minor version.
    pub minor: u16,
    /// The image's name for itself.
    pub build_id: BuildId,
    /// The program's name.
    pub name: &'a str,
    /// The kind of program.
    pub kind: Kind,
    /// Of a Linux program, and of no other: the executable's absolute path in the root.
    pub program: Option<&'a [u8]>,
    /// The program's working directory: an absolute path.
    pub workdir: &'a str,
    /// The program's identity.
    pub identity: Identity,
    /// What the image permits.
    pub policy: Policy,
    /// The root file system, if the image has one.
    pub root: Option<Root>,
    /// The version of kernlet that sealed the image.
    pub version: &'a str,
    /// Size by section of the linked program.
    pub sections: Sizes<'a>,
    /// Size by Rust crate.
    pub crates: Sizes<'a>,
    build_id_at: usize,
    signature_at: Option<usize>,
}

impl<'a> Manifest<'a> {
    /// Reads a manifest from the start of `bytes`; what follows it there is ignored.
    ///
    /// # Errors
    /// Any deviation from the format, see [`ManifestError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ManifestError> {
        let (len, minor) = check_header(bytes)?;
        let bytes = bytes.get(..len).ok_or(ManifestError::Truncated { need: len, have: bytes.len() })?;
        let mut fields = Fields::default();
        for record in records(bytes) {
            let record = record.map_err(|error| match error {
                TlvError::Truncated => ManifestError::Malformed("last entry"),
                _ => ManifestError::Malformed("list of entries"),
            })?;
            fields.take(record, offset_in(bytes, record.value), minor)?;
        }
        fields.finish(bytes, minor)
    }

    /// How many bytes the manifest has that begins with `header` (16 bytes are enough).
    ///
    /// # Errors
    /// No manifest, a newer one, or a length out of bounds.
    pub fn len_of(header: &[u8]) -> Result<usize, ManifestError> {
        check_header(header).map(|(len, _)| len)
    }

    /// The manifest's bytes.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What stands before the arguments: the program's name for itself (`argv[0]`), then, for a script, what execve(2)
    /// puts before the arguments that it is given.
    pub fn lead(&self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        let name = self.values(tag::LEAD).next().is_none().then_some(self.name.as_bytes());
        name.into_iter().chain(self.values(tag::LEAD))
    }

    /// The default arguments, without the program's own name.
    pub fn args(&self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        self.values(tag::ARG)
    }

    /// The default environment, each `NAME=VALUE`.
    pub fn env(&self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        self.values(tag::ENV)
    }

    /// The level of x86-64 (2 to 4) that a Linux program needs, and the file of the root that says so.
    #[must_use]
    pub fn cpu(&self) -> Option<(u8, &'a [u8])> {
        let (&level, file) = self.values(tag::CPU).next()?.split_first()?;
        Some((level, file))
    }

    /// The segments with their hashes, in the order of the program headers.
    pub fn segments(&self) -> impl Iterator<Item = SegmentDigest> + Clone + use<'a> {
        self.values(tag::SEGMENT).filter_map(segment)
    }

    /// The room for a signature; all zeros when nobody signed.
    #[must_use]
    pub fn signature(&self) -> Option<&'a [u8; SIGNATURE_LEN]> {
        self.bytes.get(self.signature_at?..)?.first_chunk()
    }

    /// The bytes over which the build id is the hash, in pieces.
    pub fn canonical(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        const ZEROS: [u8; SIGNATURE_LEN] = [0; SIGNATURE_LEN];
        let id = self.build_id_at;
        let signature = self.signature_at.unwrap_or(self.bytes.len());
        let signature_len = if self.signature_at.is_some() { SIGNATURE_LEN } else { 0 };
        let (first, first_len, second, second_len) = if id < signature {
            (id, 32, signature, signature_len)
        } else {
            (signature, signature_len, id, 32)
        };
        let bytes = self.bytes;
        let piece = move |from: usize, to: usize| bytes.get(from..to).unwrap_or_default();
        [
            piece(0, first),
            &ZEROS[..first_len],
            piece(first + first_len, second),
            &ZEROS[..second_len],
            piece(second + second_len, bytes.len()),
        ]
        .into_iter()
    }

    fn values(&self, tag: u16) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        // parse() has seen every record: none of them is malformed.
        records(self.bytes).filter_map(Result::ok).filter(move |r| r.tag == tag).map(|r| r.value)
    }
}

/// Reads everything that a manifest offers: what a fuzzer calls with any bytes at all.
#[doc(hidden)]
pub fn exercise(bytes: &[u8]) -> usize {
    let Ok(manifest) = Manifest::parse(bytes) else { return 0 };
    manifest.args().count()
        + manifest.lead().count()
        + manifest.env().count()
        + manifest.segments().count()
        + manifest.sections.iter().chain(manifest.crates.iter()).count()
        + manifest.canonical().map(<[u8]>::len).sum::<usize>()
        + manifest.signature().map_or(0, |s| s.len())
}

/// A list of names with sizes in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes<'a>(&'a [u8]);

impl<'a> Sizes<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes;
        while !rest.is_empty() {
            (_, rest) = Self::split(rest)?;
        }
        Some(Self(bytes))
    }

    fn split(bytes: &'a [u8]) -> Option<((&'a str, u64), &'a [u8])> {
        let (size, rest) = bytes.split_first_chunk()?;
        let (&len, rest) = rest.split_first()?;
        let (name, rest) = rest.split_at_checked(len.into())?;
        let name = core::str::from_utf8(name).ok().filter(|name| is_shown(name))?;
        Some(((name, u64::from(u32::from_le_bytes(*size))), rest))
    }

    /// The names with their sizes, as the writer ordered them.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, u64)> + use<'a> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let (item, tail) = Self::split(rest)?;
            rest = tail;
            Some(item)
        })
    }
}
