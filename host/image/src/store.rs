//! Files that kernlet keeps under its home: written whole or not at all, and bounded in number; images in bytes, too.

use miette::Diagnostic;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
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
    for (path, _) in by_age(folder).into_iter().skip(keep) {
        let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
    }
}

/// How many images a cache keeps, and how many bytes of them: those that were not used for longest go first.
const IMAGES: usize = 64;
const IMAGE_BYTES: u64 = 2 << 30;
/// Of a small disk it takes no more than this part.
const PART_OF_DISK: u64 = 10;
/// Who was just told of an image is about to open it.
const JUST_USED: Duration = Duration::from_secs(60);

/// Removes images that are too many for a cache, or too large together. Those that are in use stay, and those that
/// were used just now.
pub(crate) fn prune_images(folder: &Path) {
    let disk = rustix::fs::statvfs(folder).map_or(u64::MAX, |it| it.f_blocks.saturating_mul(it.f_frsize));
    prune_to(folder, IMAGES, IMAGE_BYTES.min(disk / PART_OF_DISK), JUST_USED);
}

fn prune_to(folder: &Path, most: usize, most_bytes: u64, just: Duration) {
    let (mut count, mut bytes) = (0, 0u64);
    for (path, about) in by_age(folder) {
        // What takes room is asked for, which holes do not.
        let size = about.blocks().saturating_mul(512);
        let fits = count < most && bytes.saturating_add(size) <= most_bytes;
        let age = last_use(&about).and_then(|used| used.elapsed().ok());
        let stays = fits || age.is_none_or(|age| age < just) || !removed_unused(&path);
        if stays {
            count += 1;
            bytes = bytes.saturating_add(size);
        }
    }
}

/// Removes an image, unless somebody has it open; tells whether it is gone.
fn removed_unused(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    file.try_lock().is_ok() && fs::remove_file(path).is_ok()
}

/// What a folder holds, the youngest first.
fn by_age(folder: &Path) -> Vec<(PathBuf, fs::Metadata)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut aged: Vec<(SystemTime, PathBuf, fs::Metadata)> = entries
        .filter_map(Result::ok)
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
        .filter_map(|entry| {
            let about = entry.metadata().ok()?;
            Some((last_use(&about)?, entry.path(), about))
        })
        .collect();
    aged.sort_by(|a, b| (b.0, &b.1).cmp(&(a.0, &a.1)));
    aged.into_iter().map(|(_, path, about)| (path, about)).collect()
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
    fn images_go_by_their_bytes_the_oldest_first_and_none_that_is_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (age, name) in ["newest", "second", "third", "used", "oldest"].iter().enumerate() {
            fs::write(at(name), vec![1; 1 << 20]).unwrap();
            let time = SystemTime::now() - Duration::from_secs(100 + age as u64);
            let times = fs::FileTimes::new().set_accessed(time).set_modified(time);
            File::options().write(true).open(at(name)).unwrap().set_times(times).unwrap();
        }
        let used = File::open(at("used")).unwrap();
        used.lock_shared().unwrap();
        let left = || {
            let mut left: Vec<_> =
                fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
            left.sort();
            left
        };
        let size = fs::metadata(at("newest")).unwrap().blocks() * 512;
        // All of them were used within the last hour.
        prune_to(folder.path(), 1, size, Duration::from_secs(3600));
        assert_eq!(left().len(), 5);
        prune_to(folder.path(), 64, 5 * size, Duration::ZERO);
        assert_eq!(left().len(), 5);
        prune_to(folder.path(), 64, 2 * size + size / 2, Duration::ZERO);
        assert_eq!(left(), ["newest", "second", "used"]);
        prune_to(folder.path(), 1, 5 * size, Duration::ZERO);
        assert_eq!(left(), ["newest", "used"]);
        drop(used);
        prune_to(folder.path(), 1, 5 * size, Duration::ZERO);
        assert_eq!(left(), ["newest"]);
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
