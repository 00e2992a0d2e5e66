//! A volume of the broker's: names by requests, contents by the descriptors that it grants. In a VM, where it grants none,
//! contents go by requests, too; the volumes there are single files.

use crate::broker::{self, At, OpenFlags, Reply, Request, ask};
use crate::directory::DirEntry;
use crate::metadata::{FileType, Metadata, Space};
use crate::open::OpenOptions;
use alloc::vec::Vec;
use kernlet_platform::{Errno, broker as platform};
use kernlet_wire::broker::MAX_DATA;

/// Room for the names that one host call tells.
const NAMES: usize = 16 << 10;

impl From<broker::Stat> for Metadata {
    /// Volumes get their number from whoever mounted them.
    fn from(stat: broker::Stat) -> Self {
        Self {
            device: 0,
            inode: stat.inode,
            mode: stat.mode,
            links: stat.links,
            uid: stat.uid,
            gid: stat.gid,
            size: stat.size,
            blocks: stat.blocks,
            accessed: stat.accessed,
            modified: stat.modified,
            changed: stat.changed,
        }
    }
}

impl From<broker::FileSystem> for Space {
    fn from(f: broker::FileSystem) -> Self {
        let (total, free, unused) = (f.total, f.available, f.free);
        Self { total, free, unused, files: f.files, free_files: f.free_files }
    }
}

#[derive(Debug)]
pub struct HostVolume {
    id: u32,
}

impl HostVolume {
    pub fn new(id: u32) -> Self {
        Self { id }
    }

    fn at<'p>(&self, path: &'p [u8]) -> At<'p> {
        At { volume: self.id, path }
    }

    pub async fn open(&self, path: &[u8], options: &OpenOptions) -> Result<HostFile, Errno> {
        let flags = OpenFlags::default()
            .with(OpenFlags::READ, options.read)
            .with(OpenFlags::WRITE, options.write || options.append)
            .with(OpenFlags::APPEND, options.append)
            .with(OpenFlags::TRUNCATE, options.truncate)
            .with(OpenFlags::CREATE, options.create || options.create_new)
            .with(OpenFlags::EXCLUSIVE, options.create_new);
        self.granted(path, flags, options.mode).await
    }

    async fn granted(&self, path: &[u8], flags: OpenFlags, mode: u32) -> Result<HostFile, Errno> {
        let answer = ask(&Request::Open { at: self.at(path), flags, mode }).await?;
        let Reply::Opened { handle, stat } = answer.reply()? else { return Err(Errno::EIO) };
        let handle = Handle(handle);
        let is_directory = FileType::of_mode(stat.mode).is_dir();
        let file = answer.maybe_granted().and_then(platform::Granted::into_file);
        if file.is_none() && handle.0 == 0 {
            // The host has no number left for it in this process.
            return Err(Errno::EMFILE);
        }
        Ok(HostFile { file, handle, is_directory })
    }

    pub async fn stat(&self, path: &[u8], follow: bool) -> Result<Metadata, Errno> {
        match ask(&Request::Stat { at: self.at(path), follow }).await?.reply()? {
            Reply::Stat(stat) => Ok(stat.into()),
            _ => Err(Errno::EIO),
        }
    }

    pub async fn read_directory(&self, path: &[u8]) -> Result<Vec<DirEntry>, Errno> {
        let flags = OpenFlags::READ.with(OpenFlags::DIRECTORY, true);
        let folder = self.granted(path, flags, 0).await?.file.ok_or(Errno::ENOTDIR)?;
        let mut buffer = alloc::vec![0; NAMES];
        let mut entries = Vec::new();
        loop {
            let length = folder.read_directory(&mut buffer)?;
            if length == 0 {
                return Ok(entries);
            }
            let mut rest = &buffer[..length.min(NAMES)];
            while let Some((entry, tail)) = entry(rest) {
                if !matches!(entry.name_bytes(), b"." | b"..") {
                    entries.push(entry);
                }
                rest = tail;
            }
        }
    }

    pub async fn create_directory(&self, path: &[u8], mode: u32) -> Result<(), Errno> {
        done(Request::CreateDirectory { at: self.at(path), mode }).await
    }

    pub async fn remove(&self, path: &[u8], directory: bool) -> Result<(), Errno> {
        let at = self.at(path);
        done(if directory { Request::RemoveDirectory { at } } else { Request::RemoveFile { at } }).await
    }

    pub async fn rename(&self, from: &[u8], to: &[u8]) -> Result<(), Errno> {
        done(Request::Rename { from: self.at(from), to }).await
    }

    pub async fn hard_link(&self, from: &[u8], to: &[u8]) -> Result<(), Errno> {
        done(Request::Link { from: self.at(from), to }).await
    }

    pub async fn symlink(&self, target: &[u8], path: &[u8]) -> Result<(), Errno> {
        done(Request::Symlink { at: self.at(path), target }).await
    }

    pub async fn read_link(&self, path: &[u8]) -> Result<Vec<u8>, Errno> {
        match ask(&Request::ReadLink { at: self.at(path) }).await?.reply()? {
            Reply::Target(target) => Ok(target.to_vec()),
            _ => Err(Errno::EIO),
        }
    }

    pub async fn set_mode(&self, path: &[u8], mode: u32) -> Result<(), Errno> {
        done(Request::SetMode { at: self.at(path), mode }).await
    }

    pub async fn set_times(
        &self,
        path: &[u8],
        accessed: Option<u64>,
        modified: Option<u64>,
    ) -> Result<(), Errno> {
        done(Request::SetTimes { at: self.at(path), accessed, modified }).await
    }

    pub async fn space(&self, path: &[u8]) -> Result<Space, Errno> {
        match ask(&Request::FileSystem { at: self.at(path) }).await?.reply()? {
            Reply::FileSystem(space) => Ok(space.into()),
            _ => Err(Errno::EIO),
        }
    }
}

