//! Laying a tree out in blocks, and writing it front to back.

use super::disk::{
    BLOCK, DIRENT_LEN, Inode, S_IFDIR, S_IFLNK, S_IFREG, SLOT, SUPER_LEN, SUPER_OFFSET, Super, dirent_type,
};
use super::node::{Dir, FileNode, Node, Owner};
use super::tree::{Tree, TreeError};
use std::io::Write;

/// A tree with every inode and block in its place: its length is known, nothing is written yet.
///
/// First come the superblock and all inodes, those of less than a block with their data behind them, then larger
/// directories, then larger files, on blocks of their own; each group in the order of a walk through the sorted tree.
/// ELF files are on blocks of their own however small they are: programs are mapped.
#[derive(Debug)]
pub struct Plan<'a> {
    inodes: Vec<Planned<'a>>,
    blocks: u32,
    /// The time of what has none of its own.
    built: (u64, u32),
}

#[derive(Debug)]
struct Planned<'a> {
    inode: Inode,
    nid: u64,
    content: Content<'a>,
}

#[derive(Debug)]
enum Content<'a> {
    /// Sorted, with `.` and `..`.
    Dir(Vec<Dirent<'a>>),
    File(&'a FileNode),
    Symlink(&'a [u8]),
}

impl Content<'_> {
    /// Whether it has to lie on a page boundary.
    fn is_mapped(&self) -> Result<bool, TreeError> {
        match self {
            Self::File(file) => Ok(file.begins_with(b"\x7fELF")?),
            Self::Dir(_) | Self::Symlink(_) => Ok(false),
        }
    }
}

#[derive(Debug)]
struct Dirent<'a> {
    name: &'a [u8],
    /// Index in the list of inodes.
    target: usize,
}

impl<'a> Plan<'a> {
    /// Lays out `tree`.
    ///
    /// # Errors
    /// [`TreeError::TooLarge`], or a small host file cannot be read.
    pub fn new(tree: &'a Tree) -> Result<Self, TreeError> {
        let mut plan = Self { inodes: Vec::new(), blocks: 0, built: (0, 0) };
        plan.walk(&tree.root, 0, tree);
        let mut at = (SUPER_OFFSET + SUPER_LEN) as u64;
        for planned in &mut plan.inodes {
            let whole = planned.inode.disk_len() + planned.inode.len;
            planned.inode.inline = planned.inode.len > 0 && whole <= BLOCK && !planned.content.is_mapped()?;
            let len = if planned.inode.inline { whole } else { planned.inode.disk_len() };
            // Neither an inode nor its data may cross into another block.
            if at / BLOCK != (at + len - 1) / BLOCK {
                at = at.next_multiple_of(BLOCK);
            }
            planned.nid = at / SLOT;
            at = (at + len).next_multiple_of(SLOT);
        }
        let mut block = at.div_ceil(BLOCK);
        for files in [false, true] {
            let group = plan.inodes.iter_mut().filter(|p| matches!(p.content, Content::File(_)) == files);
            for planned in group.filter(|p| p.inode.len > 0 && !p.inode.inline) {
                planned.inode.block = u32::try_from(block).map_err(|_| TreeError::TooLarge)?;
                block = block.saturating_add(planned.inode.len.div_ceil(BLOCK));
            }
        }
        plan.blocks = u32::try_from(block).map_err(|_| TreeError::TooLarge)?;
        Ok(plan)
    }

    /// The length of the file system in bytes: whole blocks.
    #[must_use]
    pub fn byte_len(&self) -> u64 {
        u64::from(self.blocks) * BLOCK
    }

    /// Writes all of it, [`Plan::byte_len`] bytes.
    ///
    /// # Errors
    /// A host file cannot be read, or changed; or `out` cannot be written.
    pub fn write(&self, out: &mut impl Write) -> Result<(), TreeError> {
        self.write_metadata(out)?;
        for files in [false, true] {
            for planned in self.inodes.iter().filter(|p| p.inode.len > 0 && !p.inode.inline) {
                if matches!(planned.content, Content::File(_)) == files {
                    self.write_content(planned, out)?;
                    write_zeros(out, planned.inode.len)?;
                }
            }
        }
        Ok(())
    }

    fn write_content(&self, planned: &Planned<'_>, out: &mut impl Write) -> Result<(), TreeError> {
        match &planned.content {
            Content::Dir(entries) => out.write_all(&self.dir_blocks(entries))?,
            Content::Symlink(target) => out.write_all(target)?,
            Content::File(file) => file.read(|piece| out.write_all(piece))?,
        }
        Ok(())
    }

