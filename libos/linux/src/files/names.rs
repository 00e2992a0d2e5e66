//! Names: mkdir(2), rmdir(2), unlink(2), rename(2), link(2), symlink(2), mknod(2), umask(2).

use super::about::device_parts;
use super::device::Device;
use super::flags::{AT_EMPTY_PATH, AT_FOLLOW, AT_REMOVE_DIRECTORY};
use super::notify::{self, Mask};
use super::path::{self, At};
use super::special;
use super::tree::directory::{self as names, Rename};
use super::tree::mounts::new_file;
use super::tree::node::{Directory, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK};
use super::tree::{Access, Kind, Location, Node, Place, Who};
use crate::call::Outcome;
use crate::thread::Thread;
use crate::{Errno, user};
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use kernlet_fs::OpenOptions;
use kernlet_platform::cell::RefCell;

/// Whether somebody may make and remove names in a directory.
///
/// # Errors
/// EACCES; EROFS, or EACCES where nothing can be made at all.
pub fn may_change(around: &Node, who: &Who) -> Result<(), Errno> {
    if around.system.read_only {
        return Err(Errno::EROFS);
    }
    who.may(around, Access::CHANGE)?;
    // As /proc has it.
    if around.system.in_memory() { Ok(()) } else { Err(Errno::ENOENT) }
}

/// Whose a new node is, and its mode without what umask(2) takes: the group may be the directory's.
pub fn owner_and_mode(thread: &Thread, around: &Node, who: &Who, mode: u32) -> ((u32, u32), u32) {
    let umask = if mode & S_IFMT == S_IFLNK { 0 } else { thread.process.files.umask.get() };
    let mut mode = mode & !(umask & 0o777);
    let mut group = who.group;
    if around.mode.get() & 0o2000 != 0 {
        group = around.owner.get().1;
        if mode & S_IFMT == S_IFDIR {
            mode |= 0o2000;
        } else if mode & 0o2010 == 0o2010 && !who.is_root() && !who.is_in(group) {
            mode &= !0o2000;
        }
    }
    ((who.user, group), mode)
}

/// Where something new is to be made: a directory in memory; a volume's top and the path within.
enum New {
    Memory(Rc<Node>, Vec<u8>),
    Volume(Rc<Node>, Vec<u8>),
}

/// The place where a name is to be made; `directory`: it may end in a slash.
fn new_place(place: Place, directory: bool) -> Result<New, Errno> {
    match (place.found, place.around) {
        (Some(Location::Volume(top, path)), _) if !path.is_empty() => Ok(New::Volume(top, path)),
        (Some(_), _) => Err(Errno::EEXIST),
        (None, _) if place.slash && !directory => Err(Errno::ENOENT),
        (None, Location::Node(around)) => Ok(New::Memory(around, place.name)),
        (None, _) => Err(Errno::EACCES),
    }
}

/// Makes a node under a name.
fn make(
    thread: &Thread,
    around: &Rc<Node>,
    name: &[u8],
    mode: u32,
    node: impl FnOnce(u32, (u32, u32)) -> Result<Rc<Node>, Errno>,
) -> Result<Rc<Node>, Errno> {
    let who = Who::of(&thread.process.credentials);
    may_change(around, &who)?;
    let (owner, mode) = owner_and_mode(thread, around, &who, mode);
    let node = node(mode, owner)?;
    names::insert(around, name, &node)?;
    notify::named(around, Mask::CREATE, name, &node);
    Ok(node)
}

/// mkdir(2), mkdirat(2).
pub async fn make_directory(thread: &Rc<Thread>, directory: i32, path: usize, mode: u32) -> Outcome {
    let place = path::place(thread, directory, path, false)?;
    let mode = mode & 0o1777;
    match new_place(place, true)? {
        New::Memory(around, name) => {
            let node =
                |mode, owner| Node::new(&around.system, mode, owner, Kind::Directory(Directory::default()));
            make(thread, &around, &name, S_IFDIR | mode, node)?;
        }
        New::Volume(top, path) => {
            let mode = mode & !thread.process.files.umask.get();
            top.system.volume().ok_or(Errno::EIO)?.names().create_directory(&path, mode).await?;
            notify::volumes::named(&top, &path, Mask::CREATE, true);
        }
    }
    Ok(0)
}

