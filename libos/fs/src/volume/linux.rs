//! Volumes of Linux programs. In either door the broker has all of them: it is asked for what is done by name, and for what is
//! done to an open file but reading and writing it; in a VM for that, too. So it is the same in both, and less code than two
//! ways: nothing of 9P is in their library OS.

use super::host::{Handle, HostFile, HostVolume};
use crate::broker::{At, OpenFlags, Reply, Request, ask_message};
use crate::directory::DirEntry;
use crate::metadata::{FileType, Metadata, Space};
use crate::open::OpenOptions;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;
use kernlet_platform::Errno;
use kernlet_platform::boot::Mount;
pub use kernlet_wire::broker::{Conflict, LEAVE, Lock, Object, Part};
use kernlet_wire::broker::{Entry, LinuxRequest};

/// What comes of a request: made here, so that it stands once in the program.
type Answered<T> = Pin<Box<dyn Future<Output = Result<T, Errno>>>>;

fn done(message: Vec<u8>) -> Answered<()> {
    Box::pin(async {
        match ask_message(message).await?.reply()? {
            Reply::Done => Ok(()),
            _ => Err(Errno::EIO),
        }
    })
}

fn linux(request: &LinuxRequest<'_>) -> Answered<()> {
    done(request.encode(0))
}

fn kept(request: &LinuxRequest<'_>) -> Answered<Kept> {
    let message = request.encode(0);
    Box::pin(async {
        match ask_message(message).await?.reply()? {
            Reply::Opened { handle, stat } => Ok(Kept { handle: Handle(handle), inode: stat.inode }),
            _ => Err(Errno::EIO),
        }
    })
}

fn data(message: Vec<u8>) -> Answered<Vec<u8>> {
    Box::pin(async {
        match ask_message(message).await?.reply()? {
            Reply::Data(bytes) | Reply::Target(bytes) => Ok(bytes.to_vec()),
            _ => Err(Errno::EIO),
        }
    })
}

/// What is changed beside contents.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    /// chmod(2).
    Mode(u32),
    /// chown(2): user and group, each of which may be [`LEAVE`].
    Owner(u32, u32),
    /// utimensat(2): of reading and of writing, in nanoseconds since 1970.
    Times(Option<u64>, Option<u64>),
}

impl Change {
    fn of(self, what: Object<'_>) -> Answered<()> {
        linux(&match self {
            Self::Mode(mode) => LinuxRequest::SetMode { what, mode },
            Self::Owner(user, group) => LinuxRequest::SetOwner { what, user, group },
            Self::Times(accessed, modified) => LinuxRequest::SetTimes { what, accessed, modified },
        })
    }
}

/// A volume of a Linux program. All of it is the broker's, in a VM its files' contents as well.
#[derive(Debug)]
pub struct LinuxVolume {
    id: u32,
    file: bool,
    read_only: bool,
}

impl LinuxVolume {
    /// The volume that an instance was told of.
    pub fn new(mount: &Mount<'_>) -> Self {
        Self { id: mount.id, file: mount.file, read_only: mount.read_only }
    }

    /// Whether the volume is a single file.
    pub fn is_file(&self) -> bool {
        self.file
    }

    /// Opens a file, which must be regular, or a directory to be listed.
    ///
    /// # Errors
    /// Those of open(2); EROFS for a volume that is only to be read.
    pub async fn open(&self, path: &[u8], options: &OpenOptions) -> Result<HostFile, Errno> {
        if options.writes() && self.read_only {
            return Err(Errno::EROFS);
        }
        HostVolume::new(self.id).open(path, options).await
    }

    /// The names in a directory, in any order, without `.` and `..`.
    ///
    /// # Errors
    /// Those of opendir(3).
    pub async fn read_directory(&self, path: &[u8]) -> Result<Vec<DirEntry>, Errno> {
        let folder = self.names().keep(path, false).await?;
        let mut entries = Vec::new();
        loop {
            let bytes = data(LinuxRequest::Entries { handle: folder.handle.0 }.encode(0)).await?;
            let mut rest = &bytes[..];
            if rest.is_empty() {
                return Ok(entries);
            }
            while !rest.is_empty() {
                let (entry, tail) = Entry::take(rest).map_err(|_| Errno::EIO)?;
                if !matches!(entry.name, b"." | b"..") {
                    let kind = FileType::of_dirent(entry.kind);
                    entries.push(DirEntry::new(entry.name.to_vec(), kind, entry.inode));
                }
                rest = tail;
            }
        }
    }

    /// What is done by name. Paths are relative to the volume, which is nobody's business to check but the broker's.
    pub fn names(&self) -> Names {
        Names(self.id)
    }
}

/// A volume, as far as names go. Errors are those of the calls that are named, as the host has them; EROFS when it can only be
/// read.
#[derive(Clone, Copy, Debug)]
pub struct Names(u32);

