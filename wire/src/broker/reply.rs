//! What the broker answers.

use super::cursor::{Cursor, put_bytes};
use super::{MAX_ADDRESSES, Malformed};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

/// What stat(2) tells; times are nanoseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of stat(2)")]
pub struct Stat {
    pub inode: u64,
    pub mode: u32,
    pub links: u32,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    pub blocks: u64,
    pub accessed: u64,
    pub modified: u64,
    pub changed: u64,
}

/// What statfs(2) tells, in bytes and files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of statfs(2)")]
pub struct FileSystem {
    pub total: u64,
    pub free: u64,
    pub available: u64,
    pub files: u64,
    pub free_files: u64,
}

/// One reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// It failed with this Linux error number.
    Error(i32),
    /// It is done.
    Done,
    /// It is open: the descriptor came along.
    Opened {
        /// For [`super::Request::Sync`] and [`super::Request::Close`]; 0 when neither is needed, because the
        /// file was opened for reading only.
        handle: u32,
        /// What was opened.
        stat: Stat,
    },
    /// To [`super::Request::Stat`].
    Stat(Stat),
    /// To [`super::Request::ReadLink`].
    Target(&'a [u8]),
    /// To [`super::Request::FileSystem`].
    FileSystem(FileSystem),
    /// It is connected: the descriptor, which does not block, came along. For UDP it is that of a relay.
    Connected {
        /// The address on the host's side.
        local: SocketAddr,
        /// The address that was reached.
        peer: SocketAddr,
    },
    /// To [`super::Request::Resolve`].
    Addresses(Addresses<'a>),
    /// To [`super::Request::Read`]: what is there; nothing at the end.
    Data(&'a [u8]),
    /// To [`super::Request::Write`]: so many bytes.
    Written(u32),
}

/// A list of addresses, borrowed from a reply or made of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addresses<'a> {
    /// As it stands in a reply: 16 bytes each, an IPv4 one mapped to IPv6.
    Raw(&'a [[u8; 16]]),
    /// For the writer.
    List(&'a [IpAddr]),
}

impl Addresses<'_> {
    /// The addresses.
    pub fn iter(&self) -> impl Iterator<Item = IpAddr> {
        let (raw, list): (&[[u8; 16]], &[IpAddr]) = match *self {
            Self::Raw(raw) => (raw, &[]),
            Self::List(list) => (&[], list),
        };
        raw.iter().map(|bytes| from_bytes(*bytes)).chain(list.iter().copied())
    }
}

fn to_bytes(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

fn from_bytes(bytes: [u8; 16]) -> IpAddr {
    IpAddr::from(bytes).to_canonical()
}

impl<'a> Reply<'a> {
    /// The reply to request `id` as a message.
    pub fn encode(&self, id: u32) -> Vec<u8> {
        let mut out = id.to_le_bytes().to_vec();
        let error = if let Self::Error(number) = *self { number.max(1) } else { 0 };
        out.extend_from_slice(&error.to_le_bytes());
        match self {
            Self::Error(_) => {}
            Self::Done => out.push(1),
            Self::Opened { handle, stat } => {
                out.push(2);
                out.extend_from_slice(&handle.to_le_bytes());
                put_stat(&mut out, stat);
            }
            Self::Stat(stat) => {
                out.push(3);
                put_stat(&mut out, stat);
            }
            Self::Target(target) => {
                out.push(4);
                put_bytes(&mut out, target);
            }
            Self::FileSystem(f) => {
                out.push(5);
                for number in [f.total, f.free, f.available, f.files, f.free_files] {
                    out.extend_from_slice(&number.to_le_bytes());
                }
            }
            Self::Connected { local, peer } => {
                out.push(6);
                for address in [local, peer] {
                    out.extend_from_slice(&to_bytes(address.ip()));
                    out.extend_from_slice(&address.port().to_le_bytes());
                }
            }
            Self::Addresses(addresses) => {
                out.push(7);
                for address in addresses.iter().take(MAX_ADDRESSES) {
                    out.extend_from_slice(&to_bytes(address));
                }
            }
            Self::Data(bytes) => {
                out.push(8);
                put_bytes(&mut out, bytes);
            }
            Self::Written(count) => {
                out.push(9);
                out.extend_from_slice(&count.to_le_bytes());
            }
        }
        out
    }

    /// Reads a message: the request's id and the reply.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn decode(message: &'a [u8]) -> Result<(u32, Self), Malformed> {
        let mut m = Cursor(message);
        let (id, error) = (m.u32()?, m.u32()?);
        if error != 0 {
            m.end()?;
            // As Linux' own: from 1 to 4095.
            let number = i32::try_from(error).ok().filter(|n| *n < 4096).ok_or(Malformed)?;
            return Ok((id, Self::Error(number)));
        }
        let reply = match m.u8()? {
            1 => Self::Done,
            2 => Self::Opened { handle: m.u32()?, stat: stat(&mut m)? },
            3 => Self::Stat(stat(&mut m)?),
            4 => Self::Target(m.path()?),
            5 => Self::FileSystem(FileSystem {
                total: m.u64()?,
                free: m.u64()?,
                available: m.u64()?,
                files: m.u64()?,
                free_files: m.u64()?,
            }),
            6 => Self::Connected { local: socket_address(&mut m)?, peer: socket_address(&mut m)? },
            7 => {
                let (addresses, rest) = m.0.as_chunks::<16>();
                if !rest.is_empty() || addresses.len() > MAX_ADDRESSES {
                    return Err(Malformed);
                }
                return Ok((id, Self::Addresses(Addresses::Raw(addresses))));
            }
            8 => Self::Data(m.bytes(super::MAX_DATA)?),
            9 => Self::Written(m.u32()?),
            _ => return Err(Malformed),
        };
        m.end()?;
        Ok((id, reply))
    }
}

fn put_stat(out: &mut Vec<u8>, s: &Stat) {
    out.extend_from_slice(&s.inode.to_le_bytes());
    for number in [s.mode, s.links, s.uid, s.gid] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    for number in [s.size, s.blocks, s.accessed, s.modified, s.changed] {
        out.extend_from_slice(&number.to_le_bytes());
    }
}

fn stat(m: &mut Cursor<'_>) -> Result<Stat, Malformed> {
    Ok(Stat {
        inode: m.u64()?,
        mode: m.u32()?,
        links: m.u32()?,
        uid: m.u32()?,
        gid: m.u32()?,
        size: m.u64()?,
        blocks: m.u64()?,
        accessed: m.u64()?,
        modified: m.u64()?,
        changed: m.u64()?,
    })
}

fn socket_address(m: &mut Cursor<'_>) -> Result<SocketAddr, Malformed> {
    Ok(SocketAddr::new(from_bytes(m.array()?), m.u16()?))
}
