//! From a request to its answer.

use crate::contents;
use crate::crew::Plan;
use crate::files;
use crate::grant::{Grant, Grants, Target};
use crate::handles::{Handles, OpenFile};
use crate::linux;
use crate::locks::Count;
use crate::network::{self, Connected};
use crate::relay::Relay;
use crate::volume::Volume;
use kernlet_wire::boot::Protocol;
use kernlet_wire::broker::{Addresses, At, LinuxRequest, Malformed, OpenFlags, Reply, Request};
use rustix::fs::{fdatasync, fsync};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The lane of names and connections, and how many of them are looked for at once.
const NETWORK: usize = 0;
const CONNECTIONS: usize = 4;
/// How many files of one volume are synchronised at once.
const SYNCS: usize = 2;

/// A reply and what goes with it.
#[derive(Debug)]
pub struct Answer {
    /// The message.
    pub bytes: Vec<u8>,
    /// The descriptor that is granted.
    pub descriptor: Option<OwnedFd>,
}

impl Answer {
    pub(crate) fn new(id: u32, reply: Result<Reply<'_>, Errno>, descriptor: Option<OwnedFd>) -> Self {
        let bytes = reply.unwrap_or_else(|error| Reply::Error(error.raw_os_error())).encode(id);
        Self { bytes, descriptor }
    }

    pub(crate) fn error(id: u32, error: Errno) -> Self {
        Self::new(id, Err(error), None)
    }

    /// Which request it answers.
    pub(crate) fn id(&self) -> u32 {
        Reply::decode(&self.bytes).map_or(0, |(id, _)| id)
    }
}

/// A request that was accepted, and where it belongs.
#[derive(Debug)]
pub(crate) struct Job {
    id: u32,
    plan: Plan,
    what: What,
}

#[derive(Debug)]
enum What {
    /// By name: still as it came.
    Request(Vec<u8>),
    Sync(Arc<OpenFile>, bool),
    /// What is done to an open file here: the request, as it came.
    Contents(Arc<OpenFile>, Vec<u8>),
    /// What only Linux programs ask for, as it came, and the open file that it is about, if it is about one.
    Linux(Option<Arc<OpenFile>>, Vec<u8>),
    /// Closing a file can wait for its file system, too.
    Close(Arc<OpenFile>),
    Fail(Errno),
}

impl Job {
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    pub(crate) fn plan(&self) -> Plan {
        self.plan
    }
}

/// Answers the requests of one instance.
#[derive(Debug)]
pub struct Broker {
    volumes: Vec<Volume>,
    handles: Mutex<Handles>,
    grants: Mutex<Grants>,
    relay: Arc<Relay>,
    locks: Count,
    keeps_files: bool,
}

