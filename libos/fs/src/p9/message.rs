//! Messages: `size: u32, kind: u8, tag: u16`, then what the kind says; little-endian, texts with their length (`u16`)
//! before them.

use alloc::vec::Vec;
use kernlet_platform::Errno;

/// The kinds of requests; a reply's is one more.
pub mod kind {
    pub const ERROR: u8 = 6;
    pub const STATFS: u8 = 8;
    pub const OPEN: u8 = 12;
    pub const CREATE: u8 = 14;
    pub const SYMLINK: u8 = 16;
    pub const READLINK: u8 = 22;
    pub const GETATTR: u8 = 24;
    pub const SETATTR: u8 = 26;
    pub const READDIR: u8 = 40;
    pub const FSYNC: u8 = 50;
    pub const LINK: u8 = 70;
    pub const MKDIR: u8 = 72;
    pub const RENAMEAT: u8 = 74;
    pub const UNLINKAT: u8 = 76;
    pub const VERSION: u8 = 100;
    pub const ATTACH: u8 = 104;
    pub const WALK: u8 = 110;
    pub const READ: u8 = 116;
    pub const WRITE: u8 = 118;
    pub const CLUNK: u8 = 120;
}

/// Size, kind and tag.
pub const HEADER: usize = 7;

/// A request in the making.
#[derive(Clone, Debug)]
pub struct Message(Vec<u8>);

impl Message {
    pub fn new(kind: u8) -> Self {
        Self(alloc::vec![0, 0, 0, 0, kind, 0, 0])
    }

    pub fn kind(&self) -> u8 {
        self.0[4]
    }

    pub fn u16(mut self, value: u16) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub fn u32(mut self, value: u32) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub fn u64(mut self, value: u64) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// Paths are shorter than 4096 bytes, so no text is cut.
    pub fn text(self, text: &[u8]) -> Self {
        let text = &text[..text.len().min(usize::from(u16::MAX))];
        let mut this = self.u16(text.len() as u16);
        this.0.extend_from_slice(text);
        this
    }

    /// Bytes with their length before them, no more than a message holds.
    pub fn data(self, data: &[u8]) -> Self {
        let mut this = self.u32(data.len() as u32);
        this.0.extend_from_slice(data);
        this
    }

    /// The whole message.
    pub fn finish(mut self, tag: u16) -> Vec<u8> {
        let size = self.0.len() as u32;
        self.0[..4].copy_from_slice(&size.to_le_bytes());
        self.0[5..7].copy_from_slice(&tag.to_le_bytes());
        self.0
    }
}

/// What a server calls a file: its kind and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Qid {
    kind: u8,
    pub path: u64,
}

impl Qid {
    pub fn is_directory(&self) -> bool {
        self.kind & 0x80 != 0
    }

    pub fn is_link(&self) -> bool {
        self.kind & 0x02 != 0
    }
}

/// Takes a reply apart. Whatever is not there is EIO.
#[derive(Clone, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Errno> {
        let (head, rest) = self.0.split_first_chunk().ok_or(Errno::EIO)?;
        self.0 = rest;
        Ok(*head)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Errno> {
        let (head, rest) = self.0.split_at_checked(length).ok_or(Errno::EIO)?;
        self.0 = rest;
        Ok(head)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn u8(&mut self) -> Result<u8, Errno> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub fn u16(&mut self) -> Result<u16, Errno> {
        self.array().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, Errno> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Result<u64, Errno> {
        self.array().map(u64::from_le_bytes)
    }

    pub fn text(&mut self) -> Result<&'a [u8], Errno> {
        let length = self.u16()?;
        self.take(length.into())
    }

    pub fn data(&mut self) -> Result<Reader<'a>, Errno> {
        let length = self.u32()?;
        self.take(usize::try_from(length).map_err(|_| Errno::EIO)?).map(Reader)
    }

    pub fn qid(&mut self) -> Result<Qid, Errno> {
        let (kind, _version, path) = (self.u8()?, self.u32()?, self.u64()?);
        Ok(Qid { kind, path })
    }

    pub fn rest(&self) -> &'a [u8] {
        self.0
    }
}

/// Checks that `bytes` are the reply to a request of `kind` with `tag`, and gives what it says.
pub fn reply(bytes: &[u8], kind: u8, tag: u16) -> Result<Reader<'_>, Errno> {
    let mut header = Reader(bytes);
    let (size, what, answered) = (header.u32()?, header.u8()?, header.u16()?);
    let body = usize::try_from(size).ok().and_then(|n| bytes.get(HEADER..n)).ok_or(Errno::EIO)?;
    let mut body = Reader(body);
    if answered != tag {
        return Err(Errno::EIO);
    }
    if what == kind::ERROR + 1 {
        let number = i32::try_from(body.u32()?).ok().filter(|n| (1..4096).contains(n));
        return Err(number.map_or(Errno::EIO, Errno));
    }
    if Some(what) == kind.checked_add(1) { Ok(body) } else { Err(Errno::EIO) }
}
