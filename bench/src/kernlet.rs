//! The kernlet under test.

use crate::cpu;
use crate::error::BenchError;
use crate::place::{Place, output};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A kernlet command with the folder that it works in.
#[derive(Debug)]
pub struct Kernlet {
    /// Where it works, and as whom.
    pub place: Place,
    /// The command, copied to that place.
    pub binary: PathBuf,
    source: PathBuf,
}

/// Detached instances, which are removed with their owner.
#[derive(Debug)]
pub struct Instances<'a> {
    kernlet: &'a Kernlet,
    names: Vec<String>,
    others: BTreeSet<i32>,
}

impl Kernlet {
    /// The command at `path`, or what the workspace's release build made.
    pub fn find(path: Option<&Path>) -> Result<Self, BenchError> {
        let binary = path.map_or_else(|| workspace().join("target/release/kernlet"), Path::to_path_buf);
        let source = binary.canonicalize().map_err(|_| BenchError::NoKernlet(binary))?;
        let place = Place::new()?;
        Ok(Self { binary: place.copy(&source, "kernlet")?, place, source })
    }

    /// Builds a crate of the workspace into an image, as the caller, who has cargo.
    pub fn build(&self, folder: &str) -> Result<PathBuf, BenchError> {
        self.build_with(folder, folder.rsplit('/').next().unwrap_or(folder), &[])
    }

    /// The same with options of `kernlet build`, as an image of this name.
    pub fn build_with(&self, folder: &str, name: &str, options: &[&OsStr]) -> Result<PathBuf, BenchError> {
        let image = self.place.path(&format!("{name}.img"));
        let mut command = Command::new(&self.source);
        command.arg("build").args(options).arg(workspace().join(folder)).arg("-o").arg(&image);
        output(&format!("kernlet build {folder}"), &mut command)?;
        self.place.give(&image)?;
        Ok(image)
    }

    /// The same with the files of a folder in its root.
    pub fn build_with_root(&self, folder: &str, root: &Path) -> Result<PathBuf, BenchError> {
        let image = self.place.path("with-root.img");
        let mut command = Command::new(&self.source);
        command.args(["build", "--root"]).arg(root).arg(workspace().join(folder)).arg("-o").arg(&image);
        output(&format!("kernlet build {folder}"), &mut command)?;
        self.place.give(&image)?;
        Ok(image)
    }

    /// Seals a Linux program into an image.
    pub fn build_program(&self, program: &Path, options: &[&str]) -> Result<PathBuf, BenchError> {
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        let image = self.place.path(&format!("{name}.img"));
        let mut command = Command::new(&self.source);
        command.arg("build").args(options).arg(program).arg("-o").arg(&image);
        output(&format!("kernlet build {}", program.display()), &mut command)?;
        self.place.give(&image)?;
        Ok(image)
    }

    /// `kernlet` as the ordinary user.
    pub fn command(&self) -> Command {
        self.place.command(&self.binary)
    }

    /// No instances yet.
    pub fn instances(&self) -> Result<Instances<'_>, BenchError> {
        // What is detached becomes a child of this process when the command that started it has ended.
        nix::sys::prctl::set_child_subreaper(true).map_err(|e| BenchError::io("prctl")(e.into()))?;
        Ok(Instances { kernlet: self, names: vec![], others: own_family() })
    }
}

impl Instances<'_> {
    /// Starts one more, with these options and image.
    pub fn start(&mut self, name: String, arguments: &[String]) -> Result<(), BenchError> {
        let mut command = self.kernlet.command();
        command.args(["run", "-d", "--name", &name]).args(arguments);
        self.names.push(name);
        output("kernlet run -d", &mut command).map(drop)
    }

    /// Takes charge of instances that somebody else starts.
    pub fn expect(&mut self, names: impl Iterator<Item = String>) {
        self.names.extend(names);
    }

    /// The processes that the instances consist of, monitors included.
    pub fn processes(&self) -> Vec<i32> {
        own_family().difference(&self.others).copied().collect()
    }
}

impl Drop for Instances<'_> {
    fn drop(&mut self) {
        if !self.names.is_empty() {
            let removed = output("kernlet rm", self.kernlet.command().args(["rm", "-f"]).args(&self.names));
            if let Err(error) = removed {
                eprintln!("bench: {error}");
            }
        }
    }
}

fn own_family() -> BTreeSet<i32> {
    cpu::family(std::process::id() as i32).into_iter().collect()
}

/// The root of the source tree that this was built from.
pub fn workspace() -> &'static Path {
    let bench = Path::new(env!("CARGO_MANIFEST_DIR"));
    bench.parent().unwrap_or(bench)
}
