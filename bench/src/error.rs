//! What can go wrong around a measurement.

use crate::dns::loader::LoadError;
use std::path::PathBuf;

/// A measurement that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A program that a measurement needs is not installed.
    #[error("{tool} is not installed; install it with: apt-get install -y {package}")]
    Missing {
        /// The program.
        tool: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// There is no kernlet to measure.
    #[error("{} does not exist; make it with: cargo build --release (or name another with --kernlet)", .0.display())]
    NoKernlet(PathBuf),
    /// A program failed.
    #[error("{what} failed: {said}")]
    Failed {
        /// What was tried.
        what: String,
        /// What it said, or how it ended.
        said: String,
    },
    /// A server did not answer.
    #[error("{0} gave no right answer in time")]
    Silent(String),
    /// The system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it was refused.
        source: std::io::Error,
    },
    /// A load run counts for nothing.
    #[error("{server}: {source}")]
    Load {
        /// Which server.
        server: &'static str,
        /// Why.
        source: LoadError,
    },
}

impl BenchError {
    /// Names what an input or output error was about.
    pub fn io(what: impl std::fmt::Display) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { what: what.to_string(), source }
    }

    /// A failure that a program told.
    pub fn failed(what: impl Into<String>, said: impl Into<String>) -> Self {
        Self::Failed { what: what.into(), said: said.into().trim().to_string() }
    }
}
