//! A broker over a fresh directory, asked directly.
#![allow(dead_code, reason = "each test file uses a part")]

use kernlet_broker::{Broker, Volume};
use kernlet_wire::broker::{At, OpenFlags, Reply, Request, Stat};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use tempfile::TempDir;

pub const READ: OpenFlags = OpenFlags::READ;
pub const WRITE: OpenFlags = OpenFlags::WRITE;
pub const ENOENT: i32 = 2;
pub const EBADF: i32 = 9;
pub const EACCES: i32 = 13;
pub const EBUSY: i32 = 16;
pub const EEXIST: i32 = 17;
pub const ENODEV: i32 = 19;
pub const ENOTDIR: i32 = 20;
pub const EISDIR: i32 = 21;
pub const EINVAL: i32 = 22;
pub const EMFILE: i32 = 24;
pub const EROFS: i32 = 30;
pub const ELOOP: i32 = 40;
pub const ENOBUFS: i32 = 105;

/// Volume 0 is `inside` and can be written, volume 1 is the same but cannot. Beside it lies `outside/secret`.
pub struct Fixture {
    pub folder: TempDir,
    pub broker: Broker,
}

impl Fixture {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        std::fs::create_dir_all(at("inside/sub")).unwrap();
        std::fs::create_dir(at("outside")).unwrap();
        std::fs::write(at("outside/secret"), "secret").unwrap();
        std::fs::write(at("inside/file"), "contents").unwrap();
        let volumes = vec![
            Volume::open(0, &at("inside"), false).unwrap(),
            Volume::open(1, &at("inside"), true).unwrap(),
            Volume::open(2, &at("inside/file"), false).unwrap(),
        ];
        let broker = Broker::new(volumes, Vec::new());
        Self { folder, broker }
    }

    pub fn inside(&self, path: &str) -> std::path::PathBuf {
        self.folder.path().join("inside").join(path)
    }

    pub fn outside(&self, path: &str) -> std::path::PathBuf {
        self.folder.path().join("outside").join(path)
    }

    pub fn ask(&mut self, request: Request<'_>) -> (Result<Outcome, i32>, Option<OwnedFd>) {
        ask(&self.broker, request)
    }

    /// For requests whose answer has no descriptor.
    pub fn done(&mut self, request: Request<'_>) -> Result<Outcome, i32> {
        let (result, descriptor) = self.ask(request);
        assert!(descriptor.is_none());
        result
    }

    pub fn open(&mut self, volume: u32, path: &str, flags: OpenFlags) -> Result<(File, u32), i32> {
        let at = At { volume, path: path.as_bytes() };
        match self.ask(Request::Open { at, flags, mode: 0o666 }) {
            (Ok(Outcome::Opened(handle, _)), Some(descriptor)) => Ok((descriptor.into(), handle)),
            (Err(error), None) => Err(error),
            other => panic!("{other:?}"),
        }
    }
}

/// A reply without borrowed parts.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    Done,
    Opened(u32, Stat),
    Stat(Stat),
    Target(Vec<u8>),
    Other,
}

pub fn outcome(message: &[u8], id: u32) -> Result<Outcome, i32> {
    let (replied, reply) = Reply::decode(message).unwrap();
    assert_eq!(replied, id);
    match reply {
        Reply::Error(error) => Err(error),
        Reply::Done => Ok(Outcome::Done),
        Reply::Opened { handle, stat } => Ok(Outcome::Opened(handle, stat)),
        Reply::Stat(stat) => Ok(Outcome::Stat(stat)),
        Reply::Target(target) => Ok(Outcome::Target(target.to_vec())),
        _ => Ok(Outcome::Other),
    }
}

pub fn ask(broker: &Broker, request: Request<'_>) -> (Result<Outcome, i32>, Option<OwnedFd>) {
    let answer = broker.handle(&request.encode(77)).unwrap();
    (outcome(&answer.bytes, 77), answer.descriptor)
}

pub fn at(path: &str) -> At<'_> {
    At { volume: 0, path: path.as_bytes() }
}

pub fn read_only(path: &str) -> At<'_> {
    At { volume: 1, path: path.as_bytes() }
}

pub fn symlink(target: impl AsRef<Path>, link: impl AsRef<Path>) {
    std::os::unix::fs::symlink(target, link).unwrap();
}
