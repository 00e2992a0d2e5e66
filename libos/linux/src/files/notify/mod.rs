//! Being told of changes to files (inotify(7)): of those that are made in this instance.

pub mod volumes;

use crate::call::Outcome;
use crate::files::description::{Description, Kind};
use crate::files::flags::{CLOSE_ON_EXEC, NON_BLOCKING};
use crate::files::path;
use crate::files::tree::{self, Access, Location, Node, Place, Who};
use crate::thread::Thread;
use crate::user::Buffers;
use crate::wait::{Events, Watchers, until_ready};
use crate::{Errno, user};
use alloc::collections::VecDeque;
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::Cell;
use kernlet_platform::cell::RefCell;
use kernlet_sync::SmallMap;

/// As /proc/sys/fs/inotify/max_queued_events.
const QUEUED_MOST: usize = 16_384;
/// As /proc/sys/fs/inotify/max_user_watches, within reason.
const WATCHES_MOST: usize = 65_536;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mask(pub u32);

impl Mask {
    /// Read.
    pub const ACCESS: Self = Self(0x1);
    /// Written.
    pub const MODIFY: Self = Self(0x2);
    /// Mode, owner, times, links.
    pub const ATTRIBUTES: Self = Self(0x4);
    /// Closed after it was opened for writing.
    pub const CLOSE_WRITE: Self = Self(0x8);
    /// Closed otherwise.
    pub const CLOSE: Self = Self(0x10);
    /// Opened.
    pub const OPEN: Self = Self(0x20);
    /// A name was moved away from a directory.
    pub const MOVED_FROM: Self = Self(0x40);
    /// A name was moved into a directory.
    pub const MOVED_TO: Self = Self(0x80);
    /// A name was made in a directory.
    pub const CREATE: Self = Self(0x100);
    /// A name was taken out of a directory.
    pub const DELETE: Self = Self(0x200);
    /// It was deleted itself.
    pub const DELETE_SELF: Self = Self(0x400);
    /// It was moved itself.
    pub const MOVE_SELF: Self = Self(0x800);
    /// All of these.
    const ALL: u32 = 0xfff;
    const OVERFLOW: u32 = 0x4000;
    const IGNORED: u32 = 0x8000;
    const ONLY_DIRECTORY: u32 = 0x0100_0000;
    const DO_NOT_FOLLOW: u32 = 0x0200_0000;
    const EXCLUDE_UNLINKED: u32 = 0x0400_0000;
    const MASK_CREATE: u32 = 0x1000_0000;
    const MASK_ADD: u32 = 0x2000_0000;
    const IS_DIRECTORY: u32 = 0x4000_0000;
    const ONE_SHOT: u32 = 0x8000_0000;
}

/// Who watches a node.
#[derive(Default)]
pub struct Watches(RefCell<Vec<(Weak<Queue>, i32)>>);

struct Watch {
    node: Rc<Node>,
    mask: u32,
}

struct Event {
    watch: i32,
    mask: u32,
    cookie: u32,
    name: Vec<u8>,
}

impl Event {
    /// With the name's room, which is filled up with zeros.
    fn encode(&self) -> Vec<u8> {
        let room = if self.name.is_empty() { 0 } else { (self.name.len() + 1).next_multiple_of(16) };
        let mut bytes = Vec::with_capacity(16 + room);
        bytes.extend_from_slice(&self.watch.to_le_bytes());
        for word in [self.mask, self.cookie, room as u32] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend_from_slice(&self.name);
        bytes.resize(16 + room, 0);
        bytes
    }
}

#[derive(Default)]
struct Queue {
    watches: RefCell<SmallMap<i32, Watch>>,
    next: Cell<i32>,
    events: RefCell<VecDeque<Event>>,
    watchers: Watchers,
}

impl Queue {
    fn push(&self, event: Event) {
        let mut events = self.events.borrow_mut();
        let same = |last: &Event| {
            (last.watch, last.mask, last.cookie) == (event.watch, event.mask, event.cookie)
                && last.name == event.name
        };
        // What just happened once more is told once.
        if events.back().is_some_and(same) {
            return;
        }
        if events.len() > QUEUED_MOST {
            return;
        }
        let full = events.len() == QUEUED_MOST;
        events.push_back(if full {
            Event { watch: -1, mask: Mask::OVERFLOW, cookie: 0, name: Vec::new() }
        } else {
            event
        });
        drop(events);
        self.watchers.notify(Events::IN);
    }

