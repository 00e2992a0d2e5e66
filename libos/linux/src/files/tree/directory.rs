//! Names in directories: finding, listing, making, taking away, moving. Whether somebody may is decided elsewhere.

use super::node::{Directory, Entry, Kind, Node};
use crate::Errno;
use alloc::rc::Rc;
use alloc::vec::Vec;

/// How many names one file can have, as in Linux' tmpfs.
const MOST_LINKS: u32 = 32_000;

/// A name of a directory as getdents(2) tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The name.
    pub name: Vec<u8>,
    /// The number of what it leads to.
    pub number: u64,
    /// What that is: the upper bits of its mode.
    pub sort: u32,
}

/// What is under `name`.
///
/// # Errors
/// ENOENT; ENOTDIR when `around` is no directory in memory; EIO.
pub fn find(around: &Rc<Node>, name: &[u8]) -> Result<Rc<Node>, Errno> {
    let directory = around.directory()?;
    match directory.names.borrow().get(name) {
        Some(Entry::Node(node)) => return Ok(node.clone()),
        Some(Entry::Gone) => return Err(Errno::ENOENT),
        None => {}
    }
    let (Some(inode), Some(below)) = (&directory.below, around.system.below()) else {
        return Err(Errno::ENOENT);
    };
    let found = below.lookup(inode, name)?;
    Node::below(&around.system, &found, around, name)
}

/// The names that the image has and that show.
fn shown(around: &Node, directory: &Directory, each: &mut dyn FnMut(Listed)) -> Result<(), Errno> {
    let (Some(inode), Some(below)) = (&directory.below, around.system.below()) else { return Ok(()) };
    let names = directory.names.borrow();
    for entry in below.entries(inode)? {
        let entry = entry?;
        if !names.contains_key(entry.name) {
            let sort = match entry.kind {
                1 => super::node::S_IFREG,
                2 => super::node::S_IFDIR,
                7 => super::node::S_IFLNK,
                _ => 0,
            };
            each(Listed { name: entry.name.to_vec(), number: entry.nid, sort });
        }
    }
    Ok(())
}

/// All names of a directory but `.` and `..`.
///
/// # Errors
/// ENOTDIR; EIO.
pub fn list(around: &Node) -> Result<Vec<Listed>, Errno> {
    let directory = around.directory()?;
    let mut all = Vec::new();
    shown(around, directory, &mut |listed| all.push(listed))?;
    for (name, entry) in directory.names.borrow().iter() {
        if let Entry::Node(node) = entry {
            all.push(Listed { name: name.clone(), number: node.number, sort: node.sort() });
        }
    }
    Ok(all)
}

/// Whether a directory has no names.
///
/// # Errors
/// ENOTDIR; EIO.
pub fn is_empty(around: &Node) -> Result<bool, Errno> {
    let directory = around.directory()?;
    if directory.names.borrow().values().any(|entry| matches!(entry, Entry::Node(_))) {
        return Ok(false);
    }
    let mut empty = true;
    shown(around, directory, &mut |_| empty = false)?;
    Ok(empty)
}

/// Whether the image has something under a name.
fn is_below(around: &Node, directory: &Directory, name: &[u8]) -> bool {
    match (&directory.below, around.system.below()) {
        (Some(inode), Some(below)) => below.lookup(inode, name).is_ok(),
        _ => false,
    }
}

/// Puts `node` under `name`, whatever is there.
fn place(around: &Rc<Node>, name: &[u8], node: &Rc<Node>) -> Result<(), Errno> {
    around.directory()?.names.borrow_mut().insert(name.to_vec(), Entry::Node(node.clone()));
    if node.is_directory() {
        *node.place.borrow_mut() = Some((around.clone(), name.to_vec()));
        around.links.set(around.links.get() + 1);
    }
    around.modified();
    Ok(())
}

/// Takes `name`, which leads to `node`, away.
fn displace(around: &Rc<Node>, name: &[u8], node: &Node) -> Result<(), Errno> {
    let directory = around.directory()?;
    let mut names = directory.names.borrow_mut();
    if is_below(around, directory, name) {
        names.insert(name.to_vec(), Entry::Gone);
    } else {
        names.remove(name);
    }
    drop(names);
    if node.is_directory() {
        around.links.set(around.links.get().saturating_sub(1));
    }
    around.modified();
    Ok(())
}

/// Whether something is mounted there: it is of another file system than the directory around it.
pub fn is_mount(around: &Node, node: &Node) -> bool {
    !Rc::ptr_eq(&around.system, &node.system)
}

