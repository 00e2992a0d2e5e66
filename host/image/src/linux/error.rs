//! Why a Linux program could not be sealed.

use super::elf::ElfError;
use crate::erofs::TreeError;
use crate::seal::SealError;
use crate::store::StoreError;
use miette::Diagnostic;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Why a Linux program could not be sealed.
#[derive(Debug, Error, Diagnostic)]
#[non_exhaustive]
pub enum ProgramError {
    /// There is nothing at the path.
    #[error("{} does not exist", .0.display())]
    NotFound(PathBuf),
    /// It is a directory, a device.
    #[error("{} is no file", .0.display())]
    #[diagnostic(help("name an executable for Linux on x86-64"))]
    NotAFile(PathBuf),
    /// It may not be executed.
    #[error("{} is not executable: no x is among its permissions", .0.display())]
    #[diagnostic(help("`chmod +x {}` makes it executable", .0.display()))]
    NoPermission(PathBuf),
    /// It is no program of any kind.
    #[error("{} is no image, no Linux program and no script: it begins with neither \\x7fELF nor #!", .0.display())]
    #[diagnostic(help(
        "name an image (`kernlet build` makes one), a program, or the directory of a native crate"
    ))]
    NoProgram(PathBuf),
    /// Its ELF file cannot be used.
    #[error("{} cannot be run: {source}", path.display())]
    Elf {
        /// The program.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: ElfError,
    },
    /// It is a library.
    #[error("{} is a shared library, not a program", .0.display())]
    SharedLibrary(PathBuf),
    /// The dynamic linker that it names is missing.
    #[error("{} wants the dynamic linker {}, and that cannot be used: {why}", program.display(), interpreter.display())]
    #[diagnostic(help("install the C library that the program was built for"))]
    Interpreter {
        /// The program.
        program: PathBuf,
        /// What it names.
        interpreter: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A library is missing.
    #[error("{}: the library {library}, which {} needs, was not found", program.display(), needed_by.display())]
    #[diagnostic(help("sought in {}; install the package that has it, or put it there", list(sought)))]
    Library {
        /// The program.
        program: PathBuf,
        /// The library's name.
        library: String,
        /// What needs it.
        needed_by: PathBuf,
        /// Directories, or paths.
        sought: Vec<PathBuf>,
    },
    /// A library is damaged.
    #[error("the library {} cannot be used: {source}", path.display())]
    DamagedLibrary {
        /// The library.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: ElfError,
    },
    /// Nobody needs so many.
    #[error("{} needs more than 4096 libraries", .0.display())]
    TooManyLibraries(PathBuf),
    /// A script's interpreter cannot be used.
    #[error("{} is a script for {}, and that cannot be used: {why}", script.display(), interpreter.display())]
    Script {
        /// The script.
        script: PathBuf,
        /// What its first line names.
        interpreter: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    #[diagnostic(help("an image holds copies of the program's files: you must be able to read them"))]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The root's files cannot be gathered.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Tree(#[from] TreeError),
    /// The image cannot be sealed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Seal(#[from] SealError),
    /// The caches cannot be used.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
}

impl ProgramError {
    /// The status by which shells tell such failures: 127 for what is not found, 126 for what cannot be executed; `None`
    /// when the failure is kernlet's own.
    #[must_use]
    pub fn status(&self) -> Option<u8> {
        match self {
            Self::NotFound(_) | Self::Interpreter { .. } | Self::Library { .. } | Self::Script { .. } => {
                Some(127)
            }
            Self::NotAFile(_)
            | Self::NoPermission(_)
            | Self::NoProgram(_)
            | Self::Elf { .. }
            | Self::SharedLibrary(_)
            | Self::DamagedLibrary { .. }
            | Self::TooManyLibraries(_) => Some(126),
            Self::Read { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => Some(126),
            Self::Read { .. } | Self::Tree(_) | Self::Seal(_) | Self::Store(_) => None,
        }
    }
}

fn list(paths: &[PathBuf]) -> String {
    if paths.is_empty() {
        return "no directory at all".into();
    }
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
