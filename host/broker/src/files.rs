//! What can be done in a volume.

use crate::volume::{Volume, by_descriptor};
use kernlet_wire::broker as wire;
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The permission bits that an instance can set: a program that it leaves on the host runs as whoever starts it.
pub const FILE_MODE: u32 = 0o777;
const DIRECTORY_MODE: u32 = 0o1777;
const NANOSECONDS: u64 = 1_000_000_000;

/// Opens a regular file or a directory.
pub fn open(
    volume: &Volume,
    path: &[u8],
    how: wire::OpenFlags,
    mode: u32,
) -> Result<(OwnedFd, wire::Stat), Errno> {
    use wire::OpenFlags as F;
    let flags = open_flags(how)?;
    if how.has(F::WRITE) {
        volume.writable()?;
    }
    // First only a look, which opens nothing: opening a device can do something. What was seen is what is opened then,
    // whatever was put in its place since.
    let look = OFlags::PATH | flags & OFlags::NOFOLLOW;
    let (file, stat) = match volume.resolve(path, look, Mode::empty()) {
        Ok(_) if how.has(F::EXCLUSIVE) => return Err(Errno::EXIST),
        Ok(seen) => {
            let stat = fs::fstat(&seen)?;
            grantable(&stat)?;
            let flags = (flags - OFlags::CREATE - OFlags::NOFOLLOW) | OFlags::CLOEXEC;
            let file = fs::open(by_descriptor(seen.as_fd()), flags, Mode::empty())?;
            // It is the same file, which only cutting it has changed.
            let stat = if flags.contains(OFlags::TRUNC) { fs::fstat(&file)? } else { stat };
            (file, stat)
        }
        // A new file; a pipe that somebody makes meanwhile does not block, and is refused below.
        Err(Errno::NOENT) if how.has(F::CREATE) => {
            let quietly = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
            let file = volume.resolve(path, flags | quietly, Mode::from_raw_mode(mode & FILE_MODE))?;
            let stat = fs::fstat(&file)?;
            grantable(&stat)?;
            fs::fcntl_setfl(&file, fs::fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
            (file, stat)
        }
        Err(error) => return Err(error),
    };
    Ok((file, wire_stat(&stat)))
}

/// Only what has no effect but its contents is handed out.
fn grantable(stat: &fs::Stat) -> Result<(), Errno> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile | FileType::Directory => Ok(()),
        FileType::Symlink => Err(Errno::LOOP),
        _ => Err(Errno::ACCESS),
    }
}

fn open_flags(how: wire::OpenFlags) -> Result<OFlags, Errno> {
    use wire::OpenFlags as F;
    let changes = [F::CREATE, F::TRUNCATE, F::APPEND].into_iter().any(|flag| how.has(flag));
    let mut flags = match (how.has(F::READ), how.has(F::WRITE)) {
        (true, false) if !changes => OFlags::RDONLY,
        (false, true) => OFlags::WRONLY,
        (true, true) => OFlags::RDWR,
        _ => return Err(Errno::INVAL),
    };
    if how.has(F::DIRECTORY) && how.has(F::WRITE) {
        return Err(Errno::ISDIR);
    }
    for (flag, host) in [
        (F::CREATE, OFlags::CREATE),
        (F::EXCLUSIVE, OFlags::EXCL),
        (F::TRUNCATE, OFlags::TRUNC),
        (F::APPEND, OFlags::APPEND),
        (F::DIRECTORY, OFlags::DIRECTORY),
        (F::NO_FOLLOW, OFlags::NOFOLLOW),
    ] {
        flags.set(host, how.has(flag));
    }
    if how.has(F::EXCLUSIVE) {
        if !how.has(F::CREATE) {
            return Err(Errno::INVAL);
        }
        flags |= OFlags::NOFOLLOW;
    }
    Ok(flags)
}

/// Looks a path up without opening what is there.
pub fn look(volume: &Volume, path: &[u8], follow: bool) -> Result<OwnedFd, Errno> {
    let flags = if follow { OFlags::PATH } else { OFlags::PATH | OFlags::NOFOLLOW };
    volume.resolve(path, flags, Mode::empty())
}

pub fn stat(volume: &Volume, path: &[u8], follow: bool) -> Result<wire::Stat, Errno> {
    Ok(wire_stat(&fs::fstat(look(volume, path, follow)?)?))
}

pub fn create_directory(volume: &Volume, path: &[u8], mode: u32) -> Result<(), Errno> {
    volume.writable()?;
    let (folder, name) = volume.parent(path)?;
    fs::mkdirat(folder, name, Mode::from_raw_mode(mode & DIRECTORY_MODE))
}

