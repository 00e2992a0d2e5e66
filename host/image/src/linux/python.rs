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

/// Takes what the interpreter that was found through `place` needs beside itself. `packaged` says that a package brings
/// the standard library.
pub(crate) fn take(place: &Place, packaged: bool, host: &mut Host) -> Result<(), ProgramError> {
    if !place.real.file_name().is_some_and(|name| name.to_string_lossy().starts_with("python")) {
        return Ok(());
    }
    // An environment's interpreter is a link: its place counts, not what it leads to.
    for (link, _) in &place.links {
        for folder in link.ancestors().skip(1).take(2) {
            if host.find(&folder.join("pyvenv.cfg")).is_ok_and(|config| config.is_file()) {
                host.take_entry(&folder.join("pyvenv.cfg"))?;
                take_library(folder, &[], host)?;
            }
        }
    }
    if let Some(prefix) = place.real.parent().and_then(Path::parent)
        && !packaged
    {
        take_library(prefix, &LEFT_OUT, host)?;
    }
    Ok(())
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
            let left_out = if text == "site-packages" { &[] } else { left_out };
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
