//! Volumes on the process door: this library against the host's broker, over a socket pair.

mod common;

use kernlet_broker::{Broker, Service, Volume};
use kernlet_exec::{block_on, spawn, yield_now};
use kernlet_fs as fs;
use kernlet_fs::broker::{Reply, Request, ask};
use kernlet_fs::{File, FileType, OpenOptions};
use kernlet_image::erofs::Tree;
use kernlet_platform::{Errno, boot};
use kernlet_wire::boot::{Blob, BlobWriter, Descriptors, Mount, Protocol};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::future::Future;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::path::PathBuf;
use tempfile::TempDir;

struct Host {
    folder: TempDir,
    _service: Service,
}

impl Host {
    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }
}

fn sockets() -> (OwnedFd, OwnedFd) {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap()
}

/// Volumes at `/data`, read-only at `/fixed`, a file at `/etc/config`; the broker runs on threads of its own.
fn start(grants: &[String]) -> Host {
    start_with(grants, |broker| broker)
}

fn start_with(grants: &[String], change: impl FnOnce(Broker) -> Broker) -> Host {
    let mut tree = Tree::new();
    tree.add_bytes("/etc/motd", 0o644, b"welcome\n".to_vec()).unwrap();
    tree.add_symlink("/current", "data/sub").unwrap();
    common::seal(&tree, "/");
    let folder = tempfile::tempdir().unwrap();
    let path = |path: &str| folder.path().join(path);
    std::fs::create_dir_all(path("data/sub")).unwrap();
    std::fs::write(path("data/file"), "contents").unwrap();
    std::fs::write(path("config"), "a=b").unwrap();
    let volumes = vec![
        Volume::open(0, &path("data"), false).unwrap(),
        Volume::open(1, &path("data"), true).unwrap(),
        Volume::open(2, &path("config"), false).unwrap(),
    ];
    let broker = Broker::new(volumes, grants.iter().map(|g| g.parse().unwrap()).collect());
    let (ours, theirs) = sockets();
    let service = Service::new(change(broker), ours).unwrap();
    tell(theirs);
    Host { folder, _service: service }
}

fn tell(socket: OwnedFd) {
    let mut blob = BlobWriter::new();
    for (id, path, read_only, file) in
        [(0, "/data", false, false), (1, "/fixed", true, false), (2, "/etc/config", false, true)]
    {
        blob.mount(Mount { id, path, read_only, file });
    }
    blob.descriptors(Descriptors { broker: socket.into_raw_fd(), ..Descriptors::NONE });
    boot::set_blob(Blob::parse(Vec::leak(blob.finish())).unwrap());
}

#[test]
fn files_of_a_volume_are_read_and_written_directly() {
    let host = start(&[]);
    block_on(async move {
        assert_eq!(fs::read_to_string("/data/file").await.unwrap(), "contents");
        fs::write("/data/sub/new", "fresh").await.unwrap();
        assert_eq!(std::fs::read(host.path("data/sub/new")).unwrap(), b"fresh");
        let mut file = OpenOptions::new().read(true).append(true).open("/current/new").await.unwrap();
        file.write_all(b" and more").await.unwrap();
        file.sync_all().await.unwrap();
        file.sync_data().await.unwrap();
        file.set_len(9).await.unwrap();
        assert_eq!(file.metadata().await.unwrap().len(), 9);
        assert_eq!(std::fs::read(host.path("data/sub/new")).unwrap(), b"fresh and");
        let large: Vec<u8> = (0..1_000_000u32).map(|i| (i % 251) as u8).collect();
        fs::write("/data/large", &large).await.unwrap();
        assert_eq!(fs::read("/data/large").await.unwrap(), large);
    });
}

