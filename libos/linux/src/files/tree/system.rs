//! File systems: what nodes have in common.

use super::node::Node;
use crate::Errno;
use crate::files::cached::AllCached;
use crate::files::notify::volumes::Watched;
use alloc::rc::{Rc, Weak};
use core::array;
use core::cell::Cell;
use kernlet_fs::erofs::Erofs;
use kernlet_fs::volume::LinuxVolume;
use kernlet_platform::cell::RefCell;
use kernlet_sync::SmallMap;

/// Numbers of nodes that the image does not have begin here.
const FIRST_NEW: u64 = 1 << 32;
/// Known files of the image are spread over so many maps by their numbers: there may be tens of thousands.
const PARTS: usize = 64;
/// For so many known files of a part it is seen after those that nobody uses any more.
const FEW: usize = 4;

/// What files in memory take, and may take: all file systems together.
#[derive(Debug)]
pub struct Usage {
    most: u64,
    pages: Cell<u64>,
    nodes: Cell<u64>,
}

impl Usage {
    /// Nothing of at most `most` pages, and as many nodes.
    pub fn new(most: u64) -> Self {
        Self { most, pages: Cell::new(0), nodes: Cell::new(0) }
    }

    /// Pages in use.
    pub fn pages(&self) -> u64 {
        self.pages.get()
    }

    /// Pages that there may be.
    pub fn most(&self) -> u64 {
        self.most
    }

    /// Pages that can still be made.
    pub fn free_pages(&self) -> u64 {
        self.most.saturating_sub(self.pages.get())
    }

    /// Nodes that can still be made.
    pub fn free_nodes(&self) -> u64 {
        self.most.saturating_sub(self.nodes.get())
    }

    /// Takes pages.
    ///
    /// # Errors
    /// ENOSPC.
    pub fn take_pages(&self, count: u64) -> Result<(), Errno> {
        if self.free_pages() < count {
            return Err(Errno::ENOSPC);
        }
        self.pages.set(self.pages.get() + count);
        Ok(())
    }

    /// Gives pages back.
    pub fn give_pages(&self, count: u64) {
        self.pages.set(self.pages.get().saturating_sub(count));
    }

    pub(super) fn take_node(&self) -> Result<(), Errno> {
        if self.free_nodes() == 0 {
            return Err(Errno::ENOSPC);
        }
        self.nodes.set(self.nodes.get() + 1);
        Ok(())
    }

    pub(super) fn give_node(&self) {
        self.nodes.set(self.nodes.get().saturating_sub(1));
    }
}

/// A kind of file system.
#[derive(Debug)]
pub enum Sort {
    /// The image's root with what was changed of it.
    Overlay(Option<Erofs<'static>>),
    /// Memory.
    Tmpfs,
    /// Memory with devices.
    Dev,
    /// Pseudo-terminals.
    Pts,
    /// What is told of processes and the system.
    Proc,
    /// What is told of devices.
    Sys,
    /// A part of the host's files.
    Volume(LinuxVolume),
}

/// A file system.
pub struct System {
    /// What kind it is of.
    pub sort: Sort,
    /// Its number (`st_dev`).
    pub device: u64,
    /// Nothing of it is changed by the program.
    pub read_only: bool,
    /// What its pages and nodes are counted in.
    pub usage: Rc<Usage>,
    next: Cell<u64>,
    /// The image's files that somebody uses or has changed, by their numbers there.
    /// Of a volume: which of its files are mapped, where no host does that.
    pub cached: AllCached,
    /// Of a volume: which of its files are watched.
    pub watched: Watched,
    known: [Part; PARTS],
}

#[derive(Default)]
struct Part {
    nodes: RefCell<SmallMap<u64, Held>>,
    /// So many more than [`FEW`] there are before it is seen after those that are gone.
    sweep: Cell<usize>,
}

enum Held {
    /// As the image has it, as long as somebody uses it.
    Used(Weak<Node>),
    /// Changed.
    Kept(Rc<Node>),
}

impl System {
    /// A file system without nodes.
    pub fn new(sort: Sort, device: u64, read_only: bool, usage: Rc<Usage>) -> Rc<Self> {
        Rc::new(Self {
            sort,
            device,
            read_only,
            usage,
            next: Cell::new(FIRST_NEW),
            cached: AllCached::default(),
            watched: Watched::default(),
            known: array::from_fn(|_| Part::default()),
        })
    }

    /// A number for a new node.
    pub fn number(&self) -> u64 {
        let number = self.next.get();
        self.next.set(number + 1);
        number
    }

    /// The image's files below.
    pub fn below(&self) -> Option<&Erofs<'static>> {
        match &self.sort {
            Sort::Overlay(below) => below.as_ref(),
            _ => None,
        }
    }

    /// Whether it is in memory, so that names and attributes can be changed here.
    pub fn in_memory(&self) -> bool {
        matches!(self.sort, Sort::Overlay(_) | Sort::Tmpfs | Sort::Dev | Sort::Pts)
    }

    /// The volume that it is.
    pub fn volume(&self) -> Option<&LinuxVolume> {
        match &self.sort {
            Sort::Volume(volume) => Some(volume),
            _ => None,
        }
    }

    /// The node of the image's file `number`, when somebody uses it or has changed it.
    pub(in crate::files) fn known(&self, number: u64) -> Option<Rc<Node>> {
        match self.known[number as usize % PARTS].nodes.borrow().get(&number)? {
            Held::Used(node) => node.upgrade(),
            Held::Kept(node) => Some(node.clone()),
        }
    }

    /// Remembers a node of the image's: as long as somebody uses it, or for good.
    pub(in crate::files) fn remember(&self, node: &Rc<Node>, keep: bool) {
        let part = &self.known[node.number as usize % PARTS];
        let mut known = part.nodes.borrow_mut();
        let held = if keep { Held::Kept(node.clone()) } else { Held::Used(Rc::downgrade(node)) };
        known.insert(node.number, held);
        if known.len() > part.sweep.get() + FEW {
            known.retain(|_, held| match held {
                Held::Used(node) => node.strong_count() > 0,
                Held::Kept(_) => true,
            });
            part.sweep.set(known.len() * 2);
        }
    }

    /// No name leads to it any more: it goes when nobody uses it.
    pub(super) fn release(&self, node: &Rc<Node>) {
        if node.number < FIRST_NEW {
            self.remember(node, false);
        }
    }
}

/// Whether a number is one of the image's files.
pub(super) fn is_below(number: u64) -> bool {
    number < FIRST_NEW
}
