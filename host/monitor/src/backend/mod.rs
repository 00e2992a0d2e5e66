//! Starting an instance, in whatever way.

mod process;
mod qemu;
mod trunk;

pub(crate) use trunk::{Status as TrunkStatus, Trunk};

use crate::grants::Grants;
use crate::options::{Backend, Options};
use crate::terminal::Pty;
use kernlet_image::manifest::Kind;
use kernlet_image::{Image, ImageError};
use kernlet_sandbox::LaunchError;
use kernlet_wire::boot::{BlobWriter, Mount};
use kernlet_wire::control::{MAX_MESSAGE, Message};
use miette::Diagnostic;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use rustix::process::Pid;
use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::SystemTime;
use thiserror::Error;

/// Why a backend did not start an instance.
#[derive(Debug, Error, Diagnostic)]
#[non_exhaustive]
pub enum StartError {
    /// The image is unusable.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Image(#[from] ImageError),
    /// The sandbox could not be made.
    #[error("{0}")]
    #[diagnostic(help("limits on processes, memory or open files may be in the way: see `ulimit -a`"))]
    Launch(LaunchError),
    /// The loader gave up before the image began.
    #[error("the instance was not started: {0}")]
    Loader(String),
    /// QEMU is not installed.
    #[error("the backend qemu needs {0}, which is not installed")]
    #[diagnostic(help("on Debian and Ubuntu: apt-get install qemu-system-x86"))]
    NoQemu(String),
    /// QEMU was not started or ended at once.
    #[error("QEMU did not start: {0}")]
    Qemu(String),
    /// A combination of options that this kernlet cannot serve.
    #[error("{0}")]
    #[diagnostic(help("{1}"))]
    Unsupported(String, &'static str),
    /// A call of the host's failed.
    #[error("{doing}: {source}")]
    Host {
        /// What kernlet was doing.
        doing: &'static str,
        /// What the host said.
        source: io::Error,
    },
}

fn host<E: Into<io::Error>>(doing: &'static str) -> impl FnOnce(E) -> StartError {
    move |source| StartError::Host { doing, source: source.into() }
}

/// Whoever can start lives of one instance. There is another in tests.
pub(crate) trait Starter {
    /// Starts a life, with a terminal if it is to have one.
    fn start(&mut self, terminal: Option<&Pty>) -> Result<Guest, StartError>;
}

/// Everything that a start needs.
#[derive(Debug)]
pub(crate) struct Plan {
    pub image: Image,
    pub options: Rc<Options>,
    pub grants: Rc<RefCell<Grants>>,
    pub name: String,
}

/// A started instance: its process, and the monitor's ends of what leads to it.
#[derive(Debug)]
pub(crate) struct Guest {
    pub pid: Pid,
    pub pidfd: OwnedFd,
    pub control: Channel,
    /// Writing here is its standard input; `None` with a terminal, or when it is empty.
    pub stdin: Option<OwnedFd>,
    /// Reading here is its standard output; `None` with a terminal.
    pub stdout: Option<OwnedFd>,
    /// Reading here is its standard error.
    pub stderr: Option<OwnedFd>,
    /// The monitor's end of the broker's socket pair, on the process door.
    pub broker: Option<OwnedFd>,
    /// The sockets of a virtual machine.
    pub trunk: Option<Trunk>,
    /// Reading here is what the backend itself has to say.
    pub remarks: Option<OwnedFd>,
    /// How many bytes of memory of its own it may have, where no limit of the host holds it to that, and its file of shared
    /// memory.
    pub watched: Option<(u64, Option<OwnedFd>)>,
}

impl Guest {
    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw_pid().unsigned_abs()
    }
}

impl Starter for Plan {
    fn start(&mut self, terminal: Option<&Pty>) -> Result<Guest, StartError> {
        let grants = &mut *self.grants.borrow_mut();
        let start = match self.options.backend {
            Backend::Process => process::start,
            Backend::Qemu => qemu::start,
        };
        start(Start { image: &self.image, options: &self.options, grants, name: &self.name, terminal })
    }
}

/// What one start has.
struct Start<'a> {
    image: &'a Image,
    options: &'a Options,
    grants: &'a mut Grants,
    name: &'a str,
    terminal: Option<&'a Pty>,
}

/// HOME, when it is another's than the image has: of a user that the image was not made for, unless somebody said what it is.
fn other_home(image: &Image, options: &Options) -> Option<String> {
    let manifest = image.manifest();
    let (uid, _) = options.identity.filter(|(uid, _)| *uid != manifest.identity.uid)?;
    let given = options.env.iter().any(|entry| variable(entry) == b"HOME");
    if manifest.kind != Kind::Linux || given {
        return None;
    }
    let usual = kernlet_image::linux::home(image, manifest.identity.uid).ok()?;
    let own = manifest.env().find(|entry| variable(entry) == b"HOME")?;
    (own == [b"HOME=", usual.as_bytes()].concat()).then_some(())?;
    kernlet_image::linux::home(image, uid).ok()
}

