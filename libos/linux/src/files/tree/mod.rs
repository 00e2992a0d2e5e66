//! The tree of files: the image's root with a writable layer in memory over it, what is mounted on it, and walking it.
//!
//! A file of the image is a node as any other, whose contents happen to lie in the image ([`content`]). It is made when a walk
//! comes to it and goes with its last user, unless it was changed: then its file system keeps it. So there is nothing to
//! copy up, and whoever has a file open sees every change.

pub mod content;
pub mod directory;
pub mod mounts;
pub mod node;
pub mod permission;
pub mod system;
pub mod walk;

pub use content::{Content, Seek};
pub use mounts::{Mount, Tree};
pub use node::{Entry, Kind, Node, Times};
pub use permission::{Access, Who};
pub use system::{Sort, System, Usage};
pub use walk::{Location, Place, Resolve, Walk};
