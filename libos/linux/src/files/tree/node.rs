//! Nodes: files, directories and everything else that a name can lead to (inode(7)).

use super::content::Content;
use super::system::{Sort, System, is_below};
use crate::Errno;
use crate::files::device::Device;
use crate::files::pipe::Pipe;
use crate::files::proc::Generated;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::cell::{Cell, OnceCell};
use kernlet_fs::erofs::Inode;
use kernlet_platform::cell::RefCell;
use kernlet_platform::clock;
use kernlet_sync::SmallMap;

/// The bits of a mode that say what a node is.
pub const S_IFMT: u32 = 0o170_000;
/// A socket.
pub const S_IFSOCK: u32 = 0o140_000;
/// A symbolic link.
pub const S_IFLNK: u32 = 0o120_000;
/// A regular file.
pub const S_IFREG: u32 = 0o100_000;
/// A block device.
pub const S_IFBLK: u32 = 0o060_000;
/// A directory.
pub const S_IFDIR: u32 = 0o040_000;
/// A character device.
pub const S_IFCHR: u32 = 0o020_000;
/// A named pipe.
pub const S_IFIFO: u32 = 0o010_000;

/// When a node was used and changed, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// Last read.
    pub accessed: u64,
    /// Contents last changed.
    pub modified: u64,
    /// Anything last changed.
    pub changed: u64,
    /// Made.
    pub created: u64,
}

/// What a node is.
pub enum Kind {
    /// A directory.
    Directory(Directory),
    /// A regular file.
    File(RefCell<Content>),
    /// A symbolic link, and where it points.
    Link(Box<[u8]>),
    /// A named pipe; what it is when somebody has it open.
    Pipe(RefCell<Weak<Pipe>>),
    /// The name of a socket; who is bound to it.
    Socket(RefCell<Option<Weak<dyn Any>>>),
    /// A device.
    Device(Device),
    /// Something that is made up when it is looked at.
    Generated(Generated),
    /// The top of a volume.
    Volume,
}

/// What stands under a name of a directory that the image does not have as it is.
#[derive(Clone)]
pub enum Entry {
    /// This.
    Node(Rc<Node>),
    /// Nothing, although the image has something.
    Gone,
}

/// The names of a directory.
#[derive(Default)]
pub struct Directory {
    /// Those that were made, changed or removed.
    pub names: RefCell<BTreeMap<Vec<u8>, Entry>>,
    /// The image's directory, whose names show where no others are.
    pub below: Option<Inode>,
}

/// A node. It lives as long as a name or a description leads to it.
pub struct Node {
    /// The file system that it belongs to.
    pub system: Rc<System>,
    /// Its number there (`st_ino`).
    pub number: u64,
    /// Type and permission bits.
    pub mode: Cell<u32>,
    /// User and group.
    pub owner: Cell<(u32, u32)>,
    /// How many names lead to it.
    pub links: Cell<u32>,
    /// Its times.
    pub times: Cell<Times>,
    /// What it is.
    pub kind: Kind,
    /// For a directory: the one around it, and its name there.
    pub place: RefCell<Option<(Rc<Node>, Vec<u8>)>>,
    /// Extended attributes (xattr(7)).
    pub attributes: OnceCell<RefCell<SmallMap<Vec<u8>, Vec<u8>>>>,
    /// Who is told of changes (inotify(7)).
    pub watches: OnceCell<crate::files::notify::Watches>,
    /// Its file system keeps it, since it differs from what the image has.
    kept: Cell<bool>,
}

impl Node {
    /// A new node, which no name leads to yet.
    ///
    /// # Errors
    /// ENOSPC.
    pub fn new(system: &Rc<System>, mode: u32, owner: (u32, u32), kind: Kind) -> Result<Rc<Self>, Errno> {
        system.usage.take_node()?;
        let now = clock::wall();
        let times = Times { accessed: now, modified: now, changed: now, created: now };
        let links = u32::from(mode & S_IFMT == S_IFDIR);
        Ok(Self::with(system, system.number(), mode, owner, links, times, kind))
    }

    /// A node under a number that is known; it is not counted.
    pub fn with(
        system: &Rc<System>,
        number: u64,
        mode: u32,
        owner: (u32, u32),
        links: u32,
        times: Times,
        kind: Kind,
    ) -> Rc<Self> {
        Rc::new(Self {
            system: system.clone(),
            number,
            mode: Cell::new(mode),
            owner: Cell::new(owner),
            links: Cell::new(links),
            times: Cell::new(times),
            kind,
            place: RefCell::new(None),
            attributes: OnceCell::new(),
            watches: OnceCell::new(),
            kept: Cell::new(!is_below(number)),
        })
    }

