//! What is mounted where.

use super::directory;
use super::node::{Directory, Kind, Node, S_IFDIR, S_IFREG, Times};
use super::system::{Sort, System, Usage};
use crate::Errno;
use crate::files::lock::Locks;
use crate::files::queue::Queues;
use crate::files::terminal::pseudo::Terminals;
use crate::files::trace::Trace;
use crate::files::{device, proc};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, OnceCell};
use kernlet_fs::volume::LinuxVolume;
use kernlet_platform::boot;
use kernlet_platform::cell::RefCell;

/// What files in memory may take where nobody said how much memory there is.
const DEFAULT_MEMORY: u64 = 256 << 20;
/// Device numbers of file systems begin here: they have no major number, as those of Linux that are on no device.
const FIRST_DEVICE: u64 = 20;
/// Directories of the writable layer that are there whatever the image has, and their modes.
const DIRECTORIES: [(&[u8], u32); 3] = [(b"/tmp", 0o1777), (b"/var/tmp", 0o1777), (b"/run", 0o755)];

/// Something that is mounted.
pub struct Mount {
    /// Where.
    pub path: Vec<u8>,
    /// What.
    pub system: Rc<System>,
}

/// All files of an instance.
pub struct Tree {
    top: Rc<Node>,
    /// What is mounted, in the order of mounting.
    pub mounts: RefCell<Vec<Mount>>,
    /// What all files in memory take.
    pub usage: Rc<Usage>,
    /// Locks on files.
    pub locks: Locks,
    /// Message queues.
    pub queues: Queues,
    /// Pseudo-terminals.
    pub terminals: Terminals,
    /// Tells what is used, if somebody wants to know.
    pub trace: OnceCell<Trace>,
    next: Cell<u64>,
    /// Random bytes that name this start (/proc/sys/kernel/random/boot_id).
    pub boot: [u8; 16],
}

/// Numbers of what has no name begin here: those below are known ones.
const FIRST_NUMBER: u64 = 16;

impl Tree {
    /// The image's root, and everything that an instance has mounted on it.
    pub fn new() -> Rc<Self> {
        let pages = boot::blob().memory().unwrap_or(2 * DEFAULT_MEMORY) / 2 / crate::PAGE as u64;
        let usage = Rc::new(Usage::new(pages));
        let below = kernlet_fs::root().ok();
        let inode = below.as_ref().and_then(|below| below.root().ok());
        let system = System::new(Sort::Overlay(below), FIRST_DEVICE, false, usage.clone());
        let image = inode.and_then(|inode| Node::image(&system, &inode).ok());
        // An image without a root has an empty one.
        let top = image.unwrap_or_else(|| directory_of(&system, 0o755));
        top.keep();
        let mut boot = [0; 16];
        kernlet_entropy::fill(&mut boot);
        let mounts = RefCell::new(alloc::vec![Mount { path: b"/".to_vec(), system }]);
        let this = Rc::new(Self {
            top,
            mounts,
            usage,
            locks: Locks::default(),
            queues: Queues::default(),
            terminals: Terminals::default(),
            trace: OnceCell::new(),
            next: Cell::new(FIRST_NUMBER),
            boot,
        });
        let _ = directory::hide(&this.top, b".kernlet");
        // What cannot be mounted, because a file of the image is in the way, is not there.
        let _ = this.mount(b"/proc", Sort::Proc, false, &proc::top);
        let _ = this.mount(b"/sys", Sort::Sys, true, &proc::top);
        let _ = this.mount(b"/dev", Sort::Dev, false, &|system| directory_of(system, 0o755));
        if let Ok(devices) = this.directory(b"/dev") {
            device::fill(&devices);
        }
        let _ = this.mount(b"/dev/pts", Sort::Pts, false, &|system| directory_of(system, 0o755));
        let _ = this.mount(b"/dev/shm", Sort::Tmpfs, false, &|system| directory_of(system, 0o1777));
        for (path, mode) in DIRECTORIES {
            if let Ok(node) = this.directory(path) {
                node.mode.set(S_IFDIR | mode);
                node.keep();
            }
        }
        for mount in boot::blob().mounts().filter(|mount| mount.path != kernlet_wire::trace::PATH) {
            let path = mount.path.as_bytes();
            let volume = Sort::Volume(LinuxVolume::new(&mount));
            let sort = if mount.file { S_IFREG } else { S_IFDIR };
            if let Err(error) = this.mount(path, volume, mount.read_only, &|system| volume_of(system, sort)) {
                crate::report!("volume {} cannot be mounted: {error}", mount.path);
            }
        }
        this
    }

