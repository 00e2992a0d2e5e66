//! The host's file system, as the kernel would walk it, and what of it is taken into the root.

use super::inputs::Inputs;
use crate::erofs::{Tree, TreeError};
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// As many symbolic links as Linux follows in one path.
const MAX_LINKS: usize = 40;
/// `ELOOP`, for which the standard library has no stable name.
const ELOOP: i32 = 40;

/// Files of the host, seen below `sysroot`, and the root that is made of some of them.
pub(crate) struct Host {
    sysroot: PathBuf,
    pub tree: Tree,
    pub inputs: Inputs,
}

/// What a path leads to.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The path without any link in it.
    pub real: PathBuf,
    /// The links that led there, each with what it says, in the order in which they were followed.
    pub links: Vec<(PathBuf, OsString)>,
    pub about: Metadata,
}

impl Place {
    pub(crate) fn is_file(&self) -> bool {
        self.about.is_file()
    }

    pub(crate) fn is_dir(&self) -> bool {
        self.about.is_dir()
    }
}

impl Host {
    /// The host's file system from `sysroot` on, which paths do not leave.
    pub(crate) fn new(sysroot: &Path) -> Self {
        Self { sysroot: sysroot.into(), tree: Tree::new(), inputs: Inputs::default() }
    }

    /// Where a path is outside of the system root.
    pub(crate) fn outside(&self, path: &Path) -> PathBuf {
        self.sysroot.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Follows a path to its end.
    ///
    /// # Errors
    /// As open(2) fails: `NotFound`, `NotADirectory`, `FilesystemLoop`, `PermissionDenied`.
    pub(crate) fn find(&mut self, path: &Path) -> io::Result<Place> {
        let mut todo: VecDeque<OsString> = names(path).collect();
        let mut real = PathBuf::from("/");
        let mut links = Vec::new();
        let mut about = self.look(&real)?;
        while let Some(name) = todo.pop_front() {
            if name == ".." {
                real.pop();
                about = self.look(&real)?;
                continue;
            }
            if !about.is_dir() {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            real.push(&name);
            about = self.look(&real)?;
            if about.is_symlink() {
                let target = fs::read_link(self.outside(&real))?;
                if links.len() == MAX_LINKS {
                    return Err(io::Error::from_raw_os_error(ELOOP));
                }
                links.push((real.clone(), target.clone().into_os_string()));
                real.pop();
                if target.is_absolute() {
                    real = PathBuf::from("/");
                }
                for part in names(&target).collect::<Vec<_>>().into_iter().rev() {
                    todo.push_front(part);
                }
                about = self.look(&real)?;
            }
        }
        Ok(Place { real, links, about })
    }

    /// The file at a path, open, if there is one.
    ///
    /// # Errors
    /// As [`Host::find`], and `IsADirectory`.
    pub(crate) fn open(&mut self, path: &Path) -> io::Result<(Place, File)> {
        let place = self.find(path)?;
        if !place.is_file() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let file = File::open(self.outside(&place.real))?;
        Ok((place, file))
    }

    /// All of the file at a path.
    ///
    /// # Errors
    /// As [`Host::open`].
    pub(crate) fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        let (place, _) = self.open(path)?;
        fs::read(self.outside(&place.real))
    }

    /// Takes a place into the root, with the links to it. Of a directory nothing that is in it.
    ///
    /// # Errors
    /// It is neither file nor directory.
    pub(crate) fn take(&mut self, place: &Place) -> Result<(), TreeError> {
        for (link, target) in &place.links {
            self.take_parents(link)?;
            self.tree.put_symlink(link, target.as_bytes())?;
        }
        self.take_parents(&place.real)?;
        let outside = self.outside(&place.real);
        if place.is_dir() {
            self.tree.put_dir(&place.real, &place.about)
        } else {
            self.tree.put_file(&place.real, &outside, &place.about)
        }
    }

    /// Remembers all that is at a path outside, and in the directory that it is.
    pub(crate) fn saw_all(&mut self, outside: &Path) {
        let about = fs::symlink_metadata(outside).ok();
        self.inputs.saw(outside, about.as_ref());
        if about.as_ref().is_some_and(Metadata::is_symlink)
            && let Ok(target) = fs::canonicalize(outside)
        {
            return self.saw_all(&target);
        }
        if about.is_some_and(|about| about.is_dir()) {
            for entry in fs::read_dir(outside).into_iter().flatten().flatten() {
                let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
                match is_link {
                    // Inside of a directory links stay links.
                    true => self.inputs.saw(&entry.path(), entry.metadata().ok().as_ref()),
                    false => self.saw_all(&entry.path()),
                }
            }
        }
    }

    /// Directories have in the root the permissions that they have here.
    fn take_parents(&mut self, path: &Path) -> Result<(), TreeError> {
        for folder in path.ancestors().skip(1).filter(|folder| folder.parent().is_some()) {
            if self.tree.has_dir(folder) {
                break;
            }
            if let Ok(about) = fs::symlink_metadata(self.outside(folder)) {
                self.tree.put_dir(folder, &about)?;
            }
        }
        Ok(())
    }

    /// lstat(2). Only what ends there is an input: a directory on the way matters by what is found through it.
    fn look(&mut self, path: &Path) -> io::Result<Metadata> {
        let outside = self.outside(path);
        let about = fs::symlink_metadata(&outside);
        match &about {
            Ok(about) if !about.is_dir() => self.inputs.saw(&outside, Some(about)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.inputs.saw(&outside, None),
            _ => {}
        }
        about
    }
}

/// The names in a path that mean something.
fn names(path: &Path) -> impl Iterator<Item = OsString> + use<'_> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(OsStr::to_owned(name)),
        Component::ParentDir => Some("..".into()),
        _ => None,
    })
}
