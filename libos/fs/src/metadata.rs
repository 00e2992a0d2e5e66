//! What is known of a file without reading it.

use kernlet_time::Duration;

const S_IFMT: u32 = 0o170_000;
pub(crate) const S_IFDIR: u32 = 0o040_000;
pub(crate) const S_IFREG: u32 = 0o100_000;
pub(crate) const S_IFLNK: u32 = 0o120_000;

/// What kind of thing a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, a socket or a named pipe: it can be seen in a volume, but not opened.
    Other,
}

impl FileType {
    /// Whether it is a directory.
    pub fn is_dir(self) -> bool {
        self == Self::Directory
    }

    /// Whether it is a regular file.
    pub fn is_file(self) -> bool {
        self == Self::File
    }

    /// Whether it is a symbolic link.
    pub fn is_symlink(self) -> bool {
        self == Self::Symlink
    }

    pub(crate) fn of_mode(mode: u32) -> Self {
        match mode & S_IFMT {
            S_IFREG => Self::File,
            S_IFDIR => Self::Directory,
            S_IFLNK => Self::Symlink,
            _ => Self::Other,
        }
    }

    /// By the numbers of `struct dirent`.
    pub(crate) fn of_dirent(kind: u8) -> Self {
        match kind {
            8 => Self::File,
            4 => Self::Directory,
            10 => Self::Symlink,
            _ => Self::Other,
        }
    }
}

/// What stat(2) tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Tells file systems apart: 0 is the read-only root, 1 are the memory files, the rest are volumes.
    pub device: u64,
    /// The number of the file in its file system.
    pub inode: u64,
    /// Type and permission bits (inode(7)).
    pub mode: u32,
    /// How many names it has.
    pub links: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Length in bytes.
    pub size: u64,
    /// What it takes of its file system, in units of 512 bytes.
    pub blocks: u64,
    /// When it was last read, in nanoseconds since 1970.
    pub accessed: u64,
    /// When its contents last changed, in nanoseconds since 1970.
    pub modified: u64,
    /// When anything of it last changed, in nanoseconds since 1970.
    pub changed: u64,
}

impl Metadata {
    /// Its kind.
    pub fn file_type(&self) -> FileType {
        FileType::of_mode(self.mode)
    }

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.file_type().is_dir()
    }

    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.file_type().is_file()
    }

    /// Whether it is a symbolic link.
    pub fn is_symlink(&self) -> bool {
        self.file_type().is_symlink()
    }

    /// Length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "as in std")]
    pub fn len(&self) -> u64 {
        self.size
    }

    /// When its contents last changed, as the time since 1970-01-01 00:00 UTC.
    pub fn modified(&self) -> Duration {
        Duration::from_nanos(self.modified)
    }
}

/// How full a file system is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// Bytes in all.
    pub total: u64,
    /// Bytes that can still be written.
    pub free: u64,
    /// Bytes that are not used, those included that are kept for the host's root.
    pub unused: u64,
    /// Files in all, as far as there is a limit.
    pub files: u64,
    /// Files that can still be made.
    pub free_files: u64,
}
