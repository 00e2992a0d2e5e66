//! Where state lives: `HOME/instances/NAME/`.
//!
//! Each instance has a directory: `lock`, on which its living monitor holds a lock; `state.json`; its log; and
//! `control.sock`. Whoever can take the lock knows that the monitor is dead, whatever `state.json` says.

use crate::state::State;
use miette::Diagnostic;
use rustix::fs::{
    Access, AtFlags, FlockOperation, Mode, OFlags, flock, open, openat, rename, renameat, unlinkat,
};
use rustix::io::Errno;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use thiserror::Error;

const LOCK: &str = "lock";
const STATE: &str = "state.json";
const NEW_STATE: &str = "state.new";
/// What the names of directories begin with that are being made or removed; no instance's does.
const NEW: &str = ".new-";
const OLD: &str = ".old-";
/// How long others look at an instance's lock at most: they read a file meanwhile.
const LOOKS: u32 = 200;
const LOOK: Duration = Duration::from_millis(5);
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

    /// Makes the directory of a new instance, locked. It takes its name when it is complete, in one step: whoever else
    /// wants the name, or looks, finds it whole or not at all.
    pub(crate) fn create(&self, name: &str) -> Result<Owned, StateError> {
        let path = self.instances().join(name);
        let unusable = |error: Errno| StateError::Unusable { path: path.clone(), source: error.into() };
        let fresh = self.passing(NEW, name);
        let mut made = rustix::fs::mkdir(&fresh, PRIVATE);
        if made == Err(Errno::NOENT) {
            let parent = self.instances();
            fs::create_dir_all(&parent).map_err(|source| StateError::Unusable { path: parent, source })?;
            made = rustix::fs::mkdir(&fresh, PRIVATE);
        } else if made == Err(Errno::EXIST) {
            // An earlier process of this number left it.
            let _ = fs::remove_dir_all(&fresh);
            made = rustix::fs::mkdir(&fresh, PRIVATE);
        }
        made.map_err(unusable)?;
        let fill = || -> Result<Owned, Errno> {
            let dir = open(&fresh, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
            let lock = openat(&dir, LOCK, flags, PRIVATE_FILE)?;
            flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
            Ok(Owned { dir: Directory { dir, path: path.clone(), name: name.into() }, _lock: lock })
        };
        // A directory replaces only an empty one, and that of an instance is never empty.
        let place = || match rename(&fresh, &path) {
            Err(Errno::EXIST | Errno::NOTEMPTY) => Err(StateError::NameInUse(name.into())),
            other => other.map_err(unusable),
        };
        let placed = fill().map_err(unusable).and_then(|owned| {
            place().or_else(|error| if self.clear_remains(name) { place() } else { Err(error) })?;
            Ok(owned)
        });
        placed.inspect_err(|_| drop(fs::remove_dir_all(&fresh)))
    }

    /// Removes what a monitor left that was killed before it wrote any state.
    fn clear_remains(&self, name: &str) -> bool {
        let Ok(dir) = self.open(name) else { return false };
        let stateless = || matches!(dir.read_file(), Err(ref e) if e.kind() == io::ErrorKind::NotFound);
        stateless() && dir.remove().is_ok()
    }

    /// A name that no instance has, for a directory on its way in or out.
    fn passing(&self, kind: &str, name: &str) -> PathBuf {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        self.instances().join(format!("{kind}{}-{count}-{name}", std::process::id()))
    }

    /// Removes a directory that was on its way when its process was killed.
    fn clear_passing(&self, entry: &str) {
        let rest = [NEW, OLD].iter().find_map(|kind| entry.strip_prefix(kind));
        let Some((process, _)) = rest.and_then(|rest| rest.split_once('-')) else { return };
        let lives = |process: u32| Path::new(&format!("/proc/{process}")).exists();
        if process.parse().is_ok_and(lives) {
            return;
        }
        let path = self.instances().join(entry);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        if let Ok(dir) = open(&path, flags, Mode::empty()) {
            let directory = Directory { dir, path, name: entry.into() };
            // Its process may live where its number is another.
            if directory.exclusively().is_ok() {
                let _ = fs::remove_dir_all(&directory.path);
            }
        }
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
        let (passing, names): (Vec<_>, Vec<_>) = names.partition(|name| name.starts_with('.'));
        passing.iter().for_each(|entry| self.clear_passing(entry));
        let mut all: Vec<_> = names.into_iter().filter_map(|name| self.open(&name).ok()).collect();
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

    /// The lock to itself, `None` when there is no lock any more; EBUSY when a living monitor has it.
    fn exclusively(&self) -> Result<Option<OwnedFd>, Errno> {
        let file = match openat(&self.dir, LOCK, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            file => file?,
        };
        for _ in 0..LOOKS {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                // Perhaps somebody just looks.
                Err(Errno::WOULDBLOCK) => std::thread::sleep(LOOK),
                other => return other.map(|()| Some(file)),
            }
        }
        Err(Errno::BUSY)
    }

    /// Removes all that is known of an instance that has ended. Of several who do so at once one does, and none removes a
    /// new instance that has taken the name.
    ///
    /// # Errors
    /// It cannot be removed, or its monitor lives.
    pub fn remove(&self) -> Result<(), StateError> {
        let unusable = |source| StateError::Unusable { path: self.path.clone(), source };
        let _lock = self.exclusively().map_err(|error| unusable(error.into()))?;
        self.take_away().map_err(unusable)
    }

    /// Takes the name away, then the rest, in the hands of whoever has the lock.
    fn take_away(&self) -> io::Result<()> {
        let (there, ours) = (rustix::fs::stat(&self.path), rustix::fs::fstat(&self.dir)?);
        if !there.is_ok_and(|there| (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)) {
            return Ok(());
        }
        let home = self.path.ancestors().nth(2).unwrap_or(&self.path);
        let old = Home::at(home.into()).passing(OLD, &self.name);
        rename(&self.path, &old)?;
        fs::remove_dir_all(old)
    }
}

