//! Debian packages, loaded once and unpacked without being installed.

use crate::error::BenchError;
use crate::kernlet::workspace;
use crate::place::{output, tool};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// The package that a package with one dependency stands for.
pub fn dependency(package: &str) -> Result<String, BenchError> {
    let mut command = Command::new(tool("apt-cache", "apt")?);
    let text = output("apt-cache depends", command.args(["depends", "--important", package]))?;
    let name = text.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
    name.map(String::from).ok_or_else(|| unknown(package))
}

/// The folder with a package's files, which a first call loads.
pub fn unpacked(package: &str) -> Result<PathBuf, BenchError> {
    let cache = workspace().join("target/bench");
    let folder = cache.join(package);
    if folder.is_dir() {
        return Ok(folder);
    }
    fs::create_dir_all(&cache).map_err(BenchError::io(cache.display()))?;
    let work = tempfile::Builder::new().prefix("loading-").tempdir_in(&cache);
    let work = work.map_err(BenchError::io(cache.display()))?;
    let mut download = Command::new(tool("apt-get", "apt")?);
    output("apt-get download", download.args(["download", "-q", package]).current_dir(work.path()))?;
    let entries = fs::read_dir(work.path()).map_err(BenchError::io(work.path().display()))?;
    let archive = entries.flatten().next().ok_or_else(|| unknown(package))?.path();
    let files = work.path().join("files");
    output("dpkg-deb", Command::new(tool("dpkg-deb", "dpkg")?).arg("-x").arg(archive).arg(&files))?;
    // Whole or not at all, also when this ends here.
    fs::rename(&files, &folder).map_err(BenchError::io(folder.display()))?;
    Ok(folder)
}

fn unknown(package: &str) -> BenchError {
    BenchError::failed(format!("finding the package {package}"), "apt knows none; try: apt-get update")
}
