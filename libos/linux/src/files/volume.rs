//! Regular files of volumes.

use super::flags::{APPEND, DATA_SYNC, SYNC};
use super::tree::Node;
use crate::Errno;
use crate::user::Buffers;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::OnceCell;
use kernlet_fs::Metadata;
use kernlet_fs::volume::{Handle, HostFile as VolumeFile, Kept};
use kernlet_platform::broker::HostFile;

/// What is moved at a time where the host cannot reach the program's memory.
const CHUNK: usize = kernlet_wire::broker::MAX_DATA;

/// An open file of a volume.
pub struct Opened {
    file: VolumeFile,
    top: Rc<Node>,
    /// The name by which it was opened, within the volume.
    path: Vec<u8>,
    /// What the broker has open of it, when [`Self::handle`] had to ask for that.
    kept: OnceCell<Kept>,
}

impl core::fmt::Debug for Opened {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Opened")
    }
}

impl Opened {
    /// The file at `path` of the volume whose top is `top`.
    pub fn new(top: Rc<Node>, path: &[u8], file: VolumeFile) -> Self {
        Self { file, top, path: path.to_vec(), kept: OnceCell::new() }
    }

    /// The top of its volume.
    pub fn top(&self) -> &Rc<Node> {
        &self.top
    }

    /// The file itself.
    pub fn file(&self) -> &VolumeFile {
        &self.file
    }

    /// What the broker does things to.
    ///
    /// # Errors
    /// Those of [`Self::keep`].
    pub async fn handle(&self, write: bool) -> Result<&Handle, Errno> {
        if let Some(handle) = self.file.handle() {
            return Ok(handle);
        }
        if let Some(kept) = self.kept.get() {
            return Ok(&kept.handle);
        }
        let kept = self.keep(write).await?;
        Ok(&self.kept.get_or_init(|| kept).handle)
    }

    /// Has the broker open it by its name.
    ///
    /// # Errors
    /// ESTALE when something else has the name by now; those of open(2).
    pub async fn keep(&self, write: bool) -> Result<Kept, Errno> {
        let kept = self.top.system.volume().ok_or(Errno::EIO)?.names().keep(&self.path, write).await?;
        if kept.inode == self.metadata().await?.inode { Ok(kept) } else { Err(Errno::ESTALE) }
    }

    /// Has the broker open it once more, to write it too where that is allowed.
    ///
    /// # Errors
    /// As for [`Self::keep`].
    pub async fn again(&self) -> Result<Kept, Errno> {
        if let Some(handle) = self.file.handle() {
            return handle.again().await;
        }
        match self.keep(true).await {
            Err(Errno::EACCES | Errno::EPERM | Errno::EROFS | Errno::ETXTBSY) => self.keep(false).await,
            other => other,
        }
    }

    /// The host's file, on the process door.
    pub fn host(&self) -> Option<&HostFile> {
        self.file.host()
    }

    /// What is known of it.
    ///
    /// # Errors
    /// EIO.
    pub async fn metadata(&self) -> Result<Metadata, Errno> {
        self.file.metadata().await
    }

    /// Cuts it, or lengthens it by a hole. A 9p server would cut whatever has its name by now.
    ///
    /// # Errors
    /// Those of ftruncate(2); ESTALE.
    pub async fn set_len(&self, length: u64) -> Result<(), Errno> {
        match self.host() {
            Some(host) => host.truncate(length),
            None => {
                self.settle().await?;
                self.handle(true).await?.set_len(length).await?;
                self.changed(length..u64::MAX).await
            }
        }
    }

    /// Where the next data or the next hole is.
    ///
    /// # Errors
    /// ENXIO at the end.
    pub async fn seek(&self, from: u64, hole: bool) -> Result<u64, Errno> {
        match self.handle(false).await {
            Ok(handle) => {
                let to = handle.seek(from, hole).await?;
                Ok(u64::from_le_bytes(to.try_into().map_err(|_| Errno::EIO)?))
            }
            // What has no name any more is all data, which lseek(2) allows it to be.
            Err(Errno::ENOENT | Errno::ESTALE) => match self.metadata().await?.size {
                length if from >= length => Err(Errno::ENXIO),
                length => Ok(if hole { length } else { from }),
            },
            Err(error) => Err(error),
        }
    }

    /// Reads.
    ///
    /// # Errors
    /// EFAULT; the host's.
    pub async fn read(&self, offset: u64, to: &mut Buffers) -> Result<usize, Errno> {
        self.settle().await?;
        in_pieces(to, async |at, to| self.read_piece(offset + at, to).await).await
    }

    /// Reads once; tells whether there may be more.
    async fn read_piece(&self, at: u64, to: &mut Buffers) -> Result<(usize, bool), Errno> {
        let Some((address, length)) = to.piece() else { return Ok((0, false)) };
        if let Some(host) = self.file.host() {
            let moved = host.read_to_program(at, address, length)?;
            to.advance(moved);
            return Ok((moved, moved == length));
        }
        let mut chunk = alloc::vec![0; length.min(CHUNK)];
        // A server may give less than it has.
        let read = self.file.read_at(at, &mut chunk).await?;
        let filled = to.fill(&chunk[..read])?;
        Ok((filled, filled == read && read > 0))
    }

    /// Writes at `offset`, or at the end when `flags` say so; tells how much was written, and where.
    ///
    /// # Errors
    /// EFAULT; the host's.
    pub async fn write(&self, offset: u64, flags: u32, from: &mut Buffers) -> Result<(usize, u64), Errno> {
        // The host appends by itself, but where that was is to be known.
        self.settle().await?;
        let start = if flags & APPEND != 0 { self.file.metadata().await?.size } else { offset };
        let done = in_pieces(from, async |at, from| self.write_piece(start + at, from).await).await?;
        self.changed(start..start + done as u64).await?;
        if done > 0 && flags & (SYNC | DATA_SYNC) != 0 {
            self.file.sync(flags & SYNC == 0).await?;
        }
        Ok((done, start))
    }

    /// Writes once; tells whether there may be room for more.
    async fn write_piece(&self, at: u64, from: &mut Buffers) -> Result<(usize, bool), Errno> {
        let Some((address, length)) = from.piece() else { return Ok((0, false)) };
        if let Some(host) = self.file.host() {
            let moved = host.write_from_program(at, address, length)?;
            from.advance(moved);
            return Ok((moved, moved == length));
        }
        let mut chunk = alloc::vec![0; length.min(CHUNK)];
        let taken = from.clone().take(&mut chunk)?;
        // A server may take less than it could.
        let moved = self.file.write_at(at, &chunk[..taken]).await?;
        let mut left = moved;
        while let (true, Some((_, piece))) = (left > 0, from.piece()) {
            from.advance(left.min(piece));
            left -= left.min(piece);
        }
        Ok((moved, moved > 0))
    }
}

/// Moves piece after piece until there are no more, `one` says that it was the last, or fails: after the first that is no
/// error.
async fn in_pieces(
    buffers: &mut Buffers,
    one: impl AsyncFn(u64, &mut Buffers) -> Result<(usize, bool), Errno>,
) -> Result<usize, Errno> {
    let mut done = 0;
    while buffers.piece().is_some() {
        match one(done as u64, buffers).await {
            Ok((moved, more)) => {
                done += moved;
                if !more {
                    break;
                }
            }
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
