//! What only Linux programs ask for. It stands apart from [`super::Request`], so that images of native programs need not hold
//! it; the numbers of its operations do not meet those.

use super::cursor::{Cursor, put_bytes, put_optional};
use super::{At, Malformed, OpenFlags};
use alloc::vec::Vec;

/// The user or group that is left as it is.
pub const LEAVE: u32 = u32::MAX;

/// What is changed: by path, or by the handle of something that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object<'a> {
    /// What is at a path; of a link itself unless `follow`.
    At {
        /// The path.
        at: At<'a>,
        /// Follow a link at the end of the path.
        follow: bool,
    },
    /// An open file, whatever its name is by now.
    Open(u32),
}

/// A kind of lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// Others may have the same.
    Shared,
    /// Nobody else may have one.
    Exclusive,
    /// None: it is given up.
    Unlock,
}

/// A part of a file, as fcntl(2) has it: a length of 0 leads to the end, wherever that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where it begins, in bytes.
    pub start: u64,
    /// How many bytes.
    pub length: u64,
}

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinuxRequest<'a> {
    /// renameat2(2) within a volume. Reply: [`super::Reply::Done`].
    Rename {
        /// What.
        from: At<'a>,
        /// To which path of the same volume.
        to: &'a [u8],
        /// 0, RENAME_NOREPLACE (1) or RENAME_EXCHANGE (2).
        flags: u32,
    },
    /// mknod(2) of a named pipe or a socket, which are names alone: neither is ever opened here. Reply:
    /// [`super::Reply::Done`].
    MakeNode {
        /// Where.
        at: At<'a>,
        /// S_IFIFO or S_IFSOCK, and the permission bits.
        mode: u32,
    },
    /// chmod(2); the set-user-id and set-group-id bits are left off. Reply: [`super::Reply::Done`].
    SetMode {
        /// Of what.
        what: Object<'a>,
        /// The permission bits.
        mode: u32,
    },
    /// chown(2), as far as the monitor's user may. Reply: [`super::Reply::Done`].
    SetOwner {
        /// Of what.
        what: Object<'a>,
        /// The new owner, or [`LEAVE`].
        user: u32,
        /// The new group, or [`LEAVE`].
        group: u32,
    },
    /// utimensat(2). Times are nanoseconds since 1970; `None` leaves one. Reply: [`super::Reply::Done`].
    SetTimes {
        /// Of what.
        what: Object<'a>,
        /// The last reading.
        accessed: Option<u64>,
        /// The last change.
        modified: Option<u64>,
    },
    /// As [`super::Request::Open`], of something that is there, for a handle alone: no descriptor comes along.
    Keep {
        /// Which.
        at: At<'a>,
        /// For reading, for writing, or both.
        flags: OpenFlags,
    },
    /// A second handle of what is open: an open file description of its own, so that its locks are its own.
    /// Reply: [`super::Reply::Opened`] without a descriptor.
    KeepAgain {
        /// Which.
        handle: u32,
    },
    /// The next names of an open directory. Reply: [`super::Reply::Data`], an [`Entry`] after another; nothing at the end.
    Entries {
        /// Which.
        handle: u32,
    },
    /// fallocate(2). Reply: [`super::Reply::Done`].
    Allocate {
        /// Which.
        handle: u32,
        /// The FALLOC_FL_* bits.
        mode: u32,
        /// Which part; its length is not 0.
        part: Part,
    },
    /// lseek(2) with SEEK_DATA or SEEK_HOLE. Reply: [`super::Reply::Data`], the place as a `u64`.
    Seek {
        /// Which.
        handle: u32,
        /// From where.
        offset: u64,
        /// A hole, not data.
        hole: bool,
    },
    /// fcntl(2) F_OFD_SETLK, which never waits: EAGAIN when somebody else has the part. Reply: [`super::Reply::Done`].
    Lock {
        /// Which file, and who has the lock.
        handle: u32,
        /// Which lock.
        lock: Lock,
        /// On what.
        part: Part,
    },
    /// fcntl(2) F_OFD_GETLK. Reply: [`super::Reply::Data`], a [`Conflict`], or nothing when it could be had.
    TestLock {
        /// Which file, and who wants the lock.
        handle: u32,
        /// Which lock.
        lock: Lock,
        /// On what.
        part: Part,
    },
    /// flock(2) with LOCK_NB. Reply: [`super::Reply::Done`].
    LockWhole {
        /// Which file, and who has the lock.
        handle: u32,
        /// Which lock.
        lock: Lock,
    },
}

