//! What an image was made from, by fingerprint: when nothing of it has changed, neither has the image.
//!
//! A fingerprint is what stat(2) tells of a file without following a link, the time of its last change of status included,
//! which no program can set. What was looked for and was not there is remembered as well. A file that changed so
//! shortly before it was looked at that another change may have the same time is not believed to be unchanged.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Twice the coarsest clock by which Linux stamps files (`CONFIG_HZ=100`), and some.
const GRAIN: Duration = Duration::from_millis(50);

/// Of everything that was looked at, what stat(2) said.
#[derive(Debug, Default)]
pub(crate) struct Inputs(BTreeMap<PathBuf, Option<Fingerprint>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fingerprint {
    device: u64,
    inode: u64,
    mode: u32,
    len: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Fingerprint {
    fn of(about: &Metadata) -> Self {
        Self {
            device: about.dev(),
            inode: about.ino(),
            mode: about.mode(),
            len: about.len(),
            modified: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        }
    }

    fn numbers(&self) -> [String; 8] {
        let Self { device, inode, mode, len, modified, changed } = self;
        [device, inode, &u64::from(*mode), len]
            .map(u64::to_string)
            .into_iter()
            .chain([modified.0, modified.1, changed.0, changed.1].iter().map(i64::to_string))
            .collect::<Vec<_>>()
            .try_into()
            .unwrap_or_default()
    }
}

impl Inputs {
    /// Remembers what is at a path on the host; `None` when nothing is.
    pub(crate) fn saw(&mut self, path: &Path, about: Option<&Metadata>) {
        self.0.entry(path.into()).or_insert_with(|| about.map(Fingerprint::of));
    }

    /// As lines that [`unchanged`] reads.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (path, fingerprint) in &self.0 {
            match fingerprint {
                Some(fingerprint) => out.extend(fingerprint.numbers().join(" ").into_bytes()),
                None => out.push(b'-'),
            }
            out.push(b' ');
            out.extend(path.as_os_str().as_bytes());
            out.push(0);
        }
        out
    }

    /// Whether a change may have gone unseen.
    pub(crate) fn too_fresh(&self, now: SystemTime) -> bool {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let limit = now.saturating_sub(GRAIN);
        let limit = (i64::try_from(limit.as_secs()).unwrap_or(i64::MAX), i64::from(limit.subsec_nanos()));
        self.0.values().flatten().any(|fingerprint| fingerprint.changed >= limit)
    }
}

/// Whether everything is as [`Inputs::encode`] has written it down.
pub(crate) fn unchanged(encoded: &[u8]) -> bool {
    !encoded.is_empty() && encoded.split_inclusive(|&byte| byte == 0).all(|line| same(line).unwrap_or(false))
}

fn same(line: &[u8]) -> Option<bool> {
    let line = line.strip_suffix(&[0])?;
    let slash = line.iter().position(|&byte| byte == b'/')?;
    let (numbers, path) = line.split_at(slash);
    let path = PathBuf::from(OsString::from_vec(path.to_vec()));
    let now = fs::symlink_metadata(path).ok().map(|about| Fingerprint::of(&about));
    Some(match now {
        Some(now) => numbers.strip_suffix(b" ")? == now.numbers().join(" ").as_bytes(),
        None => numbers == b"- ",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_whatever_kind_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let (file, missing) = (folder.path().join("a file"), folder.path().join("b"));
        fs::write(&file, "one").unwrap();
        let seen = || {
            let mut inputs = Inputs::default();
            for path in [&file, &missing] {
                inputs.saw(path, fs::symlink_metadata(path).ok().as_ref());
            }
            inputs.encode()
        };
        let before = seen();
        assert!(unchanged(&before));
        fs::write(&missing, "").unwrap();
        assert!(!unchanged(&before));
        fs::remove_file(&missing).unwrap();
        assert!(unchanged(&before));
        fs::write(&file, "three").unwrap();
        assert!(!unchanged(&before));
        let before = seen();
        fs::remove_file(&file).unwrap();
        assert!(!unchanged(&before));
        fs::create_dir(&file).unwrap();
        assert!(!unchanged(&before));
    }

    #[test]
    fn damaged_records_are_not_believed() {
        for damaged in [&b""[..], b"- ", b"\0", b"- /no/such/file", b"1 2 /\0"] {
            assert!(!unchanged(damaged));
        }
        assert!(unchanged(b"- /no/such/file\0"));
    }

    #[test]
    fn what_has_just_been_written_is_too_fresh() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut inputs = Inputs::default();
        inputs.saw(file.path(), file.as_file().metadata().ok().as_ref());
        let now = SystemTime::now();
        assert!(inputs.too_fresh(now));
        assert!(!inputs.too_fresh(now + Duration::from_secs(1)));
    }
}
