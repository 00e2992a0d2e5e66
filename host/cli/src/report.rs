//! Errors, in one style: `error:` and what is wrong, `help:` and the mend.

use miette::Diagnostic;
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::io::Write as _;

/// kernlet itself failed.
pub const FAILED: u8 = 125;
/// WHAT cannot be executed.
pub const NOT_EXECUTABLE: u8 = 126;
/// WHAT does not exist.
pub const NOT_FOUND: u8 = 127;

/// Why a command failed.
#[derive(Debug)]
pub struct Failure {
    status: u8,
    what: What,
}

#[derive(Debug)]
enum What {
    /// With a mend of its own.
    Diagnostic(Box<dyn Diagnostic + Send + Sync>),
    /// Said by the parser of the command line, help and version included.
    Usage(Box<clap::Error>),
    /// Said already.
    Told,
}

/// A failure that needs no type of its own.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{message}")]
struct Plain {
    message: String,
    #[help]
    help: Option<String>,
}

impl Failure {
    /// A failure of kernlet's own.
    pub fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Plain { message: message.into(), help: Some(help.into()) }.into()
    }

    /// A failure whose message says all.
    pub fn bare(message: impl Into<String>) -> Self {
        Plain { message: message.into(), help: None }.into()
    }

    /// The same with another status.
    pub fn with_status(self, status: u8) -> Self {
        Self { status, ..self }
    }

    /// What the parser of the command line says.
    pub fn usage(error: clap::Error) -> Self {
        Self { status: FAILED, what: What::Usage(Box::new(error)) }
    }

    /// A failure about which everything has been said.
    pub const fn told() -> Self {
        Self { status: FAILED, what: What::Told }
    }

    /// Shows the failure and gives the status to exit with.
    pub fn report(self) -> u8 {
        match self.what {
            What::Told => {}
            What::Usage(error) => {
                // Writing fails when nobody reads; there is nobody to tell.
                let _ = error.print();
                if !error.use_stderr() {
                    return 0;
                }
            }
            What::Diagnostic(error) => say(&render(&*error, colored())),
        }
        self.status
    }
}

impl<E: Diagnostic + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { status: FAILED, what: What::Diagnostic(Box::new(error)) }
    }
}

/// Writes to stderr, where messages go.
pub fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Colours are for people at terminals who have not switched them off.
pub fn colored() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && std::io::stderr().is_terminal()
}

/// A warning, in the style of errors.
pub fn warn(text: &str) {
    let label = if colored() { "\x1b[1;33mwarning:\x1b[0m" } else { "warning:" };
    say(&format!("{label} {text}\n"));
}

fn render(error: &dyn Diagnostic, color: bool) -> String {
    let label = |text, code| if color { format!("\x1b[1;{code}m{text}\x1b[0m") } else { String::from(text) };
    let mut shown = without_numbers(&error.to_string());
    let mut text = format!("{} {shown}", label("error:", 31));
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = without_numbers(&cause.to_string());
        // Some errors put their cause into their own words.
        if !shown.contains(&cause_text) {
            let _ = write!(text, ": {cause_text}");
            shown = cause_text;
        }
        source = cause.source();
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    if let Some(help) = error.help() {
        let _ = writeln!(text, "{} {help}", label("help:", 36));
    }
    text
}

/// `permission denied` says it; `(os error 13)` is for nobody.
fn without_numbers(text: &str) -> String {
    let Some((before, rest)) = text.split_once(" (os error ") else { return text.into() };
    match rest.split_once(')') {
        Some((number, after)) if number.bytes().all(|b| b.is_ascii_digit()) => {
            format!("{before}{}", without_numbers(after))
        }
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error, Diagnostic)]
    #[error("the door cannot be opened")]
    #[diagnostic(help("turn the key"))]
    struct Door(#[source] std::io::Error);

    #[test]
    fn an_error_says_what_why_and_how_to_mend_it() {
        let error = Door(std::io::Error::other("it is locked"));
        assert_eq!(
            render(&error, false),
            "error: the door cannot be opened: it is locked\nhelp: turn the key\n"
        );
        assert!(render(&error, true).starts_with("\x1b[1;31merror:\x1b[0m the door"));
    }

    #[test]
    fn numbers_of_the_host_are_not_shown() {
        let error = Door(std::io::Error::from_raw_os_error(13));
        assert!(!render(&error, false).contains("13"));
    }

    #[test]
    fn a_cause_is_not_said_twice() {
        #[derive(Debug, thiserror::Error, Diagnostic)]
        #[error("no door: {0}")]
        struct Twice(#[source] std::io::Error);
        assert_eq!(render(&Twice(std::io::Error::other("gone")), false), "error: no door: gone\n");
    }
}