/// An instance's directory in the hands of its monitor: nobody else changes it.
#[derive(Debug)]
pub(crate) struct Owned {
    pub dir: Directory,
    _lock: OwnedFd,
}

impl Owned {
    /// Forgets the instance.
    pub(crate) fn remove(&self) -> io::Result<()> {
        self.dir.take_away()
    }

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
    fn of_many_who_want_a_name_one_gets_it_and_lookers_do_not_disturb() {
        let (_folder, home) = home();
        for _ in 0..20 {
            let made: usize = std::thread::scope(|scope| {
                let create = || home.create("one").map(|owned| owned.write(&state("one")).map(|()| owned));
                let all: Vec<_> = (0..8).map(|_| scope.spawn(create)).collect();
                let look = || {
                    for directory in home.all().unwrap() {
                        let _ = (directory.state(), directory.watched());
                    }
                };
                (0..4).for_each(|_| drop(scope.spawn(look)));
                let made: Vec<_> = all.into_iter().map(|thread| thread.join().unwrap()).collect();
                for error in made.iter().filter_map(|made| made.as_ref().err()) {
                    assert!(matches!(error, StateError::NameInUse(_)), "{error}");
                }
                made.iter().filter(|made| made.is_ok()).count()
            });
            assert_eq!(made, 1);
            let old = home.find("one").unwrap();
            old.remove().unwrap();
            // A second who removes the old one leaves the new one alone.
            let owned = home.create("one").unwrap();
            old.remove().unwrap();
            assert!(home.find("one").unwrap().watched());
            owned.remove().unwrap();
            assert!(home.find("one").is_err());
        }
        assert_eq!(fs::read_dir(home.instances()).unwrap().count(), 0);
    }

    #[test]
    fn a_living_instance_is_not_removed() {
        let (_folder, home) = home();
        let owned = home.create("one").unwrap();
        owned.write(&state("one")).unwrap();
        assert!(home.find("one").unwrap().remove().is_err());
        assert!(home.find("one").is_ok());
    }

    #[test]
    fn what_was_on_its_way_when_its_process_was_killed_is_cleared() {
        let (_folder, home) = home();
        drop(home.create("one").unwrap());
        for entry in [".new-4000000000-0-x", ".old-4000000000-0-x"] {
            let path = home.instances().join(entry);
            fs::create_dir(&path).unwrap();
            fs::write(path.join(LOCK), "").unwrap();
        }
        let ours = home.passing(NEW, "y");
        fs::create_dir(&ours).unwrap();
        assert_eq!(home.all().unwrap().len(), 1);
        assert_eq!(fs::read_dir(home.instances()).unwrap().count(), 2);
        assert!(ours.exists());
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
