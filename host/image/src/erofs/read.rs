//! Reading a root file system back: names, sizes and modes, for `inspect`.
//!
//! The image may come from anywhere: every offset is checked, and what is read is bounded by the file
//! system's own length.

use super::disk::{BLOCK, DIRENT_LEN, Inode, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, SLOT, Super};
use miette::Diagnostic;
use serde::Serialize;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use thiserror::Error;

/// The longest path that programs can name.
const PATH_MAX: usize = 4096;

/// Why a root file system could not be read.
#[derive(Debug, Error, Diagnostic)]
#[non_exhaustive]
pub enum ReadError {
    /// The file could not be read.
    #[error("cannot read the root file system")]
    Io(#[from] io::Error),
    /// It is no EROFS file system of the kind that kernlet writes, or a damaged one.
    #[error("the root file system is damaged: {0}")]
    #[diagnostic(help("build the image again"))]
    Damaged(&'static str),
}

/// What an entry of the root file system is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A file.
    File,
    /// A symbolic link.
    Symlink,
}

/// One file, directory or link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its absolute path (bytes that are no UTF-8 are replaced).
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
    /// Its permission bits.
    pub mode: u16,
    /// Its length in bytes.
    pub size: u64,
    /// Where a symbolic link points.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// Lists everything in the file system of `len` bytes that begins at `offset` in `file`, sorted by path, the
/// root directory left out.
///
/// # Errors
/// The file cannot be read, or the file system is damaged.
pub fn list(file: &File, offset: u64, len: u64) -> Result<Vec<Entry>, ReadError> {
    let mut entries = Vec::new();
    walk(file, offset, len, |disk, path, nid, inode| {
        entries.push(disk.entry(path, nid, inode)?);
        Ok(())
    })?;
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(entries)
}

/// Shows the contents of the regular files that begin with `magic`, with their absolute paths, in no order.
///
/// # Errors
/// As [`list`].
pub(crate) fn each_file(
    file: &File,
    offset: u64,
    len: u64,
    magic: &[u8],
    mut found: impl FnMut(&[u8], &[u8]),
) -> Result<(), ReadError> {
    // Files may share their data, but not so that reading them all takes much longer than reading the whole.
    let mut left = len.saturating_mul(4);
    walk(file, offset, len, |disk, path, nid, inode| {
        let (at, magic_len) = (inode.data_at(nid), magic.len() as u64);
        if inode.mode & S_IFMT == S_IFREG && inode.len >= magic_len && disk.read(at, magic_len)? == magic {
            let less = left.checked_sub(inode.len);
            left = less.ok_or(ReadError::Damaged("its files are larger than it is"))?;
            found(path, &disk.read(at, inode.len)?);
        }
        Ok(())
    })
}

/// The contents of the regular file at `path`, which has no links in it; `None` when there is none, or it is longer than `most`
/// bytes.
///
/// # Errors
/// As [`list`].
pub(crate) fn content(
    file: &File,
    offset: u64,
    len: u64,
    path: &str,
    most: u64,
) -> Result<Option<Vec<u8>>, ReadError> {
    let disk = Disk { file, offset, len };
    let superblock = disk.read(0, BLOCK)?;
    let superblock = Super::read(&superblock).ok_or(ReadError::Damaged("its superblock is unknown"))?;
    let mut nid = u64::from(superblock.root_nid);
    let mut inode = disk.inode(nid)?;
    for name in path.split('/').filter(|name| !name.is_empty()) {
        if inode.mode & S_IFMT != S_IFDIR {
            return Ok(None);
        }
        let names = disk.dirents(nid, &inode)?;
        let Some((_, found)) = names.into_iter().find(|(found, _)| found == name.as_bytes()) else {
            return Ok(None);
        };
        (nid, inode) = (found, disk.inode(found)?);
    }
    if inode.mode & S_IFMT != S_IFREG || inode.len > most {
        return Ok(None);
    }
    disk.read(inode.data_at(nid), inode.len).map(Some)
}

/// Visits everything but the root directory.
fn walk(
    file: &File,
    offset: u64,
    len: u64,
    mut visit: impl FnMut(&Disk<'_>, &[u8], u64, &Inode) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let disk = Disk { file, offset, len };
    let superblock = disk.read(0, BLOCK)?;
    let superblock = Super::read(&superblock).ok_or(ReadError::Damaged("its superblock is unknown"))?;
    // An inode takes 32 bytes at least: more entries than that can only be a circle.
    let most = usize::try_from(len / SLOT).unwrap_or(usize::MAX);
    let mut visited = 0;
    let root = u64::from(superblock.root_nid);
    let mut todo = vec![(Vec::new(), root, disk.inode(root)?)];
    while let Some((path, nid, dir)) = todo.pop() {
        for (name, nid) in disk.dirents(nid, &dir)? {
            let inode = disk.inode(nid)?;
            let path = [&path[..], b"/", &name].concat();
            if visited >= most || path.len() > PATH_MAX {
                return Err(ReadError::Damaged("its directories form a circle"));
            }
            visited += 1;
            visit(&disk, &path, nid, &inode)?;
            if inode.mode & S_IFMT == S_IFDIR {
                todo.push((path, nid, inode));
            }
        }
    }
    Ok(())
}

struct Disk<'a> {
    file: &'a File,
    offset: u64,
    len: u64,
}

impl Disk<'_> {
    fn read(&self, at: u64, len: u64) -> Result<Vec<u8>, ReadError> {
        if at.checked_add(len).is_none_or(|end| end > self.len) {
            return Err(ReadError::Damaged("it points beyond its end"));
        }
        let mut bytes = vec![0; len as usize];
        self.file.read_exact_at(&mut bytes, self.offset + at)?;
        Ok(bytes)
    }