impl Names {
    fn at<'p>(&self, path: &'p [u8]) -> At<'p> {
        At { volume: self.0, path }
    }

    /// stat(2), or lstat(2) unless `follow`; whose [`Metadata::device`] is 0.
    pub fn stat(&self, path: &[u8], follow: bool) -> Answered<Metadata> {
        let message = Request::Stat { at: self.at(path), follow }.encode(0);
        Box::pin(async {
            match ask_message(message).await?.reply()? {
                Reply::Stat(stat) => Ok(stat.into()),
                _ => Err(Errno::EIO),
            }
        })
    }

    /// mkdir(2).
    pub fn create_directory(&self, path: &[u8], mode: u32) -> Answered<()> {
        done(Request::CreateDirectory { at: self.at(path), mode }.encode(0))
    }

    /// unlink(2), or rmdir(2) of a `directory`.
    pub fn remove(&self, path: &[u8], directory: bool) -> Answered<()> {
        let at = self.at(path);
        let request = if directory { Request::RemoveDirectory { at } } else { Request::RemoveFile { at } };
        done(request.encode(0))
    }

    /// renameat2(2), with no flags, RENAME_NOREPLACE or RENAME_EXCHANGE.
    pub fn rename(&self, from: &[u8], to: &[u8], flags: u32) -> Answered<()> {
        linux(&LinuxRequest::Rename { from: self.at(from), to, flags })
    }

    /// link(2).
    pub fn link(&self, from: &[u8], to: &[u8]) -> Answered<()> {
        done(Request::Link { from: self.at(from), to }.encode(0))
    }

    /// symlink(2).
    pub fn symlink(&self, target: &[u8], path: &[u8]) -> Answered<()> {
        done(Request::Symlink { at: self.at(path), target }.encode(0))
    }

    /// readlink(2).
    pub fn read_link(&self, path: &[u8]) -> Answered<Vec<u8>> {
        data(Request::ReadLink { at: self.at(path) }.encode(0))
    }

    /// Makes the name of a pipe or of a socket (mknod(2)): S_IFIFO or S_IFSOCK and permission bits.
    pub fn make_node(&self, path: &[u8], mode: u32) -> Answered<()> {
        linux(&LinuxRequest::MakeNode { at: self.at(path), mode })
    }

    /// Changes what is at a path; a link itself unless `follow`.
    pub fn change(&self, path: &[u8], follow: bool, change: Change) -> Answered<()> {
        change.of(Object::At { at: self.at(path), follow })
    }

    /// truncate(2).
    pub fn truncate(&self, path: &[u8], length: u64) -> Answered<()> {
        done(Request::Truncate { at: self.at(path), length }.encode(0))
    }

    /// statfs(2).
    pub fn space(&self, path: &[u8]) -> Answered<Space> {
        let message = Request::FileSystem { at: self.at(path) }.encode(0);
        Box::pin(async {
            match ask_message(message).await?.reply()? {
                Reply::FileSystem(space) => Ok(space.into()),
                _ => Err(Errno::EIO),
            }
        })
    }

    /// Has the broker open a file of its own, for what is done there.
    pub fn keep(&self, path: &[u8], write: bool) -> Answered<Kept> {
        let flags = OpenFlags::READ.with(OpenFlags::WRITE, write);
        kept(&LinuxRequest::Keep { at: self.at(path), flags })
    }
}

/// A file that only the broker has open.
#[derive(Debug)]
pub struct Kept {
    /// What is done there.
    pub handle: Handle,
    /// The file's number.
    pub inode: u64,
}

/// Errors are those of the calls that are named, as the host has them.
impl Handle {
    /// The same file, opened once more, to write it too where that is allowed: with locks of its own.
    pub fn again(&self) -> Answered<Kept> {
        kept(&LinuxRequest::KeepAgain { handle: self.0 })
    }

    /// Changes what it is open of.
    pub fn change(&self, change: Change) -> Answered<()> {
        change.of(Object::Open(self.0))
    }

    /// fsync(2), or fdatasync(2) of `data_only`.
    pub fn sync(&self, data_only: bool) -> Answered<()> {
        done(Request::Sync { handle: self.0, data_only }.encode(0))
    }

    /// ftruncate(2).
    pub fn set_len(&self, length: u64) -> Answered<()> {
        done(Request::TruncateOpen { handle: self.0, length }.encode(0))
    }

    /// fallocate(2).
    pub fn allocate(&self, mode: u32, part: Part) -> Answered<()> {
        linux(&LinuxRequest::Allocate { handle: self.0, mode, part })
    }

    /// lseek(2) with SEEK_DATA, or SEEK_HOLE for a `hole`; the place as 8 bytes, little-endian.
    pub fn seek(&self, offset: u64, hole: bool) -> Answered<Vec<u8>> {
        data(LinuxRequest::Seek { handle: self.0, offset, hole }.encode(0))
    }

    /// fcntl(2) F_OFD_SETLK: EAGAIN when somebody else has the part.
    pub fn lock(&self, lock: Lock, part: Part) -> Answered<()> {
        linux(&LinuxRequest::Lock { handle: self.0, lock, part })
    }

    /// Gives all locks on parts of the file up. Nobody waits for the answer.
    pub fn unlock_soon(&self) {
        let part = Part { start: 0, length: 0 };
        crate::broker::tell(LinuxRequest::Lock { handle: self.0, lock: Lock::Unlock, part }.encode(0));
    }

    /// fcntl(2) F_OFD_GETLK: what is in the way, for [`Conflict::decode`].
    pub fn test_lock(&self, lock: Lock, part: Part) -> Answered<Vec<u8>> {
        data(LinuxRequest::TestLock { handle: self.0, lock, part }.encode(0))
    }

    /// flock(2), which does not wait: EAGAIN when somebody else has it.
    pub fn lock_whole(&self, lock: Lock) -> Answered<()> {
        linux(&LinuxRequest::LockWhole { handle: self.0, lock })
    }
}