/// mknod(2), mknodat(2).
pub async fn make_node(thread: &Rc<Thread>, directory: i32, path: usize, mode: u32, device: u64) -> Outcome {
    let place = path::place(thread, directory, path, false)?;
    let sort = match mode & S_IFMT {
        0 => S_IFREG,
        sort @ (S_IFREG | S_IFIFO | S_IFSOCK | S_IFCHR) => sort,
        S_IFDIR => return Err(Errno::EPERM),
        _ => return Err(Errno::EINVAL),
    };
    let (around, name) = match new_place(place, false)? {
        New::Memory(around, name) => (around, name),
        New::Volume(top, path) => return node_in_volume(thread, &top, &path, sort | mode & 0o777).await,
    };
    let device = match sort {
        // Those that are there by themselves can be made elsewhere, as containers do.
        S_IFCHR => Some(Device::numbered(device_parts(device)).ok_or(Errno::EPERM)?),
        _ => None,
    };
    if device.is_some() && !Who::of(&thread.process.credentials).is_root() {
        return Err(Errno::EPERM);
    }
    let node = |mode, owner| match (sort, device) {
        (S_IFREG, _) => new_file(&around.system, mode, owner),
        (S_IFIFO, _) => Node::new(&around.system, mode, owner, Kind::Pipe(RefCell::new(Weak::new()))),
        (_, Some(device)) => Node::new(&around.system, mode, owner, Kind::Device(device)),
        _ => Node::new(&around.system, mode, owner, Kind::Socket(RefCell::new(None))),
    };
    make(thread, &around, &name, sort | mode & 0o7777, node).map(|_| 0)
}

/// Makes an empty file, a pipe or a socket in a volume. Devices are the host's to make.
async fn node_in_volume(thread: &Rc<Thread>, top: &Rc<Node>, path: &[u8], mode: u32) -> Outcome {
    match mode & S_IFMT {
        S_IFREG => {
            let mode = mode & !thread.process.files.umask.get();
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(mode & 0o777);
            top.system.volume().ok_or(Errno::EIO)?.open(path, &options).await?;
            notify::volumes::named(top, path, Mask::CREATE, false);
        }
        S_IFIFO | S_IFSOCK => drop(special::make(thread, top, path, mode).await?),
        _ => return Err(Errno::EPERM),
    }
    Ok(0)
}

/// symlink(2), symlinkat(2).
pub async fn make_link(thread: &Rc<Thread>, target: usize, directory: i32, path: usize) -> Outcome {
    let target = user::path(target)?;
    if target.is_empty() {
        return Err(Errno::ENOENT);
    }
    let place = path::place(thread, directory, path, false)?;
    match new_place(place, false)? {
        New::Memory(around, name) => {
            let node =
                |mode, owner| Node::new(&around.system, mode, owner, Kind::Link(target.as_slice().into()));
            make(thread, &around, &name, S_IFLNK | 0o777, node)?;
        }
        New::Volume(top, path) => {
            top.system.volume().ok_or(Errno::EIO)?.names().symlink(&target, &path).await?;
            notify::volumes::named(&top, &path, Mask::CREATE, false);
        }
    }
    Ok(0)
}

