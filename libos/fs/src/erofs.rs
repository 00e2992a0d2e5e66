//! The read-only root: EROFS, read where it lies in the image.
//!
//! 1. Nothing is copied and nothing is prepared: looking a name up touches the blocks of the directories on its
//!    way (found by binary search), and a file's contents are a slice of the image.
//! 2. The image was checked by whoever started it, yet nothing here relies on that: every offset is checked, so
//!    that a damaged file system gives EIO and never a panic or a loop.
//! 3. Only uncompressed data are read (`FLAT_PLAIN`, which `kernlet build` writes, and `FLAT_INLINE`, which
//!    mkfs.erofs adds): compressed files give EOPNOTSUPP.
//!
//! The numbers are those of Linux (fs/erofs/erofs_fs.h), all little-endian.

mod directory;
mod inode;

pub use directory::{Entries, Entry};
pub use inode::{Content, Inode};

use kernlet_platform::Errno;

/// Where the superblock begins.
const SUPER_AT: usize = 1024;
const SUPER_LEN: usize = 128;
const MAGIC: u32 = 0xe0f5_e1e2;
/// Inodes stand at multiples of this.
const SLOT: u64 = 32;
/// Incompatible features that change nothing for uncompressed files: the position of padding in compressed blocks.
const HARMLESS_FEATURES: u32 = 1;

/// A file system in memory.
#[derive(Clone, Copy, Debug)]
pub struct Erofs<'a> {
    bytes: &'a [u8],
    block_bits: u8,
    metadata_at: u64,
    root: u16,
    /// The time of all compact inodes, in nanoseconds since 1970.
    built: u64,
}

impl<'a> Erofs<'a> {
    /// The file system whose first byte is the first of `bytes`.
    ///
    /// # Errors
    /// EIO when it is none, EOPNOTSUPP when it has features that are not known here.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Errno> {
        let raw = bytes.get(SUPER_AT..SUPER_AT + SUPER_LEN).ok_or(Errno::EIO)?;
        if u32_at(raw, 0)? != MAGIC {
            return Err(Errno::EIO);
        }
        let block_bits = raw[12];
        if !(9..=16).contains(&block_bits) || u32_at(raw, 80)? & !HARMLESS_FEATURES != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        Ok(Self {
            bytes,
            block_bits,
            metadata_at: u64::from(u32_at(raw, 40)?) << block_bits,
            root: u16_at(raw, 14)?,
            built: nanoseconds(u64_at(raw, 24)?, u32_at(raw, 32)?),
        })
    }

    /// The root directory.
    ///
    /// # Errors
    /// EIO when it is damaged.
    pub fn root(&self) -> Result<Inode, Errno> {
        self.inode(self.root.into())
    }

    /// The bytes of a file, directory or symbolic link.
    ///
    /// # Errors
    /// EIO when they lie outside of the file system, EOPNOTSUPP when they are compressed.
    pub fn content(&self, inode: &Inode) -> Result<Content<'a>, Errno> {
        Content::of(self, inode)
    }

    /// The target of a symbolic link.
    ///
    /// # Errors
    /// EINVAL when it is none; as for [`Self::content`].
    pub fn link(&self, inode: &Inode) -> Result<&'a [u8], Errno> {
        if !inode.is_link() {
            return Err(Errno::EINVAL);
        }
        // A target is shorter than a block, so it lies in one piece.
        self.content(inode)?.whole().ok_or(Errno::EIO)
    }

    /// The number of bytes in the file system.
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn slice(&self, at: u64, length: u64) -> Result<&'a [u8], Errno> {
        let at = usize::try_from(at).map_err(|_| Errno::EIO)?;
        let end = usize::try_from(length).ok().and_then(|n| at.checked_add(n)).ok_or(Errno::EIO)?;
        self.bytes.get(at..end).ok_or(Errno::EIO)
    }

    fn block_size(&self) -> usize {
        1 << self.block_bits
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, Errno> {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map(|b| u16::from_le_bytes(*b)).ok_or(Errno::EIO)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, Errno> {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map(|b| u32::from_le_bytes(*b)).ok_or(Errno::EIO)
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64, Errno> {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map(|b| u64::from_le_bytes(*b)).ok_or(Errno::EIO)
}

fn nanoseconds(seconds: u64, rest: u32) -> u64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(rest.into())
}

/// Reads all of a file system that may be anything: what a fuzzer calls. Gives the number of entries seen.
#[doc(hidden)]
pub fn exercise(bytes: &[u8]) -> usize {
    let Ok(fs) = Erofs::new(bytes) else { return 0 };
    let Ok(root) = fs.root() else { return 0 };
    let (mut todo, mut seen) = (alloc::vec![root], 0);
    // Directories may form a circle: the walk ends by count.
    while let Some(directory) = todo.pop() {
        let Ok(entries) = fs.entries(&directory) else { continue };
        for entry in entries {
            seen += 1;
            if seen > 1000 {
                return seen;
            }
            let Ok(entry) = entry else { break };
            let _ = fs.lookup(&directory, entry.name);
            let Ok(inode) = fs.inode(entry.nid) else { continue };
            let _ = (fs.link(&inode), fs.content(&inode).map(|c| c.len()));
            if inode.is_directory() {
                todo.push(inode);
            }
        }
    }
    seen
}
