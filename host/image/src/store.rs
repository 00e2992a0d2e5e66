//! Files that kernlet keeps under its home: written whole or not at all, and bounded in number.

use miette::Diagnostic;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use thiserror::Error;

/// A file under kernlet's home could not be used.
#[derive(Debug, Error, Diagnostic)]
#[error("cannot use {}", path.display())]
#[diagnostic(help(
    "kernlet keeps its files under $KERNLET_HOME, or ~/.local/state/kernlet: can it be written?"
))]
pub struct StoreError {
    path: PathBuf,
    source: io::Error,
}

impl StoreError {
    pub(crate) fn new(path: &Path, source: io::Error) -> Self {
        Self { path: path.into(), source }
    }
}

pub(crate) fn error(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    move |source| StoreError::new(path, source)
}

pub(crate) fn create_dir(path: &Path) -> Result<(), StoreError> {
    fs::create_dir_all(path).map_err(error(path))
}

/// Writes a file, making the folders above it.
pub(crate) fn write(path: &Path, contents: &[u8]) -> Result<(), StoreError> {
    path.parent().map_or(Ok(()), create_dir)?;
    fs::write(path, contents).map_err(error(path))
}

/// Lets `fill` write a new file, which then appears at `path` whole. Whoever has the old one open keeps it.
pub(crate) fn write_atomically<T, E: From<StoreError>>(
    path: &Path,
    mode: u32,
    fill: impl FnOnce(&mut File) -> Result<T, E>,
) -> Result<T, E> {
    let folder = path.parent().unwrap_or(Path::new("."));
    create_dir(folder)?;
    let mut file = tempfile::Builder::new().prefix(".writing-").tempfile_in(folder).map_err(error(folder))?;
    let result = fill(file.as_file_mut())?;
    // Temporary files are private; what is finished is as readable as what a compiler makes.
    file.as_file().set_permissions(fs::Permissions::from_mode(mode)).map_err(error(path))?;
    file.persist(path).map_err(|failed| StoreError::new(path, failed.error))?;
    Ok(result)
}

/// Says that a file was used now, without a change to when it was written.
pub(crate) fn used(path: &Path) {
    // Only the order of removal depends on it.
    let _ = File::open(path)
        .and_then(|file| file.set_times(fs::FileTimes::new().set_accessed(SystemTime::now())));
}

/// Says that a file was used now: [`prune`] removes what was not used for longest.
pub(crate) fn touch(path: &Path) {
    // Only the order of removal depends on it.
    let _ = File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
}

/// Removes all but the `keep` youngest entries of a folder. What cannot be removed stays: a cache that is too
/// large is no reason to fail.
pub(crate) fn prune(folder: &Path, keep: usize) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut aged: Vec<(SystemTime, PathBuf)> = entries
        .filter_map(Result::ok)
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
        .filter_map(|entry| Some((last_use(&entry.metadata().ok()?)?, entry.path())))
        .collect();
    aged.sort_by(|a, b| b.cmp(a));
    for (_, path) in aged.into_iter().skip(keep) {
        let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
    }
}

fn last_use(about: &fs::Metadata) -> Option<SystemTime> {
    let modified = about.modified().ok()?;
    Some(about.accessed().map_or(modified, |accessed| accessed.max(modified)))
}

/// Takes the lock on a file, until the result is dropped. Calls `waiting` when somebody else holds it.
pub(crate) fn lock(path: &Path, waiting: impl FnOnce()) -> Result<File, StoreError> {
    path.parent().map_or(Ok(()), create_dir)?;
    let file = File::options().create(true).append(true).open(path).map_err(error(path))?;
    if file.try_lock().is_err() {
        waiting();
        file.lock().map_err(error(path))?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn pruning_keeps_the_youngest() {
        let folder = tempfile::tempdir().unwrap();
        for (index, name) in ["old", "new", "older"].iter().enumerate() {
            let path = folder.path().join(name);
            fs::write(&path, "").unwrap();
            let age = Duration::from_secs([60, 0, 120][index]);
            File::open(&path).unwrap().set_modified(SystemTime::now() - age).unwrap();
        }
        touch(&folder.path().join("older"));
        prune(folder.path(), 2);
        let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["new", "older"]);
    }

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        write(&path, b"old").unwrap();
        let failed: Result<(), StoreError> =
            write_atomically(&path, 0o644, |_| Err(StoreError::new(&path, io::ErrorKind::Other.into())));
        failed.unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
