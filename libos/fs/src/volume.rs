//! Volumes: directories and files of the host.

use crate::directory::DirEntry;
use crate::metadata::{Metadata, Space};
use crate::open::OpenOptions;
use alloc::vec::Vec;
use kernlet_platform::Errno;
use kernlet_platform::boot::Mount;

/// A volume. Paths are absolute and without links, `.` and `..`; they begin with the volume's own.
#[derive(Debug)]
pub(crate) struct Volume {
    file: bool,
}

/// An open file of a volume.
#[derive(Debug)]
pub(crate) enum VolumeFile {}

impl Volume {
    pub fn new(mount: &Mount<'_>, _path: Vec<u8>) -> Self {
        Self { file: mount.file }
    }
    pub fn is_file(&self) -> bool {
        self.file
    }
    pub async fn open(&self, _path: &[u8], _options: &OpenOptions) -> Result<VolumeFile, Errno> {
        Err(Errno::ENODEV)
    }
    pub async fn stat(&self, _path: &[u8], _follow: bool) -> Result<Metadata, Errno> {
        Err(Errno::ENODEV)
    }
    pub async fn read_directory(&self, _path: &[u8]) -> Result<Vec<DirEntry>, Errno> {
        Err(Errno::ENODEV)
    }
    pub async fn create_directory(&self, _path: &[u8], _mode: u32) -> Result<(), Errno> {
        Err(Errno::ENODEV)
    }
    pub async fn remove_directory(&self, _path: &[u8]) -> Result<(), Errno> {
        Err(Errno::ENODEV)
    }
    pub async fn remove_file(&self, _path: &[u8]) -> Result<(), Errno> {
        Err(Errno::ENODEV)
    }
    pub async fn rename(&self, _from: &[u8], _to: &[u8]) -> Result<(), Errno> {
        Err(Errno::ENODEV)
    }
    pub async fn symlink(&self, _target: &[u8], _path: &[u8]) -> Result<(), Errno> {
        Err(Errno::ENODEV)
    }
    pub async fn link(&self, _from: &[u8], _to: &[u8]) -> Result<(), Errno> {
        Err(Errno::ENODEV)
    }
    pub async fn read_link(&self, _path: &[u8]) -> Result<Vec<u8>, Errno> {
        Err(Errno::ENODEV)
    }
    pub async fn set_mode(&self, _path: &[u8], _mode: u32) -> Result<(), Errno> {
        Err(Errno::ENODEV)
    }
    pub async fn set_times(&self, _path: &[u8], _a: Option<u64>, _m: Option<u64>) -> Result<(), Errno> {
        Err(Errno::ENODEV)
    }
    pub async fn space(&self, _path: &[u8]) -> Result<Space, Errno> {
        Err(Errno::ENODEV)
    }
}

impl VolumeFile {
    pub async fn read_at(&self, _offset: u64, _buffer: &mut [u8]) -> Result<usize, Errno> {
        match *self {}
    }
    pub async fn write_at(&self, _offset: u64, _bytes: &[u8]) -> Result<usize, Errno> {
        match *self {}
    }
    pub async fn metadata(&self) -> Result<Metadata, Errno> {
        match *self {}
    }
    pub async fn set_len(&self, _length: u64) -> Result<(), Errno> {
        match *self {}
    }
    pub async fn sync(&self, _data_only: bool) -> Result<(), Errno> {
        match *self {}
    }
}
