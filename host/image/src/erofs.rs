//! The root file system: EROFS, uncompressed, large files and programs in whole blocks of their own.
//!
//! The format is that of Linux (Documentation/filesystems/erofs.rst and fs/erofs/erofs_fs.h), in its simplest
//! layout: blocks of 4 KiB, `FLAT_PLAIN` data. So a file's pages can be mapped straight out of the image, and
//! Linux can mount the image's root as it is.
//!
//! 1. The same tree gives the same bytes: names are sorted, all times are zero and the owner is what the caller
//!    says, unless the tree keeps those of its files: then directories and links have the newest file's time.
//! 2. A [`Tree`] holds names and modes only. Contents are streamed from the host's files when it is written.
//! 3. The [`list`] that reads one back trusts nothing in it.

mod disk;
mod keep;
mod node;
mod plan;
mod read;
mod tree;

pub(crate) use node::{Dir, Node};
pub use plan::Plan;
pub use read::{Entry, EntryKind, ReadError, list};
pub(crate) use read::{content, each_file};
pub use tree::{Tree, TreeError};
