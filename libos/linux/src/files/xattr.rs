//! Extended attributes (xattr(7)): `user.*`, and `trusted.*` and `security.*` of the super-user, of files in memory.

use super::flags::CWD;
use super::notify::{self, Mask};
use super::path;
use super::tree::node::{S_IFDIR, S_IFREG};
use super::tree::{Access, Location, Node, Who};
use crate::call::Outcome;
use crate::thread::Thread;
use crate::{Errno, user};
use alloc::rc::Rc;
use alloc::vec::Vec;

/// The longest name (XATTR_NAME_MAX).
const NAME_MOST: usize = 255;
/// The longest value, and the longest list of names (XATTR_SIZE_MAX, XATTR_LIST_MAX).
const SIZE_MOST: usize = 65_536;
/// What all attributes of one file may take: they are not counted among the pages of files.
const ALL_MOST: usize = 128 << 10;

/// What a call is about.
#[derive(Clone, Copy, Debug)]
pub enum What {
    /// A path, links followed.
    Path(usize),
    /// A path, but the link itself at its end.
    Link(usize),
    /// A descriptor.
    Open(i32),
}

/// The node; `None` for what has no attributes.
fn node(thread: &Thread, what: What) -> Result<Option<Rc<Node>>, Errno> {
    let location = match what {
        What::Path(at) | What::Link(at) => {
            let follow = matches!(what, What::Path(_));
            path::place(thread, CWD, at, follow)?.existing()?.clone()
        }
        What::Open(descriptor) => {
            let description = thread.process.files.get(descriptor)?;
            if description.is_path() {
                return Err(Errno::EBADF);
            }
            match description.place.as_ref().and_then(|place| place.found.clone()) {
                Some(location) => location,
                None => return Ok(None),
            }
        }
    };
    Ok(match location {
        Location::Node(node) if node.system.in_memory() => Some(node),
        _ => None,
    })
}

/// Reads a name, and tells whether it may be used so; absent attributes of others' namespaces are not told.
fn name(thread: &Thread, node: &Node, at: usize, how: Access) -> Result<Vec<u8>, Errno> {
    let name = user::string(at, NAME_MOST + 1).map_err(|error| match error {
        Errno::ENAMETOOLONG => Errno::ERANGE,
        other => other,
    })?;
    let who = Who::of(&thread.process.credentials);
    let write = how == Access::WRITE;
    let lacks = if write { Errno::EPERM } else { Errno::ENODATA };
    match name.iter().position(|&b| b == b'.').map(|dot| name.split_at(dot)) {
        None | Some((_, b".")) => {
            return Err(if name.is_empty() { Errno::ERANGE } else { Errno::EOPNOTSUPP });
        }
        Some((b"user", _)) => {
            if !matches!(node.sort(), S_IFREG | S_IFDIR) {
                return Err(lacks);
            }
            if write && node.sort() == S_IFDIR && node.mode.get() & 0o1000 != 0 {
                who.owns(node)?;
            }
            who.may(node, how)?;
        }
        Some((b"trusted", _)) if !who.is_root() => return Err(lacks),
        Some((b"security", _)) if write && !who.is_root() => return Err(Errno::EPERM),
        Some((b"trusted" | b"security", _)) => {}
        Some(_) => return Err(Errno::EOPNOTSUPP),
    }
    Ok(name)
}

/// Gives a value, or with no room its length.
fn give(value: &[u8], to: usize, room: usize) -> Outcome {
    if room > 0 {
        if value.len() > room {
            return Err(Errno::ERANGE);
        }
        user::write(to, value)?;
    }
    Ok(value.len() as u64)
}

/// getxattr(2).
pub fn get(thread: &Rc<Thread>, what: What, at: usize, to: usize, room: usize) -> Outcome {
    let node = node(thread, what)?.ok_or(Errno::EOPNOTSUPP)?;
    let name = name(thread, &node, at, Access::READ)?;
    let attributes = node.attributes.get().ok_or(Errno::ENODATA)?.borrow();
    give(attributes.get(&name).ok_or(Errno::ENODATA)?, to, room)
}

/// listxattr(2).
pub fn list(thread: &Rc<Thread>, what: What, to: usize, room: usize) -> Outcome {
    let Some(node) = node(thread, what)? else { return Ok(0) };
    let is_root = Who::of(&thread.process.credentials).is_root();
    let mut names = Vec::new();
    if let Some(attributes) = node.attributes.get() {
        for name in attributes.borrow().keys().filter(|name| is_root || !name.starts_with(b"trusted.")) {
            names.extend_from_slice(name);
            names.push(0);
        }
    }
    give(&names, to, room)
}

/// setxattr(2).
pub fn set(thread: &Rc<Thread>, what: What, at: usize, from: usize, length: usize, flags: u32) -> Outcome {
    const CREATE: u32 = 1;
    const REPLACE: u32 = 2;
    if flags & !(CREATE | REPLACE) != 0 {
        return Err(Errno::EINVAL);
    }
    if length > SIZE_MOST {
        return Err(Errno::E2BIG);
    }
    let node = node(thread, what)?.ok_or(Errno::EOPNOTSUPP)?;
    if node.system.read_only {
        return Err(Errno::EROFS);
    }
    let name = name(thread, &node, at, Access::WRITE)?;
    let mut value = alloc::vec![0; length];
    kernlet_platform::program::read(from, &mut value)?;
    let mut attributes = node.attributes.get_or_init(Default::default).borrow_mut();
    match attributes.contains_key(&name) {
        true if flags & CREATE != 0 => return Err(Errno::EEXIST),
        false if flags & REPLACE != 0 => return Err(Errno::ENODATA),
        _ => {}
    }
    let others = attributes.iter().filter(|(other, _)| **other != name);
    let taken: usize = others.map(|(name, value)| name.len() + value.len() + 64).sum();
    if taken + name.len() + value.len() > ALL_MOST {
        return Err(Errno::ENOSPC);
    }
    attributes.insert(name, value);
    drop(attributes);
    node.changed();
    notify::tell(&node, Mask::ATTRIBUTES);
    Ok(0)
}

/// removexattr(2).
pub fn remove(thread: &Rc<Thread>, what: What, at: usize) -> Outcome {
    let node = node(thread, what)?.ok_or(Errno::EOPNOTSUPP)?;
    if node.system.read_only {
        return Err(Errno::EROFS);
    }
    let name = name(thread, &node, at, Access::WRITE)?;
    let attributes = node.attributes.get().ok_or(Errno::ENODATA)?;
    attributes.borrow_mut().remove(&name).ok_or(Errno::ENODATA)?;
    node.changed();
    notify::tell(&node, Mask::ATTRIBUTES);
    Ok(0)
}
