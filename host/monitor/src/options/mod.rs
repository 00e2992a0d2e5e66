//! What `kernlet run` asks for, parsed at the edge into values that cannot be wrong.

mod connect;
mod net;
mod publish;
mod restart;
mod size;
mod volume;

pub use connect::Connect;
pub use net::{Net, Tap};
pub use publish::Publish;
pub(crate) use restart::Backoff;
pub use restart::Restart;
pub use size::{MINIMUM_MEMORY, Size};
pub use volume::Volume;

use kernlet_wire::boot::Protocol;
use miette::Diagnostic;
use std::path::PathBuf;
use std::str::FromStr;
use thiserror::Error;

/// The memory of an instance for which none was asked.
pub const DEFAULT_MEMORY: u64 = 256 << 20;

/// An option's value that means nothing.
#[derive(Debug, Error, Diagnostic, PartialEq, Eq)]
#[error("{option} {value}: {problem}")]
#[diagnostic(help("{expected}"))]
pub struct OptionError {
    option: &'static str,
    value: String,
    problem: String,
    expected: &'static str,
}

impl OptionError {
    fn new(option: &'static str, value: &str, problem: impl Into<String>, expected: &'static str) -> Self {
        Self { option, value: value.into(), problem: problem.into(), expected }
    }
}

/// Where an instance runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// A sandboxed process of the host.
    #[default]
    Process,
    /// A virtual machine under QEMU.
    Qemu,
}

impl Backend {
    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Qemu => "qemu",
        }
    }
}

impl FromStr for Backend {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Self, OptionError> {
        match text {
            "auto" | "process" => Ok(Self::Process),
            "qemu" => Ok(Self::Qemu),
            _ => Err(OptionError::new(
                "--backend",
                text,
                "there is no such backend",
                "this kernlet has `process` (the default, `auto`) and `qemu`",
            )),
        }
    }
}

/// Everything that an instance is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its name; a random one when none is given.
    pub name: Option<String>,
    /// The image, as an absolute path, for people to read.
    pub image: PathBuf,
    /// The backend.
    pub backend: Backend,
    /// The program's arguments, instead of the image's.
    pub args: Vec<Vec<u8>>,
    /// Additions to the image's environment, each `NAME=VALUE`.
    pub env: Vec<Vec<u8>>,
    /// The working directory, instead of the image's.
    pub workdir: Option<String>,
    /// The identity inside, instead of the image's.
    pub identity: Option<(u32, u32)>,
    /// The machine's name; the instance's when none is given.
    pub hostname: Option<String>,
    /// Its memory in bytes.
    pub memory: u64,
    /// Published ports.
    pub publish: Vec<Publish>,
    /// Its network.
    pub net: Net,
    /// Outgoing connections that it may make.
    pub connect: Vec<Connect>,
    /// Host files that it sees.
    pub volumes: Vec<Volume>,
    /// When to start it again.
    pub restart: Restart,
    /// Forget it when it has ended.
    pub remove: bool,
    /// In the background.
    pub detach: bool,
    /// Its standard input is connected.
    pub interactive: bool,
    /// Its standard streams are a terminal.
    pub terminal: bool,
    /// A system call that is not implemented ends it, instead of ENOSYS.
    pub strict: bool,
}

impl Options {
    /// The options of a plain foreground run of `image`.
    #[must_use]
    pub fn new(image: PathBuf) -> Self {
        Self {
            name: None,
            image,
            backend: Backend::Process,
            args: Vec::new(),
            env: Vec::new(),
            workdir: None,
            identity: None,
            hostname: None,
            memory: DEFAULT_MEMORY,
            publish: Vec::new(),
            net: Net::Auto,
            connect: Vec::new(),
            volumes: Vec::new(),
            restart: Restart::No,
            remove: false,
            detach: false,
            interactive: true,
            terminal: false,
            strict: false,
        }
    }
}

/// `tcp` or `udp`.
#[must_use]
pub const fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    }
}

/// Takes `/tcp` or `/udp` off the end; tcp unless said.
fn split_protocol(text: &str) -> Result<(&str, Protocol), String> {
    match text.rsplit_once('/') {
        None => Ok((text, Protocol::Tcp)),
        Some((rest, "tcp")) => Ok((rest, Protocol::Tcp)),
        Some((rest, "udp")) => Ok((rest, Protocol::Udp)),
        Some((_, other)) => Err(format!("{other:?} is no protocol; there are tcp and udp")),
    }
}

/// Checks an absolute path inside an instance.
fn guest_path(path: &str) -> Result<(), String> {
    if !path.starts_with('/') {
        return Err(format!("the path inside, {path:?}, is not absolute"));
    }
    if path.split('/').any(|part| part == "..") || path.contains('\0') {
        return Err(format!("the path inside, {path:?}, must not contain `..`"));
    }
    Ok(())
}