    /// `/`.
    pub fn top(&self) -> &Rc<Node> {
        &self.top
    }

    /// A number for something without a name: a pipe, a socket.
    pub fn number(&self) -> u64 {
        let number = self.next.get();
        self.next.set(number + 1);
        number
    }

    /// The directory at `path`, made with those around it where it is missing. Links are followed.
    fn directory(&self, path: &[u8]) -> Result<Rc<Node>, Errno> {
        let mut here = self.top.clone();
        let mut left: Vec<Vec<u8>> = split(path);
        let mut links = 0;
        while let Some(name) = left.pop() {
            let next = match &name[..] {
                b".." => here.around(),
                name => match directory::find(&here, name) {
                    Ok(next) => next,
                    Err(Errno::ENOENT) => {
                        let next = directory_of(&here.system, 0o755);
                        next.links.set(1);
                        directory::insert(&here, name, &next)?;
                        next
                    }
                    Err(error) => return Err(error),
                },
            };
            if let Kind::Link(target) = &next.kind {
                links += 1;
                if links > 40 {
                    return Err(Errno::ELOOP);
                }
                if target.starts_with(b"/") {
                    here = self.top.clone();
                }
                left.extend(split(target));
                continue;
            }
            next.directory()?;
            here = next;
        }
        Ok(here)
    }

    /// Mounts a file system at `path`, where nothing has to be.
    fn mount(
        &self,
        path: &[u8],
        sort: Sort,
        read_only: bool,
        top: &dyn Fn(&Rc<System>) -> Rc<Node>,
    ) -> Result<(), Errno> {
        let mut names = split(path);
        let Some(name) = (!names.is_empty()).then(|| names.remove(0)) else { return Err(Errno::EBUSY) };
        let around =
            names.iter().rev().flat_map(|name| [&b"/"[..], name]).flatten().copied().collect::<Vec<_>>();
        let mut around = self.directory(&around)?;
        let mut name = name;
        // A mount point that is a link stands where the link leads.
        if let Ok(node) = directory::find(&around, &name)
            && let Kind::Link(_) = &node.kind
            && let Ok(real) = self.directory(path)
            && let Some((outer, inner)) = real.place.borrow().clone()
        {
            (around, name) = (outer, inner);
        }
        let device = FIRST_DEVICE + self.mounts.borrow().len() as u64;
        let system = System::new(sort, device, read_only, self.usage.clone());
        directory::mount(&around, &name, &top(&system))?;
        let mut path = around.path().unwrap_or_default();
        if path != b"/" {
            path.push(b'/');
        }
        path.extend_from_slice(&name);
        self.mounts.borrow_mut().push(Mount { path, system });
        Ok(())
    }

    /// A file in memory that no name leads to: memfd_create(2), O_TMPFILE.
    ///
    /// # Errors
    /// ENOSPC.
    pub fn unnamed(&self, mode: u32, owner: (u32, u32)) -> Result<Rc<Node>, Errno> {
        let mounts = self.mounts.borrow();
        let memory = mounts.iter().find(|mount| matches!(mount.system.sort, Sort::Tmpfs));
        let system = &memory.ok_or(Errno::ENOSPC)?.system;
        new_file(system, mode, owner)
    }
}

/// An empty file that no name leads to yet.
///
/// # Errors
/// ENOSPC.
pub fn new_file(system: &Rc<System>, mode: u32, owner: (u32, u32)) -> Result<Rc<Node>, Errno> {
    let content = super::Content::new(system.usage.clone(), &[]);
    Node::new(system, S_IFREG | mode & 0o7777, owner, Kind::File(RefCell::new(content)))
}

/// The names of a path without `.`, the last one first.
fn split(path: &[u8]) -> Vec<Vec<u8>> {
    let names = path.split(|&b| b == b'/').filter(|name| !matches!(*name, b"" | b"."));
    names.rev().map(<[u8]>::to_vec).collect()
}

/// An empty directory of the super-user's: the top of a file system.
fn directory_of(system: &Rc<System>, mode: u32) -> Rc<Node> {
    // It is there whatever the limit says.
    let _ = system.usage.take_node();
    let now = kernlet_platform::clock::wall();
    let times = Times { accessed: now, modified: now, changed: now, created: now };
    let kind = Kind::Directory(Directory::default());
    Node::with(system, system.number(), S_IFDIR | mode, (0, 0), 2, times, kind)
}

fn volume_of(system: &Rc<System>, sort: u32) -> Rc<Node> {
    Node::with(system, system.number(), sort | 0o755, (0, 0), 2, Times::default(), Kind::Volume)
}
