//! WHAT is to be run or built.

use crate::arguments::Common;
use crate::progress::Shown;
use crate::report::{Failure, NOT_EXECUTABLE, NOT_FOUND, colored};
use kernlet_image::native::{BuildOptions, Built, build_crate};
use kernlet_image::{Image, ImageError};
use kernlet_monitor::Home;
use miette::Diagnostic;
use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// An image that is open, and what it was made from.
#[derive(Debug)]
pub struct Found {
    /// The image.
    pub image: Image,
    /// What the user named, as an absolute path: the image, or the directory that it was built from.
    pub path: PathBuf,
}

/// Opens the image that `what` names, or that is built from it.
pub fn open(what: &OsStr, home: &Home, common: &Common) -> Result<Found, Failure> {
    let path = Path::new(what);
    match File::open(path) {
        Ok(file) => match Image::from_file(file) {
            Ok(image) => Ok(Found { image, path: absolute(path) }),
            Err(ImageError::NotAnImage("a directory")) => {
                let built = build(path, &BuildOptions::default(), home, common)?;
                let image =
                    Image::open(&built.image).map_err(|error| Failure::from(Of(path.into(), error)))?;
                Ok(Found { image, path: absolute(path) })
            }
            Err(error @ ImageError::LinuxElf) => {
                Err(Failure::from(Of(path.into(), error)).with_status(NOT_EXECUTABLE))
            }
            Err(error) => Err(Of(path.into(), error).into()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(missing(what)),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let help = format!("you must be able to read it: chmod +r {}", path.display());
            Err(Failure::new(format!("{} cannot be opened: permission denied", path.display()), help)
                .with_status(NOT_EXECUTABLE))
        }
        Err(error) => Err(Failure::bare(format!("{} cannot be opened: {error}", path.display()))),
    }
}

/// Builds the native crate in `dir`.
pub fn build(dir: &Path, options: &BuildOptions, home: &Home, common: &Common) -> Result<Built, Failure> {
    let options = BuildOptions { color: colored(), ..options.clone() };
    let mut progress = Shown::new(common);
    let built = build_crate(dir, &options, home.path(), &mut progress);
    progress.finish();
    Ok(built?)
}

/// Nothing is at the path: a program in PATH, perhaps.
fn missing(what: &OsStr) -> Failure {
    let name = what.to_string_lossy();
    let bare = !what.is_empty() && !name.contains('/');
    let paths = std::env::var_os("PATH").filter(|_| bare).unwrap_or_default();
    match std::env::split_paths(&paths).map(|folder| folder.join(what)).find(|path| path.is_file()) {
        Some(program) => Failure::from(Of(program, ImageError::LinuxElf)).with_status(NOT_EXECUTABLE),
        None => {
            let help = "name an image (`kernlet build` makes one) or the directory of a native crate";
            Failure::new(format!("{name} does not exist"), help).with_status(NOT_FOUND)
        }
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.into())
}

/// An error about the image at a path.
#[derive(Debug)]
pub struct Of(pub PathBuf, pub ImageError);

impl fmt::Display for Of {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.display(), self.1)
    }
}

impl std::error::Error for Of {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.1.source()
    }
}

impl Diagnostic for Of {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        match self.1 {
            ImageError::LinuxElf => Some(Box::new(
                "this kernlet runs images and native crates; programs for Linux come with a later one",
            )),
            _ => self.1.help(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(what: &Path) -> String {
        let home = Home::at("/nonexistent".into());
        format!("{:?}", open(what.as_os_str(), &home, &Common::default()).unwrap_err())
    }

    #[test]
    fn what_cannot_be_run_has_a_status_of_its_own() {
        assert!(fails(Path::new("/no/such/file")).contains("status: 127"));
        assert!(fails(Path::new("no-such-program-anywhere")).contains("status: 127"));
        assert!(fails(Path::new("/bin/sh")).contains("status: 126"));
        assert!(fails(Path::new("sh")).contains("status: 126"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.img");
        std::fs::write(&path, "random bytes").unwrap();
        assert!(fails(&path).contains("status: 125"));
    }
}