    fn inode(&self, nid: u64) -> Result<Inode, ReadError> {
        let at = nid.checked_mul(SLOT).ok_or(ReadError::Damaged("an inode number is too large"))?;
        let mut bytes = self.read(at, 64.min(self.len.saturating_sub(at)))?;
        bytes.resize(64, 0);
        let bytes = bytes.first_chunk().ok_or(ReadError::Damaged("an inode is cut off"))?;
        Inode::read(bytes).ok_or(ReadError::Damaged("an inode has an unknown layout"))
    }

    /// The names in a directory with the numbers of their inodes, without `.` and `..`.
    fn dirents(&self, nid: u64, dir: &Inode) -> Result<Vec<(Vec<u8>, u64)>, ReadError> {
        let bytes = self.read(dir.data_at(nid), dir.len)?;
        let mut names = Vec::new();
        for block in bytes.chunks(BLOCK as usize) {
            block_dirents(block, &mut names).ok_or(ReadError::Damaged("a directory is malformed"))?;
        }
        Ok(names)
    }

    fn entry(&self, path: &[u8], nid: u64, inode: &Inode) -> Result<Entry, ReadError> {
        let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (kind, target) = match inode.mode & S_IFMT {
            S_IFDIR => (EntryKind::Directory, None),
            S_IFREG => (EntryKind::File, None),
            S_IFLNK if inode.len < BLOCK => {
                let target = self.read(inode.data_at(nid), inode.len)?;
                (EntryKind::Symlink, Some(lossy(&target)))
            }
            _ => return Err(ReadError::Damaged("a file has an unknown type")),
        };
        Ok(Entry { path: lossy(path), kind, mode: inode.mode & 0o7777, size: inode.len, target })
    }
}

fn block_dirents(block: &[u8], names: &mut Vec<(Vec<u8>, u64)>) -> Option<()> {
    let name_at = |index: usize| {
        let at = block.get(index * DIRENT_LEN + 8..)?.first_chunk()?;
        Some(usize::from(u16::from_le_bytes(*at)))
    };
    let count = name_at(0)? / DIRENT_LEN;
    for index in 0..count {
        let nid = u64::from_le_bytes(*block.get(index * DIRENT_LEN..)?.first_chunk()?);
        let end = if index + 1 < count { name_at(index + 1)? } else { block.len() };
        let name = block.get(name_at(index)?..end)?;
        let name = name.split(|&byte| byte == 0).next()?;
        if name.is_empty() || name.contains(&b'/') {
            return None;
        }
        if name != b"." && name != b".." {
            names.push((name.to_vec(), nid));
        }
    }
    Some(())
}