    /// The node of a file of the image, which is found in the directory `around` under `name`.
    ///
    /// # Errors
    /// EIO for what is damaged; EOPNOTSUPP for contents that do not lie in one piece.
    pub fn below(
        system: &Rc<System>,
        inode: &Inode,
        around: &Rc<Self>,
        name: &[u8],
    ) -> Result<Rc<Self>, Errno> {
        if let Some(known) = system.known(inode.nid) {
            return Ok(known);
        }
        let node = Self::image(system, inode)?;
        if inode.is_directory() {
            *node.place.borrow_mut() = Some((around.clone(), name.to_vec()));
            // A directory carries what is mounted and changed below it, and there are few.
            system.remember(&node, true);
            node.kept.set(true);
        }
        Ok(node)
    }

    /// The same, when it is certain that nobody has it: the top.
    pub(super) fn image(system: &Rc<System>, inode: &Inode) -> Result<Rc<Self>, Errno> {
        let below = system.below().ok_or(Errno::EIO)?;
        let kind = match inode.mode & S_IFMT {
            S_IFDIR => Kind::Directory(Directory { names: RefCell::default(), below: Some(*inode) }),
            S_IFLNK => Kind::Link(below.link(inode)?.into()),
            S_IFREG => {
                let bytes = below.content(inode)?.whole().ok_or(Errno::EOPNOTSUPP)?;
                Kind::File(RefCell::new(Content::new(system.usage.clone(), bytes)))
            }
            _ => return Err(Errno::EIO),
        };
        let time = inode.modified;
        let times = Times { accessed: time, modified: time, changed: time, created: time };
        let owner = (inode.uid, inode.gid);
        Ok(Self::with(system, inode.nid, inode.mode, owner, inode.links, times, kind))
    }

    /// Has it found again as the same node as long as somebody uses it: done when it is opened.
    pub fn used(self: &Rc<Self>) {
        if !self.kept.get() {
            self.system.remember(self, false);
        }
    }

    /// It was changed: it is not what the image has any more.
    pub fn keep(self: &Rc<Self>) {
        if !self.kept.replace(true) {
            self.system.remember(self, true);
        }
    }

    /// Anything of it but its contents was changed.
    pub fn changed(self: &Rc<Self>) {
        self.keep();
        self.times.set(Times { changed: clock::wall(), ..self.times.get() });
    }

    /// Its contents were changed.
    pub fn modified(self: &Rc<Self>) {
        self.keep();
        let now = clock::wall();
        self.times.set(Times { modified: now, changed: now, ..self.times.get() });
    }

    /// A name leads to it less; the last one lets it go.
    pub fn unlinked(self: &Rc<Self>) {
        let left = self.links.get().saturating_sub(1);
        self.links.set(left);
        self.changed();
        if left == 0 {
            self.kept.set(false);
            self.system.release(self);
            // It is not found again by a name, so it need not be remembered either.
            self.kept.set(true);
        }
    }

    /// S_IFDIR and the like.
    pub fn sort(&self) -> u32 {
        self.mode.get() & S_IFMT
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.sort() == S_IFDIR
    }

    /// Its names, when it is a directory with names of its own.
    ///
    /// # Errors
    /// ENOTDIR.
    pub fn directory(&self) -> Result<&Directory, Errno> {
        match &self.kind {
            Kind::Directory(directory) => Ok(directory),
            _ => Err(Errno::ENOTDIR),
        }
    }

    /// The directory around a directory; its own at the top.
    pub fn around(self: &Rc<Self>) -> Rc<Self> {
        self.place.borrow().as_ref().map_or_else(|| self.clone(), |(around, _)| around.clone())
    }

    /// The path of a directory; `None` when none leads there any more.
    pub fn path(self: &Rc<Self>) -> Option<Vec<u8>> {
        let mut names = Vec::new();
        let mut node = self.clone();
        loop {
            if node.links.get() == 0 {
                return None;
            }
            let Some((around, name)) = node.place.borrow().clone() else { break };
            names.push(name);
            node = around;
        }
        if names.is_empty() {
            return Some(b"/".to_vec());
        }
        Some(names.iter().rev().flat_map(|name| [&b"/"[..], name]).flatten().copied().collect())
    }

    /// Bytes, as `st_size` tells.
    pub fn size(&self) -> u64 {
        match &self.kind {
            Kind::File(content) => content.borrow().length(),
            Kind::Link(target) => target.len() as u64,
            Kind::Directory(directory) => match directory.below {
                Some(below) => below.size.max(4096),
                None => 40 + 20 * directory.names.borrow().len() as u64,
            },
            _ => 0,
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if !is_below(self.number) && !matches!(self.system.sort, Sort::Proc | Sort::Sys | Sort::Volume(_)) {
            self.system.usage.give_node();
        }
        // Directories that were removed may hold each other, however deep: not one within the other's end.
        let mut place = self.place.borrow_mut().take();
        while let Some((around, _)) = place {
            place = Rc::into_inner(around).and_then(|node| node.place.borrow_mut().take());
        }
    }
}
