//! What is done with a fid.

use super::message::{Message, Reader, kind};
use super::session::{Fid, SMALL};
use crate::directory::DirEntry;
use crate::metadata::{FileType, Metadata, Space};
use alloc::vec::Vec;
use kernlet_platform::Errno;

/// Mode, links, owner, times, size: what stat(2) tells.
const BASIC: u64 = 0x7ff;
/// No directory has more names than this; a server that tells more goes on forever.
const MOST_NAMES: usize = 1 << 22;
/// The longest target of a link.
const PATH_MAX: usize = 4096;

/// What is to be changed of a file (Tsetattr).
#[derive(Clone, Copy, Debug, Default)]
pub struct Attributes {
    pub mode: Option<u32>,
    pub size: Option<u64>,
    pub accessed: Option<u64>,
    pub modified: Option<u64>,
}

impl Fid {
    pub async fn metadata(&self) -> Result<Metadata, Errno> {
        let message = Message::new(kind::GETATTR).u32(self.number).u64(BASIC);
        self.session().call(message, SMALL, attributes).await
    }

    pub async fn set(&self, what: Attributes) -> Result<(), Errno> {
        let bits = [
            (what.mode.is_some(), 0x001),
            (what.size.is_some(), 0x008),
            (what.accessed.is_some(), 0x010 | 0x080),
            (what.modified.is_some(), 0x020 | 0x100),
        ];
        let valid = bits.into_iter().filter(|(set, _)| *set).fold(0, |all, (_, bit)| all | bit);
        let time = |message: Message, at: Option<u64>| {
            let at = at.unwrap_or(0);
            message.u64(at / 1_000_000_000).u64(at % 1_000_000_000)
        };
        let message = Message::new(kind::SETATTR).u32(self.number).u32(valid).u32(what.mode.unwrap_or(0));
        let message = message.u32(0).u32(0).u64(what.size.unwrap_or(0));
        let message = time(time(message, what.accessed), what.modified);
        self.session().call(message, SMALL, |_| Ok(())).await
    }

    pub async fn link_target(&self) -> Result<Vec<u8>, Errno> {
        let message = Message::new(kind::READLINK).u32(self.number);
        self.session().call(message, PATH_MAX + SMALL, |body| body.text().map(<[u8]>::to_vec)).await
    }

    pub async fn space(&self) -> Result<Space, Errno> {
        let message = Message::new(kind::STATFS).u32(self.number);
        self.session().call(message, SMALL, space).await
    }

    /// Opens what the fid leads to, by the flags of open(2).
    pub async fn open(self, flags: u32) -> Result<OpenFile, Errno> {
        let message = Message::new(kind::OPEN).u32(self.number).u32(flags);
        self.session().call(message, SMALL, |body| body.qid().map(drop)).await?;
        Ok(OpenFile { fid: self })
    }

    /// Creates a file in the directory that the fid leads to, and opens it.
    pub async fn create(self, name: &[u8], flags: u32, mode: u32) -> Result<OpenFile, Errno> {
        let message = Message::new(kind::CREATE).u32(self.number).text(name).u32(flags).u32(mode).u32(0);
        self.session().call(message, SMALL, |body| body.qid().map(drop)).await?;
        Ok(OpenFile { fid: self })
    }

    /// Sends a request whose reply says nothing of interest.
    pub async fn done(&self, message: Message) -> Result<(), Errno> {
        self.session().call(message, SMALL, |_| Ok(())).await
    }
}