async fn done(request: Request<'_>) -> Result<(), Errno> {
    match ask(&request).await?.reply()? {
        Reply::Done => Ok(()),
        _ => Err(Errno::EIO),
    }
}

/// Reads one `linux_dirent64`: inode, offset, length, type, name.
fn entry(bytes: &[u8]) -> Option<(DirEntry, &[u8])> {
    let inode = u64::from_le_bytes(*bytes.first_chunk()?);
    let length = usize::from(u16::from_le_bytes([*bytes.get(16)?, *bytes.get(17)?]));
    let (record, rest) = bytes.split_at_checked(length)?;
    let (kind, name) = record.get(18..)?.split_first()?;
    let name = name.split(|&b| b == 0).next()?;
    Some((DirEntry::new(name.to_vec(), FileType::of_dirent(*kind), inode), rest))
}

/// The broker's side of an open file; forgotten there when dropped.
#[derive(Debug)]
pub struct Handle(pub(super) u32);

impl Drop for Handle {
    fn drop(&mut self) {
        broker::close(self.0);
    }
}

/// An open file or directory.
#[derive(Debug)]
pub struct HostFile {
    /// `None` when the broker reads and writes it.
    file: Option<platform::HostFile>,
    handle: Handle,
    is_directory: bool,
}

impl HostFile {
    /// The host's file, on the process door.
    pub fn host(&self) -> Option<&platform::HostFile> {
        self.file.as_ref().filter(|_| !self.is_directory)
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.is_directory
    }

    /// What the broker has open of it: nothing, of what is only read on the process door.
    pub fn handle(&self) -> Option<&Handle> {
        Some(&self.handle).filter(|handle| handle.0 != 0)
    }

    /// Reads at an offset; 0 bytes at the end.
    ///
    /// # Errors
    /// EISDIR; those of pread(2).
    pub async fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
        if self.is_directory {
            return Err(Errno::EISDIR);
        }
        if let Some(file) = &self.file {
            return file.read_at(offset, buffer);
        }
        let length = buffer.len().min(MAX_DATA) as u32;
        let answer = ask(&Request::Read { handle: self.handle.0, offset, length }).await?;
        let Reply::Data(bytes) = answer.reply()? else { return Err(Errno::EIO) };
        buffer.get_mut(..bytes.len()).ok_or(Errno::EIO)?.copy_from_slice(bytes);
        Ok(bytes.len())
    }

    /// Writes at an offset; tells how much was written.
    ///
    /// # Errors
    /// Those of pwrite(2).
    pub async fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<usize, Errno> {
        if let Some(file) = &self.file {
            return file.write_at(offset, bytes);
        }
        let bytes = &bytes[..bytes.len().min(MAX_DATA)];
        match ask(&Request::Write { handle: self.handle.0, offset, bytes }).await?.reply()? {
            Reply::Written(count) => Ok(bytes.len().min(count as usize)),
            _ => Err(Errno::EIO),
        }
    }

    /// What is known of the file; [`Metadata::device`] is 0.
    ///
    /// # Errors
    /// EIO.
    pub async fn metadata(&self) -> Result<Metadata, Errno> {
        if let Some(file) = &self.file {
            return Ok(file.stat()?.into());
        }
        match ask(&Request::StatOpen { handle: self.handle.0 }).await?.reply()? {
            Reply::Stat(stat) => Ok(stat.into()),
            _ => Err(Errno::EIO),
        }
    }

    /// Cuts the file, or lengthens it by zeros.
    ///
    /// # Errors
    /// Those of ftruncate(2).
    pub async fn set_len(&self, length: u64) -> Result<(), Errno> {
        if let Some(file) = &self.file {
            return file.truncate(length);
        }
        done(Request::TruncateOpen { handle: self.handle.0, length }).await
    }

    /// Returns when what was written is on the disk.
    ///
    /// # Errors
    /// Those of fsync(2).
    pub async fn sync(&self, data_only: bool) -> Result<(), Errno> {
        // What was opened for reading only has no handle, and nothing to synchronise.
        if self.handle.0 == 0 {
            return Ok(());
        }
        done(Request::Sync { handle: self.handle.0, data_only }).await
    }
}
