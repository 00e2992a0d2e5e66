//! From paths to nodes (path_resolution(7)).
//!
//! A path is walked name by name. A volume is the exception: what follows its mount point goes to it as a whole, `..`
//! taken out by the text, and links in it are followed by whoever serves it, beneath it.

use super::directory;
use super::node::{Kind, Node};
use super::permission::{Access, Who};
use crate::Errno;
use crate::files::Description;
use crate::files::proc;
use crate::process::Process;
use alloc::borrow::Cow;
use alloc::rc::Rc;
use alloc::vec::Vec;

/// As in Linux.
const MOST_LINKS: usize = 40;
const NAME_MAX: usize = 255;
const PATH_MAX: usize = 4096;

/// What a path leads to.
#[derive(Clone)]
pub enum Location {
    /// A node.
    Node(Rc<Node>),
    /// Something in a volume, if it exists there: the volume's top, and the path within, which is empty for the top.
    Volume(Rc<Node>, Vec<u8>),
    /// Something without a place of its own that is open, by its name in /proc/self/fd.
    Open(Rc<Description>),
}

impl Location {
    /// What a node is the location of.
    pub fn of(node: Rc<Node>) -> Self {
        if matches!(node.kind, Kind::Volume) { Self::Volume(node, Vec::new()) } else { Self::Node(node) }
    }

    /// Whether both are the same place.
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Node(one), Self::Node(other)) => Rc::ptr_eq(one, other),
            (Self::Volume(one, path), Self::Volume(other, rest)) => Rc::ptr_eq(one, other) && path == rest,
            _ => false,
        }
    }

    /// The directory around it; its own at the top.
    pub fn around(&self) -> Self {
        match self {
            Self::Node(node) => Self::of(node.around()),
            Self::Volume(top, path) if path.is_empty() => Self::of(top.around()),
            Self::Volume(top, path) => {
                let end = path.iter().rposition(|&b| b == b'/').unwrap_or(0);
                Self::Volume(top.clone(), path[..end].to_vec())
            }
            Self::Open(_) => self.clone(),
        }
    }

    /// The path of a directory; `None` when none leads there any more.
    pub fn path(&self) -> Option<Vec<u8>> {
        match self {
            Self::Node(node) => node.path(),
            Self::Volume(top, path) => {
                let mut all = top.path()?;
                if !path.is_empty() {
                    all.push(b'/');
                    all.extend_from_slice(path);
                }
                Some(all)
            }
            Self::Open(_) => None,
        }
    }
}

/// The end of a walk.
#[derive(Clone)]
pub struct Place {
    /// What is there. What is in a volume is said to be there without a look.
    pub found: Option<Location>,
    /// The directory around it.
    pub around: Location,
    /// Its name there, as the path has it: `.`, `..`, or nothing for the top.
    pub name: Vec<u8>,
    /// The path says by its last slash that it means a directory.
    pub slash: bool,
    /// Links at the end are followed.
    pub follow: bool,
}

impl Place {
    /// What is there.
    ///
    /// # Errors
    /// ENOENT.
    pub fn existing(&self) -> Result<&Location, Errno> {
        self.found.as_ref().ok_or(Errno::ENOENT)
    }

    /// Whether the last name is a real one, not `.`, `..` or nothing.
    pub fn is_named(&self) -> bool {
        !matches!(&self.name[..], b"" | b"." | b"..")
    }
}

/// The flags of openat2(2) that say how a path is walked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resolve(pub u64);

impl Resolve {
    const NO_XDEV: u64 = 0x1;
    const NO_MAGIC_LINKS: u64 = 0x2;
    const NO_SYMLINKS: u64 = 0x4;
    const BENEATH: u64 = 0x8;
    const IN_ROOT: u64 = 0x10;
    const CACHED: u64 = 0x20;
    /// All that are known.
    pub const ALL: u64 = 0x3f;

    fn has(self, flag: u64) -> bool {
        self.0 & flag != 0
    }

    /// Whether two of them do not go together.
    pub fn excludes_itself(self) -> bool {
        self.has(Self::BENEATH) && self.has(Self::IN_ROOT)
    }
}

/// How to walk.
pub struct Walk<'w> {
    /// Whose files these are.
    pub process: &'w Process,
    /// Where relative paths begin.
    pub start: Location,
    /// Whether a link at the end is followed.
    pub follow: bool,
    /// What else is told.
    pub resolve: Resolve,
}