#[test]
fn names_in_a_volume_are_listed_made_moved_and_removed() {
    let host = start(&[]);
    block_on(async move {
        fs::create_dir_all("/data/a/b").await.unwrap();
        fs::rename("/data/file", "/data/a/b/moved").await.unwrap();
        fs::hard_link("/data/a/b/moved", "/data/second").await.unwrap();
        fs::symlink("second", "/data/link").await.unwrap();
        assert_eq!(fs::read_link("/data/link").await.unwrap(), "second");
        assert_eq!(fs::read("/data/link").await.unwrap(), b"contents");
        assert!(fs::symlink_metadata("/data/link").await.unwrap().is_symlink());
        let about = fs::metadata("/data/link").await.unwrap();
        assert!(about.is_file() && about.links == 2 && about.device == 2);
        let listed = fs::read_dir("/data").await.unwrap();
        let names: Vec<_> = listed.iter().map(|e| (e.file_name(), e.file_type())).collect();
        let expected = [
            ("a", FileType::Directory),
            ("link", FileType::Symlink),
            ("second", FileType::File),
            ("sub", FileType::Directory),
        ];
        assert!(names.iter().map(|(n, t)| (n.as_str(), *t)).eq(expected), "{names:?}");
        assert_eq!(fs::remove_dir("/data/a").await, Err(Errno::ENOTEMPTY));
        fs::remove_file("/data/a/b/moved").await.unwrap();
        fs::remove_dir("/data/a/b").await.unwrap();
        assert_eq!(fs::remove_dir("/data").await, Err(Errno::EBUSY));
        assert_eq!(fs::rename("/data/second", "/tmp/x").await, Err(Errno::EXDEV));
        assert!(!host.path("data/a/b").exists());
        fs::set_mode("/data/second", 0o600).await.unwrap();
        fs::set_times("/data/second", None, Some(7)).await.unwrap();
        let about = fs::metadata("/data/second").await.unwrap();
        assert_eq!((about.mode & 0o7777, about.modified), (0o600, 7));
        assert!(fs::space("/data").await.unwrap().total > 0);
    });
}

#[test]
fn errors_are_the_same_as_in_linux() {
    let host = start(&[]);
    std::os::unix::fs::symlink("/etc/passwd", host.path("data/out")).unwrap();
    block_on(async move {
        assert_eq!(fs::read("/data/none").await.unwrap_err(), Errno::ENOENT);
        assert_eq!(fs::read("/data/file/x").await.unwrap_err(), Errno::ENOTDIR);
        assert_eq!(fs::read("/data/file/").await.unwrap_err(), Errno::ENOTDIR);
        assert_eq!(fs::read("/data/sub").await.unwrap_err(), Errno::EISDIR);
        assert_eq!(fs::read("/data/out").await.unwrap_err(), Errno::EACCES);
        assert_eq!(fs::create_dir("/data/sub").await, Err(Errno::EEXIST));
        assert_eq!(fs::write("/fixed/file", "x").await, Err(Errno::EROFS));
        assert_eq!(fs::remove_file("/fixed/file").await, Err(Errno::EROFS));
        assert_eq!(fs::read("/fixed/file").await.unwrap(), b"contents");
        // `..` stays inside of the instance, whatever is around the volume on the host.
        assert_eq!(fs::read("/data/sub/../../etc/motd").await.unwrap(), b"welcome\n");
        assert_eq!(fs::read("/data/../config").await.unwrap_err(), Errno::ENOENT);
    });
}

#[test]
fn a_file_volume_stands_where_it_was_mounted() {
    let host = start(&[]);
    block_on(async move {
        assert_eq!(fs::read("/etc/config").await.unwrap(), b"a=b");
        fs::write("/etc/config", "c=d").await.unwrap();
        assert_eq!(std::fs::read(host.path("config")).unwrap(), b"c=d");
        assert_eq!(fs::remove_file("/etc/config").await, Err(Errno::EBUSY));
        assert_eq!(fs::read("/etc/config/x").await.unwrap_err(), Errno::ENOTDIR);
        let names: Vec<_> = fs::read_dir("/etc").await.unwrap().iter().map(|e| e.file_name()).collect();
        assert_eq!(names, ["config", "motd"]);
    });
}

