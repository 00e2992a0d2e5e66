//! Shared memory (shmget(2), shmop(2), shmctl(2); ipc/shm.c).
//!
//! A segment's memory is what files in memory become when they are mapped shared, and an attachment is an area that shows such
//! a file. How often a segment is attached is how many areas there are that show it, however they came about.

use super::control as common;
use super::ids::{Body, Description, Object, PRIVATE};
use super::{Ids, Ipc, now};
use crate::call::{Call, Outcome};
use crate::memory::{self, Area, Mapped, limit, to_write_back};
use crate::system::Limit;
use crate::system::credentials::IPC_LOCK;
use crate::thread::Thread;
use crate::{Errno, PAGE};
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::{Cell, OnceCell};
use kernlet_platform::cell::RefCell;
use kernlet_platform::program::{self, Backing, Protection, Shared};

/// The most segments (SHMMNI).
pub const MOST: usize = 4096;
/// The largest segment, bytes, and the most pages of all (SHMMAX, SHMALL).
const LARGEST: u64 = u64::MAX - (1 << 24);
/// What IPC_INFO tells (`struct shminfo64`).
pub const LIMITS: [u64; 9] = [LARGEST, 1, MOST as u64, MOST as u64, LARGEST, 0, 0, 0, 0];
/// Flags of shmget(2), shmat(2) and of a segment's mode.
const HUGE: u32 = 0o4000;
const READ_ONLY: u32 = 0o10000;
const ROUND: u32 = 0o20000;
const REMAP: u32 = 0o40000;
const EXECUTE: u32 = 0o100_000;
const REMOVED: u32 = 0o1000;
const LOCKED: u32 = 0o2000;
/// Commands of shmctl(2).
const LOCK: i32 = 11;
const UNLOCK: i32 = 12;
/// The file system that Linux keeps segments in, as /proc/self/maps tells it.
const DEVICE: u64 = 1;

/// A segment.
pub struct Segment {
    /// The key that it was made with: its name.
    name: u32,
    /// Bytes.
    pub size: u64,
    /// Its memory, once it was attached.
    memory: OnceCell<Rc<Shared>>,
    /// Each attachment, as it was made.
    attached: RefCell<Vec<Weak<Mapped>>>,
    /// When it was attached and detached last, seconds.
    times: [Cell<u64>; 2],
    /// The processes that made it, and that attached or detached it last.
    processes: [Cell<u32>; 2],
}

impl Segment {
    /// How often it is attached: each area counts.
    pub fn attachments(&self) -> u64 {
        self.attached.borrow().iter().map(|file| file.strong_count() as u64).sum()
    }

    /// Pages that it takes.
    pub fn pages(&self) -> u64 {
        self.size.div_ceil(PAGE as u64)
    }

    /// See [`Object::describe`].
    pub fn describe(&self, words: &mut Description, changed: u64) {
        let [attached, detached] = self.times.each_ref().map(Cell::get);
        let [maker, last] = self.processes.each_ref().map(|process| u64::from(process.get()));
        let rest = [self.size, attached, detached, changed, maker | last << 32, self.attachments()];
        words[6..12].copy_from_slice(&rest);
    }

    /// IPC_RMID.
    pub fn remove(&self, ids: &Ids, object: &Object) {
        object.key.set(PRIVATE);
        object.mode.update(|mode| mode | REMOVED);
        self.settle(ids, object);
    }

    /// One that is removed goes when nobody has it attached.
    fn settle(&self, ids: &Ids, object: &Object) {
        if object.mode.get() & REMOVED != 0 && self.attachments() == 0 {
            ids.remove(object);
        }
    }

    fn used(&self, detached: usize, process: u32) {
        self.times[detached].set(now());
        self.processes[1].set(process);
    }
}

impl Object {
    /// The segment that it is; its table has no others.
    ///
    /// # Errors
    /// EINVAL.
    pub fn segment(&self) -> Result<&Segment, Errno> {
        if let Body::Segment(segment) = &self.body { Ok(segment) } else { Err(Errno::EINVAL) }
    }
}

/// That a file is a segment: as long as areas show it, it is attached.
pub struct Attachment {
    ipc: Rc<Ipc>,
    object: Rc<Object>,
    process: u32,
}

impl Attachment {
    /// Whether all that an area shows is of the segment.
    pub fn has(&self, area: &Area) -> bool {
        let end = area.offset.checked_add(area.length() as u64);
        self.object.segment().is_ok_and(|s| end.is_some_and(|end| end <= s.pages() * PAGE as u64))
    }

    /// A part of it goes.
    pub fn detached(&self) {
        if let Ok(segment) = self.object.segment() {
            segment.used(1, self.process);
        }
    }
}

impl core::fmt::Debug for Attachment {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Attachment")
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        let Ok(segment) = self.object.segment() else { return };
        segment.attached.borrow_mut().retain(|file| file.strong_count() > 0);
        segment.settle(&self.ipc.segments, &self.object);
    }
}

