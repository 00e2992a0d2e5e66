//! Directories: blocks of sorted names, each block with its own table of entries.

use super::{Content, Erofs, Inode, u16_at, u64_at};
use core::cmp::Ordering;
use kernlet_platform::Errno;

/// The length of an entry of a block's table: inode number, name's offset, type.
const ENTRY_LEN: usize = 12;

/// One name in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its last component.
    pub name: &'a [u8],
    /// The inode's number.
    pub nid: u64,
    /// The type as the directory knows it: 1 file, 2 directory, 7 symbolic link.
    pub kind: u8,
}

/// The table of one block.
#[derive(Clone, Copy)]
struct Block<'a> {
    bytes: &'a [u8],
    count: usize,
}

impl<'a> Block<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, Errno> {
        // The first name follows the table, so its offset tells the table's length.
        let table = usize::from(u16_at(bytes, 8)?);
        if table < ENTRY_LEN || !table.is_multiple_of(ENTRY_LEN) || table > bytes.len() {
            return Err(Errno::EIO);
        }
        Ok(Self { bytes, count: table / ENTRY_LEN })
    }

    fn name_at(&self, index: usize) -> Result<usize, Errno> {
        u16_at(self.bytes, index * ENTRY_LEN + 8).map(usize::from)
    }

    fn entry(&self, index: usize) -> Result<Entry<'a>, Errno> {
        let last = index + 1 == self.count;
        let end = if last { self.bytes.len() } else { self.name_at(index + 1)? };
        let mut name = self.bytes.get(self.name_at(index)?..end).ok_or(Errno::EIO)?;
        if last {
            // The last name ends at the first zero of the padding.
            name = name.split(|&b| b == 0).next().unwrap_or(name);
        }
        if name.is_empty() || name.contains(&b'/') || name.contains(&0) {
            return Err(Errno::EIO);
        }
        let kind = self.bytes.get(index * ENTRY_LEN + 10).copied().unwrap_or(0);
        Ok(Entry { name, nid: u64_at(self.bytes, index * ENTRY_LEN)?, kind })
    }
}

/// The last index below `count` for which `order` (of the item against what is sought) is not greater.
fn last_not_greater(
    count: usize,
    mut order: impl FnMut(usize) -> Result<Ordering, Errno>,
) -> Result<Option<usize>, Errno> {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if order(middle)? == Ordering::Greater { high = middle } else { low = middle + 1 }
    }
    Ok(low.checked_sub(1))
}

impl<'a> Erofs<'a> {
    /// Finds `name` in a directory.
    ///
    /// # Errors
    /// ENOENT; ENOTDIR when `directory` is none; EIO when it is damaged.
    pub fn lookup(&self, directory: &Inode, name: &[u8]) -> Result<Inode, Errno> {
        let content = self.directory(directory)?;
        let block = |index| Block::new(content.block(index, self.block_size()));
        let count = content.len().div_ceil(self.block_size());
        let index = last_not_greater(count, |i| Ok(block(i)?.entry(0)?.name.cmp(name)))?;
        let block = block(index.ok_or(Errno::ENOENT)?)?;
        let index = last_not_greater(block.count, |i| Ok(block.entry(i)?.name.cmp(name)))?;
        let entry = block.entry(index.ok_or(Errno::ENOENT)?)?;
        if entry.name == name { self.inode(entry.nid) } else { Err(Errno::ENOENT) }
    }

    /// The names in a directory, sorted, without `.` and `..`. Ends after the first error.
    ///
    /// # Errors
    /// ENOTDIR when it is none; EIO when it is damaged.
    pub fn entries(&self, directory: &Inode) -> Result<Entries<'a>, Errno> {
        let content = self.directory(directory)?;
        Ok(Entries { content, block_size: self.block_size(), block: 0, index: 0, failed: false })
    }

    fn directory(&self, inode: &Inode) -> Result<Content<'a>, Errno> {
        if inode.is_directory() { self.content(inode) } else { Err(Errno::ENOTDIR) }
    }
}

/// Iterates over a directory; see [`Erofs::entries`].
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    content: Content<'a>,
    block_size: usize,
    block: usize,
    index: usize,
    failed: bool,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, Errno>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.failed {
            let bytes = self.content.block(self.block, self.block_size);
            if bytes.is_empty() {
                return None;
            }
            let entry = Block::new(bytes).and_then(|block| {
                if self.index == block.count {
                    (self.block, self.index) = (self.block + 1, 0);
                    return Ok(None);
                }
                self.index += 1;
                block.entry(self.index - 1).map(Some)
            });
            match entry {
                Ok(Some(Entry { name: b"." | b"..", .. }) | None) => {}
                Ok(Some(entry)) => return Some(Ok(entry)),
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}