/// What the instance is told, but for the backend's own part.
fn blob(plan: &Start<'_>) -> Result<BlobWriter, StartError> {
    let Start { image, options, grants, name, terminal, .. } = plan;
    let manifest = image.manifest();
    let mut blob = BlobWriter::new();
    manifest.lead().for_each(|argument| {
        blob.argument(argument);
    });
    if options.args.is_empty() {
        manifest.args().for_each(|argument| {
            blob.argument(argument);
        });
    } else {
        options.args.iter().for_each(|argument| {
            blob.argument(argument);
        });
    }
    let home = other_home(image, options);
    if let Some(home) = &home {
        blob.environment(&[b"HOME=", home.as_bytes()].concat());
    }
    let own = manifest.env().filter(|entry| home.is_none() || variable(entry) != b"HOME");
    let own = own.filter(|entry| !options.env.iter().any(|e| variable(e) == variable(entry)));
    own.for_each(|entry| {
        blob.environment(entry);
    });
    for (index, entry) in options.env.iter().enumerate() {
        if !options.env[index + 1..].iter().any(|later| variable(later) == variable(entry)) {
            blob.environment(entry);
        }
    }
    let hostname = options.hostname.as_deref().unwrap_or(name);
    if manifest.kind == Kind::Linux {
        // As Docker does, unless somebody says otherwise.
        let given = |wanted: &[u8]| {
            let image = manifest.env().any(|entry| variable(entry) == wanted);
            image || options.env.iter().any(|entry| variable(entry) == wanted)
        };
        if !given(b"HOSTNAME") {
            blob.environment(format!("HOSTNAME={hostname}").as_bytes());
        }
        if terminal.is_some() && !given(b"TERM") {
            blob.environment(b"TERM=xterm");
        }
    }
    blob.hostname(hostname);
    blob.workdir(options.workdir.as_deref().unwrap_or(manifest.workdir));
    let (uid, gid) = options.identity.unwrap_or((manifest.identity.uid, manifest.identity.gid));
    blob.identity(uid, gid);
    let mut seed = [0; 32];
    let filled = rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::empty());
    if filled.map_err(host("cannot get random bytes"))? == seed.len() {
        blob.seed(&seed);
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    blob.wall_clock(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX));
    for (id, volume) in (0..).zip(&grants.volumes) {
        let (path, read_only, file) = (volume.guest.as_str(), volume.read_only, volume.file);
        blob.mount(Mount { id, path, read_only, file });
    }
    if let Some(terminal) = terminal {
        if manifest.kind == kernlet_image::manifest::Kind::Linux {
            terminal.make_raw().map_err(host("cannot set the terminal's modes"))?;
        }
        blob.terminal();
    }
    if options.strict {
        blob.strict();
    }
    if !options.connect.is_empty() {
        blob.outgoing();
    }
    Ok(blob)
}

fn variable(entry: &[u8]) -> &[u8] {
    entry.split(|&b| b == b'=').next().unwrap_or_default()
}

/// Control messages, with or without the boundaries of a SOCK_SEQPACKET socket.
#[derive(Debug)]
pub(crate) struct Channel {
    socket: OwnedFd,
    buffer: Vec<u8>,
    ended: bool,
}

impl Channel {
    /// Over a socket that does not block.
    pub(crate) const fn new(socket: OwnedFd) -> Self {
        Self { socket, buffer: Vec::new(), ended: false }
    }

    /// Sends, unless the instance has not read what came before: then it is beyond listening.
    pub(crate) fn send(&self, message: Message) {
        let mut buffer = [0; MAX_MESSAGE];
        let _ = rustix::net::send(&self.socket, message.encode(&mut buffer), SendFlags::NOSIGNAL);
    }

    /// The next message. After the end, and after bytes that are none, nothing comes any more.
    pub(crate) fn receive(&mut self) -> Option<Message> {
        loop {
            match Message::decode(&self.buffer) {
                Ok(Some((message, length))) => {
                    self.buffer.drain(..length);
                    return Some(message);
                }
                Ok(None) => {}
                Err(_) => self.ended = true,
            }
            if self.ended {
                return None;
            }
            let mut bytes = [0; 64];
            match rustix::net::recv(&self.socket, &mut bytes, RecvFlags::DONTWAIT) {
                Ok((_, 0)) => self.ended = true,
                Ok((_, length)) => self.buffer.extend_from_slice(&bytes[..length.min(bytes.len())]),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return None,
                Err(_) => self.ended = true,
            }
        }
    }

    /// Whether waiting for more is of use.
    pub(crate) const fn open(&self) -> bool {
        !self.ended
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    fn channel(kind: SocketType) -> (Channel, OwnedFd) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, kind, flags, None).unwrap();
        (Channel::new(ours), theirs)
    }

    #[test]
    fn messages_come_through_packets_and_streams() {
        for kind in [SocketType::SEQPACKET, SocketType::STREAM] {
            let (mut channel, peer) = channel(kind);
            assert_eq!(channel.receive(), None);
            for message in [Message::Entered, Message::Exit(3)] {
                let mut buffer = [0; MAX_MESSAGE];
                rustix::io::write(&peer, message.encode(&mut buffer)).unwrap();
            }
            assert_eq!(channel.receive(), Some(Message::Entered));
            assert_eq!(channel.receive(), Some(Message::Exit(3)));
            assert!(channel.open());
            drop(peer);
            assert_eq!(channel.receive(), None);
            assert!(!channel.open());
        }
    }

    #[test]
    fn nonsense_ends_the_conversation_and_nothing_else() {
        let (mut channel, peer) = channel(SocketType::STREAM);
        rustix::io::write(&peer, &[200; 100]).unwrap();
        assert_eq!(channel.receive(), None);
        assert!(!channel.open());
    }
}
