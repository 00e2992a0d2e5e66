//! What an instance asks for.

use super::Malformed;
use super::cursor::{Cursor, put_bytes, put_optional};
use crate::boot::Protocol;
use alloc::vec::Vec;

/// A path in a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At<'a> {
    /// The volume's number ([`crate::boot::Mount::id`]).
    pub volume: u32,
    /// The path, relative to it.
    pub path: &'a [u8],
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenFlags(pub u16);

impl OpenFlags {
    /// For reading.
    pub const READ: Self = Self(1);
    /// For writing.
    pub const WRITE: Self = Self(2);
    /// Create it if it is not there.
    pub const CREATE: Self = Self(4);
    /// With [`Self::CREATE`]: it must not be there.
    pub const EXCLUSIVE: Self = Self(8);
    /// Cut it to nothing.
    pub const TRUNCATE: Self = Self(16);
    /// Every write goes to the end.
    pub const APPEND: Self = Self(32);
    /// It must be a directory.
    pub const DIRECTORY: Self = Self(64);
    /// A link at the end of the path is not followed.
    pub const NO_FOLLOW: Self = Self(128);

    const ALL: u16 = 255;

    /// Whether all flags of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These flags and, when `yes`, those of `other`.
    #[must_use]
    pub const fn with(self, other: Self, yes: bool) -> Self {
        if yes { Self(self.0 | other.0) } else { self }
    }
}

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Open a regular file or a directory. Reply: [`super::Reply::Opened`] with a descriptor.
    Open {
        /// Which.
        at: At<'a>,
        /// How.
        flags: OpenFlags,
        /// The permission bits of a file that is created.
        mode: u32,
    },
    /// Forget the handle of an opened file. Reply: [`super::Reply::Done`].
    Close {
        /// Which.
        handle: u32,
    },
    /// fsync(2) or fdatasync(2) of an opened file. Reply: [`super::Reply::Done`].
    Sync {
        /// Which.
        handle: u32,
        /// Only what is needed to read the contents back.
        data_only: bool,
    },
    /// stat(2) or lstat(2). Reply: [`super::Reply::Stat`].
    Stat {
        /// Of what.
        at: At<'a>,
        /// Follow a link at the end of the path.
        follow: bool,
    },
    /// mkdir(2). Reply: [`super::Reply::Done`].
    CreateDirectory {
        /// Where.
        at: At<'a>,
        /// Its permission bits.
        mode: u32,
    },
    /// unlink(2). Reply: [`super::Reply::Done`].
    RemoveFile {
        /// Which.
        at: At<'a>,
    },
    /// rmdir(2). Reply: [`super::Reply::Done`].
    RemoveDirectory {
        /// Which.
        at: At<'a>,
    },
    /// rename(2) within a volume. Reply: [`super::Reply::Done`].
    Rename {
        /// What.
        from: At<'a>,
        /// To which path of the same volume.
        to: &'a [u8],
    },
    /// link(2) within a volume. Reply: [`super::Reply::Done`].
    Link {
        /// What.
        from: At<'a>,
        /// Under which further path of the same volume.
        to: &'a [u8],
    },
    /// symlink(2). Reply: [`super::Reply::Done`].
    Symlink {
        /// Where.
        at: At<'a>,
        /// Where it points.
        target: &'a [u8],
    },
    /// readlink(2). Reply: [`super::Reply::Target`].
    ReadLink {
        /// Of what.
        at: At<'a>,
    },
    /// chmod(2); the set-user-id and set-group-id bits are left off. Reply: [`super::Reply::Done`].
    SetMode {
        /// Of what.
        at: At<'a>,
        /// The permission bits.
        mode: u32,
    },
    /// utimensat(2), links followed. Times are nanoseconds since 1970; `None` leaves one. Reply:
    /// [`super::Reply::Done`].
    SetTimes {
        /// Of what.
        at: At<'a>,
        /// The last reading.
        accessed: Option<u64>,
        /// The last change.
        modified: Option<u64>,
    },
    /// truncate(2). Reply: [`super::Reply::Done`].
    Truncate {
        /// Which.
        at: At<'a>,
        /// The new length.
        length: u64,
    },
    /// statfs(2). Reply: [`super::Reply::FileSystem`].
    FileSystem {
        /// Of what.
        at: At<'a>,
    },
    /// Connect to a port of a host, if that was granted. Reply: [`super::Reply::Connected`] with a descriptor.
    Connect {
        /// A name or an address.
        host: &'a str,
        /// The port.
        port: u16,
        /// TCP, or UDP: a socket that exchanges datagrams with this port only.
        protocol: Protocol,
    },
    /// The addresses of a host to which some connection was granted. Reply: [`super::Reply::Addresses`].
    Resolve {
        /// The name.
        host: &'a str,
    },
    /// pread(2) of an opened file, where no descriptors are granted. Reply: [`super::Reply::Data`].
    Read {
        /// Which.
        handle: u32,
        /// From where.
        offset: u64,
        /// At most so many bytes; no more than [`super::MAX_DATA`].
        length: u32,
    },
    /// pwrite(2) of an opened file, where no descriptors are granted. Reply: [`super::Reply::Written`].
    Write {
        /// Which.
        handle: u32,
        /// To where.
        offset: u64,
        /// What; no more than [`super::MAX_DATA`].
        bytes: &'a [u8],
    },
    /// fstat(2) of an opened file, where no descriptors are granted. Reply: [`super::Reply::Stat`].
    StatOpen {
        /// Which.
        handle: u32,
    },
    /// ftruncate(2) of an opened file, where no descriptors are granted. Reply: [`super::Reply::Done`].
    TruncateOpen {
        /// Which.
        handle: u32,
        /// The new length.
        length: u64,
    },
}

