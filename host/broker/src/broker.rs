//! From a request to its answer.

use crate::files;
use crate::grant::{Grant, Grants, Target};
use crate::handles::Handles;
use crate::network::{self, Connected};
use crate::pool::Pool;
use crate::volume::Volume;
use kernlet_wire::boot::Protocol;
use kernlet_wire::broker::{Addresses, At, MAX_OUTSTANDING, Malformed, OpenFlags, Reply, Request};
use rustix::fs::{fdatasync, fsync};
use rustix::io::Errno;
use std::io;
use std::net::IpAddr;
use std::os::fd::{BorrowedFd, OwnedFd};

/// A reply and what goes with it.
#[derive(Debug)]
pub struct Answer {
    /// The message.
    pub bytes: Vec<u8>,
    /// The descriptor that is granted.
    pub descriptor: Option<OwnedFd>,
}

impl Answer {
    fn new(id: u32, reply: Result<Reply<'_>, Errno>, descriptor: Option<OwnedFd>) -> Self {
        let bytes = reply.unwrap_or_else(|error| Reply::Error(error.raw_os_error())).encode(id);
        Self { bytes, descriptor }
    }

    pub(crate) fn error(id: u32, error: Errno) -> Self {
        Self::new(id, Err(error), None)
    }

    /// The same answer when its descriptor could not be sent.
    pub(crate) fn undelivered(&self) -> Self {
        let id = Reply::decode(&self.bytes).map_or(0, |(id, _)| id);
        Self::error(id, Errno::MFILE)
    }

    /// The handle that an answer to an open tells.
    pub(crate) fn handle(&self) -> Option<u32> {
        match Reply::decode(&self.bytes) {
            Ok((_, Reply::Opened { handle, .. })) => Some(handle),
            _ => None,
        }
    }
}

/// What the pool brings back.
#[derive(Debug)]
struct Outcome {
    id: u32,
    result: Result<Success, Errno>,
}

#[derive(Debug)]
enum Success {
    Synced,
    Connected(Connected),
    Resolved(Target, Vec<IpAddr>),
}

/// Answers the requests of one instance.
#[derive(Debug)]
pub struct Broker {
    volumes: Vec<Volume>,
    handles: Handles,
    grants: Grants,
    pool: Pool<Outcome>,
}

impl Broker {
    /// A broker for these volumes and connections, and nothing else.
    ///
    /// # Errors
    /// The host is out of descriptors.
    pub fn new(volumes: Vec<Volume>, allow_connect: Vec<Grant>) -> io::Result<Self> {
        let pool = Pool::new(MAX_OUTSTANDING)?;
        Ok(Self { volumes, handles: Handles::new(), grants: Grants::new(allow_connect), pool })
    }

    /// Answers a request; `None` when the answer will come from [`Self::finished`].
    ///
    /// # Errors
    /// [`Malformed`] when the request has not even an id.
    pub fn handle(&mut self, request: &[u8]) -> Result<Option<Answer>, Malformed> {
        let id = Request::id(request)?;
        let Ok((_, request)) = Request::decode(request) else {
            return Ok(Some(Answer::error(id, Errno::INVAL)));
        };
        Ok(match request {
            Request::Open { at, flags, mode } => Some(self.open(id, at, flags, mode)),
            Request::Sync { handle, data_only } => self.sync(id, handle, data_only),
            Request::Connect { host, port, protocol } => self.connect(id, host, port, protocol),
            Request::Resolve { host } => self.resolve(id, host),
            Request::ReadLink { at } => {
                let target = self.volume(at).and_then(|v| files::read_link(v, at.path));
                let reply = target.as_deref().map(Reply::Target).map_err(|error| *error);
                Some(Answer::new(id, reply, None))
            }
            other => Some(Answer::new(id, self.at_once(&other), None)),
        })
    }

    /// The next answer to a request that took longer.
    pub fn finished(&mut self) -> Option<Answer> {
        let Outcome { id, result } = self.pool.finished()?;
        Some(match result {
            Err(error) => Answer::error(id, error),
            Ok(Success::Synced) => Answer::new(id, Ok(Reply::Done), None),
            Ok(Success::Connected(Connected { socket, local, peer })) => {
                Answer::new(id, Ok(Reply::Connected { local, peer }), Some(socket))
            }
            Ok(Success::Resolved(target, addresses)) => {
                if let Target::Name(name) = target {
                    self.grants.learn(&name, &addresses);
                }
                Answer::new(id, Ok(Reply::Addresses(Addresses::List(&addresses))), None)
            }
        })
    }

