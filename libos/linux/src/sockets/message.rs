//! Messages (sendmsg(2), recvmsg(2)) and what goes along with them (cmsg(3), unix(7), ip(7)).

use super::address::{self, Address, INET, INET6};
use crate::files::{Description, Files};
use crate::system::Credentials;
use crate::user::Buffers;
use crate::{Errno, user};
use alloc::rc::Rc;
use alloc::vec::Vec;
use kernlet_net::IpAddr;

/// Bytes of a `struct msghdr`.
pub const HEADER: usize = 56;
/// Bytes of a `struct cmsghdr`.
const CONTROL_HEADER: usize = 16;
/// The most that goes along (net.core.optmem_max).
const CONTROL_MOST: usize = 20 * 1024;
/// The most descriptors of one message (SCM_MAX_FD).
const FILES_MOST: usize = 253;

const SOL_SOCKET: i32 = 1;
const SCM_RIGHTS: i32 = 1;
const SCM_CREDENTIALS: i32 = 2;
const SO_TIMESTAMP: i32 = 29;

/// MSG_CTRUNC, MSG_TRUNC, MSG_CMSG_CLOEXEC.
pub const CONTROL_TRUNCATED: u32 = 0x8;
pub const TRUNCATED: u32 = 0x20;
pub const CLOSE_ON_EXEC: u32 = 0x4000_0000;

/// `struct ucred`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The process.
    pub process: u32,
    /// The user and the group.
    pub user: u32,
    /// Its group.
    pub group: u32,
}

impl Identity {
    /// Who a process is.
    pub fn of(process: u32, credentials: &Credentials) -> Self {
        Self { process, user: credentials.users[1], group: credentials.groups[1] }
    }

    /// As a program has it.
    pub fn bytes(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        for (to, word) in bytes.chunks_mut(4).zip([self.process, self.user, self.group]) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}

/// What goes along with a message of a UNIX socket.
#[derive(Clone, Default)]
pub struct Ancillary {
    /// SCM_RIGHTS.
    pub files: Vec<Rc<Description>>,
    /// SCM_CREDENTIALS, or who sent it.
    pub identity: Option<Identity>,
}

/// At which address a datagram came in (IP_PKTINFO, IPV6_PKTINFO).
#[derive(Clone, Copy)]
pub struct PacketInfo {
    /// The socket's family.
    pub family: u16,
    /// The address.
    pub local: IpAddr,
}

/// What was received.
#[derive(Clone, Default)]
pub struct Received {
    /// Bytes that were handed over.
    pub length: usize,
    /// Bytes of the whole message.
    pub whole: usize,
    /// Who sent it.
    pub from: Option<Address>,
    /// What came along.
    pub ancillary: Ancillary,
    /// At which address it came.
    pub info: Option<PacketInfo>,
    /// When it came (nanoseconds since the epoch), and by which control message that is told.
    pub time: Option<(u64, i32)>,
}

impl Received {
    /// Bytes of a stream.
    pub fn bytes(length: usize) -> Self {
        Self { length, whole: length, ..Self::default() }
    }
}

/// A `struct msghdr`.
#[derive(Clone, Copy)]
pub struct Header {
    at: usize,
    name: usize,
    name_length: usize,
    vector: usize,
    vectors: usize,
    control: usize,
    control_length: usize,
}

impl Header {
    /// Reads one.
    ///
    /// # Errors
    /// EFAULT; EMSGSIZE for too many pieces.
    pub fn read(at: usize) -> Result<Self, Errno> {
        let [name, name_length, vector, vectors, control, control_length, _] =
            user::read_words::<7>(at)?.map(|w| w as usize);
        if vectors > 1024 {
            return Err(Errno::EMSGSIZE);
        }
        let name_length = name_length as u32 as usize;
        Ok(Self { at, name, name_length, vector, vectors, control, control_length })
    }

