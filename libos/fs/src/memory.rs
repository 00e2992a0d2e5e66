//! Files in memory: what `/tmp` is made of.
//!
//! A file's contents are pages by their number, so that a hole takes nothing and a page can later be shared with
//! a mapping. All files together take at most half of the instance's memory; beyond that is ENOSPC.

mod pages;

use crate::directory::DirEntry;
use crate::metadata::{FileType, Metadata, S_IFDIR, S_IFLNK, S_IFREG, Space};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;
use kernlet_platform::cell::RefCell;
use kernlet_platform::{Errno, clock};
use kernlet_sync::{CpuLocal, SmallMap};
use pages::Pages;

/// How many links to one file there can be, as in Linux' tmpfs.
const MOST_LINKS: u32 = 32_000;

/// A file, directory or link in memory. It lives as long as a name or an open file leads to it.
#[derive(Debug)]
pub(crate) struct MemoryNode {
    number: u64,
    mode: Cell<u32>,
    links: Cell<u32>,
    accessed: Cell<u64>,
    modified: Cell<u64>,
    changed: Cell<u64>,
    kind: Kind,
}

type Names = SmallMap<Vec<u8>, Rc<MemoryNode>>;

#[derive(Debug)]
enum Kind {
    Directory(RefCell<Names>),
    File(RefCell<Pages>),
    Link(Vec<u8>),
}

static NUMBERS: CpuLocal<Cell<u64>> = CpuLocal::new(|| Cell::new(1));

impl MemoryNode {
    fn new(mode: u32, kind: Kind) -> Rc<Self> {
        let number = NUMBERS.get().get();
        NUMBERS.get().set(number + 1);
        let now = clock::wall();
        Rc::new(Self {
            number,
            mode: Cell::new(mode),
            links: Cell::new(0),
            accessed: Cell::new(now),
            modified: Cell::new(now),
            changed: Cell::new(now),
            kind,
        })
    }

    pub(crate) fn directory(mode: u32) -> Rc<Self> {
        Self::new(S_IFDIR | mode & 0o7777, Kind::Directory(RefCell::default()))
    }

    pub(crate) fn file(mode: u32) -> Rc<Self> {
        Self::new(S_IFREG | mode & 0o7777, Kind::File(RefCell::default()))
    }

    pub(crate) fn symlink(target: &[u8]) -> Rc<Self> {
        Self::new(S_IFLNK | 0o777, Kind::Link(target.to_vec()))
    }

    fn names(&self) -> Result<&RefCell<Names>, Errno> {
        match &self.kind {
            Kind::Directory(names) => Ok(names),
            _ => Err(Errno::ENOTDIR),
        }
    }

    fn pages(&self) -> Result<&RefCell<Pages>, Errno> {
        match &self.kind {
            Kind::File(pages) => Ok(pages),
            Kind::Directory(_) => Err(Errno::EISDIR),
            Kind::Link(_) => Err(Errno::EINVAL),
        }
    }

    fn touch(&self) {
        let now = clock::wall();
        self.modified.set(now);
        self.changed.set(now);
    }

    pub(crate) fn is_directory(&self) -> bool {
        matches!(self.kind, Kind::Directory(_))
    }

    pub(crate) fn link_target(&self) -> Option<&[u8]> {
        match &self.kind {
            Kind::Link(target) => Some(target),
            _ => None,
        }
    }

    pub(crate) fn lookup(&self, name: &[u8]) -> Result<Rc<Self>, Errno> {
        self.names()?.borrow().get(name).cloned().ok_or(Errno::ENOENT)
    }

    /// Puts `node` under `name`, where nothing may be.
    pub(crate) fn insert(&self, name: &[u8], node: Rc<Self>) -> Result<(), Errno> {
        let mut names = self.names()?.borrow_mut();
        if names.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        if node.links.get() >= MOST_LINKS {
            return Err(Errno::EMLINK);
        }
        node.links.set(node.links.get() + 1);
        node.changed.set(clock::wall());
        names.insert(name.to_vec(), node);
        drop(names);
        self.touch();
        Ok(())
    }

