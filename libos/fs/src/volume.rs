//! Volumes: directories and files of the host, by the broker or, in a VM, by 9P.

mod host;
mod linux;
mod remote;

pub use host::{Handle, HostFile};
pub use linux::{Change, Conflict, Kept, LEAVE, LinuxVolume, Lock, Names, Part};

use crate::directory::DirEntry;
use crate::metadata::{Metadata, Space};
use crate::open::OpenOptions;
use crate::p9;
use alloc::vec::Vec;
use host::HostVolume;
use kernlet_platform::Errno;
use kernlet_platform::boot::Mount;
use remote::RemoteVolume;

/// A volume. The paths that are given here are absolute ones of the namespace, without links, `.` and `..`; they
/// begin with the volume's own, which may be empty.
#[derive(Debug)]
pub struct Volume {
    path: Vec<u8>,
    file: bool,
    read_only: bool,
    /// Tells it apart from other file systems in [`Metadata::device`].
    device: u64,
    link: Link,
}

#[derive(Debug)]
enum Link {
    Host(HostVolume),
    Remote(RemoteVolume),
}

/// An open file of a volume.
#[derive(Debug)]
pub struct VolumeFile {
    device: u64,
    object: Opened,
}

#[derive(Debug)]
enum Opened {
    Host(host::HostFile),
    Remote(p9::OpenFile),
}

/// Calls the same function on either kind of link.
macro_rules! by_link {
    ($value:expr, $name:ident ( $($argument:expr),* )) => {
        match &$value {
            Link::Host(link) => link.$name($($argument),*).await,
            Link::Remote(link) => link.$name($($argument),*).await,
        }
    };
}

macro_rules! by_object {
    ($value:expr, $name:ident ( $($argument:expr),* )) => {
        match &$value {
            Opened::Host(object) => object.$name($($argument),*).await,
            Opened::Remote(object) => object.$name($($argument),*).await,
        }
    };
}

impl Volume {
    /// The volume that is mounted at `path`.
    pub fn new(mount: &Mount<'_>, path: Vec<u8>) -> Self {
        let device = alloc::format!("vol{}", mount.id);
        let link = match kernlet_platform::p9::open(&device) {
            Some(device) => Link::Remote(RemoteVolume::new(device)),
            None => Link::Host(HostVolume::new(mount.id)),
        };
        // 0 is the root, 1 are the memory files.
        let device = 2 + u64::from(mount.id);
        Self { path, file: mount.file, read_only: mount.read_only, device, link }
    }

    /// Whether the volume is a single file.
    pub fn is_file(&self) -> bool {
        self.file
    }

