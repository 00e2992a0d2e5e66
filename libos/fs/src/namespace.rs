//! Which file a path means: the root, with memory files and volumes mounted on it.
//!
//! 1. A path is walked name by name, links included, so that `..` after a link means what it does in Linux. A
//!    volume is the exception: what follows its mount point goes to it as a whole, `..` taken out by the text.
//! 2. A mount point needs nothing to stand in the root at its place. Directories that exist only as the way to one
//!    are [`Node::Way`].
//! 3. The table is made when the first file is used, so a program that uses none pays nothing.

use crate::erofs::{Erofs, Inode};
use crate::memory::MemoryNode;
use crate::metadata::{Metadata, S_IFDIR};
use crate::volume::Volume;
use alloc::borrow::Cow;
use alloc::rc::Rc;
use alloc::vec::Vec;
use kernlet_platform::{Errno, boot};
use kernlet_sync::{CpuLocal, SmallMap};

/// Where memory files are.
const MEMORY: [&[u8]; 3] = [b"/tmp", b"/var/tmp", b"/run"];
/// As in Linux.
const MOST_LINKS: usize = 40;
const PATH_MAX: usize = 4096;
const NAME_MAX: usize = 255;

/// What a path leads to.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// Something in the read-only root.
    Root(Inode),
    /// A directory on the way to a mount point.
    Way,
    /// Something in memory.
    Memory(Rc<MemoryNode>),
    /// A volume or something in it, if it exists there.
    Volume(Rc<Volume>),
}

/// The end of a walk.
#[derive(Debug)]
pub(crate) struct Place {
    /// The path without links, `.` and `..`; empty for `/`.
    pub path: Vec<u8>,
    /// What is there; `None` when only the directory around it is.
    pub node: Option<Node>,
    /// The directory around it.
    pub parent: Node,
}

impl Place {
    /// What is there.
    pub fn existing(self) -> Result<Node, Errno> {
        self.node.ok_or(Errno::ENOENT)
    }

    /// The last name of the path.
    pub fn name(&self) -> &[u8] {
        self.path.rsplit(|&b| b == b'/').next().unwrap_or(&[])
    }
}

/// All mount points of an instance.
pub(crate) struct Namespace {
    root: Option<Erofs<'static>>,
    mounts: SmallMap<Vec<u8>, Node>,
}

static NAMESPACE: CpuLocal<Namespace> = CpuLocal::new(Namespace::new);

/// The instance's namespace.
pub(crate) fn namespace() -> &'static Namespace {
    NAMESPACE.get()
}

impl Namespace {
    fn new() -> Self {
        let mut this = Self { root: crate::root::root().ok(), mounts: SmallMap::new() };
        for path in MEMORY {
            this.mounts.insert(path.to_vec(), Node::Memory(MemoryNode::directory(0o1777)));
        }
        for mount in boot::blob().mounts() {
            // A mount point below a link stands where the link leads.
            let place = this.walk(mount.path.as_bytes(), true);
            let path = place.map_or_else(|_| mount.path.trim_end_matches('/').into(), |place| place.path);
            this.mounts.insert(path.clone(), Node::Volume(Rc::new(Volume::new(&mount, path))));
        }
        this
    }

