//! A folder for a measurement's files, and the ordinary user who runs what is measured.

use crate::error::BenchError;
use nix::unistd::geteuid;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Debian's nobody and nogroup.
const NOBODY: u32 = 65534;
/// How long a server may take to end when asked to.
const FAREWELL: Duration = Duration::from_secs(3);

/// A temporary folder that belongs to an ordinary user: the caller, or nobody when root calls.
#[derive(Debug)]
pub struct Place {
    folder: tempfile::TempDir,
    root: bool,
}

impl Place {
    /// An empty one.
    pub fn new() -> Result<Self, BenchError> {
        let folder = tempfile::Builder::new().prefix("kernlet-bench-").tempdir();
        let place =
            Self { folder: folder.map_err(BenchError::io("a temporary folder"))?, root: geteuid().is_root() };
        place.give(place.folder.path())?;
        Ok(place)
    }

    /// From now on commands run as the caller.
    pub fn as_caller(&mut self) {
        self.root = false;
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, contents: &str) -> Result<PathBuf, BenchError> {
        let path = self.path(name);
        fs::write(&path, contents).map_err(BenchError::io(path.display()))?;
        self.give(&path)?;
        Ok(path)
    }

    /// Copies a program, so that the user may run it wherever it lies.
    pub fn copy(&self, program: &Path, name: &str) -> Result<PathBuf, BenchError> {
        let path = self.path(name);
        fs::copy(program, &path).map_err(BenchError::io(program.display()))?;
        self.give(&path)?;
        Ok(path)
    }

    /// Makes a folder.
    pub fn create_dir(&self, name: &str) -> Result<PathBuf, BenchError> {
        let path = self.path(name);
        fs::create_dir_all(&path).map_err(BenchError::io(path.display()))?;
        self.give(&path)?;
        Ok(path)
    }

    /// A program as the user starts it, with kernlet's state in the folder.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = if self.root {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.env("HOME", self.folder.path()).env("KERNLET_HOME", self.path("home")).stdin(Stdio::null());
        command.current_dir(self.folder.path());
        command
    }

    /// Gives a file to the user: everybody may read and run it.
    pub fn give(&self, path: &Path) -> Result<(), BenchError> {
        let given = fs::set_permissions(path, fs::Permissions::from_mode(0o755))
            .and_then(|()| if self.root { chown(path, Some(NOBODY), Some(NOBODY)) } else { Ok(()) });
        given.map_err(BenchError::io(path.display()))
    }
}

/// The path of a program that must be installed.
pub fn tool(tool: &'static str, package: &'static str) -> Result<PathBuf, BenchError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Servers lie where an ordinary user's PATH does not lead.
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let found = folders.map(|folder| folder.join(tool)).find(|path| path.is_file());
    found.ok_or(BenchError::Missing { tool, package })
}

/// Runs a command to its end and gives what it wrote to stdout.
pub fn output(what: &str, command: &mut Command) -> Result<String, BenchError> {
    let output = command.output().map_err(BenchError::io(what))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(BenchError::failed(what, format!("{}: {said}", output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A process that ends with its owner.
#[derive(Debug)]
pub struct Running(pub Child);

impl Running {
    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.0.id() as i32
    }

    /// Whether it has ended by itself.
    pub fn ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.ended() {
            return;
        }
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid()), nix::sys::signal::SIGTERM);
        let asked = Instant::now();
        while !self.ended() {
            if asked.elapsed() > FAREWELL {
                let _ = self.0.kill();
                let _ = self.0.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
