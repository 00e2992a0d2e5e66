//! An area: neighbouring pages that are alike.

use crate::files::Opened;
use crate::files::cached::Cached;
use crate::ipc::Attachment;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::OnceCell;
use core::ops::Range;
use kernlet_platform::program::{Protection, Shared};

/// A file that is mapped, as far as the mapping has to know it.
#[derive(Debug)]
pub struct Mapped {
    /// Its path, for /proc/self/maps.
    pub path: Vec<u8>,
    /// Its file system and number.
    pub device: u64,
    /// See `device`.
    pub inode: u64,
    /// Where it lies in what is sealed into the image, when it is a file of the root.
    pub sealed: Option<Range<usize>>,
    /// Whether what is mapped shared may be written: it was opened so, and no seal is against it.
    pub writable: bool,
    /// What holds a file in memory that is mapped shared: it outlives the file's name.
    pub shared: OnceCell<Rc<Shared>>,
    /// What writes it back, when it is a file of a volume in a VM that is mapped shared.
    pub cached: OnceCell<Rc<Cached>>,
    /// The file of a volume that it is, when it is mapped shared: msync(2) synchronises it.
    pub volume: OnceCell<Rc<Opened>>,
    /// The segment of System V shared memory that it is.
    pub attachment: OnceCell<Attachment>,
}

impl Mapped {
    /// One of which no more is known, which is not to be written.
    pub fn new(path: Vec<u8>, device: u64, inode: u64) -> Self {
        let (shared, cached, volume, attachment) = Default::default();
        Self { path, device, inode, sealed: None, writable: false, shared, cached, volume, attachment }
    }
}

/// What an area shows.
#[derive(Clone, Debug)]
pub enum Object {
    /// Memory of its own.
    Anonymous,
    /// The heap that brk(2) grows.
    Heap,
    /// The first thread's stack.
    Stack,
    /// The library OS's code that the program may call.
    Vdso,
    /// The way out of rewritten code, at this place in what is sealed, or [`Self::WRITTEN`].
    Stubs(usize),
    /// Kept free for [`Self::Stubs`].
    Reserved,
    /// A file, from the area's offset on.
    File(Rc<Mapped>),
}

impl Object {
    /// What distinguishes something that can be mapped at several places.
    pub fn identity(&self) -> Option<[u64; 2]> {
        let Self::File(file) = self else { return None };
        Some(match file.shared.get() {
            Some(shared) => [u64::MAX, Rc::as_ptr(shared).addr() as u64],
            None => [file.device, file.inode],
        })
    }

    /// Where stubs are that lie in no image, as they were written when code was mapped.
    pub const WRITTEN: usize = usize::MAX;

    /// Whether it is such stubs.
    pub fn is_written_stubs(&self) -> bool {
        matches!(self, Self::Stubs(Self::WRITTEN))
    }

    /// Whether two neighbouring areas show the same thing.
    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Anonymous, Self::Anonymous) | (Self::Heap, Self::Heap) | (Self::Stack, Self::Stack) => {
                true
            }
            (Self::File(one), Self::File(other)) => Rc::ptr_eq(one, other),
            _ => false,
        }
    }
}

/// An area.
#[derive(Clone, Debug)]
pub struct Area {
    /// Its addresses, whole pages.
    pub pages: Range<usize>,
    /// What may be done with it.
    pub protection: Protection,
    /// MAP_SHARED.
    pub shared: bool,
    /// What it shows.
    pub object: Object,
    /// Where in the file it begins, bytes.
    pub offset: u64,
}

impl Area {
    /// Bytes.
    pub fn length(&self) -> usize {
        self.pages.end - self.pages.start
    }

    /// The part of it in `pages`, which must meet it.
    pub fn part(&self, pages: &Range<usize>) -> Self {
        let start = pages.start.max(self.pages.start);
        let end = pages.end.min(self.pages.end);
        let offset = self.offset + (start - self.pages.start) as u64;
        Self { pages: start..end, offset, ..self.clone() }
    }

    /// Whether `next`, which lies right behind, can be part of it.
    pub fn joins(&self, next: &Self) -> bool {
        self.pages.end == next.pages.start
            && self.protection == next.protection
            && self.shared == next.shared
            && self.object.same(&next.object)
            && (!matches!(self.object, Object::File(_)) || self.offset + self.length() as u64 == next.offset)
    }
}
