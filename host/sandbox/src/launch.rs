//! Launching: fills in the loader's configuration, executes it with exactly the granted descriptors.

use crate::config::{Config, LIMITS, LINKED_BASE, MAGIC, SEGMENTS, Segment};
use crate::filter;
use crate::spawn::spawn;
use crate::table::{self, Kind};
use kernlet_wire::boot::{BlobWriter, Descriptors, NicConfig, Protocol, Published};
use rustix::event::epoll;
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::{Errno, FdFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::process::Pid;
use std::fs::File;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// The loader's file up to its configuration.
const LOADER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/loader"));
/// How far an instance's stack may grow.
const STACK: u64 = 1 << 20;
/// Private writable memory beside the heap: the image's data, the stack's margin, the fault stack.
const SLACK: u64 = 4 << 20;
/// Addresses beside twice the memory, which a heap reserves before it uses them: the kernel's own tables for what is
/// merely looked at are in no limit but this, 2 MB of them for each GB.
const ADDRESSES: u64 = 16 << 30;
/// Where images of Linux programs are placed.
const IMAGES: u64 = 0x6800_0000_0000;
const IMAGES_LENGTH: u64 = 1 << 42;
const LARGE_PAGE: u64 = 2 << 20;
/// The size of the file of shared memory.
const SHARED: u64 = 1 << 59;
/// Identities of instances that root started begin here: far from users, and one for each monitor.
const FIRST_IDENTITY: u32 = 0x7000_0000;
/// Connections and files that one instance may have open.
const DESCRIPTORS: u64 = 16_384;

/// What an instance is started with.
pub struct Launch<'a> {
    /// The image's file.
    pub image: &'a File,
    /// Its loadable segments by ascending address.
    pub segments: &'a [Segment],
    /// The linked address of its entry.
    pub entry: u64,
    /// What the instance is told; its descriptors, published ports and device are added here.
    pub blob: BlobWriter,
    /// Standard input, output and error; none for an instance without.
    pub stdio: [Option<OwnedFd>; 3],
    /// Bound sockets (for TCP: listening) and the ports that the program binds.
    pub published: Vec<(Protocol, u16, OwnedFd)>,
    /// A tap, with its configuration.
    pub nic: Option<(NicConfig, OwnedFd)>,
    /// The instance's end of the broker's socket pair.
    pub broker: Option<OwnedFd>,
    /// The memory limit in bytes.
    pub memory: u64,
    /// What kind of program it has, which decides about the host calls.
    pub kind: Kind,
}

/// A started instance.
#[derive(Debug)]
pub struct Instance {
    /// Its process.
    pub pid: Pid,
    /// Readable when it has ended.
    pub pidfd: OwnedFd,
    /// The monitor's end of the control socket: SOCK_SEQPACKET, not blocking.
    pub control: OwnedFd,
    /// Its file of shared memory, which counts as its memory; a native program has none.
    pub shared: Option<OwnedFd>,
}

/// Why an instance could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// A host call of the launcher failed.
    #[error("cannot start a process for the instance: {0}: {1}")]
    Host(&'static str, Errno),
    /// The image has more segments than the loader takes.
    #[error("the image has {0} segments, more than the loader takes")]
    TooManySegments(usize),
    /// The image's own data needs more than the whole instance may have.
    #[error(
        "the image needs {0} bytes of memory for its own data, and the limit is {1}; give it more with -m"
    )]
    TooLarge(u64, u64),
    /// The loader could not be executed.
    #[error("cannot execute the loader: {0}")]
    Execute(Errno),
}

fn host(what: &'static str) -> impl Fn(Errno) -> LaunchError {
    move |error| LaunchError::Host(what, error)
}