impl<'a> Request<'a> {
    /// The request as a message.
    pub fn encode(&self, id: u32) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        let mut put = |op: u16, numbers: &[u8], texts: &[&[u8]]| {
            out.extend_from_slice(&id.to_le_bytes());
            out.extend_from_slice(&op.to_le_bytes());
            out.extend_from_slice(&[0, 0]);
            out.extend_from_slice(numbers);
            texts.iter().for_each(|text| put_bytes(&mut out, text));
        };
        match *self {
            Self::Open { at, flags, mode } => put(1, &three(at.volume, flags.0.into(), mode), &[at.path]),
            Self::Close { handle } => put(2, &handle.to_le_bytes(), &[]),
            Self::Sync { handle, data_only } => put(3, &two(handle, data_only.into()), &[]),
            Self::Stat { at, follow } => put(4, &two(at.volume, follow.into()), &[at.path]),
            Self::CreateDirectory { at, mode } => put(5, &two(at.volume, mode), &[at.path]),
            Self::RemoveFile { at } => put(6, &at.volume.to_le_bytes(), &[at.path]),
            Self::RemoveDirectory { at } => put(7, &at.volume.to_le_bytes(), &[at.path]),
            Self::Rename { from, to } => put(8, &from.volume.to_le_bytes(), &[from.path, to]),
            Self::Link { from, to } => put(9, &from.volume.to_le_bytes(), &[from.path, to]),
            Self::Symlink { at, target } => put(10, &at.volume.to_le_bytes(), &[at.path, target]),
            Self::ReadLink { at } => put(11, &at.volume.to_le_bytes(), &[at.path]),
            Self::SetMode { at, mode } => put(12, &two(at.volume, mode), &[at.path]),
            Self::SetTimes { at, accessed, modified } => {
                let mut numbers = at.volume.to_le_bytes().to_vec();
                put_optional(&mut numbers, accessed);
                put_optional(&mut numbers, modified);
                put(13, &numbers, &[at.path]);
            }
            Self::Truncate { at, length } => {
                let numbers = [&at.volume.to_le_bytes()[..], &length.to_le_bytes()].concat();
                put(14, &numbers, &[at.path]);
            }
            Self::FileSystem { at } => put(15, &at.volume.to_le_bytes(), &[at.path]),
            Self::Connect { host, port, protocol } => {
                let udp = u32::from(protocol == Protocol::Udp);
                put(16, &two(port.into(), udp), &[host.as_bytes()]);
            }
            Self::Resolve { host } => put(17, &[], &[host.as_bytes()]),
            Self::Read { handle, offset, length } => {
                put(18, &two(handle, length), &[]);
                out.extend_from_slice(&offset.to_le_bytes());
            }
            Self::Write { handle, offset, bytes } => {
                put(19, &handle.to_le_bytes(), &[]);
                out.extend_from_slice(&offset.to_le_bytes());
                put_bytes(&mut out, bytes);
            }
            Self::StatOpen { handle } => put(20, &handle.to_le_bytes(), &[]),
            Self::TruncateOpen { handle, length } => {
                put(21, &handle.to_le_bytes(), &[]);
                out.extend_from_slice(&length.to_le_bytes());
            }
        }
        out
    }

    /// The path that the request is about; `None` when it is about something else.
    pub fn at(&self) -> Option<At<'a>> {
        match *self {
            Self::Open { at, .. }
            | Self::Stat { at, .. }
            | Self::CreateDirectory { at, .. }
            | Self::RemoveFile { at }
            | Self::RemoveDirectory { at }
            | Self::Rename { from: at, .. }
            | Self::Link { from: at, .. }
            | Self::Symlink { at, .. }
            | Self::ReadLink { at }
            | Self::SetMode { at, .. }
            | Self::SetTimes { at, .. }
            | Self::Truncate { at, .. }
            | Self::FileSystem { at } => Some(at),
            Self::Close { .. }
            | Self::Sync { .. }
            | Self::Connect { .. }
            | Self::Resolve { .. }
            | Self::Read { .. }
            | Self::Write { .. }
            | Self::StatOpen { .. }
            | Self::TruncateOpen { .. } => None,
        }
    }

    /// The id of the request in `message`, which may be malformed otherwise.
    ///
    /// # Errors
    /// [`Malformed`] when it is too short for one.
    pub fn id(message: &[u8]) -> Result<u32, Malformed> {
        Cursor(message).u32()
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
        let request = Self::operands(op, &mut m)?;
        m.end()?;
        Ok((id, request))
    }

    fn operands(op: u16, m: &mut Cursor<'a>) -> Result<Self, Malformed> {
        Ok(match op {
            1 => {
                let (volume, flags, mode) = (m.u32()?, m.u32()?, m.u32()?);
                let flags =
                    u16::try_from(flags).ok().filter(|f| f & !OpenFlags::ALL == 0).ok_or(Malformed)?;
                Self::Open { at: At { volume, path: m.path()? }, flags: OpenFlags(flags), mode }
            }
            2 => Self::Close { handle: m.u32()? },
            3 => Self::Sync { handle: m.u32()?, data_only: boolean(m.u32()?)? },
            4 => {
                let (volume, follow) = (m.u32()?, boolean(m.u32()?)?);
                Self::Stat { at: At { volume, path: m.path()? }, follow }
            }
            5 => {
                let (volume, mode) = (m.u32()?, m.u32()?);
                Self::CreateDirectory { at: At { volume, path: m.path()? }, mode }
            }
            6 => Self::RemoveFile { at: at(m)? },
            7 => Self::RemoveDirectory { at: at(m)? },
            8 => Self::Rename { from: at(m)?, to: m.path()? },
            9 => Self::Link { from: at(m)?, to: m.path()? },
            10 => Self::Symlink { at: at(m)?, target: m.path()? },
            11 => Self::ReadLink { at: at(m)? },
            12 => {
                let (volume, mode) = (m.u32()?, m.u32()?);
                Self::SetMode { at: At { volume, path: m.path()? }, mode }
            }
            13 => {
                let (volume, accessed, modified) = (m.u32()?, m.optional()?, m.optional()?);
                Self::SetTimes { at: At { volume, path: m.path()? }, accessed, modified }
            }
            14 => {
                let (volume, length) = (m.u32()?, m.u64()?);
                Self::Truncate { at: At { volume, path: m.path()? }, length }
            }
            15 => Self::FileSystem { at: at(m)? },
            16 => {
                let port = u16::try_from(m.u32()?).map_err(|_| Malformed)?;
                let protocol = if boolean(m.u32()?)? { Protocol::Udp } else { Protocol::Tcp };
                Self::Connect { host: m.host()?, port, protocol }
            }
            17 => Self::Resolve { host: m.host()? },
            18 => {
                let (handle, length) = (m.u32()?, m.u32()?);
                Self::Read { handle, offset: m.u64()?, length }
            }
            19 => Self::Write { handle: m.u32()?, offset: m.u64()?, bytes: m.bytes(super::MAX_DATA)? },
            20 => Self::StatOpen { handle: m.u32()? },
            21 => Self::TruncateOpen { handle: m.u32()?, length: m.u64()? },
            _ => return Err(Malformed),
        })
    }
}

fn at<'a>(m: &mut Cursor<'a>) -> Result<At<'a>, Malformed> {
    Ok(At { volume: m.u32()?, path: m.path()? })
}

fn boolean(value: u32) -> Result<bool, Malformed> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed),
    }
}

fn two(a: u32, b: u32) -> [u8; 8] {
    (u64::from(a) | u64::from(b) << 32).to_le_bytes()
}

fn three(a: u32, b: u32, c: u32) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&two(a, b));
    bytes[8..].copy_from_slice(&c.to_le_bytes());
    bytes
}
