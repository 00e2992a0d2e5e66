//! What is done to names: looking, making, removing, moving.

use crate::directory::{self, DirEntry};
use crate::memory::{self, MemoryNode};
use crate::metadata::{FileType, Metadata, Space};
use crate::namespace::{Node, ends_in_slash, namespace, way};
use crate::root;
use crate::volume::Volume;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use kernlet_platform::Errno;

/// What is known of the file at `path`; links are followed.
///
/// # Errors
/// ENOENT and the others of stat(2).
pub async fn metadata(path: impl AsRef<[u8]>) -> Result<Metadata, Errno> {
    stat(path.as_ref(), true).await
}

/// What is known of the file or link at `path`.
///
/// # Errors
/// ENOENT and the others of lstat(2).
pub async fn symlink_metadata(path: impl AsRef<[u8]>) -> Result<Metadata, Errno> {
    stat(path.as_ref(), false).await
}

async fn stat(path: &[u8], follow: bool) -> Result<Metadata, Errno> {
    let place = namespace().walk(path, follow)?;
    let about = match place.node.as_ref().ok_or(Errno::ENOENT)? {
        Node::Root(inode) => root::metadata(inode),
        Node::Way => way(),
        Node::Memory(node) => node.metadata(),
        Node::Volume(volume) => volume.stat(&place.path, follow || ends_in_slash(path)).await?,
    };
    if ends_in_slash(path) && !about.is_dir() { Err(Errno::ENOTDIR) } else { Ok(about) }
}

