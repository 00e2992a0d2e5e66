//! Named pipes and the names of UNIX sockets (fifo(7), unix(7)).
//!
//! In a volume they are names only, as on NFS: the host keeps the name, and what is written there stays in this instance.

use super::about::About;
use super::notify::{self, Mask};
use super::path;
use super::tree::node::{S_IFIFO, S_IFMT, S_IFSOCK};
use super::tree::{Access, Kind, Location, Node, Who, directory};
use crate::Errno;
use crate::thread::Thread;
use alloc::rc::{Rc, Weak};
use kernlet_platform::cell::RefCell;

/// What a pipe or a socket is when nobody has it open.
fn fresh(sort: u32) -> Result<Kind, Errno> {
    match sort {
        S_IFIFO => Ok(Kind::Pipe(RefCell::new(Weak::new()))),
        S_IFSOCK => Ok(Kind::Socket(RefCell::new(None))),
        _ => Err(Errno::EACCES),
    }
}

/// The node that stands for a file of a volume, which is a pipe or a socket.
fn node(top: &Rc<Node>, about: &About) -> Result<Rc<Node>, Errno> {
    let kind = fresh(about.sort())?;
    let node = Node::with(&top.system, about.inode, about.mode, about.owner, about.links, about.times, kind);
    top.system.remember(&node, false);
    Ok(node)
}

/// The pipe or the socket that is at a path of a volume.
///
/// # Errors
/// EACCES when it is something else; those of stat(2).
pub async fn find(thread: &Thread, top: &Rc<Node>, path: &[u8], follow: bool) -> Result<Rc<Node>, Errno> {
    let location = Location::Volume(top.clone(), path.to_vec());
    let about = About::at(&thread.process, &location, follow).await?;
    match top.system.known(about.inode).filter(|known| known.sort() == about.sort()) {
        Some(known) => Ok(known),
        None => node(top, &about),
    }
}

/// Makes a pipe or a socket in a volume; `mode` says which.
///
/// # Errors
/// Those of mknod(2).
pub async fn make(thread: &Thread, top: &Rc<Node>, path: &[u8], mode: u32) -> Result<Rc<Node>, Errno> {
    fresh(mode & S_IFMT)?;
    let mode = mode & !(thread.process.files.umask.get() & 0o777);
    top.system.volume().ok_or(Errno::EIO)?.names().make_node(path, mode).await?;
    let location = Location::Volume(top.clone(), path.to_vec());
    let about = About::at(&thread.process, &location, false).await?;
    notify::volumes::named(top, path, Mask::CREATE, false);
    // What had its number before is gone.
    node(top, &about)
}

/// The name of a UNIX socket in the tree: made at `path`, for whoever binds one.
///
/// # Errors
/// EADDRINUSE when something is there; those of mknod(2).
pub async fn bind(thread: &Thread, path: &[u8]) -> Result<Rc<Node>, Errno> {
    let process = &thread.process;
    let who = Who::of(&process.credentials);
    let place = path::walk(process, path::start(process), path, false)?;
    if let Some(Location::Volume(top, path)) = &place.found {
        let made = make(thread, top, path, S_IFSOCK | 0o777).await;
        return made.map_err(|error| if error == Errno::EEXIST { Errno::EADDRINUSE } else { error });
    }
    if place.found.is_some() {
        return Err(Errno::EADDRINUSE);
    }
    let Location::Node(around) = &place.around else { return Err(Errno::EACCES) };
    super::names::may_change(around, &who)?;
    let (owner, mode) = super::names::owner_and_mode(thread, around, &who, S_IFSOCK | 0o777);
    let node = Node::new(&around.system, mode, owner, fresh(S_IFSOCK)?)?;
    directory::insert(around, &place.name, &node)?;
    notify::named(around, Mask::CREATE, &place.name, &node);
    Ok(node)
}

/// The node of a UNIX socket that is at `path`, to connect to.
///
/// # Errors
/// ECONNREFUSED when it is no socket; EACCES; those of path_resolution(7).
pub async fn socket(thread: &Thread, path: &[u8]) -> Result<Rc<Node>, Errno> {
    let process = &thread.process;
    let place = path::walk(process, path::start(process), path, true)?;
    let node = match place.existing()? {
        Location::Node(node) => node.clone(),
        // Who may is the host's to say, which was not asked to open anything.
        Location::Volume(top, path) => {
            let found = find(thread, top, path, true).await;
            return found.map_err(|error| if error == Errno::EACCES { Errno::ECONNREFUSED } else { error });
        }
        Location::Open(_) => return Err(Errno::ECONNREFUSED),
    };
    Who::of(&process.credentials).may(&node, Access::WRITE)?;
    if node.sort() == S_IFSOCK { Ok(node) } else { Err(Errno::ECONNREFUSED) }
}