    /// Where its pieces stand and how many there are, if it has neither an address nor anything that goes along.
    pub fn bare(&self) -> Option<(usize, usize)> {
        let bare = (self.name == 0 || self.name_length == 0) && self.control_length == 0;
        bare.then_some((self.vector, self.vectors))
    }

    /// Its pieces.
    ///
    /// # Errors
    /// EFAULT; EINVAL.
    pub fn buffers(&self) -> Result<Buffers, Errno> {
        Buffers::vector(self.vector, self.vectors)
    }

    /// Where it goes.
    ///
    /// # Errors
    /// Those of [`address::read`].
    pub fn address(&self) -> Result<Option<Address>, Errno> {
        let there = self.name != 0 && self.name_length != 0;
        there.then(|| address::read(self.name, self.name_length.min(128))).transpose()
    }

    /// What goes along, of the descriptors of a process that is `own`.
    ///
    /// # Errors
    /// EFAULT; EINVAL for what is malformed; EBADF; EPERM for the identity of another; ENOBUFS for too much.
    pub fn ancillary(&self, files: &Files, own: Identity) -> Result<Ancillary, Errno> {
        let mut all = Ancillary::default();
        if self.control_length < CONTROL_HEADER {
            return Ok(all);
        }
        if self.control_length > CONTROL_MOST {
            return Err(Errno::ENOBUFS);
        }
        let mut bytes = alloc::vec![0; self.control_length];
        kernlet_platform::program::read(self.control, &mut bytes)?;
        let mut rest = &bytes[..];
        while rest.len() >= CONTROL_HEADER {
            let word = |at: usize| i32::from_le_bytes([rest[at], rest[at + 1], rest[at + 2], rest[at + 3]]);
            let length = rest.first_chunk().map_or(0, |b| u64::from_le_bytes(*b)) as usize;
            if length < CONTROL_HEADER || length > rest.len() {
                return Err(Errno::EINVAL);
            }
            let data = &rest[CONTROL_HEADER..length];
            let numbers = || data.chunks_exact(4).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            match (word(8), word(12)) {
                (SOL_SOCKET, SCM_RIGHTS) => {
                    for descriptor in numbers() {
                        all.files.push(files.get(descriptor)?);
                    }
                    if all.files.len() > FILES_MOST {
                        return Err(Errno::EINVAL);
                    }
                }
                (SOL_SOCKET, SCM_CREDENTIALS) => {
                    let mut words = numbers().map(|n| n as u32);
                    let (Some(process), Some(user), Some(group)) = (words.next(), words.next(), words.next())
                    else {
                        return Err(Errno::EINVAL);
                    };
                    let said = Identity { process, user, group };
                    // Only root may speak for others, and only for processes that there are.
                    if process != own.process || (own.user != 0 && said != own) {
                        return Err(Errno::EPERM);
                    }
                    all.identity = Some(said);
                }
                (SOL_SOCKET, _) => return Err(Errno::EINVAL),
                // What belongs to another protocol is its own to refuse; here it is without effect.
                _ => {}
            }
            rest = rest.get(length.next_multiple_of(8)..).unwrap_or_default();
        }
        Ok(all)
    }