/// Reads or writes an open file as a request says.
fn contents(id: u32, file: &OwnedFd, message: &[u8]) -> Answer {
    let Ok((_, request)) = Request::decode(message) else { return Answer::error(id, Errno::INVAL) };
    let bytes;
    let reply = match request {
        Request::Read { offset, length, .. } => match contents::read(file, offset, length) {
            Ok(read) => {
                bytes = read;
                Ok(Reply::Data(&bytes))
            }
            Err(error) => Err(error),
        },
        Request::Write { offset, bytes, .. } => contents::write(file, offset, bytes).map(Reply::Written),
        Request::StatOpen { .. } => contents::stat(file).map(Reply::Stat),
        Request::TruncateOpen { length, .. } => contents::truncate(file, length).map(|()| Reply::Done),
        _ => Err(Errno::NOSYS),
    };
    Answer::new(id, reply, None)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Broker {
    /// A broker for these volumes and connections, and nothing else.
    #[must_use]
    pub fn new(volumes: Vec<Volume>, allow_connect: Vec<Grant>) -> Self {
        Self {
            volumes,
            handles: Mutex::new(Handles::new()),
            grants: Mutex::new(Grants::new(allow_connect)),
            relay: Arc::default(),
            locks: Count::default(),
            keeps_files: false,
        }
    }

    /// The same broker for an instance that cannot be handed descriptors of files: it keeps what is opened, and reads and
    /// writes it by its handle.
    #[must_use]
    pub fn keeping_files(self) -> Self {
        Self { keeps_files: true, ..self }
    }

    /// What carries the datagrams of connections.
    pub(crate) fn relay(&self) -> Arc<Relay> {
        self.relay.clone()
    }

    /// Answers a request, however long that takes.
    ///
    /// # Errors
    /// [`Malformed`] when the request has not even an id.
    pub fn handle(&self, request: &[u8]) -> Result<Answer, Malformed> {
        self.accept(request).map(|job| self.perform(job))
    }

    /// How many jobs may run at once in each lane: connections, then paths and synchronisation of each volume.
    pub(crate) fn widths(&self) -> Vec<usize> {
        let volumes = self.volumes.iter().flat_map(|_| [1, SYNCS]);
        std::iter::once(CONNECTIONS).chain(volumes).collect()
    }

    /// Checks a request and finds out where it belongs. What it says of handles holds from here on: requests are
    /// accepted in the order in which they come.
    pub(crate) fn accept(&self, message: &[u8]) -> Result<Job, Malformed> {
        let id = Request::id(message)?;
        let job = |(plan, what)| Job { id, plan, what };
        let fail = |error| (Plan::AtOnce, What::Fail(error));
        let Ok((_, request)) = Request::decode(message) else {
            return Ok(job(self.accept_linux(message).unwrap_or_else(fail)));
        };
        let placed = match request {
            Request::Sync { handle, data_only } => locked(&self.handles)
                .get(handle)
                .map(|file| (self.lane(file.volume, 1, true), What::Sync(file, data_only))),
            Request::Read { handle, .. }
            | Request::Write { handle, .. }
            | Request::StatOpen { handle }
            | Request::TruncateOpen { handle, .. } => locked(&self.handles)
                .get(handle)
                .map(|file| (self.lane(file.volume, 0, false), What::Contents(file, message.to_vec()))),
            Request::Close { handle } => locked(&self.handles)
                .close(handle)
                .map(|file| (self.lane(file.volume, 0, false), What::Close(file))),
            Request::Connect { .. } | Request::Resolve { .. } => {
                let plan = Plan::Lane { number: NETWORK, slow: true };
                Ok((plan, What::Request(message.to_vec())))
            }
            other => other
                .at()
                .ok_or(Errno::NOSYS)
                .and_then(|at| self.volume(at.volume))
                .map(|volume| (self.lane(volume.id(), 0, false), What::Request(message.to_vec()))),
        };
        Ok(job(placed.unwrap_or_else(fail)))
    }

    fn accept_linux(&self, message: &[u8]) -> Result<(Plan, What), Errno> {
        let (_, request) = LinuxRequest::decode(message).map_err(|Malformed| Errno::INVAL)?;
        let (volume, open) = match request.about() {
            Ok(at) => (self.volume(at.volume)?.id(), None),
            Err(handle) => {
                let file = locked(&self.handles).get(handle)?;
                (file.volume, Some(file))
            }
        };
        Ok((self.lane(volume, 0, false), What::Linux(open, message.to_vec())))
    }

    fn lane(&self, volume: u32, kind: usize, slow: bool) -> Plan {
        let index = self.volumes.iter().position(|v| v.id() == volume).unwrap_or_default();
        Plan::Lane { number: 1 + 2 * index + kind, slow }
    }

    /// Does what was asked for.
    pub(crate) fn perform(&self, job: Job) -> Answer {
        let id = job.id;
        let done = |result: Result<(), Errno>| Answer::new(id, result.map(|()| Reply::Done), None);
        match job.what {
            What::Fail(error) => Answer::error(id, error),
            What::Sync(file, true) => done(fdatasync(&file.descriptor)),
            What::Sync(file, false) => done(fsync(&file.descriptor)),
            What::Contents(file, message) => contents(id, &file.descriptor, &message),
            What::Linux(open, message) => match LinuxRequest::decode(&message) {
                Ok((_, request)) => linux::perform(self, id, &request, open.as_ref()),
                Err(Malformed) => Answer::error(id, Errno::INVAL),
            },
            What::Close(file) => {
                drop(file);
                done(Ok(()))
            }
            What::Request(message) => match Request::decode(&message) {
                Ok((_, request)) => self.answer(id, &request),
                Err(Malformed) => Answer::error(id, Errno::INVAL),
            },
        }
    }

    /// The descriptor of this answer could not be sent: nobody will close the handle that came with it.
    pub(crate) fn undelivered(&self, answer: &Answer) {
        if let Ok((_, Reply::Opened { handle, .. })) = Reply::decode(&answer.bytes) {
            // Closed without the lock, which others need; a handle of 0 is none.
            let file = locked(&self.handles).close(handle);
            drop(file);
        }
    }

    pub(crate) fn volume(&self, id: u32) -> Result<&Volume, Errno> {
        self.volumes.iter().find(|v| v.id() == id).ok_or(Errno::NODEV)
    }

    /// Keeps a file open; its handle.
    pub(crate) fn keep(&self, volume: u32, file: OwnedFd) -> Result<u32, Errno> {
        let file = Arc::new(OpenFile::new(volume, file, self.locks.ranges()));
        locked(&self.handles).add(file)
    }

    fn answer(&self, id: u32, request: &Request<'_>) -> Answer {
        match *request {
            Request::Open { at, flags, mode } => match self.open(at, flags, mode) {
                Ok((file, reply)) => Answer::new(id, Ok(reply), file),
                Err(error) => Answer::error(id, error),
            },
            Request::Connect { host, port, protocol } => match self.connect(host, port, protocol) {
                Ok(Connected { socket, local, peer }) => {
                    Answer::new(id, Ok(Reply::Connected { local, peer }), Some(socket))
                }
                Err(error) => Answer::error(id, error),
            },
            Request::Resolve { host } => {
                let addresses = self.resolve(host);
                let reply = addresses.as_deref().map(|list| Reply::Addresses(Addresses::List(list)));
                Answer::new(id, reply.map_err(|error| *error), None)
            }
            Request::ReadLink { at } => {
                let target = self.volume(at.volume).and_then(|v| files::read_link(v, at.path));
                let reply = target.as_deref().map(Reply::Target).map_err(|error| *error);
                Answer::new(id, reply, None)
            }
            ref other => Answer::new(id, self.by_name(other), None),
        }
    }

    fn by_name(&self, request: &Request<'_>) -> Result<Reply<'static>, Errno> {
        let done = match *request {
            Request::Stat { at, follow } => {
                return files::stat(self.volume(at.volume)?, at.path, follow).map(Reply::Stat);
            }
            Request::FileSystem { at } => {
                return files::file_system(self.volume(at.volume)?, at.path).map(Reply::FileSystem);
            }
            Request::CreateDirectory { at, mode } => {
                files::create_directory(self.volume(at.volume)?, at.path, mode)
            }
            Request::RemoveFile { at } => files::remove(self.volume(at.volume)?, at.path, false),
            Request::RemoveDirectory { at } => files::remove(self.volume(at.volume)?, at.path, true),
            Request::Rename { from, to } => files::rename(self.volume(from.volume)?, from.path, to),
            Request::Link { from, to } => files::link(self.volume(from.volume)?, from.path, to),
            Request::Symlink { at, target } => files::symlink(self.volume(at.volume)?, target, at.path),
            Request::SetMode { at, mode } => files::set_mode(self.volume(at.volume)?, at.path, mode),
            Request::SetTimes { at, accessed, modified } => {
                files::set_times(self.volume(at.volume)?, at.path, accessed, modified)
            }
            Request::Truncate { at, length } => files::truncate(self.volume(at.volume)?, at.path, length),
            _ => Err(Errno::NOSYS),
        };
        done.map(|()| Reply::Done)
    }

    fn open(
        &self,
        at: At<'_>,
        flags: OpenFlags,
        mode: u32,
    ) -> Result<(Option<OwnedFd>, Reply<'static>), Errno> {
        let (file, stat) = files::open(self.volume(at.volume)?, at.path, flags, mode)?;
        let is_directory = rustix::fs::FileType::from_raw_mode(stat.mode).is_dir();
        // What is only read has nothing that could be synchronised.
        let handle = if flags.has(OpenFlags::WRITE) || is_directory || self.keeps_files {
            let kept = file.try_clone().map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::MFILE))?;
            self.keep(at.volume, kept)?
        } else {
            0
        };
        Ok(((!self.keeps_files).then_some(file), Reply::Opened { handle, stat }))
    }

    fn connect(&self, host: &str, port: u16, protocol: Protocol) -> Result<Connected, Errno> {
        let target = locked(&self.grants).connect(host, port, protocol)?;
        let connected = network::connect(&target, port, protocol)?;
        match protocol {
            Protocol::Tcp => Ok(connected),
            // The socket itself could send anywhere.
            Protocol::Udp => Ok(Connected { socket: self.relay.add(connected.socket)?, ..connected }),
        }
    }

    fn resolve(&self, host: &str) -> Result<Vec<std::net::IpAddr>, Errno> {
        let target = locked(&self.grants).resolve(host)?;
        let addresses = network::resolve(&target)?;
        if let Target::Name(name) = target {
            locked(&self.grants).learn(&name, &addresses);
        }
        Ok(addresses)
    }
}