/// Whether something is at `path`.
///
/// # Errors
/// Whatever keeps that from being known.
pub async fn exists(path: impl AsRef<[u8]>) -> Result<bool, Errno> {
    match metadata(path).await {
        Ok(_) => Ok(true),
        Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The names in the directory at `path`, sorted.
///
/// # Errors
/// ENOENT, ENOTDIR and the others of opendir(3).
pub async fn read_dir(path: impl AsRef<[u8]>) -> Result<Vec<DirEntry>, Errno> {
    let path = path.as_ref();
    let place = namespace().walk(path, true)?;
    let mut entries = match place.node.as_ref().ok_or(Errno::ENOENT)? {
        Node::Root(inode) => root_entries(inode)?,
        Node::Way => Vec::new(),
        Node::Memory(node) => node.entries()?,
        Node::Volume(volume) => volume.read_directory(&place.path).await?,
    };
    for (name, node) in namespace().mounted_in(&place.path) {
        if !entries.iter().any(|entry| entry.name_bytes() == name) {
            let is_file = matches!(&node, Node::Volume(volume) if volume.is_file());
            let kind = if is_file { FileType::File } else { FileType::Directory };
            entries.push(DirEntry::new(name.to_vec(), kind, 0));
        }
    }
    let mut entries = directory::sorted(entries);
    entries.iter_mut().for_each(|entry| entry.set_folder(path));
    Ok(entries)
}

fn root_entries(directory: &crate::erofs::Inode) -> Result<Vec<DirEntry>, Errno> {
    let entries = namespace().root()?.entries(directory)?;
    let entry = |entry: Result<crate::erofs::Entry<'_>, Errno>| {
        let entry = entry?;
        let kind = match entry.kind {
            1 => FileType::File,
            2 => FileType::Directory,
            7 => FileType::Symlink,
            _ => FileType::Other,
        };
        Ok(DirEntry::new(entry.name.to_vec(), kind, entry.nid))
    };
    entries.map(entry).collect()
}

/// Creates a directory with mode 0755.
///
/// # Errors
/// EEXIST, ENOENT, EROFS and the others of mkdir(2).
pub async fn create_dir(path: impl AsRef<[u8]>) -> Result<(), Errno> {
    const MODE: u32 = 0o755;
    match new_place(path.as_ref(), false)? {
        New::Memory(folder, name) => folder.insert(&name, MemoryNode::directory(MODE)),
        New::Volume(path, volume) => volume.create_directory(&path, MODE).await,
    }
}

/// Creates a directory and those above it, as far as they are missing.
///
/// # Errors
/// ENOTDIR when something else is in the way; as for [`create_dir`].
pub async fn create_dir_all(path: impl AsRef<[u8]>) -> Result<(), Errno> {
    let path = path.as_ref();
    let ends = path.iter().enumerate().filter(|&(i, &b)| b == b'/' && i > 0).map(|(i, _)| i);
    for end in ends.chain([path.len()]) {
        let part = &path[..end];
        match stat(part, true).await {
            Ok(about) if about.is_dir() => {}
            Ok(_) => return Err(Errno::ENOTDIR),
            Err(Errno::ENOENT) => match create_dir(part).await {
                // Another task was faster.
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(error) => return Err(error),
            },
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Removes a file or link.
///
/// # Errors
/// ENOENT, EISDIR, EROFS and the others of unlink(2).
pub async fn remove_file(path: impl AsRef<[u8]>) -> Result<(), Errno> {
    remove(path.as_ref(), false).await
}

/// Removes an empty directory.
///
/// # Errors
/// ENOENT, ENOTDIR, ENOTEMPTY, EROFS, EBUSY for a mount point, and the others of rmdir(2).
pub async fn remove_dir(path: impl AsRef<[u8]>) -> Result<(), Errno> {
    remove(path.as_ref(), true).await
}

async fn remove(path: &[u8], directory: bool) -> Result<(), Errno> {
    if !directory && ends_in_slash(path) {
        return Err(Errno::EISDIR);
    }
    match old_place(path)? {
        Old::Memory(folder, name) => folder.remove(&name, directory),
        Old::Volume(path, volume) if directory => volume.remove_directory(&path).await,
        Old::Volume(path, volume) => volume.remove_file(&path).await,
    }
}

/// Gives a file or directory another path, in place of what may be there.
///
/// # Errors
/// EXDEV when the paths are in different file systems; EROFS and the others of rename(2).
pub async fn rename(from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> Result<(), Errno> {
    let old = old_place(from.as_ref())?;
    match (old, new_place(to.as_ref(), true)?) {
        (Old::Memory(from, old), New::Memory(to, new)) => from.rename(&old, &to, &new),
        (Old::Volume(from, one), New::Volume(to, other)) if Rc::ptr_eq(&one, &other) => {
            one.rename(&from, &to).await
        }
        _ => Err(Errno::EXDEV),
    }
}

/// Creates a symbolic link at `path` that points to `target`.
///
/// # Errors
/// EEXIST, EROFS and the others of symlink(2).
pub async fn symlink(target: impl AsRef<[u8]>, path: impl AsRef<[u8]>) -> Result<(), Errno> {
    if target.as_ref().is_empty() {
        return Err(Errno::ENOENT);
    }
    match new_place(path.as_ref(), false)? {
        New::Memory(folder, name) => folder.insert(&name, MemoryNode::symlink(target.as_ref())),
        New::Volume(path, volume) => volume.symlink(target.as_ref(), &path).await,
    }
}

/// Where a symbolic link points; what is not UTF-8 is replaced.
///
/// # Errors
/// EINVAL when it is no link; the others of readlink(2).
pub async fn read_link(path: impl AsRef<[u8]>) -> Result<String, Errno> {
    let place = namespace().walk(path.as_ref(), false)?;
    let target = match place.node.as_ref().ok_or(Errno::ENOENT)? {
        Node::Root(inode) => namespace().root()?.link(inode)?.to_vec(),
        Node::Way => return Err(Errno::EINVAL),
        Node::Memory(node) => node.link_target().ok_or(Errno::EINVAL)?.to_vec(),
        Node::Volume(volume) => volume.read_link(&place.path).await?,
    };
    Ok(String::from_utf8_lossy(&target).into_owned())
}

/// Gives the file `from` a second name.
///
/// # Errors
/// EXDEV, EPERM for a directory, EROFS and the others of link(2).
pub async fn hard_link(from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> Result<(), Errno> {
    let place = namespace().walk(from.as_ref(), false)?;
    match (place.node.as_ref().ok_or(Errno::ENOENT)?, new_place(to.as_ref(), false)?) {
        (Node::Memory(node), _) if node.is_directory() => Err(Errno::EPERM),
        (Node::Memory(node), New::Memory(folder, name)) => folder.insert(&name, node.clone()),
        (Node::Volume(one), New::Volume(new, other)) if Rc::ptr_eq(one, &other) => {
            one.link(&place.path, &new).await
        }
        _ => Err(Errno::EXDEV),
    }
}

/// Sets the permission bits of a file.
///
/// # Errors
/// EROFS, EPERM and the others of chmod(2).
pub async fn set_mode(path: impl AsRef<[u8]>, mode: u32) -> Result<(), Errno> {
    let place = namespace().walk(path.as_ref(), true)?;
    match place.node.as_ref().ok_or(Errno::ENOENT)? {
        Node::Root(_) | Node::Way => Err(Errno::EROFS),
        Node::Memory(node) => {
            node.set_mode(mode);
            Ok(())
        }
        Node::Volume(volume) => volume.set_mode(&place.path, mode).await,
    }
}

/// Sets when a file was last read and changed, in nanoseconds since 1970; `None` leaves a time as it is.
///
/// # Errors
/// EROFS, EPERM and the others of utimensat(2).
pub async fn set_times(
    path: impl AsRef<[u8]>,
    accessed: Option<u64>,
    modified: Option<u64>,
) -> Result<(), Errno> {
    let place = namespace().walk(path.as_ref(), true)?;
    match place.node.as_ref().ok_or(Errno::ENOENT)? {
        Node::Root(_) | Node::Way => Err(Errno::EROFS),
        Node::Memory(node) => {
            node.set_times(accessed, modified);
            Ok(())
        }
        Node::Volume(volume) => volume.set_times(&place.path, accessed, modified).await,
    }
}

/// How full the file system is that `path` is in.
///
/// # Errors
/// ENOENT and the others of statfs(2).
pub async fn space(path: impl AsRef<[u8]>) -> Result<Space, Errno> {
    let place = namespace().walk(path.as_ref(), true)?;
    match place.node.as_ref().ok_or(Errno::ENOENT)? {
        Node::Root(_) => Ok(Space { total: namespace().root()?.size(), ..Space::default() }),
        Node::Way => Ok(Space::default()),
        Node::Memory(_) => Ok(memory::space()),
        Node::Volume(volume) => volume.space(&place.path).await,
    }
}

/// A place where a name can be made.
enum New {
    Memory(Rc<MemoryNode>, Vec<u8>),
    Volume(Vec<u8>, Rc<Volume>),
}

/// `replace`: something may be there.
fn new_place(path: &[u8], replace: bool) -> Result<New, Errno> {
    let place = namespace().walk(path, false)?;
    match (&place.node, &place.parent) {
        (Some(Node::Volume(volume)), Node::Volume(parent)) if Rc::ptr_eq(volume, parent) => {
            let volume = volume.clone();
            Ok(New::Volume(place.path, volume))
        }
        _ if place.path.is_empty() || namespace().is_mount_point(&place.path) => {
            Err(if replace { Errno::EBUSY } else { Errno::EEXIST })
        }
        (Some(_), _) if !replace => Err(Errno::EEXIST),
        (_, Node::Memory(folder)) => Ok(New::Memory(folder.clone(), place.name().to_vec())),
        _ => Err(Errno::EROFS),
    }
}

/// A place whose name can be taken away.
enum Old {
    Memory(Rc<MemoryNode>, Vec<u8>),
    Volume(Vec<u8>, Rc<Volume>),
}

fn old_place(path: &[u8]) -> Result<Old, Errno> {
    let place = namespace().walk(path, false)?;
    match (&place.node, &place.parent) {
        (None, _) => Err(Errno::ENOENT),
        _ if place.path.is_empty() || namespace().is_mount_point(&place.path) => Err(Errno::EBUSY),
        (Some(Node::Volume(volume)), _) => {
            let volume = volume.clone();
            Ok(Old::Volume(place.path, volume))
        }
        (Some(Node::Memory(_)), Node::Memory(folder)) => {
            Ok(Old::Memory(folder.clone(), place.name().to_vec()))
        }
        _ => Err(Errno::EROFS),
    }
}
