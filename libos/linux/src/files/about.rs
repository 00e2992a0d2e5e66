//! What is known of a file: stat(2), statx(2), statfs(2).

use super::description::{Description, Kind};
use super::flags::{AT_EMPTY_PATH, AT_NO_AUTOMOUNT, AT_NO_FOLLOW, AT_SYNC};
use super::path::{self, At};
use super::proc;
use super::tree::node::{S_IFBLK, S_IFCHR, S_IFIFO, S_IFMT};
use super::tree::{self, Location, Node, Sort, System};
use crate::call::Outcome;
use crate::process::Process;
use crate::thread::Thread;
use crate::{Errno, PAGE, user};
use alloc::rc::Rc;
use alloc::vec::Vec;
use kernlet_fs::Metadata;
use kernlet_platform::sealed;

/// The device number of what is in no file system: pipes and the like.
const ANONYMOUS: u64 = 12;
/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

/// What is known of a file.
#[derive(Clone, Copy, Debug, Default)]
pub struct About {
    /// Its file system.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
    /// Type and permission bits.
    pub mode: u32,
    /// How many names it has.
    pub links: u32,
    /// User and group.
    pub owner: (u32, u32),
    /// The device that it is: major and minor number.
    pub special: (u32, u32),
    /// Bytes.
    pub size: u64,
    /// Units of 512 bytes that it takes.
    pub blocks: u64,
    /// Its times; made at 0: not known.
    pub times: tree::Times,
}

impl About {
    /// Of a node.
    pub fn of(process: &Process, node: &Rc<Node>) -> Self {
        let size = match &node.kind {
            tree::Kind::Generated(generated) => proc::size(process, generated),
            _ => node.size(),
        };
        let special = match &node.kind {
            tree::Kind::Device(device) => device.number(),
            _ => (0, 0),
        };
        let blocks = match &node.kind {
            tree::Kind::File(content) => content.borrow().blocks(),
            _ => 0,
        };
        Self {
            device: node.system.device,
            inode: node.number,
            mode: node.mode.get(),
            links: node.links.get(),
            owner: node.owner.get(),
            special,
            size,
            blocks,
            times: node.times.get(),
        }
    }

    /// Of a file of a volume.
    pub fn of_volume(top: &Node, metadata: &Metadata) -> Self {
        let times = tree::Times {
            accessed: metadata.accessed,
            modified: metadata.modified,
            changed: metadata.changed,
            created: 0,
        };
        Self {
            device: top.system.device,
            inode: metadata.inode,
            mode: metadata.mode,
            links: metadata.links,
            owner: (metadata.uid, metadata.gid),
            special: (0, 0),
            size: metadata.size,
            blocks: metadata.blocks,
            times,
        }
    }

    /// Of what is at a place; of a link itself unless `follow`.
    ///
    /// # Errors
    /// Those of stat(2).
    pub async fn at(process: &Process, location: &Location, follow: bool) -> Result<Self, Errno> {
        match location {
            Location::Node(node) => Ok(Self::of(process, node)),
            Location::Volume(top, path) => {
                let volume = top.system.volume().ok_or(Errno::EIO)?;
                Ok(Self::of_volume(top, &volume.names().stat(path, follow).await?))
            }
            Location::Open(description) => Self::anonymous(process, description),
        }
    }

    /// Of what is open.
    ///
    /// # Errors
    /// Those of fstat(2).
    pub async fn open(process: &Process, description: &Description) -> Result<Self, Errno> {
        match &description.kind {
            Kind::Regular(file) => Ok(Self::of(process, file.node())),
            Kind::Volume(file) => Ok(Self::of_volume(file.top(), &file.metadata().await?)),
            _ => match description.place.as_ref().and_then(|place| place.found.as_ref()) {
                Some(Location::Open(_)) | None => Self::anonymous(process, description),
                Some(location) => Self::at(process, location, false).await,
            },
        }
    }

    /// Of what has no name.
    fn anonymous(process: &Process, description: &Description) -> Result<Self, Errno> {
        let (mode, inode) = match &description.kind {
            Kind::Pipe(pipe) => match &pipe.node {
                Some(node) => return Ok(Self::of(process, node)),
                None => (S_IFIFO | 0o600, pipe.number()),
            },
            Kind::Console(console) if console.is_terminal() => (S_IFCHR | 0o620, 3),
            Kind::Console(_) => (S_IFIFO | 0o600, 2),
            Kind::Socket(socket) => (tree::node::S_IFSOCK | 0o777, socket.number()),
            _ => (0o600, 1),
        };
        let credentials = process.credentials.borrow();
        let special = if mode & S_IFMT == S_IFCHR { (136, 0) } else { (0, 0) };
        let owner = (credentials.users[1], credentials.groups[1]);
        Ok(Self { device: ANONYMOUS, inode, mode, links: 1, owner, special, ..Self::default() })
    }

