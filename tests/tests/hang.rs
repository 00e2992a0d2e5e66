//! A file system that hangs under a volume: a FUSE server that takes requests and does not answer. Needs root, as mounting
//! does.

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, INodeNo, InitFlags,
    KernelConfig, MountOption, ReplyAttr, ReplyEntry, Request,
};
use kernlet_tests::{User, eventually, image, is_root};
use std::ffi::OsStr;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, SystemTime};

/// A directory in which every name is looked up for as long as the test likes.
struct Hanging(Sender<ReplyEntry>);

impl Filesystem for Hanging {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        // Otherwise one lookup that hangs holds up all others in the kernel.
        config
            .add_capabilities(InitFlags::FUSE_PARALLEL_DIROPS)
            .map_err(|_| std::io::ErrorKind::Unsupported.into())
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let now = SystemTime::now();
        let directory = FileAttr {
            ino: number,
            size: 0,
            blocks: 0,
            atime: now,
            mtime: now,
            ctime: now,
            crtime: now,
            kind: FileType::Directory,
            perm: 0o777,
            nlink: 2,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        };
        reply.attr(&Duration::ZERO, &directory);
    }

    fn lookup(&self, _: &Request, _: INodeNo, _: &OsStr, reply: ReplyEntry) {
        // When nobody listens any more it is answered (EIO) by being dropped.
        let _ = self.0.send(reply);
    }
}

/// Mounts it; what it is asked comes by the receiver, and is answered by whoever takes it.
fn hanging(at: &Path) -> (BackgroundSession, Receiver<ReplyEntry>) {
    assert!(is_root(), "mounting needs root");
    let (sender, receiver) = channel();
    let mut config = Config::default();
    config.mount_options = vec![MountOption::FSName("kernlet-hanging".into())];
    let session = fuser::spawn_mount(Hanging(sender), at, &config).expect("/dev/fuse can be used");
    (session, receiver)
}

/// Starts the probe with a volume that hangs beside one that does not; returns when `file` is being looked up.
fn start(user: &User, lookups: &Receiver<ReplyEntry>, file: &str) -> (String, ReplyEntry) {
    let good = user.folder("good");
    std::fs::write(good.join("file"), "contents").expect("it is writable");
    let mounts = [format!("{}:/good", good.display()), format!("{}:/bad", user.folder("bad").display())];
    let image = image("tests/programs/probe");
    let image = image.to_str().expect("temporary paths are UTF-8");
    let arguments = ["--name", "hung", "-v", &mounts[0], "-v", &mounts[1], image];
    let name = user.detached(arguments.into_iter().chain(["touch-both", file, "/good/file"]));
    let lookup = lookups.recv_timeout(kernlet_tests::PATIENCE).expect("the file is looked up");
    (name, lookup)
}

#[test]
fn a_volume_that_hangs_holds_up_neither_other_volumes_nor_the_monitor() {
    let user = User::myself();
    let (session, lookups) = hanging(&user.folder("bad"));
    let (name, lookup) = start(&user, &lookups, "/bad/one");
    eventually("the other volume serves", || user.logs(&name).contains("second: 10\n"));
    assert!(!user.logs(&name).contains("first:"));
    user.ok(["kill", "-s", "QUIT", &name]);
    eventually("the backtraces come", || user.logs(&name).contains("`first`"));
    assert_eq!(user.inspect(&name)["state"], "running");
    user.ok(["stop", "-t", "5", &name]);
    assert_eq!(user.ok(["wait", &name]), "143");
    assert_eq!(user.inspect(&name)["state"], "exited");
    user.ok(["rm", &name]);
    // The request hangs as before, and the name is free. (Two lookups of one file would wait for each other.)
    let (again, second) = start(&user, &lookups, "/bad/two");
    eventually("the new one serves", || user.logs(&again).contains("second: 1\n"));
    lookup.error(Errno::ENOENT);
    second.error(Errno::EACCES);
    eventually("the volume that hung answers", || user.logs(&again).contains("first: Err"));
    user.ok(["rm", "-f", &again]);
    drop(session);
}
