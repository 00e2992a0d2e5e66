//! An interpreter of Python that came from no package: its standard library, and the environment around it.
//!
//! CPython finds both from its own path, by landmarks (Modules/getpath.py): `pyvenv.cfg` beside the executable or one level
//! higher makes an environment; `lib/pythonX.Y/os.py` beside the directory of the executable, links followed, is the
//! standard library.

use super::error::ProgramError;
use super::host::{Host, Place};
use std::path::{Path, PathBuf};

/// Parts of the standard library that are for building, for tests and for desktops, as Debian leaves them out as well.
const LEFT_OUT: [&str; 6] = ["test", "tests", "idlelib", "turtledemo", "tkinter", "ensurepip"];

/// Where packages from elsewhere are.
const PACKAGES: &str = "site-packages";
/// The locale that it sets when the environment names none (PEP 538).
const LOCALE: &str = "/usr/lib/locale/C.utf8";

/// Takes what the interpreter that was found through `place` needs beside itself. `packaged` says that a package brings
/// the standard library.
pub(crate) fn take(place: &Place, packaged: bool, host: &mut Host) -> Result<(), ProgramError> {
    if !place.real.file_name().is_some_and(|name| name.to_string_lossy().starts_with("python")) {
        return Ok(());
    }
    // An environment's interpreter is a link: its place counts, not what it leads to.
    let mut left_out = LEFT_OUT.to_vec();
    for (link, _) in &place.links {
        for folder in link.ancestors().skip(1).take(2) {
            let path = folder.join("pyvenv.cfg");
            let Ok(config) = host.read(&path) else { continue };
            host.take_entry(&path)?;
            take_library(folder, &[], host)?;
            if !sees_packages_outside(&String::from_utf8_lossy(&config)) {
                left_out.push(PACKAGES);
            }
        }
    }
    if let Some(prefix) = place.real.parent().and_then(Path::parent)
        && !packaged
    {
        take_library(prefix, &left_out, host)?;
        take_folder(Path::new(LOCALE), &[], host)?;
    }
    Ok(())
}

/// Whether an environment uses the packages of the interpreter, too.
fn sees_packages_outside(config: &str) -> bool {
    config.lines().filter_map(|line| line.split_once('=')).any(|(key, value)| {
        key.trim() == "include-system-site-packages" && value.trim().eq_ignore_ascii_case("true")
    })
}

/// Takes `lib/pythonX.Y` of a prefix, whatever version.
fn take_library(prefix: &Path, left_out: &[&str], host: &mut Host) -> Result<(), ProgramError> {
    for lib in ["lib", "lib64"] {
        let lib = prefix.join(lib);
        for name in host.names_in(&lib) {
            let text = name.to_string_lossy();
            let is_version = text
                .strip_prefix("python")
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
            if is_version {
                take_folder(&lib.join(&name), left_out, host)?;
            }
        }
    }
    Ok(())
}

fn take_folder(folder: &Path, left_out: &[&str], host: &mut Host) -> Result<(), ProgramError> {
    let mut todo: Vec<PathBuf> = vec![folder.into()];
    while let Some(folder) = todo.pop() {
        host.take_entry(&folder)?;
        for name in host.names_in(&folder) {
            let text = name.to_string_lossy();
            let unused = left_out.iter().any(|part| *part == text)
                || (!left_out.is_empty() && text.starts_with("config-"))
                || text.ends_with(".a")
                || text.contains(".opt-");
            // Packages from elsewhere are taken whole.
            let left_out = if text == PACKAGES { &[] } else { left_out };
            let path = folder.join(&name);
            if unused {
                continue;
            }
            if host.is_real_dir(&path) {
                if left_out.is_empty() { take_folder(&path, left_out, host)? } else { todo.push(path) }
            } else {
                host.take_entry(&path)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_says_whether_it_stands_alone() {
        assert!(sees_packages_outside("home = /usr/bin\ninclude-system-site-packages = true\n"));
        assert!(!sees_packages_outside("home = /usr/bin\ninclude-system-site-packages = false\n"));
        assert!(!sees_packages_outside(""));
    }
}