    /// Tells of what was received: the sender, what came along, the flags. `close_on_exec` is for descriptors that came.
    ///
    /// # Errors
    /// EFAULT.
    pub fn tell(
        &self,
        files: &Files,
        received: Received,
        mut flags: u32,
        close_on_exec: bool,
        with_identity: bool,
    ) -> Result<(), Errno> {
        if received.whole > received.length {
            flags |= TRUNCATED;
        }
        let mut name_length = 0;
        if let (Some(from), true) = (&received.from, self.name != 0) {
            let (bytes, length) = from.encode();
            user::write(self.name, &bytes[..length.min(self.name_length)])?;
            name_length = length as u32;
        }
        let mut control = Control { at: self.control, room: self.control_length, done: 0, cut: false };
        if self.control == 0 {
            control.room = 0;
        }
        if let (Some(identity), true) = (received.ancillary.identity, with_identity) {
            control.put(SOL_SOCKET, SCM_CREDENTIALS, &identity.bytes())?;
        }
        if let Some((time, kind)) = received.time {
            // A `struct timespec`, or for SO_TIMESTAMP a `struct timeval`.
            let unit = if kind == SO_TIMESTAMP { 1000 } else { 1 };
            let parts = [time / 1_000_000_000, time % 1_000_000_000 / unit].map(u64::to_le_bytes);
            control.put(SOL_SOCKET, kind, parts.as_flattened())?;
        }
        if !received.ancillary.files.is_empty() {
            control.put_files(files, received.ancillary.files, close_on_exec)?;
        }
        if let Some(info) = received.info {
            control.put_info(info)?;
        }
        if control.cut {
            flags |= CONTROL_TRUNCATED;
        }
        // msg_namelen, msg_controllen, msg_flags.
        if self.name != 0 {
            user::write(self.at.wrapping_add(8), &name_length.to_le_bytes())?;
        }
        user::write(self.at.wrapping_add(40), &(control.done as u64).to_le_bytes())?;
        user::write(self.at.wrapping_add(48), &flags.to_le_bytes())
    }
}

/// The room for control messages.
struct Control {
    at: usize,
    room: usize,
    done: usize,
    cut: bool,
}

impl Control {
    /// Adds one message, cut off where there is no more room (put_cmsg in net/core/scm.c).
    fn put(&mut self, level: i32, kind: i32, data: &[u8]) -> Result<(), Errno> {
        let left = self.room - self.done;
        if left < CONTROL_HEADER {
            self.cut = true;
            return Ok(());
        }
        let length = CONTROL_HEADER + data.len();
        self.cut |= length > left;
        let length = length.min(left);
        let at = self.at.wrapping_add(self.done);
        user::write(at, &(length as u64).to_le_bytes())?;
        user::write(at.wrapping_add(8), &level.to_le_bytes())?;
        user::write(at.wrapping_add(12), &kind.to_le_bytes())?;
        user::write(at.wrapping_add(CONTROL_HEADER), &data[..length - CONTROL_HEADER])?;
        self.done = (self.done + length.next_multiple_of(8)).min(self.room);
        Ok(())
    }

    /// Gives as many descriptors as there is room for; the others are closed.
    fn put_files(
        &mut self,
        files: &Files,
        come: Vec<Rc<Description>>,
        close_on_exec: bool,
    ) -> Result<(), Errno> {
        let room = (self.room - self.done).saturating_sub(CONTROL_HEADER) / 4;
        let mut numbers = Vec::with_capacity(4 * come.len().min(room));
        self.cut |= come.len() > room;
        for file in come.into_iter().take(room) {
            match files.table.borrow_mut().insert(file, close_on_exec, 0) {
                Ok(descriptor) => numbers.extend(descriptor.to_le_bytes()),
                Err(_) => {
                    self.cut = true;
                    break;
                }
            }
        }
        if numbers.is_empty() { Ok(()) } else { self.put(SOL_SOCKET, SCM_RIGHTS, &numbers) }
    }

    fn put_info(&mut self, info: PacketInfo) -> Result<(), Errno> {
        let index = if info.local.is_loopback() { 1u32 } else { 2 };
        match (info.family, info.local) {
            (INET, IpAddr::V4(local)) => {
                // struct in_pktinfo: interface, local address, destination.
                let data = [index.to_le_bytes(), local.octets(), local.octets()].concat();
                self.put(0, 8, &data)
            }
            (INET6, local) => {
                let six = match local {
                    IpAddr::V4(four) => four.to_ipv6_mapped(),
                    IpAddr::V6(six) => six,
                };
                self.put(41, 50, &[&six.octets()[..], &index.to_le_bytes()].concat())
            }
            _ => Ok(()),
        }
    }
}