/// Parses `-w DIR`.
///
/// # Errors
/// It is no absolute path.
pub fn workdir(text: &str) -> Result<String, OptionError> {
    let expected = "-w DIR, an absolute path inside the instance";
    guest_path(text).map_err(|problem| OptionError::new("-w", text, problem, expected))?;
    Ok(text.into())
}

/// Parses `-u UID[:GID]`.
///
/// # Errors
/// The parts are no numbers.
pub fn identity(text: &str) -> Result<(u32, u32), OptionError> {
    let (uid, gid) = text.split_once(':').unwrap_or((text, "0"));
    match (uid.parse(), gid.parse()) {
        (Ok(uid), Ok(gid)) => Ok((uid, gid)),
        _ => Err(OptionError::new(
            "-u",
            text,
            "user and group are numbers here",
            "-u UID[:GID], as in -u 1000:1000",
        )),
    }
}

/// Checks `-e K=V`; a bare `K` takes the value that `lookup` finds, as in Docker.
///
/// # Errors
/// The name is empty.
pub fn environment(
    text: &[u8],
    lookup: impl Fn(&[u8]) -> Option<Vec<u8>>,
) -> Result<Option<Vec<u8>>, OptionError> {
    if text.is_empty() || text.starts_with(b"=") {
        let value = String::from_utf8_lossy(text);
        return Err(OptionError::new("-e", &value, "the variable has no name", "-e NAME=VALUE"));
    }
    if text.contains(&b'=') {
        return Ok(Some(text.to_vec()));
    }
    Ok(lookup(text).map(|value| [text, b"=", &value].concat()))
}

/// Parses an `--env-file`: a variable a line, `#` begins a comment line.
///
/// # Errors
/// A line has no name.
pub fn environment_file(
    contents: &[u8],
    lookup: impl Fn(&[u8]) -> Option<Vec<u8>>,
) -> Result<Vec<Vec<u8>>, OptionError> {
    let lines = contents.split(|&b| b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let lines = lines.map(<[u8]>::trim_ascii_start).filter(|line| !line.is_empty() && line[0] != b'#');
    lines.filter_map(|line| environment(line, &lookup).transpose()).collect()
}

/// Checks `--hostname`.
///
/// # Errors
/// It is not what RFC 1123 allows.
pub fn hostname(text: &str) -> Result<String, OptionError> {
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if text.len() <= 253 && text.split('.').all(label) {
        return Ok(text.into());
    }
    let expected = "labels of letters, digits and hyphens, joined by dots";
    Err(OptionError::new("--hostname", text, "this is no host name", expected))
}

/// Checks `--cpus`.
///
/// # Errors
/// It is not what the backends have.
pub fn cpus(text: &str) -> Result<u32, OptionError> {
    match text.parse::<u32>() {
        Ok(1) => Ok(1),
        Ok(n) if n > 1 => Err(OptionError::new(
            "--cpus",
            text,
            "an instance has one virtual CPU on every backend of this kernlet",
            "leave --cpus out, or start several instances",
        )),
        _ => Err(OptionError::new("--cpus", text, "this is no number of CPUs", "--cpus 1")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_options_are_checked() {
        assert_eq!(identity("5"), Ok((5, 0)));
        assert_eq!(identity("5:6"), Ok((5, 6)));
        assert!(identity("root").is_err());
        assert!(workdir("/w").is_ok() && workdir("w").is_err() && workdir("/a/../b").is_err());
        assert!(hostname("a-b.c").is_ok() && hostname("-a").is_err() && hostname("").is_err());
        assert_eq!(cpus("1"), Ok(1));
        assert!(cpus("2").unwrap_err().to_string().contains("one virtual CPU"));
        assert!(cpus("x").is_err());
        assert_eq!("auto".parse(), Ok(Backend::Process));
        assert!("xen".parse::<Backend>().is_err());
    }

    #[test]
    fn environment_is_taken_as_in_docker() {
        let lookup = |name: &[u8]| (name == b"HOME").then(|| b"/h".to_vec());
        assert_eq!(environment(b"A=b=c", lookup), Ok(Some(b"A=b=c".to_vec())));
        assert_eq!(environment(b"HOME", lookup), Ok(Some(b"HOME=/h".to_vec())));
        assert_eq!(environment(b"NONE", lookup), Ok(None));
        assert!(environment(b"=x", lookup).is_err());
        let file = environment_file(b"# c\nA=1\r\n\nHOME\nNONE\n", lookup).unwrap();
        assert_eq!(file, [b"A=1".to_vec(), b"HOME=/h".to_vec()]);
    }
}
