//! Volumes in a VM: this library against a 9P server in the test.

mod common;

use common::server::{Node, Server};
use kernlet_exec::{block_on, spawn};
use kernlet_fs as fs;
use kernlet_fs::{File, FileType, OpenOptions};
use kernlet_platform::{Errno, boot, p9};
use kernlet_wire::boot::{Blob, BlobWriter, Mount};
use proptest::prelude::*;
use std::cell::RefCell;
use std::rc::Rc;

/// A volume at `/data`.
fn mount(mut answer: impl FnMut(&[u8]) -> Vec<u8> + 'static) {
    let mut blob = BlobWriter::new();
    blob.mount(Mount { id: 0, path: "/data", read_only: false, file: false });
    boot::set_blob(Blob::parse(Vec::leak(blob.finish())).unwrap());
    p9::serve("vol0", Box::new(move |message| answer(message)));
}

fn start() -> Rc<RefCell<Server>> {
    let mut server = Server::new();
    server.put(0, "file", Node::File(b"contents".to_vec()));
    let sub = server.put(0, "sub", Node::Directory(Default::default()));
    server.put(sub, "inner", Node::File(b"inner".to_vec()));
    server.put(0, "link", Node::Link(b"./sub/../sub/inner".to_vec()));
    server.put(0, "folder", Node::Link(b"sub".to_vec()));
    server.put(0, "out", Node::Link(b"../etc/passwd".to_vec()));
    server.put(0, "absolute", Node::Link(b"/data/file".to_vec()));
    server.put(0, "loop", Node::Link(b"loop".to_vec()));
    server.put(0, "dangling", Node::Link(b"sub/made".to_vec()));
    server.put(0, "pipe", Node::Pipe);
    let mut deep = sub;
    for _ in 0..40 {
        deep = server.put(deep, "d", Node::Directory(Default::default()));
    }
    server.put(deep, "end", Node::File(b"deep".to_vec()));
    let server = Rc::new(RefCell::new(server));
    let shared = server.clone();
    mount(move |message| shared.borrow_mut().answer(message));
    server
}

/// What the server still knows besides the root, after the client had a chance to give all back.
async fn left(server: &Rc<RefCell<Server>>) -> usize {
    let _ = fs::metadata("/data/none").await;
    server.borrow().fids.len() - 1
}

#[test]
fn files_are_read_and_written_in_pieces_that_fit_a_message() {
    let server = start();
    block_on(async move {
        assert_eq!(fs::read("/data/file").await.unwrap(), b"contents");
        let large: Vec<u8> = (0..100_000u32).map(|i| (i % 251) as u8).collect();
        fs::write("/data/sub/large", &large).await.unwrap();
        assert_eq!(fs::read("/data/sub/large").await.unwrap(), large);
        let mut file = OpenOptions::new().read(true).append(true).open("/data/file").await.unwrap();
        file.write_all(b"!").await.unwrap();
        file.sync_all().await.unwrap();
        file.set_len(20).await.unwrap();
        let about = file.metadata().await.unwrap();
        assert_eq!((about.len(), about.device, about.is_file()), (20, 2, true));
        fs::write("/data/file", "short").await.unwrap();
        assert_eq!(file.metadata().await.unwrap().len(), 5);
        assert_eq!(server.borrow().syncs, 1);
        drop(file);
        assert_eq!(left(&server).await, 0);
    });
}

#[test]
fn links_are_followed_as_far_as_the_volume_goes() {
    let server = start();
    block_on(async move {
        assert_eq!(fs::read("/data/link").await.unwrap(), b"inner");
        assert_eq!(fs::read("/data/folder/inner").await.unwrap(), b"inner");
        assert_eq!(fs::read_link("/data/link").await.unwrap(), "./sub/../sub/inner");
        assert!(fs::symlink_metadata("/data/loop").await.unwrap().is_symlink());
        for path in ["/data/out", "/data/absolute"] {
            assert_eq!(fs::read(path).await.unwrap_err(), Errno::EACCES);
        }
        assert_eq!(fs::read("/data/loop").await.unwrap_err(), Errno::ELOOP);
        assert_eq!(fs::read("/data/dangling").await.unwrap_err(), Errno::ENOENT);
        fs::write("/data/dangling", "made").await.unwrap();
        assert_eq!(fs::read("/data/sub/made").await.unwrap(), b"made");
        let deep = format!("/data/folder/{}end", "d/".repeat(40));
        assert_eq!(fs::read(deep).await.unwrap(), b"deep");
        assert_eq!(left(&server).await, 0);
    });
}

#[test]
fn names_are_listed_made_moved_and_removed() {
    let server = start();
    block_on(async move {
        fs::create_dir_all("/data/a/b").await.unwrap();
        fs::rename("/data/file", "/data/a/b/moved").await.unwrap();
        fs::hard_link("/data/a/b/moved", "/data/second").await.unwrap();
        fs::symlink("second", "/data/new").await.unwrap();
        assert_eq!(fs::read("/data/new").await.unwrap(), b"contents");
        assert_eq!(fs::remove_dir("/data/a").await, Err(Errno::ENOTEMPTY));
        assert_eq!(fs::remove_file("/data/a").await, Err(Errno::EISDIR));
        fs::remove_file("/data/a/b/moved").await.unwrap();
        fs::remove_dir("/data/a/b").await.unwrap();
        assert!(!fs::exists("/data/a/b").await.unwrap());
        for i in 0..700 {
            fs::create_dir(format!("/data/a/a-long-enough-name-{i:03}")).await.unwrap();
        }
        let listed = fs::read_dir("/data/a").await.unwrap();
        assert!(listed.len() == 700 && listed[699].file_name() == "a-long-enough-name-699");
        let kinds = fs::read_dir("/data").await.unwrap();
        let kind = |name: &str| kinds.iter().find(|e| e.file_name() == name).unwrap().file_type();
        assert_eq!(
            (kind("sub"), kind("new"), kind("pipe")),
            (FileType::Directory, FileType::Symlink, FileType::Other)
        );
        fs::set_mode("/data/second", 0o6600).await.unwrap();
        fs::set_times("/data/second", None, Some(1_500_000_000)).await.unwrap();
        let about = fs::metadata("/data/second").await.unwrap();
        assert_eq!((about.mode & 0o7777, about.modified), (0o600, 1_500_000_000));
        assert!(fs::space("/data").await.unwrap().total > 0);
        assert_eq!(left(&server).await, 0);
    });
}

