//! What a root file system holds: directories, files and links, each with what is told of it.

use super::tree::{TreeError, read_error};
use crate::hash::Hasher;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Accounts from this one on are people's (`UID_MIN` of login.defs(5)).
const FIRST_PERSON: u32 = 1000;

pub(crate) type Name = Vec<u8>;
/// User and group.
pub(crate) type Owner = (u32, u32);

#[derive(Debug, Clone)]
pub(crate) enum Node {
    Dir(Dir),
    File(FileNode),
    Symlink(Vec<u8>),
}

#[derive(Debug, Clone)]
pub(crate) struct Dir {
    pub mode: u16,
    pub owner: Owner,
    pub entries: BTreeMap<Name, Node>,
}

#[derive(Debug, Clone)]
pub(crate) struct FileNode {
    pub mode: u16,
    pub owner: Owner,
    pub len: u64,
    /// Seconds and nanoseconds since 1970.
    pub modified: (i64, u32),
    pub source: Source,
}

impl FileNode {
    /// When a file of the host was last modified; what was made up has no time of its own.
    pub(crate) const fn found(&self) -> Option<(i64, u32)> {
        match self.source {
            Source::Host(_) => Some(self.modified),
            Source::Bytes(_) => None,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Source {
    Host(PathBuf),
    Bytes(Vec<u8>),
}

impl Dir {
    pub(crate) const fn new(mode: u16) -> Self {
        Self { mode, owner: (0, 0), entries: BTreeMap::new() }
    }
}

impl FileNode {
    /// Whether these are its first bytes.
    pub(crate) fn begins_with(&self, magic: &[u8]) -> Result<bool, TreeError> {
        let path = match &self.source {
            Source::Bytes(bytes) => return Ok(bytes.starts_with(magic)),
            Source::Host(path) => path,
        };
        let mut head = Vec::new();
        let file = File::open(path).map_err(read_error(path))?;
        io::Read::take(file, magic.len() as u64).read_to_end(&mut head).map_err(read_error(path))?;
        Ok(head == magic)
    }

    /// Opens the file's contents and hands each piece to `take`; there are exactly `len` bytes of them.
    pub(crate) fn read(&self, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> Result<(), TreeError> {
        let path = match &self.source {
            Source::Bytes(bytes) => return Ok(take(bytes)?),
            Source::Host(path) => path,
        };
        let mut file = File::open(path).map_err(read_error(path))?;
        let mut buffer = vec![0; 1 << 18];
        let mut total = 0;
        loop {
            let read = io::Read::read(&mut file, &mut buffer).map_err(read_error(path))?;
            total += read as u64;
            if total > self.len || (read == 0 && total < self.len) {
                return Err(TreeError::Changed(path.clone()));
            }
            if read == 0 {
                return Ok(());
            }
            take(&buffer[..read])?;
        }
    }
}

/// Adds everything that decides the bytes of a directory, and of what is in it, to a hash.
pub(crate) fn fingerprint_dir(dir: &Dir, as_found: bool, hasher: &mut Hasher) -> Result<(), TreeError> {
    hasher.field(&dir.mode.to_le_bytes());
    let own = |(uid, gid): Owner| u64::from(uid) << 32 | u64::from(gid);
    if as_found {
        hasher.field(&own(dir.owner).to_le_bytes());
    }
    hasher.field(&dir.entries.len().to_le_bytes());
    for (name, node) in &dir.entries {
        hasher.field(name);
        match node {
            Node::Dir(dir) => {
                hasher.field(b"dir");
                fingerprint_dir(dir, as_found, hasher)?;
            }
            Node::Symlink(target) => {
                hasher.field(b"link");
                hasher.field(target);
            }
            Node::File(file) => {
                hasher.field(b"file");
                hasher.field(&file.mode.to_le_bytes());
                hasher.field(&file.len.to_le_bytes());
                if as_found {
                    hasher.field(&own(file.owner).to_le_bytes());
                    hasher.field(&file.modified.0.to_le_bytes());
                    hasher.field(&file.modified.1.to_le_bytes());
                }
                file.read(|piece| {
                    hasher.add(piece);
                    Ok(())
                })?;
            }
        }
    }
    Ok(())
}

/// A file of the host.
pub(crate) fn file_node(host: PathBuf, about: &fs::Metadata) -> Node {
    let modified = (about.mtime(), u32::try_from(about.mtime_nsec()).unwrap_or(0));
    let (mode, owner, source) = (mode_of(about), owner_of(about), Source::Host(host));
    Node::File(FileNode { mode, owner, len: about.len(), modified, source })
}

/// What belongs to people, here, belongs to root in an image.
pub(crate) fn owner_of(about: &fs::Metadata) -> Owner {
    let system = |id: u32| if id < FIRST_PERSON { id } else { 0 };
    (system(about.uid()), system(about.gid()))
}

/// Its permission bits.
pub(crate) fn mode_of(about: &fs::Metadata) -> u16 {
    (about.mode() & 0o7777) as u16
}
