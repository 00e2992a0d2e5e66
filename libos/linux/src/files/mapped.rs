//! What mmap(2) has to know of an open file.

use super::about::About;
use super::cached::Cached;
use super::description::{Description, Kind};
use super::device::Device;
use super::path;
use super::volume::Opened;
use crate::Errno;
use crate::memory::Mapped;
use crate::process::Process;
use alloc::rc::Rc;
use core::ops::Range;
use kernlet_platform::broker::HostFile;
use kernlet_platform::program::Shared;

/// The device number of the image's root where files are known by it: see [`kernlet_fs::Metadata::device`].
const ROOT: u64 = 0;

impl Description {
    /// The file as a mapping knows it.
    ///
    /// # Errors
    /// ENODEV for what cannot be mapped; EACCES for what is not open for reading.
    pub async fn mapped(&self, process: &Process) -> Result<Rc<Mapped>, Errno> {
        if !matches!(self.kind, Kind::Regular(_) | Kind::Volume(_)) {
            return Err(if self.is_path() { Errno::EBADF } else { Errno::ENODEV });
        }
        if !self.readable() {
            return Err(Errno::EACCES);
        }
        let about = About::open(process, self).await?;
        let sealed = match &self.kind {
            Kind::Regular(file) => file.sealed(),
            _ => None,
        };
        let device = if sealed.is_some() { ROOT } else { about.device };
        Ok(Rc::new(Mapped {
            sealed,
            writable: self.writable() && self.may_be_mapped(),
            ..Mapped::new(path::of_description(self), device, about.inode)
        }))
    }

    /// The file of a volume that it is.
    pub fn volume(&self) -> Option<&Rc<Opened>> {
        match &self.kind {
            Kind::Volume(opened) => Some(opened),
            _ => None,
        }
    }

    /// The pages `bytes` of a file of a volume that nobody maps but this instance, in a VM; `None` for other files.
    ///
    /// # Errors
    /// ENODEV where there is no such memory; ENOSPC; those of read(2).
    pub async fn cached(&self, write: bool, bytes: Range<u64>) -> Result<Option<Rc<Cached>>, Errno> {
        match self.volume() {
            Some(opened) if opened.host().is_none() => opened.cached(write, bytes).await.map(Some),
            _ => Ok(None),
        }
    }

    /// Whether no seal is against mappings that are shared and written.
    pub fn may_be_mapped(&self) -> bool {
        !matches!(&self.kind, Kind::Regular(file) if file.may_write(0).is_err())
    }

    /// The contents of a file in memory, to be mapped shared; `None` for other files.
    ///
    /// # Errors
    /// ENODEV where there is no such memory; ENOSPC.
    pub fn shared(&self) -> Result<Option<Rc<Shared>>, Errno> {
        match &self.kind {
            Kind::Regular(file) => file.share().map(Some),
            _ => Ok(None),
        }
    }

    /// Whether a mapping of it shows zeros, and is nobody else's: /dev/zero.
    pub fn is_zeros(&self) -> bool {
        matches!(self.kind, Kind::Device(Device::Zero))
    }

    /// The host's file, which can be mapped itself: a volume's, on the process door.
    pub fn host_file(&self) -> Option<&HostFile> {
        match &self.kind {
            Kind::Volume(opened) => opened.host(),
            _ => None,
        }
    }
}
