//! Directories that are open: their names (getdents(2)); the working directory (chdir(2), getcwd(2)).

use super::description::Kind;
use super::path;
use super::proc;
use super::tree::directory::{self, Listed};
use super::tree::node::{S_IFDIR, S_IFREG};
use super::tree::{self, Access, Location, Place, Who};
use crate::call::Outcome;
use crate::process::Process;
use crate::thread::Thread;
use crate::{Errno, user};
use alloc::rc::Rc;
use alloc::vec::Vec;
use kernlet_fs::FileType;
use kernlet_platform::cell::RefCell;

/// An open directory.
pub struct Listing {
    /// Which.
    location: Location,
    /// Its names as they were when they were first asked for, until it is asked from the beginning again.
    names: RefCell<Option<Rc<Vec<Listed>>>>,
}

/// How a record of getdents(2) looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// `struct linux_dirent`: the type stands behind the name.
    Old,
    /// `struct linux_dirent64`.
    Long,
}

impl Listing {
    /// Opens a directory.
    pub fn new(location: Location) -> Self {
        if let Location::Node(node) = &location {
            node.used();
        }
        Self { location, names: RefCell::new(None) }
    }

    /// Which directory it is.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// The names from the record `from` on.
    async fn names(&self, process: &Process, from: u64) -> Result<Rc<Vec<Listed>>, Errno> {
        if from > 0
            && let Some(names) = self.names.borrow().clone()
        {
            return Ok(names);
        }
        let number = |location: &Location| match location {
            Location::Node(node) | Location::Volume(node, _) => node.number,
            Location::Open(_) => 0,
        };
        let own = |name: &[u8], number| Listed { name: name.to_vec(), number, sort: S_IFDIR };
        let mut all =
            alloc::vec![own(b".", number(&self.location)), own(b"..", number(&self.location.around())),];
        match &self.location {
            Location::Node(node) => match &node.kind {
                tree::Kind::Generated(generated) => all.extend(proc::list(process, generated)?),
                _ => all.extend(directory::list(node)?),
            },
            Location::Volume(top, path) => {
                let volume = top.system.volume().ok_or(Errno::EIO)?;
                for entry in volume.read_directory(path).await? {
                    let sort = match entry.file_type() {
                        FileType::File => S_IFREG,
                        FileType::Directory => S_IFDIR,
                        FileType::Symlink => tree::node::S_IFLNK,
                        FileType::Other => 0,
                    };
                    all.push(Listed { name: entry.name_bytes().to_vec(), number: entry.inode(), sort });
                }
            }
            Location::Open(_) => return Err(Errno::ENOTDIR),
        }
        let all = Rc::new(all);
        *self.names.borrow_mut() = Some(all.clone());
        Ok(all)
    }
}

/// getdents(2), getdents64(2).
pub async fn entries(
    thread: &Rc<Thread>,
    descriptor: i32,
    to: usize,
    length: usize,
    record: Record,
) -> Outcome {
    let description = thread.process.files.get(descriptor)?;
    if description.is_path() {
        return Err(Errno::EBADF);
    }
    let Kind::Directory(listing) = &description.kind else { return Err(Errno::ENOTDIR) };
    if let Location::Node(node) = &listing.location
        && node.links.get() == 0
    {
        return Err(Errno::ENOENT);
    }
    let from = description.offset.get();
    let names = listing.names(&thread.process, from).await?;
    let mut bytes = Vec::new();
    let mut at = from;
    for listed in names.iter().skip(usize::try_from(from).unwrap_or(usize::MAX)) {
        let before = bytes.len();
        put(&mut bytes, listed, at + 1, record);
        if bytes.len() > length {
            bytes.truncate(before);
            break;
        }
        at += 1;
    }
    if bytes.is_empty() && at < names.len() as u64 {
        return Err(Errno::EINVAL);
    }
    let mut done = bytes.len();
    if user::write(to, &bytes).is_err() {
        (done, at) = (0, from);
        // As many as can be told are.
        while let Some(&[low, high]) = bytes.get(done + 16..done + 18) {
            let next = done + usize::from(u16::from_le_bytes([low, high]));
            if user::write(to.wrapping_add(done), &bytes[done..next]).is_err() {
                break;
            }
            (done, at) = (next, at + 1);
        }
        if done == 0 {
            return Err(Errno::EFAULT);
        }
    }
    description.offset.set(at);
    Ok(done as u64)
}

/// Appends one record, whose successor is number `next`.
fn put(bytes: &mut Vec<u8>, listed: &Listed, next: u64, record: Record) {
    let kind = (listed.sort >> 12) as u8;
    let (header, behind) = match record {
        Record::Old => (18, 2),
        Record::Long => (19, 1),
    };
    let length = (header + listed.name.len() + behind).next_multiple_of(8);
    let start = bytes.len();
    bytes.extend_from_slice(&listed.number.to_le_bytes());
    bytes.extend_from_slice(&next.to_le_bytes());
    bytes.extend_from_slice(&(length as u16).to_le_bytes());
    if record == Record::Long {
        bytes.push(kind);
    }
    bytes.extend_from_slice(&listed.name);
    bytes.resize(start + length, 0);
    if let (Record::Old, Some(last)) = (record, bytes.last_mut()) {
        *last = kind;
    }
}

/// chdir(2).
pub async fn change(thread: &Rc<Thread>, path: usize) -> Outcome {
    let process = &thread.process;
    let text = user::path(path)?;
    let place = path::walk(process, path::start(process), &text, true)?;
    enter(process, &place).await
}

/// fchdir(2).
pub async fn change_to(thread: &Rc<Thread>, descriptor: i32) -> Outcome {
    let description = thread.process.files.get(descriptor)?;
    enter(&thread.process, description.place.as_ref().ok_or(Errno::ENOTDIR)?).await
}

async fn enter(process: &Process, place: &Place) -> Outcome {
    let about = path::look(process, place).await?;
    if about.sort() != S_IFDIR {
        return Err(Errno::ENOTDIR);
    }
    let location = place.existing()?.clone();
    if let Location::Node(node) = &location {
        Who::of(&process.credentials).may(node, Access::EXECUTE)?;
    }
    *process.files.working_directory.borrow_mut() = Some(location);
    Ok(0)
}

/// getcwd(2).
pub fn working(thread: &Rc<Thread>, to: usize, length: usize) -> Outcome {
    let mut path = path::start(&thread.process).path().ok_or(Errno::ENOENT)?;
    path.push(0);
    if path.len() > length {
        return Err(Errno::ERANGE);
    }
    user::write(to, &path)?;
    Ok(path.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_aligned_and_say_what_they_are() {
        let listed = Listed { name: b"name".to_vec(), number: 7, sort: S_IFDIR };
        let mut bytes = Vec::new();
        put(&mut bytes, &listed, 3, Record::Long);
        assert_eq!(bytes.len(), 24);
        assert_eq!(&bytes[..19], b"\x07\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\x18\0\x04");
        assert_eq!(&bytes[19..], b"name\0");
        put(&mut bytes, &listed, 4, Record::Old);
        assert_eq!(bytes.len(), 48);
        assert_eq!(&bytes[42..], b"name\0\x04");
    }
}
