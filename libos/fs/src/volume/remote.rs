//! A volume in a VM: a 9P server's tree. Links are followed here, since a server follows none.

use crate::directory::DirEntry;
use crate::metadata::{FileType, Metadata, Space};
use crate::open::OpenOptions;
use crate::p9::{Attributes, Fid, Message, OpenFile, Qid, STEP, Session, kind};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, OnceCell};
use kernlet_exec::Source;
use kernlet_platform::cell::RefCell;
use kernlet_platform::{Errno, p9};
use kernlet_sync::WaitQueue;

/// As in Linux.
const MOST_LINKS: usize = 40;
const MOST_NAMES: usize = 2048;

/// The flags of open(2) on x86-64, which 9P2000.L has taken over.
mod flag {
    pub const WRITE_ONLY: u32 = 1;
    pub const READ_WRITE: u32 = 2;
    pub const EXCLUSIVE: u32 = 0o200;
    pub const CREATE: u32 = 0o100;
    pub const TRUNCATE: u32 = 0o1000;
    pub const APPEND: u32 = 0o2000;
    pub const DIRECTORY: u32 = 0o200_000;
}
/// unlinkat(2) is to remove a directory.
const REMOVE_DIRECTORY: u32 = 0x200;

pub struct RemoteVolume {
    device: usize,
    session: RefCell<Option<Rc<Session>>>,
    /// Watched once: a device has room for one watcher, however often a session fails.
    source: OnceCell<Rc<Source>>,
    /// See [`Session::start`].
    asked: Cell<Option<u16>>,
    starting: Cell<bool>,
    started: WaitQueue,
}

impl core::fmt::Debug for RemoteVolume {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "RemoteVolume({})", self.device)
    }
}

/// The end of a walk.
struct Walked {
    /// The names without links.
    names: Vec<Vec<u8>>,
    /// What is there; `None` when only the directory around it is.
    fid: Option<Fid>,
}

impl Walked {
    fn existing(self) -> Result<Fid, Errno> {
        self.fid.ok_or(Errno::ENOENT)
    }
}

/// What one attempt to walk found.
enum Found {
    End(Option<Fid>),
    /// The name of this index is a link, which leads there.
    Link(usize, Vec<u8>),
}

impl RemoteVolume {
    pub fn new(device: usize) -> Self {
        Self {
            device,
            session: RefCell::default(),
            source: OnceCell::new(),
            asked: Cell::new(None),
            starting: Cell::new(false),
            started: WaitQueue::new(),
        }
    }