    /// Takes a name away: of a directory, which must be empty, or of anything else.
    pub(crate) fn remove(&self, name: &[u8], directory: bool) -> Result<(), Errno> {
        let node = self.lookup(name)?;
        match &node.kind {
            Kind::Directory(_) if !directory => return Err(Errno::EISDIR),
            Kind::Directory(names) if !names.borrow().is_empty() => return Err(Errno::ENOTEMPTY),
            Kind::File(_) | Kind::Link(_) if directory => return Err(Errno::ENOTDIR),
            _ => {}
        }
        self.take(name);
        Ok(())
    }

    fn take(&self, name: &[u8]) -> Option<Rc<Self>> {
        let node = self.names().ok()?.borrow_mut().remove(name)?;
        node.links.set(node.links.get().saturating_sub(1));
        self.touch();
        Some(node)
    }

    /// Moves `name` to `to` in the directory `new`, in place of what may be there.
    pub(crate) fn rename(&self, name: &[u8], new: &Rc<Self>, to: &[u8]) -> Result<(), Errno> {
        let node = self.lookup(name)?;
        if node.contains(new) {
            return Err(Errno::EINVAL);
        }
        let is_directory = matches!(node.kind, Kind::Directory(_));
        match new.lookup(to) {
            Ok(old) if Rc::ptr_eq(&old, &node) => return Ok(()),
            Ok(_) => new.remove(to, is_directory)?,
            Err(Errno::ENOENT) => {}
            Err(error) => return Err(error),
        }
        self.take(name);
        new.insert(to, node)
    }

    /// Whether `other` is this directory or somewhere below it.
    fn contains(self: &Rc<Self>, other: &Rc<Self>) -> bool {
        let mut todo = alloc::vec![self.clone()];
        while let Some(node) = todo.pop() {
            if Rc::ptr_eq(&node, other) {
                return true;
            }
            if let Kind::Directory(names) = &node.kind {
                let directories = names.borrow();
                let directories = directories.values().filter(|n| matches!(n.kind, Kind::Directory(_)));
                todo.extend(directories.cloned());
            }
        }
        false
    }

    pub(crate) fn entries(&self) -> Result<Vec<DirEntry>, Errno> {
        let names = self.names()?.borrow();
        let entry = |(name, node): (&Vec<u8>, &Rc<Self>)| {
            DirEntry::new(name.clone(), FileType::of_mode(node.mode.get()), node.number)
        };
        Ok(names.iter().map(entry).collect())
    }

    pub(crate) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
        Ok(self.pages()?.borrow().read_at(offset, buffer))
    }

    pub(crate) fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<usize, Errno> {
        let written = self.pages()?.borrow_mut().write_at(offset, bytes)?;
        self.touch();
        Ok(written)
    }

    pub(crate) fn set_len(&self, length: u64) -> Result<(), Errno> {
        self.pages()?.borrow_mut().set_len(length)?;
        self.touch();
        Ok(())
    }

    pub(crate) fn len(&self) -> u64 {
        match &self.kind {
            Kind::File(pages) => pages.borrow().len(),
            Kind::Link(target) => target.len() as u64,
            Kind::Directory(names) => names.borrow().len() as u64,
        }
    }

    pub(crate) fn set_mode(&self, mode: u32) {
        self.mode.set(self.mode.get() & !0o7777 | mode & 0o7777);
        self.changed.set(clock::wall());
    }

    pub(crate) fn set_times(&self, accessed: Option<u64>, modified: Option<u64>) {
        self.accessed.set(accessed.unwrap_or(self.accessed.get()));
        self.modified.set(modified.unwrap_or(self.modified.get()));
        self.changed.set(clock::wall());
    }

    pub(crate) fn metadata(&self) -> Metadata {
        // A directory has its own `.` and each of its directories' `..` besides its name.
        let links = match &self.kind {
            Kind::Directory(names) => {
                2 + names.borrow().values().filter(|n| matches!(n.kind, Kind::Directory(_))).count() as u32
            }
            _ => self.links.get(),
        };
        Metadata {
            device: 1,
            inode: self.number,
            mode: self.mode.get(),
            links,
            uid: 0,
            gid: 0,
            size: self.len(),
            blocks: self.len().div_ceil(512),
            accessed: self.accessed.get(),
            modified: self.modified.get(),
            changed: self.changed.get(),
        }
    }
}

/// How full the memory files are.
pub(crate) fn space() -> Space {
    let (total, used) = pages::usage();
    let free = total.saturating_sub(used);
    Space { total, free, unused: free, files: 0, free_files: 0 }
}