/// A name in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The number of the file.
    pub inode: u64,
    /// What it is, by the numbers of `struct dirent`.
    pub kind: u8,
    /// The name.
    pub name: &'a [u8],
}

impl<'a> Entry<'a> {
    /// Appends it to a reply.
    pub fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.inode.to_le_bytes());
        out.push(self.kind);
        put_bytes(out, self.name);
    }

    /// Takes one from the front of a reply; gives what is left.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn take(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Malformed> {
        let mut m = Cursor(bytes);
        let entry = Self { inode: m.u64()?, kind: m.u8()?, name: m.path()? };
        Ok((entry, m.0))
    }
}

/// A lock that is in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// It is exclusive.
    pub exclusive: bool,
    /// Where it is.
    pub part: Part,
}

impl Conflict {
    /// As it stands in a reply.
    pub fn encode(&self) -> [u8; 17] {
        let mut bytes = [0; 17];
        bytes[0] = self.exclusive.into();
        bytes[1..9].copy_from_slice(&self.part.start.to_le_bytes());
        bytes[9..].copy_from_slice(&self.part.length.to_le_bytes());
        bytes
    }

    /// Reads what stands in a reply: `None` when nothing is in the way.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, Malformed> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let mut m = Cursor(bytes);
        let conflict = Self { exclusive: m.flag()?, part: part(&mut m)? };
        m.end()?;
        Ok(Some(conflict))
    }
}

/// The first operation here.
const FIRST: u16 = 64;

impl<'a> LinuxRequest<'a> {
    /// The request as a message.
    pub fn encode(&self, id: u32) -> Vec<u8> {
        let mut out = Out(id.to_le_bytes().to_vec());
        match *self {
            Self::Rename { from, to, flags } => out.op(0).number(flags).at(from).path(to),
            Self::MakeNode { at, mode } => out.op(1).number(mode).at(at),
            Self::SetMode { what, mode } => out.op(2).number(mode).object(what),
            Self::SetOwner { what, user, group } => out.op(3).number(user).number(group).object(what),
            Self::SetTimes { what, accessed, modified } => {
                out.op(4);
                put_optional(&mut out.0, accessed);
                put_optional(&mut out.0, modified);
                out.object(what)
            }
            Self::Keep { at, flags } => out.op(5).number(flags.0.into()).at(at),
            Self::KeepAgain { handle } => out.op(6).number(handle),
            Self::Allocate { handle, mode, part } => out.op(7).number(handle).number(mode).part(part),
            Self::Seek { handle, offset, hole } => {
                out.op(8).number(handle).number(hole.into()).part(Part { start: offset, length: 0 })
            }
            Self::Lock { handle, lock, part } => out.op(9).number(handle).lock(lock).part(part),
            Self::TestLock { handle, lock, part } => out.op(10).number(handle).lock(lock).part(part),
            Self::LockWhole { handle, lock } => out.op(11).number(handle).lock(lock),
            Self::Entries { handle } => out.op(12).number(handle),
        };
        out.0
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn decode(message: &'a [u8]) -> Result<(u32, Self), Malformed> {
        let mut m = Cursor(message);
        let (id, op) = (m.u32()?, m.u16()?);
        if m.u16()? != 0 {
            return Err(Malformed);
        }
        let request = match op.checked_sub(FIRST).ok_or(Malformed)? {
            0 => {
                let flags = m.u32()?;
                Self::Rename { from: at(&mut m)?, to: m.path()?, flags }
            }
            1 => {
                let mode = m.u32()?;
                Self::MakeNode { at: at(&mut m)?, mode }
            }
            2 => {
                let mode = m.u32()?;
                Self::SetMode { what: object(&mut m)?, mode }
            }
            3 => {
                let (user, group) = (m.u32()?, m.u32()?);
                Self::SetOwner { what: object(&mut m)?, user, group }
            }
            4 => {
                let (accessed, modified) = (m.optional()?, m.optional()?);
                Self::SetTimes { what: object(&mut m)?, accessed, modified }
            }
            5 => {
                let flags = u16::try_from(m.u32()?).map_err(|_| Malformed)?;
                let known = OpenFlags::READ.0 | OpenFlags::WRITE.0;
                if flags & !known != 0 {
                    return Err(Malformed);
                }
                Self::Keep { at: at(&mut m)?, flags: OpenFlags(flags) }
            }
            6 => Self::KeepAgain { handle: m.u32()? },
            7 => {
                let (handle, mode) = (m.u32()?, m.u32()?);
                Self::Allocate { handle, mode, part: part(&mut m)? }
            }
            8 => {
                let (handle, hole, part) = (m.u32()?, m.u32()?, part(&mut m)?);
                if hole > 1 || part.length != 0 {
                    return Err(Malformed);
                }
                Self::Seek { handle, offset: part.start, hole: hole == 1 }
            }
            9 => {
                let (handle, lock) = (m.u32()?, lock(&mut m)?);
                Self::Lock { handle, lock, part: part(&mut m)? }
            }
            10 => {
                let (handle, lock) = (m.u32()?, lock(&mut m)?);
                Self::TestLock { handle, lock, part: part(&mut m)? }
            }
            11 => Self::LockWhole { handle: m.u32()?, lock: lock(&mut m)? },
            12 => Self::Entries { handle: m.u32()? },
            _ => return Err(Malformed),
        };
        m.end()?;
        Ok((id, request))
    }

    /// The volume that it is about by a path; else the handle that it is about.
    pub fn about(&self) -> Result<At<'a>, u32> {
        match *self {
            Self::Rename { from: at, .. } | Self::MakeNode { at, .. } | Self::Keep { at, .. } => Ok(at),
            Self::SetMode { what, .. } | Self::SetOwner { what, .. } | Self::SetTimes { what, .. } => {
                match what {
                    Object::At { at, .. } => Ok(at),
                    Object::Open(handle) => Err(handle),
                }
            }
            Self::KeepAgain { handle }
            | Self::Entries { handle }
            | Self::Allocate { handle, .. }
            | Self::Seek { handle, .. }
            | Self::Lock { handle, .. }
            | Self::TestLock { handle, .. }
            | Self::LockWhole { handle, .. } => Err(handle),
        }
    }
}

