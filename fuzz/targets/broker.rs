//! Requests to the broker with real directories behind it. Whatever is asked, nothing outside of the volumes changes
//! or comes out, nothing in a read-only one changes, and every request gets its one answer.
#![no_main]
#![forbid(unsafe_code)]

use kernlet_broker::{Answer, Broker, Volume};
use kernlet_fuzz::Input;
use kernlet_wire::boot::Protocol;
use kernlet_wire::broker::{At, OpenFlags, Reply, Request};
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use tempfile::TempDir;

/// Requests of one input.
const MOST: usize = 24;
const SECRET: &[u8] = b"secret";
const SEALED: &[u8] = b"sealed";

/// Paths that lead somewhere, and some that lead out.
const PATHS: [&[u8]; 16] = [
    b"",
    b"file",
    b"sub",
    b"sub/inner",
    b"sub/../file",
    b"new",
    b"sub/new",
    b"out",
    b"absolute",
    b"up/outside/secret",
    b"../outside/secret",
    b"/etc/passwd",
    b"pipe",
    b"loop",
    b".",
    b"sub/./",
];

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
    }
}

thread_local!(static WORLD: RefCell<World> = RefCell::new(World::new()));

fn path<'a>(input: &mut Input<'a>) -> &'a [u8] {
    match input.u8() {
        0xff => input.bytes(4200),
        known => PATHS[usize::from(known) % PATHS.len()],
    }
}

fn request<'a>(input: &mut Input<'a>) -> Request<'a> {
    let kind = input.below(21);
    let at = |input: &mut Input<'a>| At { volume: u32::from(input.u8()) % 5, path: path(input) };
    match kind {
        0 | 16 => {
            let at = at(input);
            Request::Open { at, flags: OpenFlags(input.u8().into()), mode: input.u16().into() }
        }
        1 => Request::Close { handle: input.below(5) as u32 },
        2 => Request::Sync { handle: input.below(5) as u32, data_only: input.u8() & 1 != 0 },
        3 => Request::Stat { at: at(input), follow: input.u8() & 1 != 0 },
        4 => Request::CreateDirectory { at: at(input), mode: input.u16().into() },
        5 => Request::RemoveFile { at: at(input) },
        6 => Request::RemoveDirectory { at: at(input) },
        7 => Request::Rename { from: at(input), to: path(input) },
        8 => Request::Link { from: at(input), to: path(input) },
        9 => Request::Symlink { at: at(input), target: path(input) },
        10 => Request::ReadLink { at: at(input) },
        11 => Request::SetMode { at: at(input), mode: input.u16().into() },
        12 => Request::SetTimes { at: at(input), accessed: Some(input.u16().into()), modified: None },
        13 => Request::Truncate { at: at(input), length: input.u16().into() },
        14 => Request::FileSystem { at: at(input) },
        17 => Request::Read {
            handle: input.below(5) as u32,
            offset: input.u16().into(),
            length: input.u16().into(),
        },
        18 => {
            let (handle, offset) = (input.below(5) as u32, input.u16().into());
            Request::Write { handle, offset, bytes: input.bytes(255) }
        }
        19 => Request::StatOpen { handle: input.below(5) as u32 },
        20 => Request::TruncateOpen { handle: input.below(5) as u32, length: input.u16().into() },
        _ => Request::Connect { host: "192.0.2.1", port: input.u16(), protocol: Protocol::Tcp },
    }
}

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
        if input.u8() == 0xff {
            // Bytes that need not be a request.
            let message = input.bytes(8448);
            if let Ok(answer) = broker.handle(message) {
                assert_eq!(message[..4], answer.bytes[..4]);
                assert!(Reply::decode(&answer.bytes).is_ok());
            }
            world.changed = true;
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
