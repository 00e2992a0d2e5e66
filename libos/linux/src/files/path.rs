//! Paths that calls name: where they begin, where they lead.

use super::about::About;
use super::description::Description;
use super::flags::CWD;
use super::tree::node::{S_IFDIR, S_IFLNK};
use super::tree::{Location, Place, Resolve, Walk};
use crate::process::Process;
use crate::thread::Thread;
use crate::{Errno, user};
use alloc::rc::Rc;
use alloc::vec::Vec;

/// What a call with a descriptor and a path is about.
pub enum At {
    /// What is open (AT_EMPTY_PATH).
    Open(Rc<Description>),
    /// A path, and where it begins.
    Path(Location, Vec<u8>),
}

/// The working directory.
pub fn start(process: &Process) -> Location {
    process.files.working_directory.borrow().clone().unwrap_or_else(|| top(process))
}

fn top(process: &Process) -> Location {
    Location::of(process.files.tree.top().clone())
}

/// The directory that a descriptor refers to.
///
/// # Errors
/// EBADF, ENOTDIR.
pub fn directory(process: &Process, descriptor: i32) -> Result<Location, Errno> {
    if descriptor == CWD {
        return Ok(start(process));
    }
    let description = process.files.get(descriptor)?;
    let place = description.place.as_ref().and_then(|place| place.found.clone());
    match place.ok_or(Errno::ENOTDIR)? {
        Location::Node(node) if !node.is_directory() => Err(Errno::ENOTDIR),
        Location::Open(_) => Err(Errno::ENOTDIR),
        location => Ok(location),
    }
}

/// What descriptor and path (an address in the program) name; `empty`: no path means the descriptor itself.
///
/// # Errors
/// EFAULT, EBADF, ENOTDIR; ENOENT for no path.
pub fn at(process: &Process, descriptor: i32, path: usize, empty: bool) -> Result<At, Errno> {
    let text = match path {
        // statx(2) takes none for an empty one.
        0 if empty => Vec::new(),
        _ => user::path(path)?,
    };
    match &text[..] {
        [] if empty && descriptor == CWD => Ok(At::Path(start(process), b".".to_vec())),
        [] if empty => process.files.get(descriptor).map(At::Open),
        [] => Err(Errno::ENOENT),
        // The descriptor is not looked at then.
        [b'/', ..] => Ok(At::Path(top(process), text)),
        _ => Ok(At::Path(directory(process, descriptor)?, text)),
    }
}

/// Walks a path.
///
/// # Errors
/// Those of path_resolution(7).
pub fn walk(process: &Process, start: Location, text: &[u8], follow: bool) -> Result<Place, Errno> {
    Walk { process, start, follow, resolve: Resolve::default() }.walk(text)
}

/// Walks the path that descriptor and address name.
///
/// # Errors
/// EFAULT, EBADF; those of path_resolution(7).
pub fn place(thread: &Thread, descriptor: i32, path: usize, follow: bool) -> Result<Place, Errno> {
    let process = &thread.process;
    match at(process, descriptor, path, false)? {
        At::Path(start, text) => walk(process, start, &text, follow),
        At::Open(_) => Err(Errno::ENOENT),
    }
}

/// What is known of what a walk found.
///
/// # Errors
/// ENOENT; ENOTDIR when the path says that it is a directory, and it is none; those of stat(2).
pub async fn look(process: &Process, place: &Place) -> Result<About, Errno> {
    let about = About::at(process, place.existing()?, place.follow).await?;
    if place.slash && about.sort() != S_IFDIR { Err(Errno::ENOTDIR) } else { Ok(about) }
}

/// readlink(2), readlinkat(2).
pub async fn read_link(
    thread: &Rc<Thread>,
    descriptor: i32,
    path: usize,
    to: usize,
    length: usize,
) -> crate::call::Outcome {
    if length == 0 || length > i32::MAX as usize {
        return Err(Errno::EINVAL);
    }
    if path == 0 {
        return Err(Errno::EFAULT);
    }
    let process = &thread.process;
    let target = match at(process, descriptor, path, true)? {
        At::Open(description) => {
            let place = description.place.as_ref().ok_or(Errno::ENOENT)?;
            // Only a link that was opened as such (O_PATH) is meant by a descriptor alone.
            target(process, place.existing()?).await.map_err(|_| Errno::ENOENT)?
        }
        At::Path(start, text) => {
            let place = walk(process, start, &text, false)?;
            let location = place.existing()?;
            target(process, location).await?
        }
    };
    let count = target.len().min(length);
    user::write(to, &target[..count]).map(|()| count as u64)
}

/// Where a link points.
async fn target(process: &Process, location: &Location) -> Result<Vec<u8>, Errno> {
    match location {
        Location::Node(node) => match &node.kind {
            super::tree::Kind::Link(target) => Ok(target.to_vec()),
            super::tree::Kind::Generated(generated) if node.sort() == S_IFLNK => {
                super::proc::link_text(process, generated)
            }
            _ => Err(Errno::EINVAL),
        },
        Location::Volume(top, path) => top.system.volume().ok_or(Errno::EIO)?.names().read_link(path).await,
        Location::Open(_) => Err(Errno::EINVAL),
    }
}

/// The path of what is open, as /proc/self/fd tells it.
pub fn of_description(description: &Description) -> Vec<u8> {
    use super::description::Kind;
    if let Some(place) = &description.place {
        return of_place(place);
    }
    let text = |text: &str, number: u64| alloc::format!("{text}:[{number}]").into_bytes();
    match &description.kind {
        Kind::Pipe(pipe) => text("pipe", pipe.number()),
        Kind::Console(console) if console.is_terminal() => b"/dev/console".to_vec(),
        Kind::Console(_) => text("pipe", 2),
        Kind::Notify(_) => b"anon_inode:inotify".to_vec(),
        Kind::Regular(_) => b"/memfd: (deleted)".to_vec(),
        Kind::Epoll(_) => b"anon_inode:[eventpoll]".to_vec(),
        Kind::EventFd(_) => b"anon_inode:[eventfd]".to_vec(),
        Kind::TimerFd(_) => b"anon_inode:[timerfd]".to_vec(),
        Kind::SignalFd(_) => b"anon_inode:[signalfd]".to_vec(),
        Kind::Socket(socket) => text("socket", socket.number()),
        Kind::PidFd(_) => b"anon_inode:[pidfd]".to_vec(),
        _ => b"anon_inode:[kernlet]".to_vec(),
    }
}

/// The path that leads to where a walk ended.
pub fn of_place(place: &Place) -> Vec<u8> {
    let directory = match &place.found {
        Some(Location::Node(node)) if node.is_directory() => place.found.as_ref(),
        Some(Location::Volume(..)) => place.found.as_ref(),
        _ => None,
    };
    if let Some(location) = directory {
        return location.path().unwrap_or_else(|| b"/ (deleted)".to_vec());
    }
    let mut path = place.around.path().unwrap_or_default();
    if path != b"/" {
        path.push(b'/');
    }
    path.extend_from_slice(&place.name);
    if let Some(Location::Node(node)) = &place.found
        && node.links.get() == 0
    {
        path.extend_from_slice(b" (deleted)");
    }
    path
}