/// Reads the reply to a request for attributes.
pub fn attributes(body: &mut Reader<'_>) -> Result<Metadata, Errno> {
    let (_valid, qid) = (body.u64()?, body.qid()?);
    let (mode, uid, gid, links) = (body.u32()?, body.u32()?, body.u32()?, body.u64()?);
    let (_device, size, _block_size, blocks) = (body.u64()?, body.u64()?, body.u64()?, body.u64()?);
    let mut time = || Ok(body.u64()?.saturating_mul(1_000_000_000).saturating_add(body.u64()?));
    let (accessed, modified, changed) = (time()?, time()?, time()?);
    let links = u32::try_from(links).unwrap_or(u32::MAX);
    Ok(Metadata {
        device: 0,
        inode: qid.path,
        mode,
        links,
        uid,
        gid,
        size,
        blocks,
        accessed,
        modified,
        changed,
    })
}

/// Reads the reply to a request for the space of a file system.
pub fn space(body: &mut Reader<'_>) -> Result<Space, Errno> {
    let (_kind, block) = (body.u32()?, u64::from(body.u32()?));
    let (blocks, free, available) = (body.u64()?, body.u64()?, body.u64()?);
    let (files, free_files) = (body.u64()?, body.u64()?);
    Ok(Space {
        total: blocks.saturating_mul(block),
        free: available.saturating_mul(block),
        unused: free.saturating_mul(block),
        files,
        free_files,
    })
}

/// Reads a part of a directory; gives where the next begins, `None` at the end.
pub fn names(body: &mut Reader<'_>, entries: &mut Vec<DirEntry>) -> Result<Option<u64>, Errno> {
    let mut data = body.data()?;
    let mut next = None;
    while !data.is_empty() {
        let (qid, offset, kind, name) = (data.qid()?, data.u64()?, data.u8()?, data.text()?);
        next = Some(offset);
        if !matches!(name, b"" | b"." | b"..") && !name.contains(&b'/') && !name.contains(&0) {
            entries.push(DirEntry::new(name.to_vec(), FileType::of_dirent(kind), qid.path));
        }
    }
    Ok(next)
}

/// An open file or directory.
#[derive(Debug)]
pub struct OpenFile {
    fid: Fid,
}

impl OpenFile {
    pub async fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
        let count = buffer.len().min(self.fid.session().chunk());
        let message = Message::new(kind::READ).u32(self.fid.number).u64(offset).u32(count as u32);
        let read = |body: &mut Reader<'_>| {
            let data = body.data()?.rest();
            // More than was asked for would be a server that does not count.
            buffer.get_mut(..data.len()).ok_or(Errno::EIO)?.copy_from_slice(data);
            Ok(data.len())
        };
        self.fid.session().call(message, count + SMALL, read).await
    }

    pub async fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<usize, Errno> {
        let bytes = &bytes[..bytes.len().min(self.fid.session().chunk())];
        let message = Message::new(kind::WRITE).u32(self.fid.number).u64(offset).data(bytes);
        let written = self.fid.session().call(message, SMALL, |body| body.u32()).await? as usize;
        if written > bytes.len() { Err(Errno::EIO) } else { Ok(written) }
    }

    pub async fn metadata(&self) -> Result<Metadata, Errno> {
        self.fid.metadata().await
    }

    pub async fn set_len(&self, length: u64) -> Result<(), Errno> {
        self.fid.set(Attributes { size: Some(length), ..Attributes::default() }).await
    }

    pub async fn sync(&self, data_only: bool) -> Result<(), Errno> {
        self.fid.done(Message::new(kind::FSYNC).u32(self.fid.number).u32(data_only.into())).await
    }

    pub async fn entries(&self) -> Result<Vec<DirEntry>, Errno> {
        let mut entries = Vec::new();
        let mut offset = 0;
        let count = self.fid.session().chunk();
        for _ in 0..MOST_NAMES {
            let message = Message::new(kind::READDIR).u32(self.fid.number).u64(offset).u32(count as u32);
            let read = |body: &mut Reader<'_>| names(body, &mut entries);
            match self.fid.session().call(message, count + SMALL, read).await? {
                Some(next) => offset = next,
                None => return Ok(entries),
            }
            if entries.len() > MOST_NAMES {
                break;
            }
        }
        Err(Errno::EIO)
    }
}
