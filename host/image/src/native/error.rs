//! Why a native program could not be built.

use crate::erofs::TreeError;
use crate::seal::SealError;
use crate::store::StoreError;
use miette::Diagnostic;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Why a native program could not be built.
#[derive(Debug, Error, Diagnostic)]
#[non_exhaustive]
pub enum BuildError {
    /// There is no crate.
    #[error("there is no Cargo.toml in {}", .0.display())]
    #[diagnostic(help("name a directory with the Cargo.toml of a crate; `kernlet new NAME` makes one"))]
    NoCrate(PathBuf),
    /// Cargo is missing.
    #[error("cargo was not found, and native crates are built with it")]
    #[diagnostic(help("install Rust from https://rustup.rs, or put cargo into PATH"))]
    NoCargo,
    /// Cargo did not start.
    #[error("cannot run cargo")]
    Cargo(#[source] io::Error),
    /// Cargo refused the crate before compiling it.
    #[error("cargo cannot read {}:\n{message}", folder.display())]
    Manifest {
        /// The crate's folder.
        folder: PathBuf,
        /// What cargo says.
        message: String,
    },
    /// It is a workspace, not a crate.
    #[error("{} is a workspace without a crate of its own", folder.display())]
    #[diagnostic(help("name one of its members: {members}"))]
    Workspace {
        /// The workspace's folder.
        folder: PathBuf,
        /// The folders of its members.
        members: String,
    },
    /// The crate does not use the native API.
    #[error("the crate `{0}` does not depend on `kernlet`")]
    #[diagnostic(help(
        "a native program needs `kernlet = \"0.1\"` under [dependencies]; a program for Linux is built as usual and named by its executable"
    ))]
    NoKernletDependency(String),
    /// The crate has no binary.
    #[error("the crate `{0}` is a library and has no program to run")]
    #[diagnostic(help("add src/main.rs with a #[kernlet::main] function"))]
    Library(String),
    /// The crate has several binaries.
    #[error("the crate `{package}` has several programs: {bins}")]
    #[diagnostic(help("set `default-run` in its [package], or put each into a crate of its own"))]
    SeveralBins {
        /// The crate.
        package: String,
        /// Their names.
        bins: String,
    },
    /// The binary asked for does not exist.
    #[error("the crate `{package}` has no program `{bin}`; it has: {bins}")]
    NoSuchBin {
        /// The crate.
        package: String,
        /// What was asked for.
        bin: String,
        /// What there is.
        bins: String,
    },
    /// The crate's settings for kernlet are wrong.
    #[error("[package.metadata.kernlet] of the crate `{package}` cannot be used: {message}")]
    #[diagnostic(help(
        "known are root = \"folder\", args = [..], env = {{ NAME = \"value\" }}, workdir = \"/path\", opt-level = 0 to 3, \"s\" or \"z\""
    ))]
    Settings {
        /// The crate.
        package: String,
        /// What is wrong.
        message: String,
    },
    /// The crate does not compile.
    #[error("the crate `{package}` does not build:\n\n{output}")]
    Compile {
        /// The crate.
        package: String,
        /// What rustc and cargo say, as they print it.
        output: String,
    },
    /// The result cannot be sealed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Seal(#[from] SealError),
    /// The root's files cannot be gathered.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Tree(#[from] TreeError),
    /// The image cannot be put where it was asked for.
    #[error("cannot write the image {}", path.display())]
    Save {
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The caches cannot be used.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
}
