//! What a description has of locks, here and at the host.

use super::table::{Locked, Owner};
use crate::Errno;
use crate::files::about::About;
use crate::files::description::{Description, Kind};
use crate::files::tree::Location;
use crate::thread::Thread;
use crate::wait::{Events, Watchers};
use alloc::rc::{Rc, Weak};
use core::cell::{Cell, OnceCell};
use kernlet_exec::sleep;
use kernlet_fs::volume::{Handle, Kept, Lock, Part};
use kernlet_platform::cell::RefCell;
use kernlet_sync::SmallMap;
use kernlet_time::Duration;

/// A file: its file system and number.
type File = (u64, u64);

/// How long to wait before the host is asked again for a lock that another instance has: longer each time. (The host has no
/// way to tell when it is free that would not keep one of its threads waiting; 9p of Linux does the same.)
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(32);

/// All locks of an instance.
#[derive(Default)]
pub struct Locks(Rc<Shared>);

#[derive(Default)]
struct Shared {
    files: RefCell<SmallMap<File, Locked>>,
    /// Of files of volumes: what has the processes' locks at the host, as long as a description needs it.
    processes: RefCell<SmallMap<File, Weak<Kept>>>,
    next: Cell<u64>,
    watchers: Watchers,
}

/// What a description has of locks; they go with it.
pub struct Held {
    shared: Rc<Shared>,
    file: File,
    /// The description's, as an owner.
    pub number: u64,
    process: Cell<Option<u32>>,
    /// What has the process's locks at the host.
    of_process: RefCell<Option<Rc<Kept>>>,
    /// What has its own there, unless the broker has the description open.
    own: OnceCell<Kept>,
}

impl Drop for Held {
    fn drop(&mut self) {
        // A process gives its locks up with the first of its descriptions of a file. The last one takes them along.
        if let Some(kept) = self.of_process.borrow_mut().take()
            && Rc::strong_count(&kept) > 1
            && self.process.get().is_some()
        {
            kept.handle.unlock_soon();
        }
        let mut files = self.shared.files.borrow_mut();
        let Some(locked) = files.get_mut(&self.file) else { return };
        let process = self.process.get().map(Owner::Process);
        let own = Owner::Description(self.number);
        locked.records.retain(|record| record.owner != own && Some(record.owner) != process);
        locked.whole.retain(|(number, _)| *number != self.number);
        if locked.records.is_empty() && locked.whole.is_empty() {
            files.remove(&self.file);
        }
        drop(files);
        self.shared.watchers.notify(Events::IN);
    }
}

/// What a description has of locks, from its first lock on.
pub async fn held<'d>(thread: &Rc<Thread>, description: &'d Description) -> Result<&'d Held, Errno> {
    if let Some(held) = description.locks.get() {
        return Ok(held);
    }
    let about = About::open(&thread.process, description).await?;
    let shared = thread.process.files.tree.locks.0.clone();
    Ok(description.locks.get_or_init(|| {
        let number = shared.next.get();
        shared.next.set(number + 1);
        Held {
            shared,
            file: (about.device, about.inode),
            number,
            process: Cell::new(None),
            of_process: RefCell::default(),
            own: OnceCell::new(),
        }
    }))
}

/// What has a lock at the host.
pub enum Host<'h> {
    /// Nothing: the file is in no volume.
    None,
    /// What the broker has open of the description, or opened for its locks.
    Own(&'h Handle),
    /// What has the locks of the process.
    Process(Rc<Kept>),
}

impl Host<'_> {
    /// The handle that the broker knows.
    pub fn handle(&self) -> Option<&Handle> {
        match self {
            Self::None => None,
            Self::Own(handle) => Some(handle),
            Self::Process(kept) => Some(&kept.handle),
        }
    }
}

impl Held {
    /// What has the description's own locks at the host.
    ///
    /// # Errors
    /// Those of open(2).
    pub async fn own<'h>(&'h self, description: &'h Description) -> Result<Host<'h>, Errno> {
        if let Some(kept) = self.own.get() {
            return Ok(Host::Own(&kept.handle));
        }
        let kept = match &description.kind {
            Kind::Volume(opened) => match opened.file().handle() {
                Some(handle) => return Ok(Host::Own(handle)),
                None => opened.keep(description.writable()).await?,
            },
            Kind::Directory(listing) => match listing.location() {
                Location::Volume(top, path) => {
                    top.system.volume().ok_or(Errno::EIO)?.names().keep(path, false).await?
                }
                _ => return Ok(Host::None),
            },
            _ => return Ok(Host::None),
        };
        Ok(Host::Own(&self.own.get_or_init(|| kept).handle))
    }

    /// What has the process's locks at the host. It is open once for all descriptions of the file, which would be in each
    /// other's way otherwise.
    ///
    /// # Errors
    /// Those of open(2).
    pub async fn of_process(&self, description: &Description, process: u32) -> Result<Host<'_>, Errno> {
        self.process.set(Some(process));
        let Kind::Volume(opened) = &description.kind else { return Ok(Host::None) };
        let known = self.of_process.borrow().clone();
        let known = known.or_else(|| self.shared.processes.borrow().get(&self.file)?.upgrade());
        let kept = match known {
            Some(kept) => kept,
            None => {
                let fresh = Rc::new(opened.again().await?);
                let mut processes = self.shared.processes.borrow_mut();
                // Somebody may have been quicker.
                let quicker = processes.get(&self.file).and_then(Weak::upgrade);
                processes.retain(|_, kept| kept.strong_count() > 0);
                let kept = quicker.unwrap_or(fresh);
                processes.insert(self.file, Rc::downgrade(&kept));
                kept
            }
        };
        *self.of_process.borrow_mut() = Some(kept.clone());
        Ok(Host::Process(kept))
    }

    /// Does something with the locks of its file; those who wait look again.
    pub fn change<T>(&self, with: impl FnOnce(&mut Locked) -> T) -> T {
        let result = self.with(with);
        self.shared.watchers.notify(Events::IN);
        result
    }

    /// Looks at the locks of its file.
    pub fn with<T>(&self, with: impl FnOnce(&mut Locked) -> T) -> T {
        let mut files = self.shared.files.borrow_mut();
        let result = with(files.get_or_insert_with(self.file, Locked::default));
        if files.get(&self.file).is_some_and(|f| f.records.is_empty() && f.whole.is_empty()) {
            files.remove(&self.file);
        }
        result
    }

    /// Gets a lock, first at the host, where it meets everybody else's; waits for that when `wait`. `free` tells whether
    /// nobody in this instance is in the way; who asked puts it down then.
    ///
    /// # Errors
    /// EAGAIN without `wait`; interrupted; the host's.
    pub async fn take(
        &self,
        thread: &Thread,
        wait: bool,
        (host, lock, part): (&Host<'_>, Lock, Option<Part>),
        free: &dyn Fn(&Locked) -> bool,
    ) -> Result<(), Errno> {
        let mut pause = FIRST_PAUSE;
        loop {
            let is_free = || self.with(|locked| free(locked)).then_some(());
            if is_free().is_none() {
                if !wait {
                    return Err(Errno::EAGAIN);
                }
                thread.interruptible(self.shared.watchers.until(is_free)).await?;
            }
            let Some(handle) = host.handle() else { return Ok(()) };
            let asked = match part {
                Some(part) => handle.lock(lock, part),
                None => handle.lock_whole(lock),
            };
            match asked.await {
                Err(Errno::EAGAIN) if wait => {
                    thread.interruptible(sleep(pause)).await?;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                other => return other,
            }
        }
    }
}