    /// A watch is gone.
    fn forget(&self, watch: i32) -> Option<Watch> {
        let gone = self.watches.borrow_mut().remove(&watch)?;
        self.push(Event { watch, mask: Mask::IGNORED, cookie: 0, name: Vec::new() });
        Some(gone)
    }
}

/// An inotify instance.
pub struct Notify(Rc<Queue>);

/// Tells those who watch `node` itself, or the name `name` in it.
fn send(node: &Node, mask: Mask, directory: bool, name: &[u8], cookie: u32) {
    let Some(watches) = node.watches.get() else { return };
    let queues: Vec<_> = watches.0.borrow().iter().filter_map(|(q, w)| Some((q.upgrade()?, *w))).collect();
    for (queue, number) in queues {
        let wanted = queue.watches.borrow().get(&number).map(|watch| watch.mask);
        let Some(wanted) = wanted.filter(|wanted| wanted & mask.0 != 0) else { continue };
        let told = mask.0 | if directory { Mask::IS_DIRECTORY } else { 0 };
        queue.push(Event { watch: number, mask: told, cookie, name: name.to_vec() });
        if wanted & Mask::ONE_SHOT != 0 {
            queue.forget(number);
        }
    }
}

/// Something happened to a node.
pub fn tell(node: &Node, mask: Mask) {
    if node.watches.get().is_some() {
        send(node, mask, node.is_directory(), &[], 0);
    }
}

/// Something happened to what a walk came to: those are told who watch it, and who watch the directory around it.
pub fn at(place: &Place, mask: Mask) {
    let node = match &place.found {
        Some(Location::Node(node)) => node,
        Some(Location::Volume(top, path)) => return volumes::happened(top, path, mask, false),
        _ => return,
    };
    // As fsnotify(9) has it, the directory comes first.
    if let Location::Node(around) = &place.around
        && around.watches.get().is_some()
        && place.is_named()
    {
        send(around, mask, node.is_directory(), &place.name, 0);
    }
    tell(node, mask);
}

/// Something happened to an open file.
pub fn opened(description: &Description, mask: Mask) {
    match (&description.place, &description.kind) {
        (Some(Place { found: Some(Location::Volume(top, path)), .. }), Kind::Directory(_)) => {
            volumes::happened(top, path, mask, true);
        }
        (Some(place), _) => at(place, mask),
        (None, Kind::Regular(file)) => tell(file.node(), mask),
        _ => {}
    }
}

/// Something happened to a name of a directory.
pub fn named(around: &Node, mask: Mask, name: &[u8], node: &Node) {
    if around.watches.get().is_some() {
        send(around, mask, node.is_directory(), name, 0);
    }
}

/// A name was taken away from a node, perhaps the last one.
pub fn gone(node: &Rc<Node>) {
    let Some(watches) = node.watches.get() else { return };
    if node.links.get() > 0 {
        return send(node, Mask::ATTRIBUTES, node.is_directory(), &[], 0);
    }
    send(node, Mask::DELETE_SELF, false, &[], 0);
    let queues = core::mem::take(&mut *watches.0.borrow_mut());
    for (queue, number) in queues.iter().filter_map(|(queue, number)| Some((queue.upgrade()?, *number))) {
        queue.forget(number);
    }
}

/// A name was moved.
pub fn renamed(node: &Node, from: (&Node, &[u8]), to: (&Node, &[u8])) {
    let cookie = kernlet_entropy::u32() | 1;
    send(from.0, Mask::MOVED_FROM, node.is_directory(), from.1, cookie);
    send(to.0, Mask::MOVED_TO, node.is_directory(), to.1, cookie);
    send(node, Mask::MOVE_SELF, false, &[], 0);
}

impl Notify {
    /// Bytes that can be read.
    pub fn filled(&self) -> usize {
        self.0.events.borrow().iter().map(|event| event.encode().len()).sum()
    }

