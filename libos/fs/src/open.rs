//! How a file is opened.

use crate::file::{File, Object};
use crate::memory::MemoryNode;
use crate::namespace::{Node, ends_in_slash, namespace};
use kernlet_platform::Errno;

/// What to open a file for, as in std.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenOptions {
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) append: bool,
    pub(crate) truncate: bool,
    pub(crate) create: bool,
    pub(crate) create_new: bool,
    pub(crate) mode: u32,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl OpenOptions {
    /// Nothing set; a file that is created has mode 0644.
    pub const fn new() -> Self {
        Self {
            read: false,
            write: false,
            append: false,
            truncate: false,
            create: false,
            create_new: false,
            mode: 0o644,
        }
    }

    /// For reading.
    pub const fn read(&mut self, yes: bool) -> &mut Self {
        self.read = yes;
        self
    }

    /// For writing.
    pub const fn write(&mut self, yes: bool) -> &mut Self {
        self.write = yes;
        self
    }

    /// For writing, always at the end.
    pub const fn append(&mut self, yes: bool) -> &mut Self {
        self.append = yes;
        self
    }

    /// Cuts the file to nothing first.
    pub const fn truncate(&mut self, yes: bool) -> &mut Self {
        self.truncate = yes;
        self
    }

    /// Creates the file if it is not there.
    pub const fn create(&mut self, yes: bool) -> &mut Self {
        self.create = yes;
        self
    }

    /// Creates the file, which must not be there.
    pub const fn create_new(&mut self, yes: bool) -> &mut Self {
        self.create_new = yes;
        self
    }

    /// The permission bits of a file that is created.
    pub const fn mode(&mut self, mode: u32) -> &mut Self {
        self.mode = mode;
        self
    }

    /// Opens the file.
    ///
    /// # Errors
    /// EINVAL for options that do not go together; EROFS for writing in the root; ENOENT, EEXIST, EISDIR and the
    /// others of open(2).
    pub async fn open(&self, path: impl AsRef<[u8]>) -> Result<File, Errno> {
        let object = self.object(path.as_ref()).await?;
        Ok(File::new(object, self.read, self.write || self.append, self.append))
    }

    /// Whether anything is changed by opening or afterwards.
    pub(crate) const fn writes(&self) -> bool {
        self.write || self.append || self.truncate || self.creates()
    }

    const fn creates(&self) -> bool {
        self.create || self.create_new
    }

    fn check(&self) -> Result<(), Errno> {
        let writing = self.write || self.append;
        let changing = self.truncate || self.creates();
        let useless = !writing && (changing || !self.read);
        // What is appended to is not cut, unless it is new anyway.
        let contradiction = self.append && self.truncate && !self.create_new;
        if useless || contradiction { Err(Errno::EINVAL) } else { Ok(()) }
    }

    async fn object(&self, path: &[u8]) -> Result<Object, Errno> {
        self.check()?;
        let place = namespace().walk(path, !self.create_new)?;
        if self.creates() && ends_in_slash(path) {
            return Err(Errno::EISDIR);
        }
        let Some(node) = &place.node else {
            if !self.creates() {
                return Err(Errno::ENOENT);
            }
            let Node::Memory(folder) = &place.parent else { return Err(Errno::EROFS) };
            let file = MemoryNode::file(self.mode);
            folder.insert(place.name(), file.clone())?;
            return Ok(Object::Memory(file));
        };
        if let Node::Volume(volume) = node {
            let file = volume.open(&place.path, self).await?;
            if ends_in_slash(path) && !file.metadata().await?.is_dir() {
                return Err(Errno::ENOTDIR);
            }
            return Ok(Object::Volume(file));
        }
        if self.create_new {
            return Err(Errno::EEXIST);
        }
        let object = match node {
            Node::Root(inode) if self.writes() => {
                return Err(if inode.is_directory() { Errno::EISDIR } else { Errno::EROFS });
            }
            Node::Root(inode) => Object::Root(*inode),
            Node::Way if self.writes() => return Err(Errno::EISDIR),
            Node::Way => Object::Way,
            Node::Memory(node) if self.writes() && node.is_directory() => return Err(Errno::EISDIR),
            Node::Memory(node) => {
                if self.truncate {
                    node.set_len(0)?;
                }
                Object::Memory(node.clone())
            }
            Node::Volume(_) => return Err(Errno::EIO),
        };
        if ends_in_slash(path) && !object.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        Ok(object)
    }
}
