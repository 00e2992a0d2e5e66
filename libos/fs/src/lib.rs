//! Files: the read-only root, memory files, volumes.
//!
//! 1. `/` is the EROFS file system that is sealed into the image ([`erofs`]); its files are read where they lie.
//!    `/tmp`, `/var/tmp` and `/run` are files in memory. Volumes are wherever the instance was told.
//! 2. On the process door a volume's names go to the [`broker`], and what it opens is read and written directly.
//!    In a VM a volume is a 9P server's. Both doors behave the same: a link that leads out of its volume is EACCES,
//!    and `..` within a volume is taken out of the path's text.
//! 3. Functions are named and behave as in std, and are async; paths are bytes, given as `&str` or `&[u8]`, relative
//!    ones from the working directory. Errors are Linux error numbers.
//! 4. Nothing starts before it is used: no task, no mount table, no connection.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod broker;
pub mod erofs;
#[doc(hidden)]
pub mod p9;

mod directory;
mod file;
mod memory;
mod metadata;
mod namespace;
mod open;
mod root;
mod tree;
pub mod volume;

pub use directory::DirEntry;
pub use file::{File, SeekFrom};
pub use metadata::{FileType, Metadata, Space};
pub use open::OpenOptions;
pub use tree::{
    create_dir, create_dir_all, exists, hard_link, metadata, read_dir, read_link, remove_dir, remove_file,
    rename, set_mode, set_times, space, symlink, symlink_metadata,
};

use alloc::string::String;
use alloc::vec::Vec;
pub use kernlet_platform::Errno;

/// The contents of a file.
///
/// # Errors
/// Those of open(2) and read(2); ENOMEM when it does not fit into memory.
pub async fn read(path: impl AsRef<[u8]>) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::new();
    File::open(path).await?.read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// The contents of a file that is text.
///
/// # Errors
/// EILSEQ when it is not UTF-8; as for [`read()`].
pub async fn read_to_string(path: impl AsRef<[u8]>) -> Result<String, Errno> {
    String::from_utf8(read(path).await?).map_err(|_| EILSEQ)
}

/// Makes a file whose contents are `bytes`, in place of what it may have held.
///
/// # Errors
/// Those of open(2) and write(2).
pub async fn write(path: impl AsRef<[u8]>, bytes: impl AsRef<[u8]>) -> Result<(), Errno> {
    File::create(path).await?.write_all(bytes.as_ref()).await
}

/// The read-only root that is sealed into the image.
///
/// # Errors
/// ENOENT when the image has none; EIO and EOPNOTSUPP as for [`erofs::Erofs::new`].
pub fn root() -> Result<erofs::Erofs<'static>, Errno> {
    root::root()
}

/// The SHA-256 hash of the sealed root, by which one image's files can be told from another's; `None` when the image
/// has no root.
///
/// ```no_run
/// # async fn example() -> Result<(), kernlet_fs::Errno> {
/// // Names one content for good: a sealed file never changes.
/// let digest = kernlet_fs::root_digest();
/// let inode = kernlet_fs::metadata("/www/index.html").await?.inode;
/// # let _ = (digest, inode);
/// # Ok(())
/// # }
/// ```
pub fn root_digest() -> Option<[u8; 32]> {
    Some(root::manifest()?.root?.digest.0)
}

/// The number and the contents of the file of `root`, which is [`root`]'s, at `path`, which has no links in it; `None` when
/// there is none.
pub fn root_file(root: &erofs::Erofs<'static>, path: &[u8]) -> Option<(u64, &'static [u8])> {
    let mut names = path.split(|&b| b == b'/').filter(|name| !name.is_empty());
    let inode = names.try_fold(root.root().ok()?, |folder, name| root.lookup(&folder, name).ok())?;
    Some((inode.nid, root.content(&inode).ok()?.whole()?))
}

/// Bytes that are no text.
const EILSEQ: Errno = Errno(84);

/// The contents of a file of the root, where they lie in the image.
///
/// # Errors
/// ENOENT; EISDIR; EXDEV when a memory file or a volume is at `path`; EOPNOTSUPP when the image was made by something
/// else than kernlet, and holds the file in pieces.
pub fn static_file(path: impl AsRef<[u8]>) -> Result<&'static [u8], Errno> {
    match namespace::namespace().walk(path.as_ref(), true)?.existing()? {
        namespace::Node::Root(inode) if inode.is_file() => {
            let root = namespace::namespace().root()?;
            root.content(&inode)?.whole().ok_or(Errno::EOPNOTSUPP)
        }
        namespace::Node::Root(_) | namespace::Node::Way => Err(Errno::EISDIR),
        namespace::Node::Memory(_) | namespace::Node::Volume(_) => Err(Errno::EXDEV),
    }
}