    /// S_IFDIR and the like.
    pub fn sort(&self) -> u32 {
        self.mode & S_IFMT
    }

    fn is_special(&self) -> bool {
        matches!(self.sort(), S_IFCHR | S_IFBLK)
    }

    /// As `struct stat` (arch/x86/include/uapi/asm/stat.h).
    fn encode(&self) -> [u8; 144] {
        let mut words = [0u64; 18];
        words[0] = self.device;
        words[1] = self.inode;
        words[2] = self.links.into();
        words[3] = u64::from(self.mode) | u64::from(self.owner.0) << 32;
        words[4] = self.owner.1.into();
        words[5] = if self.is_special() { device_number(self.special) } else { 0 };
        words[6] = self.size;
        words[7] = PAGE as u64;
        words[8] = self.blocks;
        for (i, time) in
            [self.times.accessed, self.times.modified, self.times.changed].into_iter().enumerate()
        {
            words[9 + 2 * i] = time / SECOND;
            words[10 + 2 * i] = time % SECOND;
        }
        bytes_of(&words)
    }

    /// As `struct statx` (include/uapi/linux/stat.h).
    fn encode_extended(&self) -> [u8; 256] {
        /// STATX_BASIC_STATS, STATX_BTIME.
        const BASIC: u32 = 0x7ff;
        const CREATED: u32 = 0x800;
        let mut bytes = [0; 256];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        let known = if self.times.created == 0 { BASIC } else { BASIC | CREATED };
        put(0, &known.to_le_bytes());
        put(4, &(PAGE as u32).to_le_bytes());
        put(16, &self.links.to_le_bytes());
        put(20, &self.owner.0.to_le_bytes());
        put(24, &self.owner.1.to_le_bytes());
        put(28, &(self.mode as u16).to_le_bytes());
        put(32, &self.inode.to_le_bytes());
        put(40, &self.size.to_le_bytes());
        put(48, &self.blocks.to_le_bytes());
        let times = [self.times.accessed, self.times.created, self.times.changed, self.times.modified];
        for (i, time) in times.into_iter().enumerate() {
            put(64 + 16 * i, &(time / SECOND).to_le_bytes());
            put(72 + 16 * i, &((time % SECOND) as u32).to_le_bytes());
        }
        if self.is_special() {
            put(128, &self.special.0.to_le_bytes());
            put(132, &self.special.1.to_le_bytes());
        }
        put(136, &((self.device >> 8) as u32).to_le_bytes());
        put(140, &((self.device & 0xff) as u32).to_le_bytes());
        bytes
    }
}

/// A device number as stat(2) has it.
pub fn device_number((major, minor): (u32, u32)) -> u64 {
    let (major, minor) = (u64::from(major), u64::from(minor));
    minor & 0xff | (major & 0xfff) << 8 | (minor & !0xff) << 12 | (major & !0xfff) << 32
}

/// Major and minor number of what stat(2) and mknod(2) have as one.
pub fn device_parts(number: u64) -> (u32, u32) {
    let major = number >> 8 & 0xfff | number >> 32 & !0xfff;
    let minor = number & 0xff | number >> 12 & !0xff;
    (major as u32, minor as u32)
}

