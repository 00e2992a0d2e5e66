//! Knowing that a file of a volume is still what it was, without asking the broker for its name again.
//!
//! The file and all directories on the way to it are kept open. As long as their own times have not changed, every name
//! on the way leads where it led: replacing, moving or removing a file changes its `ctime` (it loses a name, or gets
//! another), making a file changes the directory that it is in. A path with a symbolic link in it is not
//! pinned, as what the link's target depends on is not known here.

use super::files::OpenFile;
use core::cell::RefCell;
use kernlet::Error;
use kernlet::alloc::rc::Rc;
use kernlet::alloc::vec::Vec;
use kernlet::fs::{self, File};

/// Directories that are kept open for pins; beyond that all are opened anew as they are needed.
const DIRECTORIES: usize = 256;

/// The directories on the way to a file.
pub struct Pin {
    directories: Vec<Rc<OpenFile>>,
}

impl Pin {
    /// Whether all names on the way lead where they led.
    pub async fn holds(&self) -> bool {
        // The last one changes most often.
        for directory in self.directories.iter().rev() {
            if !directory.unchanged().await {
                return false;
            }
        }
        true
    }
}

/// The directories that are open.
#[derive(Default)]
pub struct Directories {
    open: RefCell<Vec<(Vec<u8>, Rc<OpenFile>)>>,
}

impl Directories {
    /// Pins the directories from the folder `path[..root]` down to the one of the file `path`; `None` when that cannot
    /// be done. What is looked up after this holds as long as the pin.
    pub async fn pin(&self, path: &[u8], root: usize) -> Result<Option<Pin>, Error> {
        let mut directories = Vec::new();
        let ends =
            path.iter().enumerate().filter(|&(at, &octet)| octet == b'/' && at >= root).map(|(at, _)| at);
        for end in ends {
            let folder = &path[..end];
            let is_link = end > root && fs::symlink_metadata(folder).await?.is_symlink();
            if is_link {
                return Ok(None);
            }
            let directory = self.open(folder).await?;
            if directory.is_fresh() {
                return Ok(None);
            }
            directories.push(directory);
        }
        let is_link = fs::symlink_metadata(path).await?.is_symlink();
        Ok((!is_link).then_some(Pin { directories }))
    }

    async fn open(&self, folder: &[u8]) -> Result<Rc<OpenFile>, Error> {
        let known = self.open.borrow().iter().find(|(path, _)| path == folder).map(|(_, open)| open.clone());
        if let Some(known) = known {
            if known.unchanged().await {
                return Ok(known);
            }
            self.open.borrow_mut().retain(|(path, _)| path != folder);
        }
        let opened = Rc::new(OpenFile::new(File::open(folder).await?).await?);
        let mut open = self.open.borrow_mut();
        if open.len() >= DIRECTORIES {
            open.clear();
        }
        open.push((folder.into(), opened.clone()));
        Ok(opened)
    }

    /// Closes all that no pin holds.
    pub fn clear(&self) {
        self.open.borrow_mut().clear();
    }
}