impl Walk<'_> {
    fn root(&self) -> Location {
        Location::of(self.process.files.tree.top().clone())
    }

    /// One name in a directory that is no volume.
    fn step(&self, here: &Rc<Node>, name: &[u8], who: &Who) -> Result<Rc<Node>, Errno> {
        if !here.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        who.may(here, Access::EXECUTE)?;
        match &here.kind {
            Kind::Generated(generated) => proc::find(self.process, here, generated, name),
            _ => directory::find(here, name),
        }
    }

    /// Walks `path`.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR, ELOOP, EACCES, ENAMETOOLONG; EXDEV and EAGAIN as openat2(2) has them.
    pub fn walk(&self, path: &[u8]) -> Result<Place, Errno> {
        let place = self.steps(path)?;
        if let Some(trace) = self.process.files.tree.trace.get()
            && let Some(Location::Node(_)) = place.found
        {
            let start = if path.starts_with(b"/") { Some(Vec::new()) } else { self.start.path() };
            if let Some(start) = start {
                trace.reached([&start[..], b"/", path].concat());
            }
        }
        Ok(place)
    }

    fn steps(&self, path: &[u8]) -> Result<Place, Errno> {
        let (beneath, in_root) = (self.resolve.has(Resolve::BENEATH), self.resolve.has(Resolve::IN_ROOT));
        let who = Who::of(&self.process.credentials);
        let top = if in_root { self.start.clone() } else { self.root() };
        let mut here = match path {
            [] => return Err(Errno::ENOENT),
            [b'/', ..] if beneath => return Err(Errno::EXDEV),
            [b'/', ..] => top.clone(),
            _ => self.start.clone(),
        };
        let slash = path.ends_with(b"/");
        let follow = self.follow || slash;
        let (mut text, mut at, mut links) = (Cow::Borrowed(path), 0, 0);
        let mut last: Vec<u8> = Vec::new();
        loop {
            at += text[at..].iter().take_while(|&&b| b == b'/').count();
            if at == text.len() {
                let around = here.around();
                return Ok(Place { found: Some(here), around, name: last, slash, follow });
            }
            let end = text[at..].iter().position(|&b| b == b'/').map_or(text.len(), |n| at + n);
            let name = &text[at..end];
            at = end;
            if name.len() > NAME_MAX {
                return Err(Errno::ENAMETOOLONG);
            }
            let is_last = text[at..].iter().all(|&b| b == b'/');
            if matches!(name, b"." | b"..") {
                match &here {
                    Location::Node(node) => {
                        if !node.is_directory() {
                            return Err(Errno::ENOTDIR);
                        }
                        who.may(node, Access::EXECUTE)?;
                    }
                    Location::Volume(top, path) if path.is_empty() && is_single_file(top) => {
                        return Err(Errno::ENOTDIR);
                    }
                    Location::Volume(..) => {}
                    Location::Open(_) => return Err(Errno::ENOTDIR),
                }
                last = name.to_vec();
                if name == b".." {
                    if (beneath || in_root) && here.is(&self.start) {
                        if beneath {
                            return Err(Errno::EXDEV);
                        }
                    } else {
                        let around = here.around();
                        self.crossing(&here, &around)?;
                        here = around;
                    }
                }
                continue;
            }
            let node = match &here {
                Location::Node(node) => node.clone(),
                Location::Open(_) => return Err(Errno::ENOTDIR),
                Location::Volume(volume, within) => {
                    if within.is_empty() && is_single_file(volume) {
                        return Err(Errno::ENOTDIR);
                    }
                    if self.resolve.has(Resolve::CACHED) {
                        return Err(Errno::EAGAIN);
                    }
                    let mut inner = within.clone();
                    if !inner.is_empty() {
                        inner.push(b'/');
                    }
                    inner.extend_from_slice(name);
                    if inner.len() >= PATH_MAX {
                        return Err(Errno::ENAMETOOLONG);
                    }
                    let next = Location::Volume(volume.clone(), inner);
                    if is_last {
                        let name = name.to_vec();
                        return Ok(Place { found: Some(next), around: here, name, slash, follow });
                    }
                    here = next;
                    continue;
                }
            };
            let next = match self.step(&node, name, &who) {
                Ok(next) => next,
                Err(Errno::ENOENT) if is_last => {
                    return Ok(Place { found: None, around: here, name: name.to_vec(), slash, follow });
                }
                Err(error) => return Err(error),
            };
            if (follow || !is_last)
                && let Some(target) = self.target(&next)?
            {
                links += 1;
                if links > MOST_LINKS || self.resolve.has(Resolve::NO_SYMLINKS) {
                    return Err(Errno::ELOOP);
                }
                let target = match target {
                    Target::Path(target) => target,
                    Target::Jump(to) => {
                        if self.resolve.has(Resolve::NO_MAGIC_LINKS) {
                            return Err(Errno::ELOOP);
                        }
                        if beneath || in_root {
                            return Err(Errno::EXDEV);
                        }
                        self.crossing(&here, &to)?;
                        last = name.to_vec();
                        here = to;
                        continue;
                    }
                };
                if target.starts_with(b"/") {
                    if beneath {
                        return Err(Errno::EXDEV);
                    }
                    self.crossing(&here, &top)?;
                    here = top.clone();
                }
                // What is left is empty or begins with a slash.
                text = Cow::Owned([&target[..], &text[at..]].concat());
                if text.is_empty() {
                    return Err(Errno::ENOENT);
                }
                if text.len() > PATH_MAX {
                    return Err(Errno::ENAMETOOLONG);
                }
                at = 0;
                continue;
            }
            let next = Location::of(next);
            self.crossing(&here, &next)?;
            if is_last {
                return Ok(Place { found: Some(next), around: here, name: name.to_vec(), slash, follow });
            }
            here = next;
        }
    }

    /// Whether a step from one place to another is allowed to lead into another file system.
    fn crossing(&self, from: &Location, to: &Location) -> Result<(), Errno> {
        let system = |location: &Location| match location {
            Location::Node(node) | Location::Volume(node, _) => Some(node.system.device),
            Location::Open(_) => None,
        };
        if self.resolve.has(Resolve::NO_XDEV) && system(from) != system(to) {
            return Err(Errno::EXDEV);
        }
        Ok(())
    }

    fn target<'n>(&self, node: &'n Node) -> Result<Option<Target<'n>>, Errno> {
        Ok(match &node.kind {
            Kind::Link(target) => Some(Target::Path(Cow::Borrowed(target))),
            Kind::Generated(generated) => proc::link(self.process, generated)?,
            _ => None,
        })
    }
}

/// Where a link leads.
pub enum Target<'n> {
    /// To a path.
    Path(Cow<'n, [u8]>),
    /// Right to something that is open.
    Jump(Location),
}

/// Whether a volume is a single file.
pub fn is_single_file(top: &Node) -> bool {
    top.system.volume().is_some_and(kernlet_fs::volume::LinuxVolume::is_file)
}
