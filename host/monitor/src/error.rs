//! Why an instance was not started.

use crate::backend::StartError;
use crate::grants::GrantError;
use crate::home::StateError;
use crate::name::BadName;
use miette::Diagnostic;
use std::io;
use thiserror::Error;

/// Why an instance was not started, or could not be watched over.
#[derive(Debug, Error, Diagnostic)]
#[non_exhaustive]
pub enum Error {
    /// Its name cannot be used.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Name(#[from] BadName),
    /// Its state cannot be kept.
    #[error(transparent)]
    #[diagnostic(transparent)]
    State(#[from] StateError),
    /// What it was to be granted cannot be.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Grant(#[from] GrantError),
    /// The backend did not start it.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Start(#[from] StartError),
    /// A call of the host's failed.
    #[error("{doing}: {source}")]
    Host {
        /// What kernlet was doing.
        doing: &'static str,
        /// What the host said.
        source: io::Error,
    },
    /// It ended too early.
    #[error("the instance ended with status {status} before its program was entered{}", text(reason.as_ref()))]
    #[diagnostic(help("`kernlet logs {name}` shows what it wrote"))]
    EndedEarly {
        /// Its name.
        name: String,
        /// Its status.
        status: u8,
        /// Why it ended.
        reason: Option<String>,
    },
}

fn text(reason: Option<&String>) -> String {
    reason.map(|reason| format!(": {reason}")).unwrap_or_default()
}

impl Error {
    /// Turns what the host said into an error.
    pub(crate) fn host<E: Into<io::Error>>(doing: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Host { doing, source: source.into() }
    }
}
