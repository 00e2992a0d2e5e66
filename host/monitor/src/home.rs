//! Where state lives: `HOME/instances/NAME/`.
//!
//! Each instance has a directory: `lock`, on which its living monitor holds a lock; `state.json`; its log; and
//! `control.sock`. Whoever can take the lock knows that the monitor is dead, whatever `state.json` says.

use crate::state::State;
use miette::Diagnostic;
use rustix::fs::{Access, AtFlags, FlockOperation, Mode, OFlags, flock, open, openat, renameat, unlinkat};
use rustix::io::Errno;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use thiserror::Error;

const LOCK: &str = "lock";
const STATE: &str = "state.json";
const NEW_STATE: &str = "state.new";
const PRIVATE: Mode = Mode::from_bits_retain(0o700);
const PRIVATE_FILE: Mode = Mode::from_bits_retain(0o600);

/// Why state cannot be kept or read.
#[derive(Debug, Error, Diagnostic)]
#[non_exhaustive]
pub enum StateError {
    /// Nothing says where state belongs.
    #[error("there is no place for kernlet's state: neither KERNLET_HOME, XDG_STATE_HOME nor HOME is set")]
    #[diagnostic(help("set KERNLET_HOME to a directory that you can write"))]
    NoHome,
    /// The directory cannot be used.
    #[error("the state directory {} cannot be used: {source}", path.display())]
    #[diagnostic(help("{}", mend(source)))]
    Unusable {
        /// The directory or a file in it.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The name is taken.
    #[error("the name {0} is in use")]
    #[diagnostic(help("choose another with --name, or remove the old instance: kernlet rm -f {0}"))]
    NameInUse(String),
    /// There is no such instance.
    #[error("there is no instance {0}")]
    #[diagnostic(help("`kernlet ps -a` lists all"))]
    NoSuchInstance(String),
    /// Its state is no state.
    #[error("the state of {name} cannot be read: {message}")]
    #[diagnostic(help("`kernlet rm -f {name}` removes it"))]
    Damaged {
        /// The instance.
        name: String,
        /// What is wrong with it.
        message: String,
    },
}

fn mend(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => {
            "it is on a read-only file system: set KERNLET_HOME to a directory that can be written"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "its disk is full: free some space there, or set KERNLET_HOME to a directory on another disk"
        }
        io::ErrorKind::PermissionDenied => {
            "it belongs to another user: set KERNLET_HOME to a directory of your own, or correct its owner"
        }
        _ => "set KERNLET_HOME to a directory that can be written",
    }
}

/// The directory under which everything is kept.
#[derive(Clone, Debug)]
pub struct Home(PathBuf);

