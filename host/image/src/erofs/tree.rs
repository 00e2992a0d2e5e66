//! The files that a root file system is to hold, gathered from the host.

use crate::hash::Hasher;
use miette::Diagnostic;
use std::collections::VecDeque;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use thiserror::Error;

use super::disk::{BLOCK, NAME_MAX};
use super::node::{Dir, FileNode, Name, Node, Source, file_node, fingerprint_dir, mode_of, owner_of};

/// As many symbolic links as Linux follows in one path.
pub(super) const MAX_LINKS: usize = 40;
/// Deeper trees have paths that no program can name (`PATH_MAX` is 4096).
const MAX_DEPTH: usize = 1024;

/// Why files could not be gathered or written.
#[derive(Debug, Error, Diagnostic)]
#[non_exhaustive]
pub enum TreeError {
    /// A host file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is a device, a socket or a pipe.
    #[error("{} is neither a file, a directory nor a symbolic link", .0.display())]
    #[diagnostic(help("an image's root holds only these; remove it from the tree"))]
    Special(PathBuf),
    /// A path inside cannot be used.
    #[error("{0} cannot be a path in the image: {1}")]
    #[diagnostic(help("give an absolute path such as /etc/app.conf"))]
    BadPath(String, &'static str),
    /// A file changed its length while it was copied.
    #[error("{} changed while it was being read", .0.display())]
    #[diagnostic(help("build again when nothing writes to it"))]
    Changed(PathBuf),
    /// The whole is too large for the format.
    #[error("the files do not fit into one root file system (16 TiB)")]
    TooLarge,
    /// The file system could not be written.
    #[error("cannot write the root file system")]
    Write(#[from] io::Error),
}

/// The files of a root file system: host directories and files laid over each other, later ones winning.
///
/// A directory that is added where a symbolic link to a directory stands goes into that directory, as with
/// `docker cp`: so `lib/x` reaches `/usr/lib/x` in a Debian tree. The root directory's mode is 0755.
#[derive(Debug, Clone)]
pub struct Tree {
    pub(crate) root: Dir,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) as_found: bool,
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    /// A root with nothing in it.
    #[must_use]
    pub const fn new() -> Self {
        Self { root: Dir::new(0o755), uid: 0, gid: 0, as_found: false }
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.root.entries.is_empty()
    }

    /// Says who owns all files; root unless said.
    pub const fn set_owner(&mut self, uid: u32, gid: u32) {
        (self.uid, self.gid) = (uid, gid);
    }

    /// Keeps the times at which files were last modified, and the owners that are accounts of the system. Without it they
    /// are the same for all: a program then has the same bytes whoever builds it from a fresh copy of its files.
    pub const fn keep_found(&mut self) {
        self.as_found = true;
    }

    /// Adds all that is in the host directory `dir`.
    ///
    /// # Errors
    /// Something in it cannot be read, or is no file, directory or link.
    pub fn add_root(&mut self, dir: &Path) -> Result<(), TreeError> {
        self.merge(dir, Vec::new())
    }

    /// Adds one host file at the absolute path `guest` (into that directory when it ends in `/`), or a host
    /// directory with all that is in it. Missing parents are made. A symbolic link on the host is followed.
    ///
    /// # Errors
    /// `host` cannot be read, or `guest` is no usable path.
    pub fn add_file(&mut self, host: &Path, guest: &str) -> Result<(), TreeError> {
        let about = fs::metadata(host).map_err(read_error(host))?;
        let into = guest.ends_with('/') && !about.is_dir();
        let name = host.file_name().filter(|_| into).map(OsStrExt::as_bytes);
        let path = self.guest_path(guest, name)?;
        if about.is_dir() {
            let path = self.place_of_dir(path)?;
            self.make_dir(&path, Some(mode_of(&about)))?;
            return self.merge(host, path);
        }
        if !about.is_file() {
            return Err(TreeError::Special(host.into()));
        }
        self.insert(path, file_node(host.into(), &about))
    }

    /// Adds a file with the given contents at an absolute path.
    ///
    /// # Errors
    /// `guest` is no usable path.
    pub fn add_bytes(&mut self, guest: &str, mode: u16, bytes: Vec<u8>) -> Result<(), TreeError> {
        let path = self.guest_path(guest, None)?;
        let len = bytes.len() as u64;
        let (mode, modified, source) = (mode & 0o7777, (0, 0), Source::Bytes(bytes));
        self.insert(path, Node::File(FileNode { mode, owner: (0, 0), len, modified, source }))
    }

    /// Adds a symbolic link at an absolute path.
    ///
    /// # Errors
    /// `guest` is no usable path, or `target` is empty or longer than a block.
    pub fn add_symlink(&mut self, guest: &str, target: &str) -> Result<(), TreeError> {
        let path = self.guest_path(guest, None)?;
        let node = symlink(target.as_bytes().to_vec(), Path::new(guest))?;
        self.insert(path, node)
    }

    /// Adds a host file at a path in which no link is left.
    pub(crate) fn put_file(
        &mut self,
        path: &Path,
        host: &Path,
        about: &fs::Metadata,
    ) -> Result<(), TreeError> {
        if !about.is_file() {
            return Err(TreeError::Special(host.into()));
        }
        self.insert(parts(path)?, file_node(host.into(), about))
    }

    /// Adds a symbolic link at a path in which no link is left.
    pub(crate) fn put_symlink(&mut self, path: &Path, target: &[u8]) -> Result<(), TreeError> {
        let node = symlink(target.to_vec(), path)?;
        self.insert(parts(path)?, node)
    }

    /// Adds a directory at a path in which no link is left.
    pub(crate) fn put_dir(&mut self, path: &Path, about: &fs::Metadata) -> Result<(), TreeError> {
        self.make_dir(&parts(path)?, Some(mode_of(about)))?.owner = owner_of(about);
        Ok(())
    }

    /// Whether there is a directory at a path in which no link is left.
    pub(crate) fn has_dir(&self, path: &Path) -> bool {
        parts(path).is_ok_and(|parts| matches!(self.node(&parts), Some(Node::Dir(_))))
    }

    /// Whether there is a file at a path in which no link is left.
    pub(crate) fn has_file(&self, path: &Path) -> bool {
        parts(path).is_ok_and(|parts| matches!(self.node(&parts), Some(Node::File(_))))
    }

    /// Whether nothing is at an absolute path.
    pub(crate) fn is_free(&self, path: &str) -> bool {
        parts(Path::new(path)).is_ok_and(|parts| self.node(&parts).is_none())
    }

    /// Adds a directory at an absolute path; one that is there keeps what is in it.
    pub(crate) fn add_dir(&mut self, guest: &str, mode: u16) -> Result<(), TreeError> {
        let path = self.guest_path(guest, None)?;
        let path = self.place_of_dir(path)?;
        self.make_dir(&path, Some(mode)).map(|_| ())
    }

    /// Everything in it that is a file of the host: its path here, and there.
    pub(crate) fn host_files(&self) -> Vec<(PathBuf, PathBuf)> {
        fn walk(dir: &Dir, at: &Path, files: &mut Vec<(PathBuf, PathBuf)>) {
            for (name, node) in &dir.entries {
                let path = at.join(std::ffi::OsStr::from_bytes(name));
                match node {
                    Node::Dir(dir) => walk(dir, &path, files),
                    Node::File(FileNode { source: Source::Host(host), .. }) => {
                        files.push((path, host.clone()))
                    }
                    Node::File(_) | Node::Symlink(_) => {}
                }
            }
        }
        let mut files = Vec::new();
        walk(&self.root, Path::new("/"), &mut files);
        files
    }

    /// Adds everything that decides the bytes of the file system to a hash.
    pub(crate) fn fingerprint(&self, hasher: &mut Hasher) -> Result<(), TreeError> {
        hasher.field(&self.uid.to_le_bytes());
        hasher.field(&self.gid.to_le_bytes());
        fingerprint_dir(&self.root, self.as_found, hasher)
    }

    /// Splits a path, makes its parents, and gives the place that it means, links in the parents followed.
    fn guest_path(&mut self, guest: &str, name: Option<&[u8]>) -> Result<Vec<Name>, TreeError> {
        let bad = |why| TreeError::BadPath(guest.into(), why);
        if !guest.starts_with('/') {
            return Err(bad("it is not absolute"));
        }
        let mut parts: Vec<Name> = split(guest.as_bytes()).collect();
        parts.extend(name.map(<[u8]>::to_vec));
        if parts.iter().any(|part| part == b"..") {
            return Err(bad("it contains `..`"));
        }
        if parts.iter().any(|part| part.len() > NAME_MAX) || parts.len() > MAX_DEPTH {
            return Err(bad("it is too long"));
        }
        if guest.contains('\0') {
            return Err(bad("it contains a NUL"));
        }
        let Some(last) = parts.pop() else { return Ok(Vec::new()) };
        let mut path = self.resolve(parts.into())?;
        self.make_dir(&path, None)?;
        path.push(last);
        Ok(path)
    }

    fn insert(&mut self, mut path: Vec<Name>, node: Node) -> Result<(), TreeError> {
        let name = path.pop().ok_or_else(|| TreeError::BadPath("/".into(), "it is the root directory"))?;
        self.make_dir(&path, None)?.entries.insert(name, node);
        Ok(())
    }

    fn merge(&mut self, host: &Path, at: Vec<Name>) -> Result<(), TreeError> {
        if at.len() > MAX_DEPTH {
            return Err(TreeError::BadPath(host.display().to_string(), "it is too deep"));
        }
        for entry in fs::read_dir(host).map_err(read_error(host))? {
            let entry = entry.map_err(read_error(host))?;
            let path = entry.path();
            let about = fs::symlink_metadata(&path).map_err(read_error(&path))?;
            let name = entry.file_name().into_vec();
            if about.is_dir() {
                let child = self.place_of_dir(at.iter().cloned().chain([name]).collect())?;
                self.make_dir(&child, Some(mode_of(&about)))?;
                self.merge(&path, child)?;
                continue;
            }
            let node = if about.is_symlink() {
                symlink(fs::read_link(&path).map_err(read_error(&path))?.into_os_string().into_vec(), &path)?
            } else if about.is_file() {
                file_node(path, &about)
            } else {
                return Err(TreeError::Special(path));
            };
            self.make_dir(&at, None)?.entries.insert(name, node);
        }
        Ok(())
    }

    /// Where a directory goes: a link to a directory is followed, a link to a file is replaced.
    fn place_of_dir(&self, path: Vec<Name>) -> Result<Vec<Name>, TreeError> {
        let resolved = self.resolve(path.clone().into())?;
        Ok(if matches!(self.node(&resolved), Some(Node::File(_))) { path } else { resolved })
    }

    /// Follows the symbolic links of the tree in a path to a directory. What does not exist stays as it is.
    fn resolve(&self, path: VecDeque<Name>) -> Result<Vec<Name>, TreeError> {
        let end = self.follow(path, |_, _, _| true).map_err(|circle| {
            let path = String::from_utf8_lossy(&circle.join(&b'/')).into_owned();
            TreeError::BadPath(path, "its symbolic links lead in a circle")
        })?;
        Ok(end.unwrap_or_default())
    }

    /// Follows the symbolic links of the tree in a path as the kernel does, and tells where that ends. `seen` is told of each
    /// name that is come to, with what is there and whether it is the path's last; `false` ends the walk without a place.
    ///
    /// # Errors
    /// The place at which there were too many links.
    pub(super) fn follow(
        &self,
        mut todo: VecDeque<Name>,
        mut seen: impl FnMut(&[Name], Option<&Node>, bool) -> bool,
    ) -> Result<Option<Vec<Name>>, Vec<Name>> {
        let mut done: Vec<Name> = Vec::new();
        let mut links = 0;
        while let Some(name) = todo.pop_front() {
            if name == b".." {
                done.pop();
                continue;
            }
            done.push(name);
            let node = self.node(&done);
            if !seen(&done, node, todo.is_empty()) {
                return Ok(None);
            }
            if let Some(Node::Symlink(target)) = node {
                links += 1;
                if links > MAX_LINKS || done.len() + todo.len() > MAX_DEPTH {
                    return Err(done);
                }
                done.pop();
                if target.starts_with(b"/") {
                    done.clear();
                }
                for part in split(target).collect::<Vec<_>>().into_iter().rev() {
                    todo.push_front(part);
                }
            }
        }
        Ok(Some(done))
    }

    pub(super) fn node(&self, path: &[Name]) -> Option<&Node> {
        let (last, parents) = path.split_last()?;
        let mut dir = &self.root;
        for name in parents {
            let Some(Node::Dir(next)) = dir.entries.get(name) else { return None };
            dir = next;
        }
        dir.entries.get(last)
    }

    /// The directory at a resolved path; what is not there, or is something else, becomes a directory.
    fn make_dir(&mut self, path: &[Name], mode: Option<u16>) -> Result<&mut Dir, TreeError> {
        let mut dir = &mut self.root;
        for name in path {
            let node = dir.entries.entry(name.clone()).or_insert_with(|| Node::Dir(Dir::new(0o755)));
            if !matches!(node, Node::Dir(_)) {
                *node = Node::Dir(Dir::new(0o755));
            }
            let Node::Dir(next) = node else {
                return Err(TreeError::BadPath("/".into(), "it is no directory"));
            };
            dir = next;
        }
        if let Some(mode) = mode
            && !path.is_empty()
        {
            dir.mode = mode;
        }
        Ok(dir)
    }
}

fn symlink(target: Vec<u8>, path: &Path) -> Result<Node, TreeError> {
    if target.is_empty() || target.len() >= BLOCK as usize {
        let path = path.display().to_string();
        return Err(TreeError::BadPath(path, "its target is empty or longer than a path can be"));
    }
    Ok(Node::Symlink(target))
}

/// The names in a path.
fn parts(path: &Path) -> Result<Vec<Name>, TreeError> {
    let parts: Vec<Name> = split(path.as_os_str().as_bytes()).collect();
    let bad = |why| Err(TreeError::BadPath(path.display().to_string(), why));
    if parts.iter().any(|part| part == b"..") {
        return bad("it contains `..`");
    }
    if parts.iter().any(|part| part.len() > NAME_MAX) || parts.len() > MAX_DEPTH {
        return bad("it is too long");
    }
    Ok(parts)
}

pub(super) fn split(path: &[u8]) -> impl Iterator<Item = Name> {
    path.split(|&b| b == b'/').filter(|part| !part.is_empty() && *part != b".").map(<[u8]>::to_vec)
}

pub(crate) fn read_error(path: &Path) -> impl FnOnce(io::Error) -> TreeError {
    let path = path.to_path_buf();
    move |source| TreeError::Read { path, source }
}
