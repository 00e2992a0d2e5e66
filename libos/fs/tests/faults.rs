//! Volumes on a host whose calls fail now and then or do only a part, that is full, or whose broker only refuses.

mod common;

use kernlet_broker::{Broker, Service, Volume};
use kernlet_exec::{Task, block_on, spawn};
use kernlet_fs as fs;
use kernlet_fs::broker::{Reply, Request};
use kernlet_fs::{File, OpenOptions};
use kernlet_image::erofs::Tree;
use kernlet_platform::faults::{Call, Fault, inject};
use kernlet_platform::{Errno, boot};
use kernlet_wire::boot::{Blob, BlobWriter, Descriptors, Mount};
use kernlet_wire::broker::MAX_MESSAGE;
use proptest::prelude::*;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair};
use std::os::fd::{IntoRawFd, OwnedFd};
use tempfile::TempDir;

const fn fails(call: Call, error: Errno) -> (Call, Fault) {
    (call, Fault::Error(error))
}

/// What any host does.
const ORDINARY: &[(Call, Fault)] = &[
    fails(Call::Pread, Errno::EINTR),
    (Call::Pread, Fault::Short),
    fails(Call::Pwrite, Errno::EINTR),
    (Call::Pwrite, Fault::Short),
    fails(Call::Truncate, Errno::EINTR),
    fails(Call::Getdents, Errno::EINTR),
    fails(Call::Write, Errno::EINTR),
    fails(Call::Write, Errno::EAGAIN),
    fails(Call::Receive, Errno::EINTR),
    fails(Call::Receive, Errno::EAGAIN),
    fails(Call::Wait, Errno::EINTR),
];

/// The instance's end of a broker's socket, with a volume at `/data`; the other end is given back.
fn connect() -> OwnedFd {
    common::seal(&Tree::new(), "/");
    let flags = SocketFlags::CLOEXEC;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    rustix::io::ioctl_fionbio(&theirs, true).unwrap();
    let mut blob = BlobWriter::new();
    blob.mount(Mount { id: 0, path: "/data", read_only: false, file: false });
    blob.descriptors(Descriptors { broker: theirs.into_raw_fd(), ..Descriptors::NONE });
    boot::set_blob(Blob::parse(Vec::leak(blob.finish())).unwrap());
    ours
}

/// A volume served by the real broker, as long as the service is held.
fn start() -> (TempDir, Service) {
    let folder = tempfile::tempdir().unwrap();
    let volumes = vec![Volume::open(0, folder.path(), false).unwrap()];
    let service = Service::new(Broker::new(volumes, Vec::new()), connect()).unwrap();
    (folder, service)
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 31 % 251) as u8).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn files_are_whole_whatever_the_host_does(seed in any::<u64>(), share in 100u32..700, length in 1usize..60_000) {
        // The instance's own thread, so that each case starts from nothing.
        std::thread::spawn(move || {
            let (folder, _service) = start();
            let injection = inject(seed, share, ORDINARY);
            let tasks: Vec<Task<()>> = (0..5)
                .map(|i| spawn("writer", async move {
                    let (path, wanted) = (format!("/data/{i}"), bytes(length + i));
                    fs::write(&path, &wanted).await.unwrap();
                    let mut file = OpenOptions::new().read(true).write(true).open(&path).await.unwrap();
                    file.set_len(length as u64 / 2).await.unwrap();
                    let mut read = Vec::new();
                    file.read_to_end(&mut read).await.unwrap();
                    assert!(read == wanted[..length / 2]);
                    file.sync_all().await.unwrap();
                }))
                .collect();
            block_on(async move {
                for task in tasks {
                    assert!(task.join().await.is_some());
                }
                assert_eq!(fs::read_dir("/data").await.unwrap().len(), 5);
                // The shortest of pieces on average are half of what was asked.
                assert!(injection.calls() < 5000, "{} host calls", injection.calls());
            });
            for i in 0..5 {
                assert!(std::fs::read(folder.path().join(i.to_string())).unwrap() == bytes(length + i)[..length / 2]);
            }
        })
        .join()
        .unwrap();
    }
}

#[test]
fn a_full_disk_is_told_once_and_what_was_written_stays() {
    let (folder, _service) = start();
    block_on(async move {
        let mut file = File::create("/data/log").await.unwrap();
        file.write_all(b"before ").await.unwrap();
        let injection = inject(1, 1000, &[fails(Call::Pwrite, Errno::ENOSPC)]);
        assert_eq!(file.write_all(b"lost").await, Err(Errno::ENOSPC));
        assert_eq!(injection.calls_of(Call::Pwrite), 1);
        drop(injection);
        file.write_all(b"after").await.unwrap();
        assert_eq!(std::fs::read(folder.path().join("log")).unwrap(), b"before after");
    });
}

#[test]
fn an_error_of_the_disk_is_no_end_of_a_file() {
    let (folder, _service) = start();
    std::fs::write(folder.path().join("file"), bytes(10_000)).unwrap();
    block_on(async {
        let injection = inject(1, 1000, &[fails(Call::Pread, Errno::EIO)]);
        assert_eq!(fs::read("/data/file").await.unwrap_err(), Errno::EIO);
        let mut file = File::open("/data/file").await.unwrap();
        assert_eq!(file.read(&mut [0; 10]).await, Err(Errno::EIO));
        injection.share(0);
        let mut all = Vec::new();
        file.read_to_end(&mut all).await.unwrap();
        assert!(all == bytes(10_000), "nothing was passed over");
    });
}

/// A broker that gives the same answer to everything.
fn stubborn(answer: impl Fn(u32) -> Vec<u8> + Send + 'static) {
    let socket = connect();
    std::thread::spawn(move || {
        let mut buffer = vec![0; MAX_MESSAGE];
        while let Ok((length @ 1.., _)) = recv(&socket, &mut buffer[..], RecvFlags::empty()) {
            let id = Request::id(&buffer[..length]).unwrap();
            if send(&socket, &answer(id), SendFlags::NOSIGNAL).is_err() {
                return;
            }
        }
    });
}

#[test]
fn what_a_broker_refuses_is_refused_with_its_error() {
    for error in [Errno::EACCES, Errno::ENOSPC, Errno::EMFILE, Errno::EIO] {
        std::thread::spawn(move || {
            stubborn(move |id| Reply::Error(error.0).encode(id));
            block_on(async move {
                assert_eq!(fs::read("/data/a").await.unwrap_err(), error);
                assert_eq!(fs::write("/data/a", "x").await, Err(error));
                assert_eq!(fs::read_dir("/data").await.unwrap_err(), error);
                assert_eq!(fs::create_dir("/data/a").await, Err(error));
                assert_eq!(fs::rename("/data/a", "/data/b").await, Err(error));
                assert_eq!(fs::remove_file("/data/a").await, Err(error));
                assert_eq!(fs::metadata("/data/a").await.unwrap_err(), error);
                assert_eq!(fs::space("/data").await.unwrap_err(), error);
            });
        })
        .join()
        .unwrap();
    }
}

#[test]
fn an_answer_to_something_else_is_an_error() {
    // Opened, but without the descriptor; and a kind that nobody asked for.
    stubborn(|id| Reply::Target(b"elsewhere").encode(id));
    block_on(async {
        assert_eq!(fs::read("/data/a").await.unwrap_err(), Errno::EIO);
        assert_eq!(fs::metadata("/data/a").await.unwrap_err(), Errno::EIO);
        assert_eq!(fs::create_dir("/data/a").await, Err(Errno::EIO));
    });
}