/// Puts a node under a name where nothing may be.
///
/// # Errors
/// EEXIST; EMLINK; ENOENT when the directory itself was removed.
pub fn insert(around: &Rc<Node>, name: &[u8], node: &Rc<Node>) -> Result<(), Errno> {
    match find(around, name) {
        Ok(_) => return Err(Errno::EEXIST),
        Err(Errno::ENOENT) => {}
        Err(error) => return Err(error),
    }
    if around.links.get() == 0 {
        return Err(Errno::ENOENT);
    }
    if node.links.get() >= MOST_LINKS {
        return Err(Errno::EMLINK);
    }
    node.links.set(node.links.get() + 1);
    node.changed();
    place(around, name, node)
}

/// Mounts a node over what is under a name.
///
/// # Errors
/// ENOTDIR.
pub fn mount(around: &Rc<Node>, name: &[u8], node: &Rc<Node>) -> Result<(), Errno> {
    let names = &around.directory()?.names;
    names.borrow_mut().insert(name.to_vec(), Entry::Node(node.clone()));
    *node.place.borrow_mut() = Some((around.clone(), name.to_vec()));
    Ok(())
}

/// Hides a name of the image's for good.
///
/// # Errors
/// ENOTDIR.
pub fn hide(around: &Rc<Node>, name: &[u8]) -> Result<(), Errno> {
    around.directory()?.names.borrow_mut().insert(name.to_vec(), Entry::Gone);
    Ok(())
}

/// Takes a name away: of a directory, which must be empty, or of anything else. Gives what it led to.
///
/// # Errors
/// ENOENT, EISDIR, ENOTDIR, ENOTEMPTY; EBUSY for a mount point.
pub fn remove(around: &Rc<Node>, name: &[u8], directory: bool) -> Result<Rc<Node>, Errno> {
    let node = find(around, name)?;
    if is_mount(around, &node) {
        return Err(Errno::EBUSY);
    }
    replaceable(&node, directory)?;
    displace(around, name, &node)?;
    gone(&node);
    Ok(node)
}

/// Whether `node` may be taken away as a directory, or as something else.
fn replaceable(node: &Node, directory: bool) -> Result<(), Errno> {
    match (&node.kind, directory) {
        (Kind::Directory(_), false) => Err(Errno::EISDIR),
        (Kind::Directory(_), true) if !is_empty(node)? => Err(Errno::ENOTEMPTY),
        (Kind::Directory(_), true) => Ok(()),
        (_, true) => Err(Errno::ENOTDIR),
        (_, false) => Ok(()),
    }
}

/// Its name was taken away.
fn gone(node: &Rc<Node>) {
    if node.is_directory() {
        node.links.set(1);
    }
    node.unlinked();
}

/// What rename(2) is told besides the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rename {
    /// What is under the new name goes.
    Replace,
    /// Nothing may be under the new name.
    Keep,
    /// Both change places.
    Exchange,
}

/// Gives what is under `name` the name `to` in the directory `other`. Gives what was moved, and what went.
///
/// # Errors
/// Those of rename(2).
pub fn rename(
    around: &Rc<Node>,
    name: &[u8],
    other: &Rc<Node>,
    to: &[u8],
    how: Rename,
) -> Result<(Rc<Node>, Option<Rc<Node>>), Errno> {
    let node = find(around, name)?;
    let old = match find(other, to) {
        Ok(old) => Some(old),
        Err(Errno::ENOENT) => None,
        Err(error) => return Err(error),
    };
    if other.links.get() == 0 {
        return Err(Errno::ENOENT);
    }
    if is_mount(around, &node) || old.as_ref().is_some_and(|old| is_mount(other, old)) {
        return Err(Errno::EBUSY);
    }
    match (how, &old) {
        (Rename::Keep, Some(_)) => return Err(Errno::EEXIST),
        (Rename::Exchange, None) => return Err(Errno::ENOENT),
        _ => {}
    }
    if contains(&node, other) {
        return Err(Errno::EINVAL);
    }
    if let Some(old) = &old {
        if Rc::ptr_eq(old, &node) {
            return Ok((node, None));
        }
        if how == Rename::Exchange {
            if contains(old, around) {
                return Err(Errno::EINVAL);
            }
            displace(around, name, &node)?;
            displace(other, to, old)?;
            place(around, name, old)?;
            place(other, to, &node)?;
            old.changed();
            node.changed();
            return Ok((node, Some(old.clone())));
        }
        if contains(old, around) {
            return Err(Errno::ENOTEMPTY);
        }
        replaceable(old, node.is_directory())?;
        displace(other, to, old)?;
        gone(old);
    }
    displace(around, name, &node)?;
    place(other, to, &node)?;
    node.changed();
    Ok((node, old))
}

/// Whether `inner` is this directory or somewhere below it.
fn contains(outer: &Rc<Node>, inner: &Rc<Node>) -> bool {
    let mut at = inner.clone();
    loop {
        if Rc::ptr_eq(&at, outer) {
            return true;
        }
        let around = at.around();
        if Rc::ptr_eq(&around, &at) {
            return false;
        }
        at = around;
    }
}