/// Starts an instance. Until the caller waits for `pid` it stays a zombie after its end.
///
/// # Errors
/// [`LaunchError`]; nothing is left behind then.
pub fn launch(launch: Launch<'_>) -> Result<Instance, LaunchError> {
    let kind = SocketType::SEQPACKET;
    let (control, inside) = rustix::net::socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)
        .map_err(host("socketpair"))?;
    rustix::io::ioctl_fionbio(&control, true).map_err(host("FIONBIO"))?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(host("epoll_create"))?;
    let Launch { image, segments, entry, mut blob, stdio, published, nic, broker, memory, kind } = launch;

    let shared = if kind == Kind::Linux { Some(shared_memory()?) } else { None };
    let number = |fd: &Option<OwnedFd>| fd.as_ref().map_or(-1, AsRawFd::as_raw_fd);
    blob.memory(memory).descriptors(Descriptors {
        stdio: [number(&stdio[0]), number(&stdio[1]), number(&stdio[2])],
        control: inside.as_raw_fd(),
        broker: number(&broker),
        epoll: epoll.as_raw_fd(),
        image: if kind == Kind::Linux { image.as_raw_fd() } else { -1 },
        shared: number(&shared),
    });
    for (protocol, port, socket) in &published {
        blob.published(Published { protocol: *protocol, port: *port, descriptor: socket.as_raw_fd() });
    }
    if let Some((config, tap)) = &nic {
        blob.nic(&NicConfig { descriptor: tap.as_raw_fd(), ..config.clone() });
    }

    let mut granted: Vec<BorrowedFd<'_>> = vec![inside.as_fd(), epoll.as_fd()];
    granted.extend(stdio.iter().flatten().chain(&broker).map(AsFd::as_fd));
    granted.extend(published.iter().map(|(.., socket)| socket.as_fd()));
    granted.extend(nic.iter().map(|(_, tap)| tap.as_fd()));
    if kind == Kind::Linux {
        granted.push(image.as_fd());
        granted.extend(shared.iter().map(AsFd::as_fd));
    }
    granted.sort_by_key(|fd| fd.as_raw_fd());

    let mut config = configuration(segments, entry, memory, kind)?;
    config.image = image.as_raw_fd();
    config.stderr = number(&stdio[2]).into();
    let program = loader(config, kind, &granted, &blob.finish())?;
    for fd in granted.iter().copied().chain([image.as_fd()]) {
        rustix::io::fcntl_setfd(fd, FdFlags::empty()).map_err(host("F_SETFD"))?;
    }
    // Out of the reach of the terminal's keys, in a group of its own: signals are the monitor's to pass on.
    let spawned = spawn(program.as_fd(), c"kernlet-instance");
    // The image is used again by a restart, so it must not reach another program by accident.
    let _ = rustix::io::fcntl_setfd(image, FdFlags::CLOEXEC);
    let (pid, pidfd) = spawned.map_err(LaunchError::Execute)?;
    Ok(Instance { pid, pidfd, control, shared })
}

fn configuration(segments: &[Segment], entry: u64, memory: u64, kind: Kind) -> Result<Config, LaunchError> {
    let mut table = [Segment::default(); SEGMENTS];
    table
        .get_mut(..segments.len())
        .ok_or(LaunchError::TooManySegments(segments.len()))?
        .copy_from_slice(segments);
    let data: u64 = segments.iter().filter(|s| s.flags & 2 != 0).map(|s| s.memory_size).sum();
    if data > memory {
        return Err(LaunchError::TooLarge(data, memory));
    }
    let image = segments.last().map_or(0, |s| s.address.saturating_add(s.memory_size));
    let code =
        segments.iter().find(|s| s.flags & 1 != 0).map_or(0, |s| s.address.saturating_add(s.memory_size));
    // RLIMIT_DATA counts private writable memory, RLIMIT_AS all addresses; the numbers are those of getrlimit(2). Programs for
    // Linux reserve much that they never touch, so that both would be wrong for them: what they touch is counted inside,
    // and by the monitor.
    let (private, addresses) = match kind {
        Kind::Native => (
            memory.saturating_add(data).saturating_add(SLACK),
            memory.saturating_mul(2).saturating_add(image).saturating_add(ADDRESSES),
        ),
        Kind::Linux => (u64::MAX, u64::MAX),
    };
    let list = [
        [2, private],
        [3, STACK],
        [4, 0], // RLIMIT_CORE
        [6, 0], // RLIMIT_NPROC
        [7, descriptor_limit()],
        [8, 0], // RLIMIT_MEMLOCK
        [9, addresses],
        [10, 0], // RLIMIT_LOCKS
        [12, 0], // RLIMIT_MSGQUEUE
    ];
    let mut limits = [[0; 2]; LIMITS];
    limits[..list.len()].copy_from_slice(&list);
    let identity = FIRST_IDENTITY + std::process::id();
    Ok(Config {
        magic: MAGIC,
        image: -1,
        segment_count: segments.len() as u32,
        segments: table,
        entry,
        base: if kind == Kind::Linux { place(code)? } else { 0 },
        parent: std::process::id(),
        limit_count: list.len() as u32,
        limits,
        identity: [identity, identity],
        drop_identity: u32::from(rustix::process::geteuid().is_root()),
        kept_count: 0,
        kept_offset: 0,
        filter_count: 0,
        filter_offset: 0,
        blob_length: 0,
        blob_offset: 0,
        stack_size: STACK,
        stderr: -1,
    })
}