/// A message in the making.
struct Out(Vec<u8>);

impl Out {
    fn op(&mut self, op: u16) -> &mut Self {
        self.0.extend_from_slice(&(FIRST + op).to_le_bytes());
        self.0.extend_from_slice(&[0, 0]);
        self
    }

    fn number(&mut self, value: u32) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    fn path(&mut self, path: &[u8]) -> &mut Self {
        put_bytes(&mut self.0, path);
        self
    }

    fn at(&mut self, at: At<'_>) -> &mut Self {
        self.number(at.volume).path(at.path)
    }

    fn object(&mut self, object: Object<'_>) -> &mut Self {
        match object {
            Object::Open(handle) => self.number(0).number(handle),
            Object::At { at, follow } => self.number(1 + u32::from(follow)).at(at),
        }
    }

    fn lock(&mut self, lock: Lock) -> &mut Self {
        self.number(lock as u32)
    }

    fn part(&mut self, part: Part) -> &mut Self {
        self.0.extend_from_slice(&part.start.to_le_bytes());
        self.0.extend_from_slice(&part.length.to_le_bytes());
        self
    }
}

fn at<'a>(m: &mut Cursor<'a>) -> Result<At<'a>, Malformed> {
    Ok(At { volume: m.u32()?, path: m.path()? })
}

fn object<'a>(m: &mut Cursor<'a>) -> Result<Object<'a>, Malformed> {
    match m.u32()? {
        0 => Ok(Object::Open(m.u32()?)),
        kind @ (1 | 2) => Ok(Object::At { at: at(m)?, follow: kind == 2 }),
        _ => Err(Malformed),
    }
}

fn lock(m: &mut Cursor<'_>) -> Result<Lock, Malformed> {
    match m.u32()? {
        0 => Ok(Lock::Shared),
        1 => Ok(Lock::Exclusive),
        2 => Ok(Lock::Unlock),
        _ => Err(Malformed),
    }
}

fn part(m: &mut Cursor<'_>) -> Result<Part, Malformed> {
    Ok(Part { start: m.u64()?, length: m.u64()? })
}
