//! The host's file system, as the kernel would walk it, and what of it is taken into the root.

use super::inputs::Inputs;
use crate::erofs::{Tree, TreeError};
use std::collections::{BTreeMap, HashMap, VecDeque};
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
    /// Libraries that are found by their name alone.
    pub libraries: BTreeMap<Vec<u8>, PathBuf>,
    /// The level of x86-64 that what is loaded at the start needs, if it is more than the first, and the path of one that does.
    pub level: Option<(u8, PathBuf)>,
    /// Files that would belong into the root and cannot be read.
    pub locked: Vec<PathBuf>,
    /// Directories without the links that lead to them; of one that is not there, nothing.
    folders: HashMap<PathBuf, Option<PathBuf>>,
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
        let mut tree = Tree::new();
        // Interpreters compare the times of sources with those of what they compiled, servers give up being root.
        tree.keep_found();
        Self {
            sysroot: sysroot.into(),
            tree,
            inputs: Inputs::default(),
            libraries: BTreeMap::new(),
            level: None,
            locked: Vec::new(),
            folders: HashMap::new(),
        }
    }

    /// Notes that what is loaded from `path` at the start needs a level of x86-64.
    pub(crate) fn needs(&mut self, level: u8, path: &Path) {
        if level > self.level.as_ref().map_or(1, |(most, _)| *most) {
            self.level = Some((level, path.into()));
        }
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

    /// Takes what is at a path itself, if there is something: a link stays one, whatever it leads to, and of a directory
    /// nothing is taken that is in it. Tells whether it is a directory. What is no file, directory or link, and what
    /// cannot be read, is left out.
    ///
    /// # Errors
    /// Its name or target is no usable path.
    pub(crate) fn take_entry(&mut self, path: &Path) -> Result<bool, TreeError> {
        let Some(real) = self.real(path) else { return Ok(false) };
        let about = match self.look(&real) {
            Ok(about) => about,
            Err(error) => {
                if error.kind() == io::ErrorKind::PermissionDenied {
                    self.locked.push(real);
                }
                return Ok(false);
            }
        };
        let outside = self.outside(&real);
        if about.is_symlink() {
            if let Ok(target) = fs::read_link(&outside) {
                self.take_parents(&real)?;
                self.tree.put_symlink(&real, target.as_os_str().as_bytes())?;
            }
        } else if about.is_dir() {
            self.take_parents(&real)?;
            self.tree.put_dir(&real, &about)?;
        } else if about.is_file() {
            match File::open(&outside) {
                Ok(_) => {
                    self.take_parents(&real)?;
                    self.tree.put_file(&real, &outside, &about)?;
                }
                Err(_) => self.locked.push(real),
            }
        }
        Ok(about.is_dir())
    }

    /// What is in a directory, sorted; nothing when there is none.
    pub(crate) fn names_in(&mut self, path: &Path) -> Vec<OsString> {
        let Ok(place) = self.find(path) else { return Vec::new() };
        let outside = self.outside(&place.real);
        self.inputs.saw(&outside, Some(&place.about));
        let entries = fs::read_dir(&outside).into_iter().flatten().flatten();
        let mut names: Vec<OsString> = entries.map(|entry| entry.file_name()).collect();
        names.sort();
        names
    }

    /// Whether there is a directory at a path, not a link to one.
    pub(crate) fn is_real_dir(&mut self, path: &Path) -> bool {
        self.real(path).and_then(|real| self.look(&real).ok()).is_some_and(|about| about.is_dir())
    }

    /// Whether the file at a place can be opened.
    pub(crate) fn is_readable(&self, place: &Place) -> bool {
        File::open(self.outside(&place.real)).is_ok()
    }

    /// A path without links in its directory; the last name stays as it is.
    fn real(&mut self, path: &Path) -> Option<PathBuf> {
        let (folder, name) = (path.parent()?, path.file_name()?);
        let known = match self.folders.get(folder) {
            Some(known) => known.clone(),
            None => {
                let place = self.find(folder).ok().filter(Place::is_dir);
                let real = place.map(|place| place.real);
                self.folders.insert(folder.into(), real.clone());
                real
            }
        };
        Some(known?.join(name))
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