pub fn remove(volume: &Volume, path: &[u8], directory: bool) -> Result<(), Errno> {
    volume.writable()?;
    let (folder, name) = volume.parent(path)?;
    let flags = if directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
    fs::unlinkat(folder, name, flags)
}

pub fn rename(volume: &Volume, from: &[u8], to: &[u8]) -> Result<(), Errno> {
    volume.writable()?;
    let (old_folder, old) = volume.parent(from)?;
    let (new_folder, new) = volume.parent(to)?;
    fs::renameat(old_folder, old, new_folder, new)
}

pub fn link(volume: &Volume, from: &[u8], to: &[u8]) -> Result<(), Errno> {
    volume.writable()?;
    let (old_folder, old) = volume.parent(from)?;
    let (new_folder, new) = volume.parent(to)?;
    fs::linkat(old_folder, old, new_folder, new, AtFlags::empty())
}

pub fn symlink(volume: &Volume, target: &[u8], path: &[u8]) -> Result<(), Errno> {
    volume.writable()?;
    let (folder, name) = volume.parent(path)?;
    fs::symlinkat(target, folder, name)
}

pub fn read_link(volume: &Volume, path: &[u8]) -> Result<Vec<u8>, Errno> {
    let link = look(volume, path, false)?;
    if !FileType::from_raw_mode(fs::fstat(&link)?.st_mode).is_symlink() {
        return Err(Errno::INVAL);
    }
    Ok(fs::readlinkat(link, "", Vec::new())?.into_bytes())
}

pub fn set_mode(volume: &Volume, path: &[u8], mode: u32) -> Result<(), Errno> {
    volume.writable()?;
    mode_of(look(volume, path, true)?.as_fd(), mode)
}

/// Sets the permission bits of what a descriptor, which need not give any access, leads to.
pub fn mode_of(file: BorrowedFd<'_>, mode: u32) -> Result<(), Errno> {
    let stat = fs::fstat(file)?;
    grantable(&stat)?;
    let directory = FileType::from_raw_mode(stat.st_mode).is_dir();
    let mode = mode & if directory { DIRECTORY_MODE } else { FILE_MODE };
    // A descriptor without access cannot be given a mode, the link that the kernel keeps for it can.
    fs::chmod(by_descriptor(file), Mode::from_raw_mode(mode))
}

pub fn set_times(
    volume: &Volume,
    path: &[u8],
    accessed: Option<u64>,
    modified: Option<u64>,
) -> Result<(), Errno> {
    volume.writable()?;
    times_of(look(volume, path, true)?.as_fd(), accessed, modified)
}

/// Sets the times of what a descriptor leads to.
pub fn times_of(file: BorrowedFd<'_>, accessed: Option<u64>, modified: Option<u64>) -> Result<(), Errno> {
    let time = |nanoseconds: Option<u64>| match nanoseconds {
        Some(n) => Timespec { tv_sec: (n / NANOSECONDS) as i64, tv_nsec: (n % NANOSECONDS) as i64 },
        None => Timespec { tv_sec: 0, tv_nsec: fs::UTIME_OMIT },
    };
    let times = Timestamps { last_access: time(accessed), last_modification: time(modified) };
    fs::utimensat(file, "", &times, AtFlags::EMPTY_PATH)
}

pub fn truncate(volume: &Volume, path: &[u8], length: u64) -> Result<(), Errno> {
    let (file, _) = open(volume, path, wire::OpenFlags::WRITE, 0)?;
    fs::ftruncate(file, length)
}

pub fn file_system(volume: &Volume, path: &[u8]) -> Result<wire::FileSystem, Errno> {
    let about = fs::fstatvfs(look(volume, path, true)?)?;
    let bytes = |blocks: u64| blocks.saturating_mul(about.f_frsize);
    Ok(wire::FileSystem {
        total: bytes(about.f_blocks),
        free: bytes(about.f_bfree),
        available: bytes(about.f_bavail),
        files: about.f_files,
        free_files: about.f_ffree,
    })
}

pub fn wire_stat(stat: &fs::Stat) -> wire::Stat {
    let time = |seconds: i64, rest: u64| {
        u64::try_from(seconds).unwrap_or(0).saturating_mul(NANOSECONDS).saturating_add(rest)
    };
    wire::Stat {
        inode: stat.st_ino,
        mode: stat.st_mode,
        links: u32::try_from(stat.st_nlink).unwrap_or(u32::MAX),
        uid: stat.st_uid,
        gid: stat.st_gid,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        blocks: u64::try_from(stat.st_blocks).unwrap_or(0),
        accessed: time(stat.st_atime, stat.st_atime_nsec),
        modified: time(stat.st_mtime, stat.st_mtime_nsec),
        changed: time(stat.st_ctime, stat.st_ctime_nsec),
    }
}
