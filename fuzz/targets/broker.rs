//! Requests to the broker with real directories behind it. Whatever is asked, nothing outside of the volumes changes
//! or comes out, nothing in a read-only one changes, and every request gets its one answer.
#![no_main]
#![forbid(unsafe_code)]

use kernlet_broker::{Answer, Broker, Volume};
use kernlet_fuzz::Input;
use kernlet_fuzz::broker::{is_greedy, linux_request, request};
use kernlet_wire::broker::{LinuxRequest, OpenFlags, Reply, Request};
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Requests of one input.
const MOST: usize = 24;
const SECRET: &[u8] = b"secret";
const SEALED: &[u8] = b"sealed";

/// 0 can be written, 1 is the same but cannot, 2 is a file, 3 is read-only and of its own.
struct World {
    folder: TempDir,
    changed: bool,
}

impl World {
    fn new() -> Self {
        let folder =
            tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("room for files");
        let world = Self { folder, changed: false };
        world.fill();
        world
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn fill(&self) {
        for folder in ["inside/sub", "outside", "sealed"] {
            fs::create_dir_all(self.at(folder)).expect("a directory is made");
        }
        for (file, contents) in [
            ("inside/file", &b"contents"[..]),
            ("inside/sub/inner", b"inner"),
            ("outside/secret", SECRET),
            ("sealed/file", SEALED),
        ] {
            fs::write(self.at(file), contents).expect("a file is written");
        }
        for (target, link) in
            [("../outside/secret", "out"), ("/etc/passwd", "absolute"), ("..", "up"), ("loop", "loop")]
        {
            symlink(target, self.at("inside").join(link)).expect("a link is made");
        }
        let pipe = self.at("inside/pipe");
        rustix::fs::mknodat(rustix::fs::CWD, pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0)
            .expect("a pipe is made");
    }

    fn broker(&self) -> Broker {
        let open = |id, path: &str, read_only| Volume::open(id, &self.at(path), read_only).expect("a volume");
        let volumes = vec![
            open(0, "inside", false),
            open(1, "inside", true),
            open(2, "inside/file", false),
            open(3, "sealed", true),
        ];
        Broker::new(volumes, Vec::new())
    }

    /// As it was.
    fn restore(&mut self) {
        if std::mem::take(&mut self.changed) {
            fs::remove_dir_all(self.at("inside")).expect("the volume is removed");
            fs::remove_dir_all(self.at("outside")).expect("the outside is removed");
            fs::remove_dir_all(self.at("sealed")).expect("the sealed volume is removed");
            self.fill();
        }
    }

    fn check(&self) {
        let names = |path: &str| fs::read_dir(self.at(path)).expect("it is there").count();
        assert_eq!(
            (names("outside"), fs::read(self.at("outside/secret")).ok().as_deref()),
            (1, Some(SECRET))
        );
        assert_eq!((names("sealed"), fs::read(self.at("sealed/file")).ok().as_deref()), (1, Some(SEALED)));
        assert_eq!(names(""), 3);
        if self.changed {
            harmless(&self.at("inside"));
        }
    }
}

/// No devices, and nothing that runs as somebody else.
fn harmless(folder: &Path) {
    for entry in fs::read_dir(folder).expect("it is there").flatten() {
        let about = entry.path().symlink_metadata().expect("it was listed");
        let kind = about.file_type();
        assert!(!kind.is_block_device() && !kind.is_char_device(), "a device");
        assert_eq!(about.mode() & 0o6000, 0, "a right of somebody else's");
        if kind.is_dir() {
            harmless(&entry.path());
        }
    }
}

thread_local!(static WORLD: RefCell<World> = RefCell::new(World::new()));

/// A descriptor that came is a file or directory of a volume, and no pipe, device or secret.
fn inspect(descriptor: OwnedFd, volume: u32, writable: bool) {
    let mut file = fs::File::from(descriptor);
    let about = file.metadata().expect("it can be looked at");
    assert!(about.is_file() || about.is_dir());
    let access = rustix::fs::fcntl_getfl(&file).expect("it has flags") & rustix::fs::OFlags::RWMODE;
    assert!(
        access == rustix::fs::OFlags::RDONLY || (writable && volume != 1 && volume != 3),
        "a right that nobody gave"
    );
    let mut bytes = Vec::new();
    if about.is_file() && access != rustix::fs::OFlags::WRONLY {
        file.by_ref().take(100).read_to_end(&mut bytes).expect("it can be read");
        assert_ne!(bytes, SECRET);
    }
}

fn changes(request: &Request<'_>) -> bool {
    !matches!(
        request,
        Request::Stat { .. }
            | Request::ReadLink { .. }
            | Request::FileSystem { .. }
            | Request::Close { .. }
            | Request::Sync { .. }
            | Request::Connect { .. }
    )
}

fuzz_target!(|bytes: &[u8]| WORLD.with_borrow_mut(|world| run(world, bytes)));

fn run(world: &mut World, bytes: &[u8]) {
    let mut input = Input(bytes);
    let broker = world.broker();
    // In a VM the broker keeps what it opens.
    let keeps = input.u8() & 1 != 0;
    let broker = if keeps { broker.keeping_files() } else { broker };
    for id in 0..MOST as u32 {
        if input.is_empty() {
            break;
        }
        let form = input.u8();
        if form == 0xff {
            // Bytes that need not be a request.
            let message = input.bytes(8448);
            if is_greedy(message) {
                continue;
            }
            if let Ok(answer) = broker.handle(message) {
                assert_eq!(message[..4], answer.bytes[..4]);
                assert!(Reply::decode(&answer.bytes).is_ok());
            }
            world.changed = true;
            continue;
        }
        if form & 0xf0 == 0xe0 {
            let request = linux_request(&mut input);
            let Answer { bytes, descriptor } = broker.handle(&request.encode(id)).expect("it has an id");
            let (answered, reply) = Reply::decode(&bytes).expect("an answer can be read");
            assert_eq!(answered, id);
            assert!(descriptor.is_none());
            world.changed |= !matches!(reply, Reply::Error(_))
                && !matches!(request, LinuxRequest::Keep { .. } | LinuxRequest::KeepAgain { .. });
            continue;
        }
        let request = request(&mut input);
        let (volume, writable) = match &request {
            Request::Open { at, flags, .. } => (at.volume, flags.has(OpenFlags::WRITE)),
            _ => (u32::MAX, false),
        };
        let Answer { bytes, descriptor } = broker.handle(&request.encode(id)).expect("it has an id");
        let (answered, reply) = Reply::decode(&bytes).expect("an answer can be read");
        assert_eq!(answered, id);
        assert!(descriptor.is_none() || matches!(reply, Reply::Opened { .. }));
        assert!(keeps || descriptor.is_some() == matches!(reply, Reply::Opened { .. }));
        world.changed |= changes(&request) && !matches!(reply, Reply::Error(_));
        if let Some(descriptor) = descriptor {
            inspect(descriptor, volume, writable);
        }
        if let Reply::Data(bytes) = reply {
            assert_ne!(bytes, SECRET);
        }
    }
    world.check();
    world.restore();
}