    /// Reads whole events; waits for one unless `non_blocking`.
    ///
    /// # Errors
    /// EAGAIN; EINVAL when the first does not fit; EFAULT; interrupted.
    pub async fn read(&self, thread: &Thread, non_blocking: bool, to: &mut Buffers) -> Result<usize, Errno> {
        let ready = || !self.0.events.borrow().is_empty();
        until_ready(thread, &self.0.watchers, non_blocking, &ready).await?;
        let mut done = 0;
        loop {
            let Some(event) = self.0.events.borrow_mut().pop_front() else { break };
            let bytes = event.encode();
            if bytes.len() > to.remaining() {
                self.0.events.borrow_mut().push_front(event);
                break;
            }
            // As in Linux, where the events before are lost as well.
            done += to.fill_whole(&bytes)?;
        }
        if done == 0 { Err(Errno::EINVAL) } else { Ok(done) }
    }

    /// See [`Description::readiness`].
    pub fn readiness(&self) -> Events {
        Events::IN.when(!self.0.events.borrow().is_empty())
    }

    /// See [`Description::watchers`].
    pub fn watchers(&self) -> &Watchers {
        &self.0.watchers
    }
}

/// inotify_init(2), inotify_init1(2).
pub fn make(thread: &Rc<Thread>, flags: u32) -> Outcome {
    if flags & !(NON_BLOCKING | CLOSE_ON_EXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    let queue = Rc::new(Queue { next: Cell::new(1), ..Queue::default() });
    let description = Description::new(Kind::Notify(Notify(queue)), flags & NON_BLOCKING);
    let mut table = thread.process.files.table.borrow_mut();
    table.insert(description, flags & CLOSE_ON_EXEC != 0, 0).map(|number| number as u64)
}

fn queue(thread: &Thread, descriptor: i32) -> Result<Rc<Queue>, Errno> {
    match &thread.process.files.get(descriptor)?.kind {
        Kind::Notify(notify) => Ok(notify.0.clone()),
        _ => Err(Errno::EINVAL),
    }
}

/// inotify_add_watch(2).
pub async fn watch(thread: &Rc<Thread>, descriptor: i32, path: usize, mask: u32) -> Outcome {
    let queue = queue(thread, descriptor)?;
    if mask & Mask::ALL == 0
        || mask & (Mask::MASK_ADD | Mask::MASK_CREATE) == Mask::MASK_ADD | Mask::MASK_CREATE
    {
        return Err(Errno::EINVAL);
    }
    let process = &thread.process;
    let text = user::path(path)?;
    let place = path::walk(process, path::start(process), &text, mask & Mask::DO_NOT_FOLLOW == 0)?;
    let node = match place.existing()? {
        Location::Node(node) => node.clone(),
        Location::Volume(..) => volumes::node(process, &place).await?,
        Location::Open(_) => return Err(Errno::EACCES),
    };
    if mask & Mask::ONLY_DIRECTORY != 0 && !node.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    if !matches!(node.kind, tree::Kind::Volume) {
        Who::of(&process.credentials).may(&node, Access::READ)?;
    }
    let kept = mask & (Mask::ALL | Mask::ONE_SHOT | Mask::EXCLUDE_UNLINKED);
    let mut watches = queue.watches.borrow_mut();
    if let Some((number, known)) = watches.iter_mut().find(|(_, watch)| Rc::ptr_eq(&watch.node, &node)) {
        if mask & Mask::MASK_CREATE != 0 {
            return Err(Errno::EEXIST);
        }
        known.mask = if mask & Mask::MASK_ADD != 0 { known.mask | kept } else { kept };
        return Ok(*number as u64);
    }
    if watches.len() >= WATCHES_MOST {
        return Err(Errno::ENOSPC);
    }
    node.used();
    let number = queue.next.get();
    queue.next.set(number.checked_add(1).ok_or(Errno::ENOSPC)?);
    let told = &node.watches.get_or_init(Watches::default).0;
    told.borrow_mut().retain(|(queue, _)| queue.strong_count() > 0);
    told.borrow_mut().push((Rc::downgrade(&queue), number));
    watches.insert(number, Watch { node, mask: kept });
    Ok(number as u64)
}

/// inotify_rm_watch(2).
pub fn unwatch(thread: &Rc<Thread>, descriptor: i32, watch: i32) -> Outcome {
    let queue = queue(thread, descriptor)?;
    let gone = queue.forget(watch).ok_or(Errno::EINVAL)?;
    if let Some(watches) = gone.node.watches.get() {
        let own = Rc::downgrade(&queue);
        watches.0.borrow_mut().retain(|(other, number)| *number != watch || !other.ptr_eq(&own));
    }
    Ok(0)
}