#[test]
fn many_requests_run_at_once_and_each_gets_its_own_answer() {
    let host = start(&[]);
    for i in 0..300 {
        std::fs::write(host.path(&format!("data/sub/{i}")), i.to_string()).unwrap();
    }
    block_on(async move {
        let tasks: Vec<_> = (0..300)
            .map(|i| {
                spawn("reader", async move { fs::read_to_string(format!("/data/sub/{i}")).await.unwrap() })
            })
            .collect();
        for (i, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.join().await.unwrap(), i.to_string());
        }
        drop(host);
    });
}

#[test]
fn a_broker_that_keeps_files_reads_and_writes_them_itself() {
    let host = start_with(&[], Broker::keeping_files);
    let on_host = move || std::fs::read(host.path("config")).unwrap();
    block_on(async move {
        assert_eq!(fs::read("/etc/config").await.unwrap(), b"a=b");
        // More than fits into a message.
        let large: Vec<u8> = (0..30_000u32).map(|n| n as u8).collect();
        fs::write("/etc/config", &large).await.unwrap();
        assert_eq!(on_host(), large);
        assert_eq!(fs::read("/etc/config").await.unwrap(), large);
        let mut file = OpenOptions::new().read(true).append(true).open("/etc/config").await.unwrap();
        file.set_len(4).await.unwrap();
        file.write_all(b"end").await.unwrap();
        file.sync_all().await.unwrap();
        assert_eq!(on_host(), b"\x00\x01\x02\x03end");
        assert_eq!(file.metadata().await.unwrap().len(), 7);
        let mut buffer = [0; 16];
        assert_eq!(file.read_at(&mut buffer, 4).await, Ok(3));
        assert_eq!(file.read_at(&mut buffer, 7).await, Ok(0));
        let reader = File::open("/etc/config").await.unwrap();
        assert_eq!(reader.write_at(b"x", 0).await, Err(Errno::EBADF));
        // What was opened for reading only is given back, too.
        for _ in 0..1500 {
            fs::read("/etc/config").await.unwrap();
        }
    });
}

#[test]
fn what_a_cancelled_request_was_granted_is_given_back() {
    let _host = start(&[]);
    block_on(async {
        // The broker has a thousand handles: more are opened here than that.
        for _ in 0..1500 {
            let mut open = Box::pin(async { OpenOptions::new().write(true).open("/data/file").await });
            let waker = std::task::Waker::noop();
            let first = open.as_mut().poll(&mut std::task::Context::from_waker(waker));
            assert!(first.is_pending());
            drop(open);
            yield_now().await;
        }
        for _ in 0..1500 {
            drop(OpenOptions::new().write(true).open("/data/file").await.unwrap());
        }
        let open = std::fs::read_dir("/proc/self/fd").unwrap().count();
        assert!(open < 500, "{open}");
    });
}

#[test]
fn a_broker_that_goes_away_is_an_error_and_no_hang() {
    let (ours, theirs) = sockets();
    tell(theirs);
    block_on(async move {
        let waiting = spawn("waiting", async { File::open("/data/file").await.err() });
        yield_now().await;
        drop(ours);
        assert_eq!(waiting.join().await, Some(Some(Errno::EIO)));
        assert_eq!(fs::metadata("/data/file").await, Err(Errno::EIO));
    });
}

#[test]
fn connections_are_asked_for_in_the_same_way() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let _host = start(&[format!("host.kernlet.internal:{port}")]);
    block_on(async move {
        let connect =
            |port| Request::Connect { host: "host.kernlet.internal", port, protocol: Protocol::Tcp };
        let answer = ask(&connect(port)).await.unwrap();
        assert!(matches!(answer.reply(), Ok(Reply::Connected { peer, .. }) if peer.port() == port));
        let stream = answer.granted().unwrap().into_stream();
        stream.write(b"hello").unwrap();
        let mut text = [0; 5];
        std::io::Read::read_exact(&mut listener.accept().unwrap().0, &mut text).unwrap();
        assert_eq!(&text, b"hello");
        let refused = ask(&connect(port.wrapping_add(1))).await.unwrap();
        assert_eq!(refused.reply().err(), Some(Errno::EACCES));
    });
}