/// link(2), linkat(2).
pub async fn link(
    thread: &Rc<Thread>,
    directory: i32,
    path: usize,
    other: i32,
    to: usize,
    flags: u32,
) -> Outcome {
    if flags & !(AT_FOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let process = &thread.process;
    let from = match path::at(process, directory, path, flags & AT_EMPTY_PATH != 0)? {
        At::Open(description) => {
            let place = description.place.as_ref().and_then(|place| place.found.clone());
            place.ok_or(Errno::EXDEV)?
        }
        At::Path(start, text) => {
            path::walk(process, start, &text, flags & AT_FOLLOW != 0)?.existing()?.clone()
        }
    };
    let to = new_place(path::place(thread, other, to, false)?, false)?;
    match (from, to) {
        (Location::Node(node), New::Memory(around, name)) => {
            if !Rc::ptr_eq(&node.system, &around.system) {
                return Err(Errno::EXDEV);
            }
            if node.is_directory() {
                return Err(Errno::EPERM);
            }
            let who = Who::of(&process.credentials);
            may_change(&around, &who)?;
            names::insert(&around, &name, &node)?;
            notify::named(&around, Mask::CREATE, &name, &node);
            notify::tell(&node, Mask::ATTRIBUTES);
            Ok(0)
        }
        (Location::Volume(one, from), New::Volume(top, to)) if Rc::ptr_eq(&one, &top) => {
            top.system.volume().ok_or(Errno::EIO)?.names().link(&from, &to).await?;
            notify::volumes::linked(&top, &from);
            notify::volumes::named(&top, &to, Mask::CREATE, false);
            Ok(0)
        }
        _ => Err(Errno::EXDEV),
    }
}

/// unlink(2), rmdir(2), unlinkat(2).
pub async fn remove(thread: &Rc<Thread>, directory: i32, path: usize, flags: u32) -> Outcome {
    if flags & !AT_REMOVE_DIRECTORY != 0 {
        return Err(Errno::EINVAL);
    }
    let whole = flags & AT_REMOVE_DIRECTORY != 0;
    let place = path::place(thread, directory, path, false)?;
    match &place.name[..] {
        b"." if whole => return Err(Errno::EINVAL),
        b".." if whole => return Err(Errno::ENOTEMPTY),
        b"" if whole => return Err(Errno::EBUSY),
        b"" | b"." | b".." => return Err(Errno::EISDIR),
        _ => {}
    }
    match (place.existing()?, &place.around) {
        (Location::Volume(top, path), _) if !path.is_empty() => {
            let volume = top.system.volume().ok_or(Errno::EIO)?;
            let going = notify::volumes::going(top, path).await;
            if place.slash && !whole {
                return Err(Errno::ENOTDIR);
            }
            volume.names().remove(path, whole).await?;
            notify::volumes::removed(top, path, whole, going);
            Ok(0)
        }
        (Location::Node(node), Location::Node(around)) => {
            if place.slash && !whole {
                return Err(if node.is_directory() { Errno::EISDIR } else { Errno::ENOTDIR });
            }
            let who = Who::of(&thread.process.credentials);
            may_take(&who, around, node)?;
            names::remove(around, &place.name, whole)?;
            notify::named(around, Mask::DELETE, &place.name, node);
            notify::gone(node);
            Ok(0)
        }
        _ => Err(Errno::EBUSY),
    }
}

/// Whether somebody may take a name away from a node.
fn may_take(who: &Who, around: &Node, node: &Node) -> Result<(), Errno> {
    match may_change(around, who) {
        // What is there cannot be taken away, as /proc has it.
        Err(Errno::ENOENT) => return Err(Errno::EPERM),
        other => other?,
    }
    who.may_unlink(around, node)
}

/// rename(2), renameat(2), renameat2(2).
pub async fn rename(
    thread: &Rc<Thread>,
    directory: i32,
    path: usize,
    other: i32,
    to: usize,
    flags: u32,
) -> Outcome {
    let how = match flags {
        0 => Rename::Replace,
        1 => Rename::Keep,
        2 => Rename::Exchange,
        _ => return Err(Errno::EINVAL),
    };
    let from = path::place(thread, directory, path, false)?;
    let to = path::place(thread, other, to, false)?;
    if !from.is_named() || !to.is_named() {
        return Err(Errno::EBUSY);
    }
    match (from.existing()?, &from.around, &to.found, &to.around) {
        (Location::Volume(one, old), _, Some(Location::Volume(top, new)), _)
            if Rc::ptr_eq(one, top) && !old.is_empty() && !new.is_empty() =>
        {
            let volume = top.system.volume().ok_or(Errno::EIO)?;
            volume.names().rename(old, new, flags).await?;
            notify::volumes::renamed(top, old, new);
            Ok(0)
        }
        (Location::Node(node), Location::Node(around), found, Location::Node(target)) => {
            if !Rc::ptr_eq(&around.system, &target.system) {
                return Err(Errno::EXDEV);
            }
            let who = Who::of(&thread.process.credentials);
            may_take(&who, around, node)?;
            may_change(target, &who)?;
            if let Some(Location::Node(old)) = found {
                who.may_unlink(target, old)?;
            }
            let names_file = !node.is_directory() && how != Rename::Exchange;
            if names_file && (from.slash || to.slash) {
                return Err(Errno::ENOTDIR);
            }
            // A directory that moves gets another `..`.
            if node.is_directory() && !Rc::ptr_eq(around, target) {
                who.may(node, Access::WRITE)?;
            }
            let (moved, old) = names::rename(around, &from.name, target, &to.name, how)?;
            notify::renamed(&moved, (around, &from.name), (target, &to.name));
            if let Some(old) = old.filter(|_| how == Rename::Replace) {
                notify::gone(&old);
            }
            Ok(0)
        }
        _ => Err(Errno::EXDEV),
    }
}

/// umask(2).
pub fn umask(thread: &Rc<Thread>, mask: u32) -> Outcome {
    Ok(thread.process.files.umask.replace(mask & 0o777).into())
}
