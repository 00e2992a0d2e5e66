//! What only Linux programs ask for.

mod common;

use common::*;
use kernlet_broker::{Broker, Volume};
use kernlet_wire::broker::{Conflict, LEAVE, LinuxRequest, Lock, Object, OpenFlags, Part, Reply};
use rustix::fs::{FlockOperation, flock};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};

const EPERM: i32 = 1;
const EAGAIN: i32 = 11;
const EOPNOTSUPP: i32 = 95;
const ALL: Part = Part { start: 0, length: 0 };

/// Asks, and gives the bytes of an answer that has some.
fn ask(broker: &Broker, request: LinuxRequest<'_>) -> Result<(Outcome, Vec<u8>), i32> {
    let answer = broker.handle(&request.encode(77)).unwrap();
    assert!(answer.descriptor.is_none());
    let bytes = match Reply::decode(&answer.bytes).unwrap() {
        (77, Reply::Data(bytes)) => bytes.to_vec(),
        _ => Vec::new(),
    };
    outcome(&answer.bytes, 77).map(|outcome| (outcome, bytes))
}

fn done(broker: &Broker, request: LinuxRequest<'_>) -> Result<(), i32> {
    ask(broker, request).map(|(outcome, _)| assert_eq!(outcome, Outcome::Done))
}

fn keep(broker: &Broker, volume: u32, path: &str, flags: OpenFlags) -> Result<u32, i32> {
    let at = kernlet_wire::broker::At { volume, path: path.as_bytes() };
    match ask(broker, LinuxRequest::Keep { at, flags })?.0 {
        Outcome::Opened(handle, _) => Ok(handle),
        other => panic!("{other:?}"),
    }
}

/// The broker of another instance, with the same volume.
fn another(f: &Fixture) -> Broker {
    Broker::new(vec![Volume::open(0, &f.inside(""), false).unwrap()], Vec::new())
}

#[test]
fn parts_that_one_instance_has_locked_another_does_not_get() {
    let f = Fixture::new();
    let other = another(&f);
    let both = READ.with(WRITE, true);
    let (mine, theirs) = (keep(&f.broker, 0, "file", both).unwrap(), keep(&other, 0, "file", both).unwrap());
    let part = Part { start: 10, length: 5 };
    let lock = |broker: &Broker, handle, lock, part| done(broker, LinuxRequest::Lock { handle, lock, part });
    assert_eq!(lock(&f.broker, mine, Lock::Exclusive, part), Ok(()));
    assert_eq!(lock(&other, theirs, Lock::Shared, ALL), Err(EAGAIN));
    assert_eq!(lock(&other, theirs, Lock::Exclusive, Part { start: 15, length: 1 }), Ok(()));
    let test = LinuxRequest::TestLock { handle: theirs, lock: Lock::Shared, part: ALL };
    let (_, conflict) = ask(&other, test).unwrap();
    assert_eq!(Conflict::decode(&conflict), Ok(Some(Conflict { exclusive: true, part })));
    // A second description of the same instance is somebody else as well.
    let Ok((Outcome::Opened(again, _), _)) = ask(&f.broker, LinuxRequest::KeepAgain { handle: mine }) else {
        panic!()
    };
    assert_eq!(lock(&f.broker, again, Lock::Shared, part), Err(EAGAIN));
    assert_eq!(lock(&f.broker, mine, Lock::Shared, part), Ok(()));
    assert_eq!(lock(&other, theirs, Lock::Shared, ALL), Ok(()));
    let request = kernlet_wire::broker::Request::Close { handle: theirs };
    assert_eq!(common::ask(&other, request).0, Ok(Outcome::Done));
    assert_eq!(lock(&f.broker, again, Lock::Unlock, ALL), Ok(()));
    let request = kernlet_wire::broker::Request::Close { handle: again };
    assert_eq!(common::ask(&f.broker, request).0, Ok(Outcome::Done));
    assert_eq!(lock(&f.broker, mine, Lock::Exclusive, ALL), Ok(()));
    let reader = keep(&f.broker, 1, "file", READ).unwrap();
    assert_eq!(lock(&f.broker, reader, Lock::Exclusive, ALL), Err(EBADF));
    assert_eq!(lock(&f.broker, 99, Lock::Exclusive, ALL), Err(EBADF));
    assert_eq!(lock(&f.broker, mine, Lock::Shared, Part { start: u64::MAX, length: 0 }), Err(EINVAL));
}

#[test]
fn a_lock_on_the_whole_file_meets_those_of_the_host() {
    let f = Fixture::new();
    let handle = keep(&f.broker, 1, "file", READ).unwrap();
    let whole = |lock| done(&f.broker, LinuxRequest::LockWhole { handle, lock });
    let file = std::fs::File::open(f.inside("file")).unwrap();
    flock(&file, FlockOperation::LockShared).unwrap();
    assert_eq!(whole(Lock::Exclusive), Err(EAGAIN));
    assert_eq!(whole(Lock::Shared), Ok(()));
    assert!(flock(&file, FlockOperation::NonBlockingLockExclusive).is_err());
    assert_eq!(whole(Lock::Unlock), Ok(()));
    assert!(flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok());
}