    /// The session, which the first who needs it opens.
    async fn session(&self) -> Result<Rc<Session>, Errno> {
        struct Starting<'v>(&'v RemoteVolume);
        impl Drop for Starting<'_> {
            fn drop(&mut self) {
                self.0.starting.set(false);
                self.0.started.wake_all();
            }
        }
        loop {
            if let Some(session) = &*self.session.borrow() {
                return Ok(session.clone());
            }
            if !self.starting.replace(true) {
                let _starting = Starting(self);
                let source = self.source.get_or_init(|| {
                    let source = Rc::new(Source::new());
                    p9::watch(self.device, source.token());
                    source
                });
                let session = Session::start(self.device, source.clone(), &self.asked).await?;
                *self.session.borrow_mut() = Some(session);
                continue;
            }
            self.started.until(|| (!self.starting.get()).then_some(())).await;
        }
    }

    /// Walks a path, links included; one at its end when `follow` says so.
    async fn walk(&self, path: &[u8], follow: bool) -> Result<Walked, Errno> {
        let session = self.session().await?;
        let names = path.split(|&b| b == b'/').filter(|name| !name.is_empty());
        let mut names: Vec<Vec<u8>> = names.map(<[u8]>::to_vec).collect();
        for _ in 0..=MOST_LINKS {
            match self.attempt(&session, &names, follow).await? {
                Found::End(fid) => return Ok(Walked { names, fid }),
                Found::Link(at, target) => {
                    // Where a link leads out of the volume is not known here.
                    if target.starts_with(b"/") {
                        return Err(Errno::EACCES);
                    }
                    let rest = names.split_off(at + 1);
                    names.pop();
                    for name in target.split(|&b| b == b'/') {
                        match name {
                            b"" | b"." => {}
                            b".." => drop(names.pop().ok_or(Errno::EACCES)?),
                            name => names.push(name.to_vec()),
                        }
                    }
                    names.extend(rest);
                    if names.len() > MOST_NAMES {
                        return Err(Errno::ENAMETOOLONG);
                    }
                }
            }
        }
        Err(Errno::ELOOP)
    }

    async fn attempt(&self, session: &Rc<Session>, names: &[Vec<u8>], follow: bool) -> Result<Found, Errno> {
        let mut fid = None;
        let mut at = 0;
        loop {
            let step = &names[at..names.len().min(at + STEP)];
            let (next, qids) = match session.walk(fid.as_ref(), step).await {
                // A server says this only of the first name.
                Err(Errno::ENOENT) if at + 1 == names.len() => return Ok(Found::End(None)),
                other => other?,
            };
            let is_last = |i: usize| at + i + 1 == names.len();
            let link = |(i, qid): (usize, &Qid)| (qid.is_link() && (follow || !is_last(i))).then_some(i);
            if let Some(i) = qids.iter().enumerate().find_map(link) {
                let (fid, _) = session.walk(fid.as_ref(), &step[..=i]).await?;
                return Ok(Found::Link(at + i, fid.link_target().await?));
            }
            if qids.len() < step.len() {
                if qids.last().is_some_and(|qid| !qid.is_directory()) {
                    return Err(Errno::ENOTDIR);
                }
                let missing_last = is_last(qids.len());
                return if missing_last { Ok(Found::End(None)) } else { Err(Errno::ENOENT) };
            }
            at += step.len();
            if at == names.len() {
                return Ok(Found::End(Some(next)));
            }
            fid = Some(next);
        }
    }

    /// The directory around the last name of a path, and that name.
    async fn parent(&self, path: &[u8]) -> Result<(Fid, Vec<u8>), Errno> {
        let (folder, name) = match path.iter().rposition(|&b| b == b'/') {
            Some(at) => (&path[..at], &path[at + 1..]),
            None => (&[][..], path),
        };
        if name.is_empty() {
            return Err(Errno::EBUSY);
        }
        Ok((self.walk(folder, true).await?.existing()?, name.to_vec()))
    }

    pub async fn open(&self, path: &[u8], options: &OpenOptions) -> Result<OpenFile, Errno> {
        let writing = options.write || options.append;
        let mut flags = match (options.read, writing) {
            (true, true) => flag::READ_WRITE,
            (false, true) => flag::WRITE_ONLY,
            _ => 0,
        };
        for (set, bit) in [(options.truncate, flag::TRUNCATE), (options.append, flag::APPEND)] {
            flags |= if set { bit } else { 0 };
        }
        let walked = self.walk(path, !options.create_new).await?;
        if let Some(fid) = walked.fid {
            if options.create_new {
                return Err(Errno::EEXIST);
            }
            // Opening a pipe waits, and opening a device can do anything.
            return match fid.metadata().await?.file_type() {
                FileType::Directory if writing => Err(Errno::EISDIR),
                FileType::File | FileType::Directory => fid.open(flags).await,
                FileType::Symlink => Err(Errno::ELOOP),
                FileType::Other => Err(Errno::EACCES),
            };
        }
        let Some((name, folder)) = walked.names.split_last() else { return Err(Errno::ENOENT) };
        if !(options.create || options.create_new) {
            return Err(Errno::ENOENT);
        }
        let session = self.session().await?;
        let Found::End(Some(folder)) = self.attempt(&session, folder, true).await? else {
            return Err(Errno::ENOENT);
        };
        let exclusive = if options.create_new { flag::EXCLUSIVE } else { 0 };
        folder.create(name, flags | flag::CREATE | exclusive, options.mode & 0o777).await
    }

    pub async fn stat(&self, path: &[u8], follow: bool) -> Result<Metadata, Errno> {
        self.walk(path, follow).await?.existing()?.metadata().await
    }

    pub async fn read_directory(&self, path: &[u8]) -> Result<Vec<DirEntry>, Errno> {
        let fid = self.walk(path, true).await?.existing()?;
        if !fid.metadata().await?.is_dir() {
            return Err(Errno::ENOTDIR);
        }
        fid.open(flag::DIRECTORY).await?.entries().await
    }

    pub async fn create_directory(&self, path: &[u8], mode: u32) -> Result<(), Errno> {
        let (folder, name) = self.parent(path).await?;
        let message = Message::new(kind::MKDIR).u32(folder.number).text(&name).u32(mode & 0o1777).u32(0);
        folder.done(message).await
    }

    pub async fn remove(&self, path: &[u8], directory: bool) -> Result<(), Errno> {
        let (folder, name) = self.parent(path).await?;
        let flags = if directory { REMOVE_DIRECTORY } else { 0 };
        folder.done(Message::new(kind::UNLINKAT).u32(folder.number).text(&name).u32(flags)).await
    }

    pub async fn rename(&self, from: &[u8], to: &[u8]) -> Result<(), Errno> {
        let (old_folder, old) = self.parent(from).await?;
        let (new_folder, new) = self.parent(to).await?;
        let message = Message::new(kind::RENAMEAT).u32(old_folder.number).text(&old);
        old_folder.done(message.u32(new_folder.number).text(&new)).await
    }

    pub async fn hard_link(&self, from: &[u8], to: &[u8]) -> Result<(), Errno> {
        let fid = self.walk(from, false).await?.existing()?;
        let (folder, name) = self.parent(to).await?;
        folder.done(Message::new(kind::LINK).u32(folder.number).u32(fid.number).text(&name)).await
    }

    pub async fn symlink(&self, target: &[u8], path: &[u8]) -> Result<(), Errno> {
        let (folder, name) = self.parent(path).await?;
        folder.done(Message::new(kind::SYMLINK).u32(folder.number).text(&name).text(target).u32(0)).await
    }

    pub async fn read_link(&self, path: &[u8]) -> Result<Vec<u8>, Errno> {
        let fid = self.walk(path, false).await?.existing()?;
        if !fid.metadata().await?.is_symlink() {
            return Err(Errno::EINVAL);
        }
        fid.link_target().await
    }

    pub async fn set_mode(&self, path: &[u8], mode: u32) -> Result<(), Errno> {
        // As by the broker: no program of an instance gets another's rights.
        let attributes = Attributes { mode: Some(mode & 0o1777), ..Attributes::default() };
        self.walk(path, true).await?.existing()?.set(attributes).await
    }

    pub async fn set_times(
        &self,
        path: &[u8],
        accessed: Option<u64>,
        modified: Option<u64>,
    ) -> Result<(), Errno> {
        let attributes = Attributes { accessed, modified, ..Attributes::default() };
        self.walk(path, true).await?.existing()?.set(attributes).await
    }

    pub async fn space(&self, path: &[u8]) -> Result<Space, Errno> {
        self.walk(path, true).await?.existing()?.space().await
    }
}