    /// Readable when [`Self::finished`] may have an answer.
    #[must_use]
    pub fn bell(&self) -> BorrowedFd<'_> {
        self.pool.bell()
    }

    pub(crate) fn forget(&mut self, handle: u32) {
        // One that is not known is forgotten already.
        let _ = self.handles.close(handle);
    }

    fn volume(&self, at: At<'_>) -> Result<&Volume, Errno> {
        self.volumes.iter().find(|v| v.id() == at.volume).ok_or(Errno::NODEV)
    }

    fn at_once(&mut self, request: &Request<'_>) -> Result<Reply<'static>, Errno> {
        let done = match *request {
            Request::Close { handle } => self.handles.close(handle),
            Request::Stat { at, follow } => {
                return files::stat(self.volume(at)?, at.path, follow).map(Reply::Stat);
            }
            Request::FileSystem { at } => {
                return files::file_system(self.volume(at)?, at.path).map(Reply::FileSystem);
            }
            Request::CreateDirectory { at, mode } => files::create_directory(self.volume(at)?, at.path, mode),
            Request::RemoveFile { at } => files::remove(self.volume(at)?, at.path, false),
            Request::RemoveDirectory { at } => files::remove(self.volume(at)?, at.path, true),
            Request::Rename { from, to } => files::rename(self.volume(from)?, from.path, to),
            Request::Link { from, to } => files::link(self.volume(from)?, from.path, to),
            Request::Symlink { at, target } => files::symlink(self.volume(at)?, target, at.path),
            Request::SetMode { at, mode } => files::set_mode(self.volume(at)?, at.path, mode),
            Request::SetTimes { at, accessed, modified } => {
                files::set_times(self.volume(at)?, at.path, accessed, modified)
            }
            Request::Truncate { at, length } => files::truncate(self.volume(at)?, at.path, length),
            _ => Err(Errno::NOSYS),
        };
        done.map(|()| Reply::Done)
    }

    fn open(&mut self, id: u32, at: At<'_>, flags: OpenFlags, mode: u32) -> Answer {
        let opened = self.volume(at).and_then(|v| files::open(v, at.path, flags, mode));
        let opened = opened.and_then(|(file, stat)| {
            let is_directory = rustix::fs::FileType::from_raw_mode(stat.mode).is_dir();
            // What is only read has nothing that could be synchronised.
            let handle = if flags.has(OpenFlags::WRITE) || is_directory {
                let kept = file.try_clone().map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::MFILE))?;
                self.handles.add(kept)?
            } else {
                0
            };
            Ok((file, Reply::Opened { handle, stat }))
        });
        match opened {
            Ok((file, reply)) => Answer::new(id, Ok(reply), Some(file)),
            Err(error) => Answer::error(id, error),
        }
    }

    fn later(
        &mut self,
        id: u32,
        job: impl FnOnce() -> Result<Success, Errno> + Send + 'static,
    ) -> Option<Answer> {
        let accepted = self.pool.submit(move || Outcome { id, result: job() });
        (!accepted).then(|| Answer::error(id, Errno::NOBUFS))
    }

    fn sync(&mut self, id: u32, handle: u32, data_only: bool) -> Option<Answer> {
        match self.handles.get(handle) {
            Err(error) => Some(Answer::error(id, error)),
            Ok(file) => self.later(id, move || {
                if data_only { fdatasync(&*file) } else { fsync(&*file) }.map(|()| Success::Synced)
            }),
        }
    }

    fn connect(&mut self, id: u32, host: &str, port: u16, protocol: Protocol) -> Option<Answer> {
        match self.grants.connect(host, port, protocol) {
            Err(error) => Some(Answer::error(id, error)),
            Ok(target) => {
                self.later(id, move || network::connect(&target, port, protocol).map(Success::Connected))
            }
        }
    }

    fn resolve(&mut self, id: u32, host: &str) -> Option<Answer> {
        match self.grants.resolve(host) {
            Err(error) => Some(Answer::error(id, error)),
            Ok(target) => self.later(id, move || {
                network::resolve(&target).map(|addresses| Success::Resolved(target, addresses))
            }),
        }
    }
}
