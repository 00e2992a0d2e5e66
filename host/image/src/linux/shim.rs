//! Programs that only look for another one: the shims of pyenv.
//!
//! A shim is a shell script which executes the program of the same name in the version of Python that is chosen: by
//! `PYENV_VERSION`, by a `.python-version` in this directory or one above it, or by `version` in pyenv's root. It could not
//! run inside, where nothing is executed; so the choice is made when the program is sealed.

use std::fs;
use std::path::{Path, PathBuf};

/// What a shim says, somewhere in its few lines.
const MARK: &str = "/libexec/pyenv\" exec ";
/// No shim is longer.
const MAX_LEN: u64 = 4096;

/// The program behind a shim: `path` itself when it is none, or when no version has the program.
#[must_use]
pub fn behind(path: &Path) -> PathBuf {
    look(path, std::env::var("PYENV_VERSION").ok(), std::env::current_dir().ok().as_deref())
        .unwrap_or_else(|| path.into())
}

fn look(path: &Path, chosen: Option<String>, folder: Option<&Path>) -> Option<PathBuf> {
    let (shims, name) = (path.parent()?, path.file_name()?);
    if !shims.ends_with("shims") || fs::metadata(path).ok()?.len() > MAX_LEN {
        return None;
    }
    let text = fs::read_to_string(path).ok()?;
    // The root may be elsewhere than the shims.
    let root = text.lines().find_map(|line| line.split_once(MARK)?.0.rsplit('"').next())?;
    let root = Path::new(root);
    let local =
        || folder?.ancestors().find_map(|folder| fs::read_to_string(folder.join(".python-version")).ok());
    let global = || fs::read_to_string(root.join("version")).ok();
    let versions = chosen.or_else(local).or_else(global).unwrap_or_else(|| "system".into());
    let versions = versions.split(|c: char| c == ':' || c.is_whitespace()).filter(|part| !part.is_empty());
    let mut candidates = versions.filter_map(|version| match version {
        "system" => in_path(name.as_ref(), shims),
        _ => Some(installed(root, version)?.join("bin").join(name)),
    });
    candidates.find(|path| path.is_file())
}

/// The folder of a version: of this name, or the last that begins with it, as `3.11` is `3.11.7`.
fn installed(root: &Path, version: &str) -> Option<PathBuf> {
    let versions = root.join("versions");
    let exact = versions.join(version);
    if version.contains('/') || exact.is_dir() {
        return (!version.contains('/')).then_some(exact);
    }
    let numbers =
        |name: &str| name.split('.').map(|part| part.parse::<u32>().ok()).collect::<Option<Vec<_>>>();
    let begins = format!("{version}.");
    let names =
        fs::read_dir(&versions).ok()?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let last = names
        .filter(|name| name.starts_with(&begins))
        .filter_map(|name| Some((numbers(&name)?, name)))
        .max()?;
    Some(versions.join(last.1))
}

fn in_path(name: &Path, shims: &Path) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH")?;
    std::env::split_paths(&paths)
        .filter(|folder| folder != shims)
        .map(|folder| folder.join(name))
        .find(|p| p.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_chosen_as_pyenv_chooses_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("pyenv");
        let put = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            path
        };
        let text = format!(
            "#!/usr/bin/env bash\nexec \"{}/libexec/pyenv\" exec \"$program\" \"$@\"\n",
            root.display()
        );
        let shim = put("pyenv/shims/python3", &text);
        for version in ["3.9.18", "3.10.13", "3.10.2"] {
            put(&format!("pyenv/versions/{version}/bin/python3"), "");
        }
        put("pyenv/version", "3.9.18\n");
        put("work/.python-version", "3.10\n");
        let of = |chosen: Option<&str>, folder: &Path| look(&shim, chosen.map(Into::into), Some(folder));
        let version = |version: &str| Some(root.join("versions").join(version).join("bin/python3"));
        let deep = folder.path().join("work/deep");
        assert_eq!(of(None, folder.path()), version("3.9.18"));
        assert_eq!(of(None, &deep), version("3.10.13"));
        assert_eq!(of(Some("3.10.2"), &deep), version("3.10.2"));
        assert_eq!(of(Some("4:3.9.18"), &deep), version("3.9.18"));
        for none in ["4", "../../work", ""] {
            assert_eq!(of(Some(none), &deep), None);
        }
        let other = put("bin/shims/python3", "#!/bin/sh\nexec python3\n");
        assert_eq!(look(&other, None, None), None);
    }
}