#[test]
fn errors_are_the_same_as_on_the_process_door() {
    start();
    block_on(async {
        assert_eq!(fs::read("/data/none").await.unwrap_err(), Errno::ENOENT);
        assert_eq!(fs::read("/data/none/x").await.unwrap_err(), Errno::ENOENT);
        assert_eq!(fs::read("/data/file/x").await.unwrap_err(), Errno::ENOTDIR);
        assert_eq!(fs::read("/data/sub").await.unwrap_err(), Errno::EISDIR);
        assert_eq!(fs::read("/data/pipe").await.unwrap_err(), Errno::EACCES);
        assert_eq!(fs::read_dir("/data/file").await.unwrap_err(), Errno::ENOTDIR);
        assert_eq!(fs::create_dir("/data/sub").await, Err(Errno::EEXIST));
        let new = OpenOptions::new().write(true).create_new(true).open("/data/file").await;
        assert_eq!(new.unwrap_err(), Errno::EEXIST);
    });
}

#[test]
fn tasks_share_the_device_s_few_slots() {
    let server = start();
    block_on(async move {
        let tasks: Vec<_> = (0..100)
            .map(|i| {
                spawn("task", async move {
                    let path = format!("/data/sub/{i}");
                    fs::write(&path, i.to_string()).await.unwrap();
                    fs::read_to_string(&path).await.unwrap()
                })
            })
            .collect();
        for (i, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.join().await, Some(i.to_string()));
        }
        let files = (0..50).map(|_| spawn("open", async { File::open("/data/file").await.unwrap() }));
        for task in files.collect::<Vec<_>>() {
            drop(task.join().await);
        }
        assert_eq!(left(&server).await, 0);
    });
}

#[test]
fn a_size_that_is_a_lie_costs_no_memory() {
    let mut server = Server::new();
    server.put(0, "file", Node::File(b"contents".to_vec()));
    let boasting = move |message: &[u8]| {
        let mut reply = server.answer(message);
        if reply[4] == 25 {
            // In the reply to a request for attributes: a size of 2 GiB.
            reply[56..64].copy_from_slice(&(2u64 << 30).to_le_bytes());
        }
        reply
    };
    mount(boasting);
    block_on(async {
        assert_eq!(fs::read("/data/file").await.unwrap(), b"contents");
    });
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kibibytes: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kibibytes < 1 << 20, "{kibibytes} KiB were touched");
}

#[test]
fn a_server_that_refuses_every_session_is_asked_again_and_again() {
    let mut server = Server::new();
    server.put(0, "file", Node::File(b"contents".to_vec()));
    let mut refusals = 0;
    let moody = move |message: &[u8]| {
        refusals += 1;
        if refusals <= 100 { Vec::new() } else { server.answer(message) }
    };
    mount(moody);
    block_on(async {
        for _ in 0..100 {
            assert_eq!(fs::read("/data/file").await, Err(Errno::EIO));
        }
        assert_eq!(fs::read("/data/file").await.unwrap(), b"contents");
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_bytes_make_the_reader_of_replies_panic(
        kind in any::<u8>(), body in proptest::collection::vec(any::<u8>(), 0..200), cut in 0u32..8
    ) {
        let size = (body.len() as u32 + 7).wrapping_sub(cut);
        let message = [&size.to_le_bytes()[..], &[kind, 1, 0], &body].concat();
        fs::p9::exercise(&message);
        fs::p9::exercise(&body);
    }

    #[test]
    fn a_server_that_lies_makes_errors_and_no_panic(
        lies in proptest::collection::vec((0usize..40, any::<u8>()), 1..60), after in 0usize..12
    ) {
        // The session's own thread, so that each case starts from nothing.
        std::thread::spawn(move || {
            let mut server = Server::new();
            let sub = server.put(0, "sub", Node::Directory(Default::default()));
            server.put(sub, "file", Node::File(b"contents".to_vec()));
            server.put(0, "link", Node::Link(b"sub".to_vec()));
            let mut count = 0;
            let lying = move |message: &[u8]| {
                let mut reply = server.answer_leniently(message);
                count += 1;
                if count > after + 2 {
                    let (at, value) = lies[count % lies.len()];
                    // Tag and kind stay right, or nothing else of the reply is read.
                    if let Some(byte) = reply.get_mut(if at < 7 { at % 4 } else { at }) {
                        *byte = value;
                    }
                }
                reply
            };
            mount(lying);
            block_on(async {
                let _ = fs::read("/data/link/file").await;
                let _ = fs::read_dir("/data/sub").await;
                let _ = fs::metadata("/data/link").await;
                let _ = fs::write("/data/sub/new", "x").await;
                let _ = fs::remove_file("/data/sub/new").await;
                let _ = fs::space("/data").await;
            });
        })
        .join()
        .unwrap();
    }
}