/// A memory file of which only what is written takes memory, and whose size nobody can change any more.
fn shared_memory() -> Result<OwnedFd, LaunchError> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = rustix::fs::memfd_create(c"kernlet-shared", flags).map_err(host("memfd_create"))?;
    rustix::fs::ftruncate(&file, SHARED).map_err(host("ftruncate"))?;
    let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&file, seals).map_err(host("F_ADD_SEALS"))?;
    Ok(file)
}

/// A random place for an image whose code ends at linked address `end`, above all of a Linux program's memory and below what the kernel
/// places itself; the code does not cross a multiple of 4 GiB.
fn place(end: u64) -> Result<u64, LaunchError> {
    let mut random = [0; 8];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty()).map_err(host("getrandom"))?;
    let place = IMAGES + (u64::from_le_bytes(random) & (IMAGES_LENGTH - 1)) / LARGE_PAGE * LARGE_PAGE;
    let crosses = place >> 32 != (place + end) >> 32;
    Ok(if crosses { (place + end) >> 32 << 32 } else { place })
}

/// Where the code of an image lies whose place was chosen.
fn text(config: &Config) -> Option<Range<u64>> {
    let bias = config.base.checked_sub(LINKED_BASE)?;
    let mut segments = config.segments.iter().take(config.segment_count as usize);
    let code = segments.find(|s| s.flags & 1 != 0)?;
    Some(bias + code.address..bias + code.address + code.memory_size)
}

/// As much as this user may have: the soft limit is for programs that use select(2), and often 1024, which a server of
/// thousands of connections would meet.
fn descriptor_limit() -> u64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.maximum.unwrap_or(DESCRIPTORS).min(DESCRIPTORS)
}

