//! Changes to files of volumes, as far as this instance makes them. Who watches one is known by its path, since there are no
//! nodes.

use super::{Mask, gone, send, tell};
use crate::Errno;
use crate::files::about::About;
use crate::files::tree::{Kind, Location, Node, Place};
use crate::process::Process;
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use kernlet_platform::cell::RefCell;

/// The files of a volume that somebody watches, by their paths.
#[derive(Default)]
pub struct Watched(RefCell<Vec<(Vec<u8>, Weak<Node>)>>);

impl Watched {
    fn at(&self, path: &[u8]) -> Option<Rc<Node>> {
        self.0.borrow().iter().find(|(known, _)| known == path)?.1.upgrade()
    }

    /// Whether nobody watches anything.
    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }
}

/// The directory around a path, and its name there; `None` for the top.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    match path.iter().rposition(|&b| b == b'/') {
        Some(at) => Some((&path[..at], &path[at + 1..])),
        None if path.is_empty() => None,
        None => Some((b"", path)),
    }
}

/// Whether somebody watches a path or the directory around it.
pub fn is_watched(top: &Node, path: &[u8]) -> bool {
    let watched = &top.system.watched;
    let around = || split(path).and_then(|(around, _)| watched.at(around));
    !watched.is_empty() && (watched.at(path).is_some() || around().is_some())
}

/// What stands for a file of a volume that is to be watched.
///
/// # Errors
/// Those of stat(2).
pub async fn node(process: &Process, place: &Place) -> Result<Rc<Node>, Errno> {
    let Location::Volume(top, path) = place.existing()? else { return Err(Errno::EINVAL) };
    let about = About::at(process, place.existing()?, place.follow).await?;
    if let Some(known) = top.system.watched.at(path).filter(|known| known.number == about.inode) {
        return Ok(known);
    }
    let node =
        Node::with(&top.system, about.inode, about.mode, about.owner, about.links, about.times, Kind::Volume);
    let mut watched = top.system.watched.0.borrow_mut();
    watched.retain(|(known, node)| node.strong_count() > 0 && known != path);
    watched.push((path.clone(), Rc::downgrade(&node)));
    Ok(node)
}

/// Something happened to what is at a path.
pub fn happened(top: &Node, path: &[u8], mask: Mask, directory: bool) {
    let watched = &top.system.watched;
    if watched.is_empty() {
        return;
    }
    let node = watched.at(path);
    named(top, path, mask, directory || node.as_ref().is_some_and(|node| node.is_directory()));
    if let Some(node) = node {
        tell(&node, mask);
    }
}

/// The file at `path` got one name more.
pub fn linked(top: &Node, path: &[u8]) {
    if let Some(node) = top.system.watched.at(path) {
        tell(&node, Mask::ATTRIBUTES);
    }
}

/// Something happened to the name that a path ends in.
pub fn named(top: &Node, path: &[u8], mask: Mask, directory: bool) {
    if let Some((around, name)) = split(path)
        && let Some(around) = top.system.watched.at(around)
    {
        send(&around, mask, directory, name, 0);
    }
}

/// A name that is about to be taken away.
pub struct Going {
    number: u64,
    last: bool,
}

/// What a name leads to that is about to be taken away, if anybody wants to know.
pub async fn going(top: &Node, path: &[u8]) -> Option<Going> {
    let volume = top.system.volume().filter(|_| !top.system.watched.is_empty())?;
    let about = volume.names().stat(path, false).await.ok()?;
    Some(Going { number: about.inode, last: about.links <= 1 || about.is_dir() })
}

/// A name was taken away.
pub fn removed(top: &Node, path: &[u8], directory: bool, going: Option<Going>) {
    let Some(going) = going else { return };
    let watched = &top.system.watched;
    let nodes: Vec<_> = watched.0.borrow().iter().filter_map(|(_, node)| node.upgrade()).collect();
    for node in nodes.iter().filter(|node| node.number == going.number) {
        if !directory {
            send(node, Mask::ATTRIBUTES, false, &[], 0);
        }
        if going.last {
            forget(top, node);
        }
    }
    named(top, path, Mask::DELETE, directory);
}

/// What is watched is gone.
fn forget(top: &Node, node: &Rc<Node>) {
    top.system.watched.0.borrow_mut().retain(|(_, known)| known.as_ptr() != Rc::as_ptr(node));
    node.links.set(0);
    gone(node);
}

/// A name was moved, in place of what was there.
pub fn renamed(top: &Node, from: &[u8], to: &[u8]) {
    let watched = &top.system.watched;
    if watched.is_empty() {
        return;
    }
    let (moved, replaced) = (watched.at(from), watched.at(to));
    let directory = moved.as_ref().is_some_and(|node| node.is_directory());
    let cookie = kernlet_entropy::u32() | 1;
    for (path, mask) in [(from, Mask::MOVED_FROM), (to, Mask::MOVED_TO)] {
        if let Some((around, name)) = split(path)
            && let Some(around) = watched.at(around)
        {
            send(&around, mask, directory, name, cookie);
        }
    }
    if let Some(replaced) = replaced {
        forget(top, &replaced);
    }
    // What lies below moves along.
    for (path, _) in watched.0.borrow_mut().iter_mut() {
        if let Some(rest) = path.strip_prefix(from).filter(|rest| rest.first().is_none_or(|&b| b == b'/')) {
            *path = [to, rest].concat();
        }
    }
    if let Some(moved) = moved {
        send(&moved, Mask::MOVE_SELF, false, &[], 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_a_directory_and_a_name_but_for_the_top() {
        assert_eq!(split(b"a/b/c"), Some((&b"a/b"[..], &b"c"[..])));
        assert_eq!(split(b"a"), Some((&b""[..], &b"a"[..])));
        assert_eq!(split(b""), None);
    }
}