    fn walk(&mut self, dir: &'a Dir, parent: usize, tree: &Tree) -> usize {
        let own = self.push(S_IFDIR | dir.mode, 0, dir.owner, tree, Content::Dir(Vec::new()));
        let mut entries = vec![Dirent { name: b".", target: own }, Dirent { name: b"..", target: parent }];
        let mut subdirs = 0;
        for (name, node) in &dir.entries {
            let target = match node {
                Node::Dir(dir) => {
                    subdirs += 1;
                    self.walk(dir, own, tree)
                }
                Node::File(file) => {
                    self.push(S_IFREG | file.mode, file.len, file.owner, tree, Content::File(file))
                }
                Node::Symlink(target) => {
                    self.push(S_IFLNK | 0o777, target.len() as u64, (0, 0), tree, Content::Symlink(target))
                }
            };
            entries.push(Dirent { name, target });
        }
        entries.sort_by_key(|entry| entry.name);
        let planned = &mut self.inodes[own];
        planned.inode.len = dir_len(&entries);
        planned.inode.links = 2 + subdirs;
        planned.content = Content::Dir(entries);
        own
    }

    fn push(&mut self, mode: u16, len: u64, owner: Owner, tree: &Tree, content: Content<'a>) -> usize {
        let index = self.inodes.len();
        // Directories, links and what was made up are as old as the newest file.
        if let (true, Content::File(file)) = (tree.as_found, &content)
            && let Some((seconds, nanoseconds)) = file.found()
        {
            self.built = self.built.max((u64::try_from(seconds).unwrap_or(0), nanoseconds));
        }
        let serial = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let (modified, (uid, gid)) = match content {
            Content::File(file) if tree.as_found => (file.found(), owner),
            Content::Dir(_) if tree.as_found => (None, owner),
            _ => (None, (tree.uid, tree.gid)),
        };
        let inode = Inode { mode, links: 1, len, block: 0, inline: false, serial, uid, gid, modified };
        self.inodes.push(Planned { inode, nid: 0, content });
        index
    }

    /// Writes the inodes with what stands behind them, a block at a time: there may be much of it.
    fn write_metadata(&self, out: &mut impl Write) -> Result<(), TreeError> {
        let (mut block, mut start) = (vec![0; SUPER_OFFSET + SUPER_LEN], 0);
        for planned in &self.inodes {
            let at = planned.nid * SLOT;
            if at >= start + BLOCK {
                self.finish_block(&mut block, start, out)?;
                start += BLOCK;
            }
            block.resize((at - start) as usize, 0);
            block.resize(block.len() + planned.inode.disk_len() as usize, 0);
            planned.inode.write(&mut block[(at - start) as usize..]);
            if planned.inode.inline {
                self.write_content(planned, &mut block)?;
            }
        }
        self.finish_block(&mut block, start, out)
    }

    fn finish_block(&self, block: &mut Vec<u8>, start: u64, out: &mut impl Write) -> Result<(), TreeError> {
        block.resize(BLOCK as usize, 0);
        if start == 0 {
            let root_nid = self.inodes[0].nid as u16;
            let (inodes, blocks, built) = (self.inodes.len() as u64, self.blocks, self.built);
            Super { root_nid, inodes, blocks, built }.write(block);
        }
        out.write_all(block)?;
        block.clear();
        Ok(())
    }

    fn dir_blocks(&self, entries: &[Dirent<'_>]) -> Vec<u8> {
        let mut out: Vec<u8> = Vec::new();
        for group in dir_groups(entries) {
            out.resize(out.len().next_multiple_of(BLOCK as usize), 0);
            let mut name_at = group.len() * DIRENT_LEN;
            for entry in group {
                let target = &self.inodes[entry.target];
                out.extend(target.nid.to_le_bytes());
                out.extend((name_at as u16).to_le_bytes());
                out.extend([dirent_type(target.inode.mode), 0]);
                name_at += entry.name.len();
            }
            group.iter().for_each(|entry| out.extend(entry.name));
        }
        out
    }
}

/// Splits a directory's entries into as many as fit one block each.
fn dir_groups<'e, 'a>(mut entries: &'e [Dirent<'a>]) -> impl Iterator<Item = &'e [Dirent<'a>]> {
    core::iter::from_fn(move || {
        let mut used = 0;
        let fits = entries.iter().take_while(|entry| {
            used += DIRENT_LEN + entry.name.len();
            used <= BLOCK as usize
        });
        let (group, rest) = entries.split_at(fits.count());
        entries = rest;
        (!group.is_empty()).then_some(group)
    })
}

/// A directory's length: whole blocks, and of the last one what is used.
fn dir_len(entries: &[Dirent<'_>]) -> u64 {
    let (blocks, last) = dir_groups(entries).fold((0, 0), |(blocks, _), group| {
        (blocks + 1, group.iter().map(|entry| DIRENT_LEN + entry.name.len()).sum::<usize>() as u64)
    });
    (blocks - 1) * BLOCK + last
}

/// Fills the last block of `len` bytes.
fn write_zeros(out: &mut impl Write, len: u64) -> Result<(), TreeError> {
    const ZEROS: [u8; BLOCK as usize] = [0; BLOCK as usize];
    out.write_all(&ZEROS[..(len.next_multiple_of(BLOCK) - len) as usize])?;
    Ok(())
}