fn bytes_of<const N: usize, const M: usize>(words: &[u64; N]) -> [u8; M] {
    let mut bytes = [0; M];
    for (to, word) in bytes.chunks_exact_mut(8).zip(words) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// What is known of a file by descriptor and path, as the *at calls have it.
async fn look(thread: &Rc<Thread>, directory: i32, path: usize, flags: u32) -> Result<About, Errno> {
    let process = &thread.process;
    match path::at(process, directory, path, flags & AT_EMPTY_PATH != 0)? {
        At::Open(description) => About::open(process, &description).await,
        At::Path(base, text) => {
            let place = path::walk(process, base, &text, flags & AT_NO_FOLLOW == 0)?;
            path::look(process, &place).await
        }
    }
}

/// stat(2), lstat(2), newfstatat(2).
pub async fn stat(thread: &Rc<Thread>, directory: i32, path: usize, to: usize, flags: u32) -> Outcome {
    if flags & !(AT_NO_FOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT) != 0 {
        return Err(Errno::EINVAL);
    }
    let about = look(thread, directory, path, flags).await?;
    user::write(to, &about.encode()).map(|()| 0)
}

/// fstat(2).
pub async fn fstat(thread: &Rc<Thread>, descriptor: i32, to: usize) -> Outcome {
    let description = thread.process.files.get(descriptor)?;
    let about = About::open(&thread.process, &description).await?;
    user::write(to, &about.encode()).map(|()| 0)
}

/// statx(2).
pub async fn statx(
    thread: &Rc<Thread>,
    directory: i32,
    path: usize,
    flags: u32,
    mask: u32,
    to: usize,
) -> Outcome {
    const RESERVED: u32 = 0x8000_0000;
    if mask & RESERVED != 0
        || flags & AT_SYNC == AT_SYNC
        || flags & !(AT_NO_FOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_SYNC) != 0
    {
        return Err(Errno::EINVAL);
    }
    let about = look(thread, directory, path, flags).await?;
    user::write(to, &about.encode_extended()).map(|()| 0)
}

/// statfs(2).
pub async fn statfs(thread: &Rc<Thread>, path: usize, to: usize) -> Outcome {
    let process = &thread.process;
    let text = user::path(path)?;
    let place = path::walk(process, path::start(process), &text, true)?;
    let full = match place.existing()? {
        Location::Node(node) => space(&node.system, b"").await?,
        Location::Volume(top, path) => space(&top.system, path).await?,
        Location::Open(_) => anonymous_space(),
    };
    user::write(to, &full).map(|()| 0)
}

/// fstatfs(2).
pub async fn fstatfs(thread: &Rc<Thread>, descriptor: i32, to: usize) -> Outcome {
    let description = thread.process.files.get(descriptor)?;
    let full = match description.place.as_ref().and_then(|place| place.found.as_ref()) {
        Some(Location::Node(node)) => space(&node.system, b"").await?,
        Some(Location::Volume(top, path)) => space(&top.system, path).await?,
        _ => match &description.kind {
            Kind::Regular(file) => space(&file.node().system, b"").await?,
            _ => anonymous_space(),
        },
    };
    user::write(to, &full).map(|()| 0)
}

/// The longest name of a file.
const NAME_MAX: u64 = 255;

/// As `struct statfs` (include/uapi/asm-generic/statfs.h), with what include/uapi/linux/magic.h calls the file systems.
async fn space(system: &System, path: &[u8]) -> Result<Vec<u8>, Errno> {
    const ST_RDONLY: u64 = 0x1;
    const ST_VALID: u64 = 0x20;
    const ST_NOATIME: u64 = 0x400;
    let page = PAGE as u64;
    let usage = &system.usage;
    let magic = match &system.sort {
        Sort::Overlay(_) => 0x794c_7630,
        Sort::Tmpfs | Sort::Dev => 0x0102_1994,
        Sort::Pts => 0x1cd1,
        Sort::Proc => 0x9fa0,
        Sort::Sys => 0x6265_6572,
        Sort::Volume(_) => 0x0102_1997,
    };
    let [total, unused, free, files, free_files] = match &system.sort {
        Sort::Volume(volume) => {
            let space = volume.names().space(path).await?;
            [space.total / page, space.unused / page, space.free / page, space.files, space.free_files]
        }
        Sort::Proc | Sort::Sys | Sort::Pts => [0; 5],
        other => {
            // What the image holds is in use.
            let image =
                if matches!(other, Sort::Overlay(_)) { sealed::whole().len() as u64 / page } else { 0 };
            let free = usage.free_pages();
            [usage.most() + image, free, free, usage.most(), usage.free_nodes()]
        }
    };
    let flags = ST_VALID | ST_NOATIME | if system.read_only { ST_RDONLY } else { 0 };
    let (space, about) = ([total, unused, free, files, free_files], [system.device, NAME_MAX, page, flags]);
    let words = [magic, page].into_iter().chain(space).chain(about).chain([0; 4]);
    Ok(words.flat_map(u64::to_le_bytes).collect())
}

fn anonymous_space() -> Vec<u8> {
    let page = PAGE as u64;
    let words = [0x0904_1934, page, 0, 0, 0, 0, 0, ANONYMOUS, NAME_MAX, page, 0x20, 0, 0, 0, 0];
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_are_split_as_they_were_joined() {
        for parts in [(1, 3), (136, 300), (0xfff, 0xf_ffff), (0x1_2345, 7)] {
            assert_eq!(device_parts(device_number(parts)), parts);
        }
        assert_eq!(device_number((5, 1)), 0x501);
    }
}
