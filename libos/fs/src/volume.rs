//! Volumes: directories and files of the host, by the broker or, in a VM, by 9P.

mod host;
mod remote;

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
/// begin with the volume's own.
#[derive(Debug)]
pub(crate) struct Volume {
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
pub(crate) struct VolumeFile {
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

    pub async fn stat(&self, path: &[u8], follow: bool) -> Result<Metadata, Errno> {
        let about = by_link!(self.link, stat(self.within(path), follow))?;
        Ok(Metadata { device: self.device, ..about })
    }

    pub async fn read_directory(&self, path: &[u8]) -> Result<Vec<DirEntry>, Errno> {
        by_link!(self.link, read_directory(self.within(path)))
    }

    pub async fn create_directory(&self, path: &[u8], mode: u32) -> Result<(), Errno> {
        self.writable()?;
        by_link!(self.link, create_directory(self.within(path), mode))
    }

    pub async fn remove_directory(&self, path: &[u8]) -> Result<(), Errno> {
        self.writable()?;
        by_link!(self.link, remove(self.within(path), true))
    }

    pub async fn remove_file(&self, path: &[u8]) -> Result<(), Errno> {
        self.writable()?;
        by_link!(self.link, remove(self.within(path), false))
    }

    pub async fn rename(&self, from: &[u8], to: &[u8]) -> Result<(), Errno> {
        self.writable()?;
        by_link!(self.link, rename(self.within(from), self.within(to)))
    }

    pub async fn symlink(&self, target: &[u8], path: &[u8]) -> Result<(), Errno> {
        self.writable()?;
        by_link!(self.link, symlink(target, self.within(path)))
    }

    pub async fn link(&self, from: &[u8], to: &[u8]) -> Result<(), Errno> {
        self.writable()?;
        by_link!(self.link, hard_link(self.within(from), self.within(to)))
    }

    pub async fn read_link(&self, path: &[u8]) -> Result<Vec<u8>, Errno> {
        by_link!(self.link, read_link(self.within(path)))
    }

    pub async fn set_mode(&self, path: &[u8], mode: u32) -> Result<(), Errno> {
        self.writable()?;
        by_link!(self.link, set_mode(self.within(path), mode))
    }

    pub async fn set_times(
        &self,
        path: &[u8],
        accessed: Option<u64>,
        modified: Option<u64>,
    ) -> Result<(), Errno> {
        self.writable()?;
        by_link!(self.link, set_times(self.within(path), accessed, modified))
    }

    pub async fn space(&self, path: &[u8]) -> Result<Space, Errno> {
        by_link!(self.link, space(self.within(path)))
    }
}

impl VolumeFile {
    pub async fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
        by_object!(self.object, read_at(offset, buffer))
    }

    pub async fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<usize, Errno> {
        by_object!(self.object, write_at(offset, bytes))
    }

    pub async fn metadata(&self) -> Result<Metadata, Errno> {
        let about = by_object!(self.object, metadata())?;
        Ok(Metadata { device: self.device, ..about })
    }

    pub async fn set_len(&self, length: u64) -> Result<(), Errno> {
        by_object!(self.object, set_len(length))
    }

    pub async fn sync(&self, data_only: bool) -> Result<(), Errno> {
        by_object!(self.object, sync(data_only))
    }
}