impl Home {
    /// `$KERNLET_HOME`, else `$XDG_STATE_HOME/kernlet`, else `~/.local/state/kernlet`.
    ///
    /// # Errors
    /// None of them is set.
    pub fn from_environment() -> Result<Self, StateError> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let path = set("KERNLET_HOME")
            .or_else(|| set("XDG_STATE_HOME").map(|path| path.join("kernlet")))
            .or_else(|| set("HOME").map(|path| path.join(".local/state/kernlet")))
            .ok_or(StateError::NoHome)?;
        Ok(Self(std::path::absolute(&path).map_err(|source| StateError::Unusable { path, source })?))
    }

    /// A home at `path`, which is absolute.
    #[must_use]
    pub const fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn instances(&self) -> PathBuf {
        self.0.join("instances")
    }

    /// Whether an instance of this name could be made now. Nothing is made or changed.
    pub(crate) fn has_room_for(&self, name: &str) -> bool {
        let instances = self.instances();
        rustix::fs::access(&instances, Access::WRITE_OK | Access::EXEC_OK).is_ok()
            && rustix::fs::access(instances.join(name), Access::EXISTS) == Err(Errno::NOENT)
    }

    /// Makes the directory of a new instance, locked.
    pub(crate) fn create(&self, name: &str) -> Result<Owned, StateError> {
        let path = self.instances().join(name);
        let unusable = |error: Errno| StateError::Unusable { path: path.clone(), source: error.into() };
        let mut made = rustix::fs::mkdir(&path, PRIVATE);
        if made == Err(Errno::NOENT) {
            let parent = self.instances();
            fs::create_dir_all(&parent).map_err(|source| StateError::Unusable { path: parent, source })?;
            made = rustix::fs::mkdir(&path, PRIVATE);
        }
        if made == Err(Errno::EXIST) && self.clear_remains(name) {
            made = rustix::fs::mkdir(&path, PRIVATE);
        }
        match made {
            Ok(()) => {}
            Err(Errno::EXIST) => return Err(StateError::NameInUse(name.into())),
            Err(error) => return Err(unusable(error)),
        }
        let lock = || -> Result<Owned, Errno> {
            let dir = open(&path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
            let lock = openat(&dir, LOCK, flags, PRIVATE_FILE)?;
            flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
            Ok(Owned { dir: Directory { dir, path: path.clone(), name: name.into() }, _lock: lock })
        };
        lock().map_err(|error| {
            let _ = fs::remove_dir_all(&path);
            unusable(error)
        })
    }

    /// Removes what a monitor left that was killed before it wrote any state.
    fn clear_remains(&self, name: &str) -> bool {
        let Ok(dir) = self.open(name) else { return false };
        let stateless = matches!(dir.read_file(), Err(ref e) if e.kind() == io::ErrorKind::NotFound);
        stateless && dir.lock().is_some() && fs::remove_dir_all(&dir.path).is_ok()
    }

    /// Finds an instance by its name, or by the beginning of its id.
    ///
    /// # Errors
    /// There is none.
    pub fn find(&self, name: &str) -> Result<Directory, StateError> {
        match self.open(name) {
            Err(StateError::NoSuchInstance(_)) => {}
            found => return found,
        }
        let is_id = name.len() >= 4 && name.bytes().all(|b| b.is_ascii_hexdigit());
        let all = if is_id { self.all()? } else { Vec::new() };
        let mut matching = all.into_iter().filter(|d| d.state().is_ok_and(|s| s.id.starts_with(name)));
        match (matching.next(), matching.next()) {
            (Some(one), None) => Ok(one),
            _ => Err(StateError::NoSuchInstance(name.into())),
        }
    }

    fn open(&self, name: &str) -> Result<Directory, StateError> {
        let missing = || StateError::NoSuchInstance(name.into());
        crate::name::check(name).map_err(|_| missing())?;
        let path = self.instances().join(name);
        match open(&path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(dir) => Ok(Directory { dir, path, name: name.into() }),
            Err(Errno::NOENT | Errno::NOTDIR) => Err(missing()),
            Err(error) => Err(StateError::Unusable { path, source: error.into() }),
        }
    }

    /// All instances, by name.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn all(&self) -> Result<Vec<Directory>, StateError> {
        let path = self.instances();
        let entries = match fs::read_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|source| StateError::Unusable { path, source })?,
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut all: Vec<_> = names.filter_map(|name| self.open(&name).ok()).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }
}

/// An instance's directory.
#[derive(Debug)]
pub struct Directory {
    dir: OwnedFd,
    path: PathBuf,
    name: String,
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

impl Directory {
    /// The instance's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The directory's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn read_file(&self) -> io::Result<Vec<u8>> {
        let mut contents = Vec::new();
        let file = openat(&self.dir, STATE, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        File::from(file).read_to_end(&mut contents)?;
        Ok(contents)
    }

    /// What is known of the instance, and true: when its monitor is dead, so is it.
    ///
    /// # Errors
    /// There is none yet, or it is damaged.
    pub fn state(&self) -> Result<State, StateError> {
        // The lock comes first: a monitor that ends in between has written its last word before.
        let dead = self.lock().is_some();
        let contents = self.read_file().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StateError::NoSuchInstance(self.name.clone()),
            _ => StateError::Unusable { path: self.path.clone(), source: error },
        })?;
        let damaged = |error: serde_json::Error| StateError::Damaged {
            name: self.name.clone(),
            message: error.to_string(),
        };
        let mut state: State = serde_json::from_slice(&contents).map_err(damaged)?;
        if dead {
            state.without_monitor();
        }
        Ok(state)
    }

    /// Takes the lock, unless a living monitor has it.
    fn lock(&self) -> Option<OwnedFd> {
        let file = openat(&self.dir, LOCK, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        flock(&file, FlockOperation::NonBlockingLockShared).ok()?;
        Some(file)
    }

    /// Whether a monitor watches over it.
    #[must_use]
    pub fn watched(&self) -> bool {
        self.lock().is_none()
    }

    /// Removes all that is known of an instance that has ended.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self) -> Result<(), StateError> {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StateError::Unusable { path: self.path.clone(), source: error })
            }
            _ => Ok(()),
        }
    }
}

