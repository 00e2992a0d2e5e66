//! What a program was built from, by content.
//!
//! Cargo builds a crate again when one of its files is younger than the last build. A file that was replaced by an older
//! one (`cp -p`, `mv`, an unpacked archive, a checkout that keeps times) escapes it. So the contents of all files that
//! went into a build are remembered, and when one differs, cargo is made to forget what it knows of that file's crate.

use super::cargo::TARGET;
use super::package::Package;
use crate::hash::{Hasher, digest};
use crate::store::{self, StoreError};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The files of one program's last build, and where that is kept.
pub(crate) struct Sources {
    record: PathBuf,
    target: PathBuf,
    name: String,
}

impl Sources {
    /// Those of `package`, with cargo's files in `target`. The caller holds the lock on that.
    pub(crate) fn of(package: &Package, home: &Path, target: &Path) -> Self {
        let mut hasher = Hasher::new();
        hasher.field(package.id.as_bytes());
        hasher.field(package.bin.as_bytes());
        let record = home.join("cache/sources").join(hasher.finish().to_string());
        Self { record, target: target.into(), name: package.name.clone() }
    }

    /// Makes cargo forget the crates whose files are not what they were.
    pub(crate) fn compare(&self) {
        let Ok(record) = fs::read_to_string(&self.record) else {
            // Nothing is known, so nothing is believed.
            return self.forget();
        };
        let differs = |line: &&str| {
            let Some((known, path)) = line.split_once(' ') else { return true };
            fs::read(path).is_ok_and(|contents| digest(&contents).to_string() != known)
        };
        let crates: BTreeSet<String> = record
            .lines()
            .filter(differs)
            .map(|line| line.split_once(' ').and_then(|(_, path)| crate_of(Path::new(path))))
            .map(|name| name.unwrap_or_else(|| self.name.clone()))
            .collect();
        crates.iter().for_each(|name| forget(&self.target, name));
    }

    /// Makes cargo build the program again.
    pub(crate) fn forget(&self) {
        forget(&self.target, &self.name);
    }

    /// Remembers what the program at `executable` was built from, as cargo lists it beside it.
    pub(crate) fn remember(&self, executable: &Path) -> Result<(), StoreError> {
        let list = executable.with_extension("d");
        let text = fs::read_to_string(&list).map_err(store::error(&list))?;
        let mut record = String::new();
        for path in dependencies(&text) {
            if let (Ok(contents), false) = (fs::read(&path), path.contains('\n')) {
                record.push_str(&format!("{} {path}\n", digest(&contents)));
            }
        }
        store::write_atomically(&self.record, 0o644, |file| {
            std::io::Write::write_all(file, record.as_bytes()).map_err(store::error(&self.record))
        })
    }
}

/// Removes cargo's fingerprints of a crate in all its versions.
fn forget(target: &Path, name: &str) {
    let folder = target.join(TARGET).join("release/.fingerprint");
    let hash = |entry: &str| {
        let hash = entry.strip_prefix(name).and_then(|rest| rest.strip_prefix('-'));
        hash.is_some_and(|hash| hash.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(hash) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The name of the crate that a file belongs to: that of the nearest Cargo.toml.
fn crate_of(file: &Path) -> Option<String> {
    let manifest =
        file.ancestors().skip(1).find_map(|folder| fs::read_to_string(folder.join("Cargo.toml")).ok())?;
    let package = manifest.lines().map(str::trim).skip_while(|line| *line != "[package]").skip(1);
    let name = package
        .take_while(|line| !line.starts_with('['))
        .find_map(|line| line.strip_prefix("name")?.trim_start().strip_prefix('='))?;
    Some(name.trim().trim_matches(['"', '\'']).into())
}

/// The paths behind the colon of a rule as make reads it, which is how cargo writes them: a space in a path has a
/// backslash before it.
fn dependencies(rule: &str) -> Vec<String> {
    let line = rule.lines().next().unwrap_or_default();
    let list = line.split_once(": ").map_or("", |(_, list)| list);
    let mut paths = vec![String::new()];
    let mut characters = list.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' if characters.peek() == Some(&' ') => {
                characters.next();
                paths.last_mut().map(|path| path.push(' ')).unwrap_or_default();
            }
            ' ' => paths.push(String::new()),
            other => paths.last_mut().map(|path| path.push(other)).unwrap_or_default(),
        }
    }
    paths.retain(|path| !path.is_empty());
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_make_are_read() {
        assert_eq!(dependencies("/t/app: /a/b.rs /with\\ space/c.rs\n"), ["/a/b.rs", "/with space/c.rs"]);
        assert_eq!(dependencies("/t/app:\n"), Vec::<String>::new());
        assert_eq!(dependencies(""), Vec::<String>::new());
    }

    #[test]
    fn a_file_belongs_to_the_nearest_crate() {
        let folder = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| store::write(&folder.path().join(path), text.as_bytes()).unwrap();
        put("Cargo.toml", "[workspace]\n[package]\nversion = \"1.0.0\"\nname = \"outer\"\n");
        put("deep/Cargo.toml", "[package]\nname=\"inner\"\n[[bin]]\nname = \"other\"\n");
        put("deep/src/a.rs", "");
        put("src/b.rs", "");
        assert_eq!(crate_of(&folder.path().join("deep/src/a.rs")).as_deref(), Some("inner"));
        assert_eq!(crate_of(&folder.path().join("src/b.rs")).as_deref(), Some("outer"));
    }

    #[test]
    fn only_the_crate_of_that_name_is_forgotten() {
        let target = tempfile::tempdir().unwrap();
        let folder = target.path().join(TARGET).join("release/.fingerprint");
        for name in ["app-0123456789abcdef", "app-tool-0123456789abcdef", "app2-0123456789abcdef"] {
            fs::create_dir_all(folder.join(name)).unwrap();
        }
        forget(target.path(), "app");
        let mut left: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["app-tool-0123456789abcdef", "app2-0123456789abcdef"]);
    }
}
