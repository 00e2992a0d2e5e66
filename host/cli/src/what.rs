//! WHAT is to be run or built.

use crate::arguments::Common;
use crate::progress::Shown;
use crate::report::{Failure, NOT_EXECUTABLE, NOT_FOUND, colored};
use kernlet_image::linux::{ProgramError, ProgramOptions, behind_shim, build_program};
use kernlet_image::native::{BuildOptions, Built, build_crate};
use kernlet_image::{Image, ImageError};
use kernlet_monitor::Home;
use miette::Diagnostic;
use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// An image that is open, and what it was made from.
#[derive(Debug)]
pub struct Found {
    /// The image.
    pub image: Image,
    /// What the user named, as an absolute path: the image, or what it was built from.
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
            Err(error) if is_program(path, &error) => seal(path, what, home, common),
            Err(error) => Err(Of(path.into(), error).into()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let program = in_path(what).ok_or_else(|| missing(what))?;
            // An image in PATH is an image.
            match Image::open(&program) {
                Ok(image) => Ok(Found { image, path: program }),
                Err(_) => seal(&program, what, home, common),
            }
        }
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

/// Seals the Linux program at `path`, called `name`.
pub fn build_linux(
    path: &Path,
    options: &ProgramOptions,
    home: &Home,
    common: &Common,
) -> Result<Built, Failure> {
    let mut progress = Shown::new(common);
    let built = build_program(path, options, home.path(), &mut progress);
    progress.finish();
    built.map_err(|error: ProgramError| {
        let status = error.status();
        let failure = Failure::from(error);
        match status {
            Some(status) => failure.with_status(status),
            None => failure,
        }
    })
}

fn seal(path: &Path, name: &OsStr, home: &Home, common: &Common) -> Result<Found, Failure> {
    let options = ProgramOptions { name: Some(name.into()), ..ProgramOptions::default() };
    let built = build_linux(path, &options, home, common)?;
    let image = Image::open(&built.image).map_err(|error| Failure::from(Of(path.into(), error)))?;
    Ok(Found { image, path: absolute(path) })
}

/// Whether a file that is no image is to be run as a program: for those that cannot be, too, there are better words than
/// that they are no image. What is called an image is none, but a damaged image.
pub fn is_program(path: &Path, error: &ImageError) -> bool {
    match error {
        ImageError::LinuxElf | ImageError::NotAnImage("a script") | ImageError::WrongMachine(_) => true,
        ImageError::NotAnImage(_) => is_called_otherwise(path),
        ImageError::Truncated { .. } | ImageError::Malformed(_) => {
            is_called_otherwise(path) && is_executable(path)
        }
        _ => false,
    }
}

fn is_called_otherwise(path: &Path) -> bool {
    path.extension().is_none_or(|extension| extension != "img")
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
}

/// The program of this name, as execvp(3) finds it.
pub fn in_path(what: &OsStr) -> Option<PathBuf> {
    if what.is_empty() || what.as_bytes().contains(&b'/') {
        return None;
    }
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&paths).map(|folder| folder.join(what)).find(|path| is_executable(path));
    found.map(|path| behind_shim(&path))
}

/// Nothing is at the path, nor in PATH.
pub fn missing(what: &OsStr) -> Failure {
    let help =
        "name an image (`kernlet build` makes one), a Linux program, or the directory of a native crate";
    Failure::new(format!("{} does not exist", what.to_string_lossy()), help).with_status(NOT_FOUND)
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
        self.1.help()
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
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.img");
        std::fs::write(&path, "random bytes").unwrap();
        assert!(fails(&path).contains("status: 125"));
        let path = folder.path().join("program");
        std::fs::write(&path, "random bytes").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        assert!(fails(&path).contains("status: 126"));
        std::fs::write(&path, "#!/no/such/interpreter\n").unwrap();
        assert!(fails(&path).contains("status: 127"));
    }
}