/// An instance's directory in the hands of its monitor: nobody else changes it.
#[derive(Debug)]
pub(crate) struct Owned {
    pub dir: Directory,
    _lock: OwnedFd,
}

impl Owned {
    /// Replaces the state.
    pub(crate) fn write(&self, state: &State) -> Result<(), StateError> {
        let write = || -> io::Result<()> {
            let flags = OFlags::CREATE | OFlags::TRUNC | OFlags::WRONLY | OFlags::CLOEXEC;
            let mut file = File::from(openat(&self.dir.dir, NEW_STATE, flags, PRIVATE_FILE)?);
            file.write_all(&serde_json::to_vec(state)?)?;
            renameat(&self.dir.dir, NEW_STATE, &self.dir.dir, STATE)?;
            Ok(())
        };
        write().map_err(|source| {
            let _ = unlinkat(&self.dir.dir, NEW_STATE, AtFlags::empty());
            StateError::Unusable { path: self.dir.path.clone(), source }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;
    use crate::state::{About, Phase};

    fn home() -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("deep/home"));
        (folder, home)
    }

    fn state(name: &str) -> State {
        State::new(name.into(), "abcd1234".into(), &Options::new("/i".into()), About::example())
    }

    #[test]
    fn a_living_monitor_is_told_from_a_dead_one() {
        let (_folder, home) = home();
        let owned = home.create("one").unwrap();
        let mut running = state("one");
        running.phase = Phase::Running;
        owned.write(&running).unwrap();
        assert_eq!(home.find("one").unwrap().state().unwrap().phase, Phase::Running);
        assert!(home.find("one").unwrap().watched());
        drop(owned);
        let dead = home.find("one").unwrap().state().unwrap();
        assert_eq!((dead.phase, dead.exit_code), (Phase::Exited, Some(137)));
    }

    #[test]
    fn a_name_is_used_once() {
        let (_folder, home) = home();
        let owned = home.create("one").unwrap();
        assert!(matches!(home.create("one"), Err(StateError::NameInUse(_))));
        owned.write(&state("one")).unwrap();
        drop(owned);
        assert!(matches!(home.create("one"), Err(StateError::NameInUse(_))));
        home.find("one").unwrap().remove().unwrap();
        home.create("one").unwrap();
    }

    #[test]
    fn room_for_a_name_is_told_without_taking_it() {
        let (_folder, home) = home();
        assert!(!home.has_room_for("one"), "the home does not exist yet");
        let _two = home.create("two").unwrap();
        assert!(home.has_room_for("one") && home.has_room_for("one"));
        assert!(!home.has_room_for("two"));
        assert_eq!(home.all().unwrap().len(), 1);
    }

    #[test]
    fn what_a_killed_start_left_does_not_take_the_name() {
        let (_folder, home) = home();
        drop(home.create("one").unwrap());
        home.create("one").unwrap();
    }

    #[test]
    fn instances_are_found_by_name_and_id() {
        let (_folder, home) = home();
        assert_eq!(home.all().unwrap().len(), 0);
        let owned = home.create("one").unwrap();
        owned.write(&state("one")).unwrap();
        assert_eq!(home.find("abcd").unwrap().name(), "one");
        assert!(matches!(home.find("ab"), Err(StateError::NoSuchInstance(_))));
        assert!(matches!(home.find("../one"), Err(StateError::NoSuchInstance(_))));
        assert_eq!(home.all().unwrap().len(), 1);
    }

    #[test]
    fn a_home_that_is_a_file_is_named_in_the_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "").unwrap();
        let error = Home::at(path.clone()).create("one").unwrap_err().to_string();
        assert!(error.contains(&path.display().to_string()), "{error}");
    }
}
