//! Inodes, and where their data lie.

use super::{Erofs, SLOT, nanoseconds, u16_at, u32_at, u64_at};
use kernlet_platform::Errno;

const S_IFMT: u32 = 0o170_000;
const S_IFDIR: u32 = 0o040_000;
const S_IFREG: u32 = 0o100_000;
const S_IFLNK: u32 = 0o120_000;

/// An inode; the values are the file system's claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inode {
    /// Its number, by which [`Erofs::inode`] finds it again.
    pub nid: u64,
    /// Type and permission bits (inode(7)).
    pub mode: u32,
    /// Length in bytes.
    pub size: u64,
    /// How many names it has.
    pub links: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Last modification, nanoseconds since 1970.
    pub modified: u64,
    layout: u16,
    block: u32,
    /// Where data that stand behind the inode begin.
    inline_at: u64,
}

impl Inode {
    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.mode & S_IFMT == S_IFDIR
    }

    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.mode & S_IFMT == S_IFREG
    }

    /// Whether it is a symbolic link.
    pub fn is_link(&self) -> bool {
        self.mode & S_IFMT == S_IFLNK
    }
}

impl Erofs<'_> {
    /// The inode of number `nid`.
    ///
    /// # Errors
    /// EIO when there is none.
    pub fn inode(&self, nid: u64) -> Result<Inode, Errno> {
        let at = nid.checked_mul(SLOT).and_then(|n| n.checked_add(self.metadata_at)).ok_or(Errno::EIO)?;
        let format = u16_at(self.slice(at, 2)?, 0)?;
        let (length, extended) = if format & 1 == 0 { (32, false) } else { (64, true) };
        let raw = self.slice(at, length)?;
        let attributes = match u64::from(u16_at(raw, 2)?) {
            0 => 0,
            count => 12 + 4 * (count - 1),
        };
        let mut inode = Inode {
            nid,
            mode: u16_at(raw, 4)?.into(),
            size: u32_at(raw, 8)?.into(),
            links: u16_at(raw, 6)?.into(),
            uid: u16_at(raw, 24)?.into(),
            gid: u16_at(raw, 26)?.into(),
            modified: self.built,
            layout: format >> 1 & 7,
            block: u32_at(raw, 16)?,
            inline_at: at + length + attributes,
        };
        if extended {
            inode.size = u64_at(raw, 8)?;
            inode.links = u32_at(raw, 44)?;
            (inode.uid, inode.gid) = (u32_at(raw, 24)?, u32_at(raw, 28)?);
            inode.modified = nanoseconds(u64_at(raw, 32)?, u32_at(raw, 40)?);
        }
        Ok(inode)
    }
}

/// The bytes of an inode: whole blocks, then perhaps a rest that stands elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    /// What lies in blocks.
    pub blocks: &'a [u8],
    /// What follows, of less than a block.
    pub tail: &'a [u8],
}

impl<'a> Content<'a> {
    pub(super) fn of(fs: &Erofs<'a>, inode: &Inode) -> Result<Self, Errno> {
        let tail = match inode.layout {
            0 => 0,
            2 => inode.size % fs.block_size() as u64,
            _ => return Err(Errno::EOPNOTSUPP),
        };
        // An inode without blocks may say anything about their place.
        let blocks = match inode.size - tail {
            0 => &[],
            length => fs.slice(u64::from(inode.block) << fs.block_bits, length)?,
        };
        let tail = if tail == 0 { &[] } else { fs.slice(inode.inline_at, tail)? };
        Ok(Self { blocks, tail })
    }

    /// The number of bytes.
    pub fn len(&self) -> usize {
        self.blocks.len() + self.tail.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of it, when it lies in one piece, as everything does that `kernlet build` writes.
    pub fn whole(&self) -> Option<&'a [u8]> {
        match (self.blocks, self.tail) {
            (all, []) | ([], all) => Some(all),
            _ => None,
        }
    }

    /// Copies from `offset` on into `buffer`; tells how much there was.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let mut offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let mut done = 0;
        for piece in [self.blocks, self.tail] {
            let rest = piece.get(offset..).unwrap_or(&[]);
            offset = offset.saturating_sub(piece.len());
            let count = rest.len().min(buffer.len() - done);
            buffer[done..done + count].copy_from_slice(&rest[..count]);
            done += count;
        }
        done
    }

    /// The `index`th block of `size` bytes; the last may be shorter.
    pub(super) fn block(&self, index: usize, size: usize) -> &'a [u8] {
        let at = index.saturating_mul(size);
        match self.blocks.get(at..) {
            Some(rest) if !rest.is_empty() => &rest[..rest.len().min(size)],
            // Blocks before a tail are whole, so the tail is a block of its own.
            _ if at == self.blocks.len() => self.tail,
            _ => &[],
        }
    }
}
