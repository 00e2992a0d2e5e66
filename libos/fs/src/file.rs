//! Open files.

use crate::erofs::Inode;
use crate::memory::MemoryNode;
use crate::metadata::Metadata;
use crate::namespace::{namespace, way};
use crate::open::OpenOptions;
use crate::root;
use crate::volume::VolumeFile;
use alloc::rc::Rc;
use alloc::vec::Vec;
use kernlet_platform::Errno;

/// What an open file leads to.
#[derive(Debug)]
pub(crate) enum Object {
    Root(Inode),
    Way,
    Memory(Rc<MemoryNode>),
    Volume(VolumeFile),
}

impl Object {
    /// Whether it is a directory, where that is known without asking.
    pub fn is_directory(&self) -> bool {
        match self {
            Self::Root(inode) => inode.is_directory(),
            Self::Way => true,
            Self::Memory(node) => node.is_directory(),
            Self::Volume(_) => false,
        }
    }
}

/// Where to go in a file, as in std.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeekFrom {
    /// So many bytes from the start.
    Start(u64),
    /// So many bytes from the end.
    End(i64),
    /// So many bytes from where it is.
    Current(i64),
}

/// An open file with a position. It is closed when dropped.
#[derive(Debug)]
pub struct File {
    object: Object,
    position: u64,
    readable: bool,
    writable: bool,
    append: bool,
}

/// What `read` of a whole file takes at a time when the file's length says nothing.
const CHUNK: usize = 16 << 10;
/// The most that it asks for in one call.
const STRIDE: usize = 256 << 10;

impl File {
    pub(crate) fn new(object: Object, readable: bool, writable: bool, append: bool) -> Self {
        Self { object, position: 0, readable, writable, append }
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    /// Those of open(2).
    pub async fn open(path: impl AsRef<[u8]>) -> Result<Self, Errno> {
        OpenOptions::new().read(true).open(path).await
    }

    /// Opens a file for writing, made or cut to nothing.
    ///
    /// # Errors
    /// Those of open(2).
    pub async fn create(path: impl AsRef<[u8]>) -> Result<Self, Errno> {
        OpenOptions::new().write(true).create(true).truncate(true).open(path).await
    }

    /// Reads at the position; 0 bytes at the end.
    ///
    /// # Errors
    /// As for [`Self::read_at`].
    pub async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let count = self.read_at(buffer, self.position).await?;
        self.position += count as u64;
        Ok(count)
    }

    /// Reads at `offset`, leaving the position alone; 0 bytes at or behind the end.
    ///
    /// # Errors
    /// EBADF when not opened for reading, EISDIR, EIO.
    pub async fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Errno> {
        if !self.readable {
            return Err(Errno::EBADF);
        }
        match &self.object {
            Object::Root(inode) if inode.is_file() => {
                Ok(namespace().root()?.content(inode)?.read_at(offset, buffer))
            }
            Object::Root(_) | Object::Way => Err(Errno::EISDIR),
            Object::Memory(node) => node.read_at(offset, buffer),
            Object::Volume(file) => file.read_at(offset, buffer).await,
        }
    }

    /// Reads from the position to the end.
    ///
    /// # Errors
    /// As for [`Self::read_at`]; ENOMEM when the rest does not fit into memory.
    pub async fn read_to_end(&mut self, bytes: &mut Vec<u8>) -> Result<usize, Errno> {
        let before = bytes.len();
        let expected = self.metadata().await?.size.saturating_sub(self.position);
        let expected = usize::try_from(expected).map_err(|_| Errno::ENOMEM)?;
        loop {
            let used = bytes.len();
            // One byte more than expected, so that the end is found without growing.
            let room =
                expected.saturating_add(1).checked_sub(used - before).filter(|&n| n > 0).unwrap_or(CHUNK);
            bytes.try_reserve(room).map_err(|_| Errno::ENOMEM)?;
            // A size may be a lie, and one call may give little: what is not read into is not touched.
            bytes.resize(used + room.min(STRIDE), 0);
            let count = self.read(&mut bytes[used..]).await;
            bytes.truncate(used + *count.as_ref().unwrap_or(&0));
            if count? == 0 {
                return Ok(bytes.len() - before);
            }
        }
    }

    /// Writes at the position, or at the end when opened for appending; tells how much was written.
    ///
    /// # Errors
    /// As for [`Self::write_at`].
    pub async fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        if self.append {
            self.position = self.metadata().await?.size;
        }
        let count = self.write_at(bytes, self.position).await?;
        self.position += count as u64;
        Ok(count)
    }

    /// Writes all of `bytes`, as [`Self::write`] does.
    ///
    /// # Errors
    /// As for [`Self::write_at`]; a part may have been written then.
    pub async fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), Errno> {
        while !bytes.is_empty() {
            match self.write(bytes).await? {
                0 => return Err(Errno::EIO),
                count => bytes = &bytes[count..],
            }
        }
        Ok(())
    }

    /// Writes at `offset`, leaving the position alone; tells how much was written. A file that was opened for
    /// appending is written at its end all the same.
    ///
    /// # Errors
    /// EBADF when not opened for writing, ENOSPC, EFBIG, EIO.
    pub async fn write_at(&self, bytes: &[u8], offset: u64) -> Result<usize, Errno> {
        if !self.writable {
            return Err(Errno::EBADF);
        }
        match &self.object {
            Object::Root(_) | Object::Way => Err(Errno::EBADF),
            Object::Memory(node) => node.write_at(if self.append { node.len() } else { offset }, bytes),
            Object::Volume(file) => file.write_at(offset, bytes).await,
        }
    }

    /// Moves the position, and tells it.
    ///
    /// # Errors
    /// EINVAL when it would be negative or too large.
    pub async fn seek(&mut self, to: SeekFrom) -> Result<u64, Errno> {
        let moved = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.metadata().await?.size.checked_add_signed(by),
        };
        self.position = moved.filter(|&at| at <= i64::MAX as u64).ok_or(Errno::EINVAL)?;
        Ok(self.position)
    }

    /// What is known of the file.
    ///
    /// # Errors
    /// EIO.
    pub async fn metadata(&self) -> Result<Metadata, Errno> {
        match &self.object {
            Object::Root(inode) => Ok(root::metadata(inode)),
            Object::Way => Ok(way()),
            Object::Memory(node) => Ok(node.metadata()),
            Object::Volume(file) => file.metadata().await,
        }
    }

    /// Cuts the file, or lengthens it by zeros.
    ///
    /// # Errors
    /// EINVAL when not opened for writing, EFBIG, EIO.
    pub async fn set_len(&self, length: u64) -> Result<(), Errno> {
        if !self.writable {
            return Err(Errno::EINVAL);
        }
        match &self.object {
            Object::Root(_) | Object::Way => Err(Errno::EINVAL),
            Object::Memory(node) => node.set_len(length),
            Object::Volume(file) => file.set_len(length).await,
        }
    }

    /// Returns when all that was written, and what describes the file, is on the disk.
    ///
    /// # Errors
    /// EIO, ENOSPC and the others of fsync(2).
    pub async fn sync_all(&self) -> Result<(), Errno> {
        self.sync(false).await
    }

    /// Returns when all that was written is on the disk.
    ///
    /// # Errors
    /// As for [`Self::sync_all`].
    pub async fn sync_data(&self) -> Result<(), Errno> {
        self.sync(true).await
    }

    async fn sync(&self, data_only: bool) -> Result<(), Errno> {
        match &self.object {
            Object::Volume(file) => file.sync(data_only).await,
            // There is no disk below.
            _ => Ok(()),
        }
    }
}