/// shmget(2).
pub fn get(thread: &Rc<Thread>, call: Call) -> Outcome {
    let (key, size, flags) = (call.word(0), call.arguments[1], call.word(2));
    let ids = &thread.process.ipc.segments;
    ids.get(thread, [key, flags], size, &|| {
        if size == 0 || size > LARGEST {
            return Err(Errno::EINVAL);
        }
        // There are no huge pages.
        if flags & HUGE != 0 {
            return Err(Errno::ENOMEM);
        }
        let processes = [Cell::new(thread.process.id), Cell::new(0)];
        let (memory, attached, times) = Default::default();
        let segment = Segment { name: key, size, memory, attached, times, processes };
        let bytes = size.checked_next_multiple_of(PAGE as u64).ok_or(Errno::ENOSPC)?;
        Ok((Body::Segment(segment), bytes))
    })
}

/// shmat(2).
pub fn attach(thread: &Rc<Thread>, call: Call) -> Outcome {
    let (id, mut start, flags) = (call.word(0), call.size(1), call.word(2));
    let (fixed, replaces) = (start != 0, flags & REMAP != 0);
    if !start.is_multiple_of(PAGE) && flags & ROUND != 0 {
        start &= !(PAGE - 1);
    }
    if !start.is_multiple_of(PAGE) || start == 0 && replaces {
        return Err(Errno::EINVAL);
    }
    let protection = Protection { read: true, write: flags & READ_ONLY == 0, execute: flags & EXECUTE != 0 };
    let process = &thread.process;
    let object = process.ipc.segments.find(id)?;
    let wanted = 0o4 | if protection.write { 0o2 } else { 0 } | u32::from(protection.execute);
    object.may(thread, wanted)?;
    let segment = object.segment()?;
    let length = segment.pages() as usize * PAGE;
    let mut space = process.space.borrow_mut();
    let mut instead = 0..0;
    if fixed {
        let pages = start..start.checked_add(length).ok_or(Errno::EINVAL)?;
        // What were to be written back first is not taken away.
        if !replaces && !space.is_free(&pages) || !to_write_back(&space, &pages).is_empty() {
            return Err(Errno::EINVAL);
        }
        let range = program::range();
        if pages.end > range.end {
            return Err(Errno::ENOMEM);
        }
        if start < range.start {
            return Err(Errno::EPERM);
        }
        instead = pages;
    } else {
        start = space.place(0, length)?;
    }
    limit::expand(process, &space, length, false, instead)?;
    let shared = match segment.memory.get() {
        Some(shared) => shared,
        None => {
            let shared = Rc::new(Shared::new()?);
            segment.memory.get_or_init(|| shared)
        }
    };
    let path = alloc::format!("/SYSV{:08x} (deleted)", segment.name).into_bytes();
    let mut file = Mapped::new(path, DEVICE, id.into());
    file.writable = protection.write;
    let _ = file.shared.set(shared.clone());
    let file = Rc::new(file);
    let object_of_area = memory::Object::File(file.clone());
    let area =
        Area { pages: start..start + length, protection, shared: true, object: object_of_area, offset: 0 };
    space.map(area, Backing::Shared(shared, 0))?;
    segment.attached.borrow_mut().push(Rc::downgrade(&file));
    segment.used(0, process.id);
    let attachment = Attachment { ipc: process.ipc.clone(), object: object.clone(), process: process.id };
    let _ = file.attachment.set(attachment);
    Ok(start as u64)
}

/// shmdt(2): takes away what is left of an attachment where it was made.
pub fn detach(thread: &Rc<Thread>, start: usize) -> Outcome {
    let mut space = thread.process.space.borrow_mut();
    if !start.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    // The attachment, and where it ends.
    let mut of = (core::ptr::null::<Mapped>(), usize::MAX);
    loop {
        let part = |area: &Area| {
            let memory::Object::File(file) = &area.object else { return None };
            let segment = file.attachment.get()?.object.segment().ok()?;
            let this = (Rc::as_ptr(file), start.saturating_add(segment.pages() as usize * PAGE));
            let is_part = area.pages.start.checked_sub(start) == Some(area.offset as usize)
                && area.pages.end <= of.1
                && (of.0.is_null() || of == this);
            is_part.then(|| (area.pages.clone(), this))
        };
        match space.areas().iter().find_map(part) {
            Some((pages, this)) => {
                of = this;
                space.unmap(pages)?;
            }
            None if of.0.is_null() => return Err(Errno::EINVAL),
            None => return Ok(0),
        }
    }
}

/// shmctl(2).
pub fn control(thread: &Rc<Thread>, call: Call) -> Outcome {
    let (id, command) = (call.word(0), call.int(1));
    if !matches!(command, LOCK | UNLOCK) {
        return common::control(thread, &common::SEGMENTS, id, command, call.size(2));
    }
    let object = thread.process.ipc.segments.find(id)?;
    let who = thread.process.credentials.borrow();
    let none = thread.process.limits.get(Limit::Locked) == 0;
    if !who.can(IPC_LOCK) && (!object.is_of(who.users[1]) || command == LOCK && none) {
        return Err(Errno::EPERM);
    }
    if command == LOCK {
        limit::lock(&thread.process, object.segment()?.pages() as usize * PAGE)?;
    }
    object.mode.update(|mode| if command == LOCK { mode | LOCKED } else { mode & !LOCKED });
    Ok(0)
}

/// What SHM_INFO tells: how many segments there are, and their pages.
pub fn totals(ipc: &Ipc, words: &mut [u64]) {
    let pages = ipc.segments.sum(&|object| object.segment().map_or(0, Segment::pages));
    words[..6].copy_from_slice(&[ipc.segments.count(), pages, pages, 0, 0, 0]);
}