/// The loader as an executable file of its own in memory, its configuration filled in.
fn loader(
    mut config: Config,
    kind: Kind,
    granted: &[BorrowedFd<'_>],
    blob: &[u8],
) -> Result<OwnedFd, LaunchError> {
    let filter = filter::compile(&table::calls(kind), text(&config));
    let align = |n: usize| n.next_multiple_of(8);
    let head = align(size_of::<Config>());
    config.filter_count = filter.len() as u64;
    config.filter_offset = head as u64;
    config.kept_count = granted.len() as u32;
    config.kept_offset = (head + 8 * filter.len()) as u64;
    config.blob_offset = config.kept_offset + align(4 * granted.len()) as u64;
    config.blob_length = blob.len() as u64;
    let length = config.blob_offset as usize + blob.len();

    // The program header of the last segment says how long it is.
    let word =
        |at: usize| LOADER.get(at..at + 2).map_or(0, |b| usize::from(u16::from_le_bytes([b[0], b[1]])));
    let last = word(32) + (word(56) - 1) * 56;
    let mut file = Vec::with_capacity(LOADER.len() + length);
    file.extend_from_slice(LOADER);
    for at in [last + 32, last + 40] {
        file[at..at + 8].copy_from_slice(&(length as u64).to_le_bytes());
    }
    let start = file.len();
    encode(&config, &mut file);
    file.resize(start + head, 0);
    for instruction in &filter {
        file.extend_from_slice(&instruction.encode());
    }
    for descriptor in granted {
        file.extend_from_slice(&descriptor.as_raw_fd().to_le_bytes());
    }
    file.resize(start + config.blob_offset as usize, 0);
    file.extend_from_slice(blob);

    // MFD_EXEC is newer than some kernels, which know no memfd that cannot be executed either.
    let flags = MemfdFlags::CLOEXEC;
    let writable = rustix::fs::memfd_create(c"kernlet-loader", flags | MemfdFlags::EXEC)
        .or_else(|_| rustix::fs::memfd_create(c"kernlet-loader", flags))
        .map_err(host("memfd_create"))?;
    let mut rest = file.as_slice();
    while !rest.is_empty() {
        rest = &rest[rustix::io::write(&writable, rest).map_err(host("write to a memfd"))?..];
    }
    // A file that is open for writing cannot be executed (ETXTBSY).
    let path = format!("/proc/self/fd/{}", writable.as_raw_fd());
    let program = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(host("reopen a memfd"))?;
    Ok(program)
}

/// Appends the bytes of a configuration, field by field in the order and with the padding of its `repr(C)`.
fn encode(config: &Config, out: &mut Vec<u8>) {
    let start = out.len();
    let c = config;
    out.extend_from_slice(&c.magic.to_le_bytes());
    out.extend_from_slice(&c.image.to_le_bytes());
    out.extend_from_slice(&c.segment_count.to_le_bytes());
    for s in &c.segments {
        for field in [s.offset, s.file_size, s.address, s.memory_size, s.flags] {
            out.extend_from_slice(&field.to_le_bytes());
        }
    }
    out.extend_from_slice(&c.entry.to_le_bytes());
    out.extend_from_slice(&c.base.to_le_bytes());
    out.extend_from_slice(&c.parent.to_le_bytes());
    out.extend_from_slice(&c.limit_count.to_le_bytes());
    for field in c.limits.iter().flatten() {
        out.extend_from_slice(&field.to_le_bytes());
    }
    for field in [c.identity[0], c.identity[1], c.drop_identity, c.kept_count] {
        out.extend_from_slice(&field.to_le_bytes());
    }
    let rest = [c.kept_offset, c.filter_count, c.filter_offset, c.blob_length, c.blob_offset, c.stack_size];
    for field in rest {
        out.extend_from_slice(&field.to_le_bytes());
    }
    out.extend_from_slice(&c.stderr.to_le_bytes());
    debug_assert_eq!(out.len() - start, size_of::<Config>());
}

/// What a loader's exit status says about a start that failed; `None` for a status that is the program's own.
pub fn start_failure(status: i32) -> Option<&'static str> {
    Some(match status {
        240 => "the loader's configuration is damaged",
        241 => "the image could not be mapped (is there enough memory?)",
        242 => "descriptors could not be closed",
        243 => "the unprivileged identity could not be taken",
        244 => "the monitor ended before the instance began",
        245 => "resource limits could not be set (they may not be above the monitor's own; see ulimit -a)",
        246 => "no_new_privs could not be set",
        247 => "Landlock refused",
        248 => "the seccomp filter was refused (does this kernel have CONFIG_SECCOMP_FILTER?)",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_s_own_data_counts_as_memory() {
        let data =
            |memory_size| [Segment { address: 0x10_0000, memory_size, flags: 6, ..Segment::default() }];
        let limits = |config: &Config| {
            config.limits.iter().map(|[number, value]| (*number, *value)).collect::<Vec<_>>()
        };
        let config = configuration(&data(1 << 20), 0, 32 << 20, Kind::Native).unwrap();
        assert!(limits(&config).contains(&(2, (33 << 20) + SLACK)));
        assert!(limits(&config).iter().any(|&(number, value)| number == 9 && value < 17 << 30));
        let error = configuration(&data(1 << 30), 0, 32 << 20, Kind::Native).map(drop).unwrap_err();
        assert!(matches!(error, LaunchError::TooLarge(..)) && error.to_string().contains("-m"), "{error}");
    }
}