    fn within<'p>(&self, path: &'p [u8]) -> &'p [u8] {
        let rest = path.strip_prefix(&self.path[..]).unwrap_or(path);
        rest.strip_prefix(b"/").unwrap_or(rest)
    }

    fn writable(&self) -> Result<(), Errno> {
        if self.read_only { Err(Errno::EROFS) } else { Ok(()) }
    }

    /// Opens a file, which must be regular, or a directory to be listed.
    ///
    /// # Errors
    /// Those of open(2); EROFS for a volume that is only to be read.
    pub async fn open(&self, path: &[u8], options: &OpenOptions) -> Result<VolumeFile, Errno> {
        if options.writes() {
            self.writable()?;
        }
        let path = self.within(path);
        let object = match &self.link {
            Link::Host(link) => Opened::Host(link.open(path, options).await?),
            Link::Remote(link) => Opened::Remote(link.open(path, options).await?),
        };
        Ok(VolumeFile { device: self.device, object })
    }

    /// What is known of a file; of a link itself unless `follow`.
    ///
    /// # Errors
    /// Those of stat(2).
    pub async fn stat(&self, path: &[u8], follow: bool) -> Result<Metadata, Errno> {
        let about = by_link!(self.link, stat(self.within(path), follow))?;
        Ok(Metadata { device: self.device, ..about })
    }

    /// The names in a directory, in any order, without `.` and `..`.
    ///
    /// # Errors
    /// Those of opendir(3).
    pub async fn read_directory(&self, path: &[u8]) -> Result<Vec<DirEntry>, Errno> {
        by_link!(self.link, read_directory(self.within(path)))
    }

    /// Makes a directory.
    ///
    /// # Errors
    /// Those of mkdir(2).
    pub async fn create_directory(&self, path: &[u8], mode: u32) -> Result<(), Errno> {
        self.writable()?;
        by_link!(self.link, create_directory(self.within(path), mode))
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// Those of rmdir(2).
    pub async fn remove_directory(&self, path: &[u8]) -> Result<(), Errno> {
        self.writable()?;
        by_link!(self.link, remove(self.within(path), true))
    }

    /// Removes a file or link.
    ///
    /// # Errors
    /// Those of unlink(2).
    pub async fn remove_file(&self, path: &[u8]) -> Result<(), Errno> {
        self.writable()?;
        by_link!(self.link, remove(self.within(path), false))
    }

    /// Moves a file or directory, in place of what may be there.
    ///
    /// # Errors
    /// Those of rename(2).
    pub async fn rename(&self, from: &[u8], to: &[u8]) -> Result<(), Errno> {
        self.writable()?;
        by_link!(self.link, rename(self.within(from), self.within(to)))
    }

    /// Makes a symbolic link.
    ///
    /// # Errors
    /// Those of symlink(2).
    pub async fn symlink(&self, target: &[u8], path: &[u8]) -> Result<(), Errno> {
        self.writable()?;
        by_link!(self.link, symlink(target, self.within(path)))
    }

    /// Gives a file a second name.
    ///
    /// # Errors
    /// Those of link(2).
    pub async fn link(&self, from: &[u8], to: &[u8]) -> Result<(), Errno> {
        self.writable()?;
        by_link!(self.link, hard_link(self.within(from), self.within(to)))
    }

    /// Where a link points.
    ///
    /// # Errors
    /// EINVAL when it is none; those of readlink(2).
    pub async fn read_link(&self, path: &[u8]) -> Result<Vec<u8>, Errno> {
        by_link!(self.link, read_link(self.within(path)))
    }

    /// Sets permission bits; a link at the end is followed.
    ///
    /// # Errors
    /// Those of chmod(2).
    pub async fn set_mode(&self, path: &[u8], mode: u32) -> Result<(), Errno> {
        self.writable()?;
        by_link!(self.link, set_mode(self.within(path), mode))
    }

    /// Sets when a file was last read and changed; `None` leaves a time.
    ///
    /// # Errors
    /// Those of utimensat(2).
    pub async fn set_times(
        &self,
        path: &[u8],
        accessed: Option<u64>,
        modified: Option<u64>,
    ) -> Result<(), Errno> {
        self.writable()?;
        by_link!(self.link, set_times(self.within(path), accessed, modified))
    }

    /// How full the file system is.
    ///
    /// # Errors
    /// Those of statfs(2).
    pub async fn space(&self, path: &[u8]) -> Result<Space, Errno> {
        by_link!(self.link, space(self.within(path)))
    }
}

impl VolumeFile {
    /// The host's file, on the process door; its contents can be reached by it directly.
    pub fn host(&self) -> Option<&kernlet_platform::broker::HostFile> {
        match &self.object {
            Opened::Host(file) => file.host(),
            Opened::Remote(_) => None,
        }
    }

    /// Reads at an offset; 0 bytes at the end.
    ///
    /// # Errors
    /// EISDIR; those of pread(2).
    pub async fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
        by_object!(self.object, read_at(offset, buffer))
    }

    /// Writes at an offset; tells how much was written.
    ///
    /// # Errors
    /// Those of pwrite(2).
    pub async fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<usize, Errno> {
        by_object!(self.object, write_at(offset, bytes))
    }

    /// What is known of the file.
    ///
    /// # Errors
    /// EIO.
    pub async fn metadata(&self) -> Result<Metadata, Errno> {
        let about = by_object!(self.object, metadata())?;
        Ok(Metadata { device: self.device, ..about })
    }

    /// Cuts the file, or lengthens it by zeros.
    ///
    /// # Errors
    /// Those of ftruncate(2).
    pub async fn set_len(&self, length: u64) -> Result<(), Errno> {
        by_object!(self.object, set_len(length))
    }

    /// Returns when what was written is on the disk.
    ///
    /// # Errors
    /// Those of fsync(2).
    pub async fn sync(&self, data_only: bool) -> Result<(), Errno> {
        by_object!(self.object, sync(data_only))
    }
}
