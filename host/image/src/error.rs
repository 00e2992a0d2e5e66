//! What can be wrong with an image file.

use kernlet_wire::manifest::{MAJOR, ManifestError};
use miette::Diagnostic;
use std::io;
use thiserror::Error;

/// Why a file cannot be used as an image.
#[derive(Debug, Error, Diagnostic)]
#[non_exhaustive]
pub enum ImageError {
    /// The file could not be read.
    #[error("cannot read the image")]
    Io(#[from] io::Error),
    /// It is something else altogether.
    #[error("this is {0}, not a kernlet image")]
    #[diagnostic(help("an image is made by `kernlet build WHAT -o IMAGE`"))]
    NotAnImage(&'static str),
    /// It is an executable for Linux on x86-64, which was never sealed.
    #[error("this is a Linux executable, not a kernlet image")]
    #[diagnostic(help("`kernlet build PROGRAM -o IMAGE` seals a program into an image"))]
    LinuxElf,
    /// It is for another machine.
    #[error("this file is for {0}, and kernlet runs on x86-64")]
    WrongMachine(String),
    /// It ends too early.
    #[error("the file is cut off: it has {have} bytes and needs at least {need}")]
    #[diagnostic(help("copy or build the image again; `sha256sum` tells whether two copies are the same"))]
    Truncated {
        /// How many bytes it should have at least.
        need: u64,
        /// How many it has.
        have: u64,
    },
    /// It was made by a newer kernlet.
    #[error("the image has format {major}.{minor}, and this kernlet reads formats up to {MAJOR}.x")]
    #[diagnostic(help("update kernlet, or build the image again with this one"))]
    NewerVersion {
        /// The major version of its format.
        major: u16,
        /// The minor version of its format.
        minor: u16,
    },
    /// It looks like an image, but breaks a rule that every image keeps.
    #[error("the image is damaged: {0}")]
    #[diagnostic(help("build it again with `kernlet build`"))]
    Malformed(&'static str),
    /// Its manifest cannot be used.
    #[error("the image cannot be used: {0}")]
    #[diagnostic(help("build it again with this kernlet"))]
    Manifest(ManifestError),
    /// A part of it does not have the hash that the manifest gives.
    #[error("the image was changed after it was built: {part} does not have the hash in the manifest")]
    #[diagnostic(help("copy or build the image again"))]
    Altered {
        /// Which part.
        part: String,
    },
}

impl From<ManifestError> for ImageError {
    fn from(error: ManifestError) -> Self {
        match error {
            ManifestError::NewerVersion { major, minor } => Self::NewerVersion { major, minor },
            other => Self::Manifest(other),
        }
    }
}