    /// The read-only root.
    pub fn root(&self) -> Result<&Erofs<'static>, Errno> {
        self.root.as_ref().ok_or(Errno::ENOENT)
    }

    fn top(&self) -> Result<Node, Errno> {
        match (self.mounts.get(&[][..]), &self.root) {
            (Some(mounted), _) => Ok(mounted.clone()),
            (None, Some(root)) => root.root().map(Node::Root),
            (None, None) => Ok(Node::Way),
        }
    }

    /// The mount points directly or further below `path`, each as the rest of its path.
    fn below<'s>(&'s self, path: &'s [u8]) -> impl Iterator<Item = (&'s [u8], &'s Node)> {
        self.mounts.iter().filter_map(move |(mount, node)| {
            let rest = mount.strip_prefix(path)?.strip_prefix(b"/")?;
            Some((rest, node))
        })
    }

    /// The names that stand in the directory `path` because something is mounted there or below.
    pub fn mounted_in<'s>(&'s self, path: &'s [u8]) -> impl Iterator<Item = (&'s [u8], Node)> {
        self.below(path).map(|(rest, node)| match rest.iter().position(|&b| b == b'/') {
            Some(at) => (&rest[..at], Node::Way),
            None => (rest, node.clone()),
        })
    }

    /// Whether something is mounted at `path`, or the way to something leads over it.
    pub fn is_mount_point(&self, path: &[u8]) -> bool {
        self.mounts.contains_key(path) || self.below(path).next().is_some()
    }

    fn lookup(&self, directory: &Node, name: &[u8], path: &[u8]) -> Result<Node, Errno> {
        if let Some(mounted) = self.mounts.get(path) {
            return Ok(mounted.clone());
        }
        let found = match directory {
            Node::Root(inode) => self.root()?.lookup(inode, name).map(Node::Root),
            Node::Way => Err(Errno::ENOENT),
            Node::Memory(node) => node.lookup(name).map(Node::Memory),
            Node::Volume(volume) => Ok(Node::Volume(volume.clone())),
        };
        match found {
            Err(Errno::ENOENT) if self.below(path).next().is_some() => Ok(Node::Way),
            other => other,
        }
    }

    fn link_target<'n>(&self, node: &'n Node) -> Result<Option<Cow<'n, [u8]>>, Errno> {
        Ok(match node {
            Node::Root(inode) if inode.is_link() => Some(Cow::Borrowed(self.root()?.link(inode)?)),
            Node::Memory(node) => node.link_target().map(Cow::Borrowed),
            _ => None,
        })
    }

    /// Walks `path`, a relative one from the working directory. A link at its end is followed when `follow` says
    /// so, or when a slash comes after it.
    pub fn walk(&self, path: &[u8], follow: bool) -> Result<Place, Errno> {
        if path.is_empty() {
            return Err(Errno::ENOENT);
        }
        let mut text = absolute(path);
        let (mut at, mut links) = (0, 0);
        let mut done: Vec<u8> = Vec::new();
        let mut stack = alloc::vec![self.top()?];
        loop {
            if text.len() > PATH_MAX {
                return Err(Errno::ENAMETOOLONG);
            }
            at += text[at..].iter().take_while(|&&b| b == b'/').count();
            let here = stack.last().ok_or(Errno::EIO)?;
            if at == text.len() {
                let parent = stack.len().checked_sub(2).and_then(|i| stack.get(i)).unwrap_or(here).clone();
                return Ok(Place { path: done, node: stack.pop(), parent });
            }
            if !is_directory(here) {
                return Err(Errno::ENOTDIR);
            }
            let end = text[at..].iter().position(|&b| b == b'/').map_or(text.len(), |n| at + n);
            let name = &text[at..end];
            at = end;
            match name {
                b"." => continue,
                b".." => {
                    if stack.len() > 1 {
                        stack.pop();
                        done.truncate(done.iter().rposition(|&b| b == b'/').unwrap_or(0));
                    }
                    continue;
                }
                name if name.len() > NAME_MAX => return Err(Errno::ENAMETOOLONG),
                _ => {}
            }
            let before = done.len();
            done.push(b'/');
            done.extend_from_slice(name);
            let next = match self.lookup(here, name, &done) {
                Ok(next) => next,
                Err(Errno::ENOENT) if text[at..].iter().all(|&b| b == b'/') => {
                    return Ok(Place { path: done, node: None, parent: here.clone() });
                }
                Err(error) => return Err(error),
            };
            if (follow || at < text.len())
                && let Some(target) = self.link_target(&next)?
            {
                links += 1;
                if links > MOST_LINKS {
                    return Err(Errno::ELOOP);
                }
                done.truncate(before);
                if target.starts_with(b"/") {
                    done.clear();
                    stack.truncate(1);
                }
                // What is left is empty or begins with a slash.
                text = Cow::Owned([&target[..], &text[at..]].concat());
                at = 0;
                continue;
            }
            stack.push(next);
        }
    }
}

/// Whether a path says by its last slash that it means a directory.
pub(crate) fn ends_in_slash(path: &[u8]) -> bool {
    path.ends_with(b"/")
}

fn is_directory(node: &Node) -> bool {
    match node {
        Node::Root(inode) => inode.is_directory(),
        Node::Way => true,
        Node::Memory(node) => node.is_directory(),
        Node::Volume(volume) => !volume.is_file(),
    }
}

/// A relative path begins in the working directory: the one that the instance was told, else the image's.
fn absolute(path: &[u8]) -> Cow<'_, [u8]> {
    if path.starts_with(b"/") {
        return Cow::Borrowed(path);
    }
    let folder = boot::blob().workdir().or_else(|| Some(crate::root::manifest()?.workdir)).unwrap_or("/");
    Cow::Owned([folder.as_bytes(), b"/", path].concat())
}

/// What is known of a directory on the way to a mount point.
pub(crate) fn way() -> Metadata {
    Metadata { mode: S_IFDIR | 0o755, links: 2, ..Metadata::default() }
}
