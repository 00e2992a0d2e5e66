//! A volume, and the one way in which paths in it become descriptors.

use rustix::fs::{Mode, OFlags, ResolveFlags, fstat, open, openat2};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// How often a resolution is tried again that a rename on the host disturbed.
const RETRIES: usize = 64;

/// A host directory or file that an instance may use.
#[derive(Debug)]
pub struct Volume {
    id: u32,
    root: OwnedFd,
    read_only: bool,
    file: bool,
}

impl Volume {
    /// The directory or file at `host`, to which an instance will refer as `id` (`boot::Mount::id`).
    ///
    /// # Errors
    /// It cannot be opened, or is neither a directory nor a regular file.
    pub fn open(id: u32, host: &Path, read_only: bool) -> io::Result<Self> {
        let root = open(host, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        let kind = rustix::fs::FileType::from_raw_mode(fstat(&root)?.st_mode);
        if !kind.is_dir() && !kind.is_file() {
            let message = "a volume is a directory or a regular file";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        Ok(Self::new(id, root, read_only, kind.is_file()))
    }

    /// What `root` leads to, a descriptor that needs no access of its own (`O_PATH`): a directory, or a single `file`.
    /// Touches no file system, which may hang.
    #[must_use]
    pub fn new(id: u32, root: OwnedFd, read_only: bool, file: bool) -> Self {
        Self { id, root, read_only, file }
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Whether it is a single file.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.file
    }

    /// Whether it cannot be written.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    pub(crate) fn writable(&self) -> Result<(), Errno> {
        if self.read_only { Err(Errno::ROFS) } else { Ok(()) }
    }

    /// Opens what is at `path`. A link that leads out gives EACCES, as an absolute path does.
    pub(crate) fn resolve(&self, path: &[u8], flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        let flags = flags | OFlags::CLOEXEC;
        if self.file {
            return self.reopen(path, flags);
        }
        let path = if path.is_empty() { b"." } else { path };
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        for _ in 0..RETRIES {
            match openat2(&self.root, path, flags, mode, beneath) {
                // Something was moved on the host while `..` was being resolved: it could not be told whether
                // that led out.
                Err(Errno::AGAIN) => {}
                Err(Errno::XDEV) => return Err(Errno::ACCESS),
                other => return other,
            }
        }
        Err(Errno::BUSY)
    }

    /// A volume that is a file has no names in it. Its own descriptor gives no access, so it is opened again by the
    /// link that the kernel keeps for it.
    fn reopen(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        if !path.is_empty() {
            return Err(Errno::NOTDIR);
        }
        if flags.contains(OFlags::EXCL) {
            return Err(Errno::EXIST);
        }
        // The link itself has to be followed, to a file that is already known.
        open(by_descriptor(self.root.as_fd()), flags - OFlags::CREATE - OFlags::NOFOLLOW, Mode::empty())
    }

    /// The directory around the last name of `path`, and that name, for calls that do not follow it.
    pub(crate) fn parent<'p>(&self, path: &'p [u8]) -> Result<(OwnedFd, &'p [u8]), Errno> {
        if self.file || path.is_empty() {
            return Err(Errno::BUSY);
        }
        let (folder, name) = match path.iter().rposition(|&b| b == b'/') {
            // An absolute path stays one, and is refused as such.
            Some(0) => return Err(Errno::ACCESS),
            Some(at) => (&path[..at], &path[at + 1..]),
            None => (&[][..], path),
        };
        if matches!(name, b"" | b"." | b"..") {
            return Err(Errno::INVAL);
        }
        Ok((self.resolve(folder, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?, name))
    }
}

/// A path that leads to an open descriptor, whatever its access.
pub(crate) fn by_descriptor(descriptor: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", descriptor.as_raw_fd())
}