#[test]
fn names_are_exchanged_and_not_replaced() {
    let f = Fixture::new();
    std::fs::write(f.inside("other"), "other").unwrap();
    let rename = |flags| done(&f.broker, LinuxRequest::Rename { from: at("file"), to: b"other", flags });
    assert_eq!(rename(1), Err(EEXIST));
    assert_eq!(rename(2), Ok(()));
    assert_eq!(std::fs::read(f.inside("file")).unwrap(), b"other");
    assert_eq!(rename(4), Err(EINVAL));
    let request = LinuxRequest::Rename { from: at("file"), to: b"../outside/secret", flags: 2 };
    assert_eq!(done(&f.broker, request), Err(EACCES));
    let request = LinuxRequest::Rename { from: read_only("file"), to: b"new", flags: 1 };
    assert_eq!(done(&f.broker, request), Err(EROFS));
}

#[test]
fn pipes_and_sockets_are_names_and_devices_are_not_made() {
    let f = Fixture::new();
    let make = |at, mode| done(&f.broker, LinuxRequest::MakeNode { at, mode });
    assert_eq!(make(at("pipe"), 0o016_644), Ok(()));
    assert_eq!(make(at("socket"), 0o140_755), Ok(()));
    let about = |name: &str| std::fs::symlink_metadata(f.inside(name)).unwrap();
    assert!(about("pipe").file_type().is_fifo() && about("socket").file_type().is_socket());
    assert_eq!(about("pipe").permissions().mode() & 0o7000, 0);
    for mode in [0o020_644, 0o060_644, 0o100_644, 0o120_644, 0o040_755, 0o644] {
        assert_eq!(make(at("device"), mode), Err(EPERM));
    }
    assert_eq!(make(at("pipe"), 0o010_644), Err(EEXIST));
    assert_eq!(make(at("../outside/pipe"), 0o010_644), Err(EACCES));
    assert_eq!(make(read_only("pipe"), 0o010_644), Err(EROFS));
    assert_eq!(keep(&f.broker, 0, "pipe", READ), Err(EACCES));
}

#[test]
fn room_is_reserved_and_given_back() {
    let f = Fixture::new();
    let handle = keep(&f.broker, 0, "file", READ.with(WRITE, true)).unwrap();
    let part = Part { start: 0, length: 1 << 20 };
    let allocate = |mode, part| done(&f.broker, LinuxRequest::Allocate { handle, mode, part });
    match allocate(1, part) {
        // Not every file system can.
        Err(EOPNOTSUPP) => return,
        result => assert_eq!(result, Ok(())),
    }
    let about = || std::fs::metadata(f.inside("file")).unwrap();
    assert!(about().len() == 8 && about().blocks() >= 2048);
    assert_eq!(allocate(0, part), Ok(()));
    assert_eq!(about().len(), 1 << 20);
    assert_eq!(allocate(3, part), Ok(()));
    assert!(about().blocks() < 16);
    assert_eq!(allocate(0, ALL), Err(EINVAL));
    let seek = |offset, hole| {
        ask(&f.broker, LinuxRequest::Seek { handle, offset, hole })
            .map(|(_, bytes)| u64::from_le_bytes(bytes.try_into().unwrap()))
    };
    assert_eq!(seek(5, true), Ok(5));
    assert_eq!(seek(5, false), Err(6));
    assert_eq!(seek(1 << 40, true), Err(6));
}

#[test]
fn attributes_are_changed_of_what_is_open_whatever_its_name() {
    let f = Fixture::new();
    let handle = keep(&f.broker, 0, "file", READ).unwrap();
    std::fs::rename(f.inside("file"), f.inside("moved")).unwrap();
    let what = Object::Open(handle);
    assert_eq!(done(&f.broker, LinuxRequest::SetMode { what, mode: 0o6640 }), Ok(()));
    let set = LinuxRequest::SetTimes { what, accessed: None, modified: Some(1_500_000_001) };
    assert_eq!(done(&f.broker, set), Ok(()));
    let about = std::fs::metadata(f.inside("moved")).unwrap();
    assert_eq!((about.mode() & 0o7777, about.mtime(), about.mtime_nsec()), (0o640, 1, 500_000_001));
    let same = LinuxRequest::SetOwner { what, user: about.uid(), group: LEAVE };
    assert_eq!(done(&f.broker, same), Ok(()));
    let other = LinuxRequest::SetOwner { what, user: 12_345, group: LEAVE };
    let allowed = rustix::process::geteuid().is_root();
    assert_eq!(done(&f.broker, other), if allowed { Ok(()) } else { Err(EPERM) });
    symlink("moved", f.inside("link"));
    let link = Object::At { at: at("link"), follow: false };
    let set = LinuxRequest::SetTimes { what: link, accessed: None, modified: Some(7_000_000_000) };
    assert_eq!(done(&f.broker, set), Ok(()));
    assert_eq!(std::fs::symlink_metadata(f.inside("link")).unwrap().mtime(), 7);
    assert_eq!(std::fs::metadata(f.inside("moved")).unwrap().mtime(), 1);
    let sealed = keep(&f.broker, 1, "moved", READ).unwrap();
    let what = Object::Open(sealed);
    assert_eq!(done(&f.broker, LinuxRequest::SetMode { what, mode: 0o600 }), Err(EROFS));
    assert_eq!(keep(&f.broker, 1, "moved", WRITE), Err(EROFS));
}
