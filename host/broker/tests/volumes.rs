//! What can be done in a volume, and that nothing outside of it is reached.

mod common;

use common::*;
use kernlet_wire::broker::{OpenFlags, Request};
use rustix::fs::{OFlags, fcntl_getfl};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

const CREATE: OpenFlags = OpenFlags(WRITE.0 | OpenFlags::CREATE.0);

#[test]
fn a_file_is_opened_with_the_access_that_was_asked_for_and_no_more() {
    let mut f = Fixture::new();
    let (mut file, handle) = f.open(0, "file", READ).unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!((text.as_str(), handle), ("contents", 0));
    assert!(file.write(b"x").is_err());
    let flags = fcntl_getfl(&file).unwrap();
    assert!(!flags.intersects(OFlags::NONBLOCK | OFlags::PATH | OFlags::RDWR | OFlags::WRONLY));
    let (mut file, _) = f.open(0, "file", WRITE).unwrap();
    assert!(file.read(&mut [0]).is_err());
    assert_eq!(f.open(0, "file", OpenFlags(0)).unwrap_err(), EINVAL);
    assert_eq!(f.open(0, "file", READ.with(OpenFlags::TRUNCATE, true)).unwrap_err(), EINVAL);
    assert_eq!(f.open(9, "file", READ).unwrap_err(), ENODEV);
}

#[test]
fn files_are_created_cut_appended_to_and_not_created_twice() {
    let mut f = Fixture::new();
    let (mut file, _) = f.open(0, "sub/new", CREATE).unwrap();
    file.write_all(b"one").unwrap();
    let (mut file, _) = f.open(0, "sub/new", WRITE.with(OpenFlags::APPEND, true)).unwrap();
    file.write_all(b"two").unwrap();
    assert_eq!(std::fs::read(f.inside("sub/new")).unwrap(), b"onetwo");
    f.open(0, "sub/new", WRITE.with(OpenFlags::TRUNCATE, true)).unwrap();
    assert_eq!(std::fs::read(f.inside("sub/new")).unwrap(), b"");
    assert_eq!(f.open(0, "sub/new", CREATE.with(OpenFlags::EXCLUSIVE, true)).unwrap_err(), EEXIST);
    assert_eq!(f.open(0, "none/new", CREATE).unwrap_err(), ENOENT);
    assert_eq!(f.open(0, "sub", CREATE).unwrap_err(), EISDIR);
}

#[test]
fn names_are_made_moved_linked_and_removed() {
    let mut f = Fixture::new();
    assert_eq!(f.done(Request::CreateDirectory { at: at("d"), mode: 0o755 }), Ok(Outcome::Done));
    assert_eq!(f.done(Request::CreateDirectory { at: at("d"), mode: 0o755 }), Err(EEXIST));
    assert_eq!(f.done(Request::Rename { from: at("file"), to: b"d/moved" }), Ok(Outcome::Done));
    assert_eq!(f.done(Request::Link { from: at("d/moved"), to: b"again" }), Ok(Outcome::Done));
    assert_eq!(f.done(Request::Symlink { at: at("link"), target: b"d/moved" }), Ok(Outcome::Done));
    let target = f.done(Request::ReadLink { at: at("link") });
    assert_eq!(target, Ok(Outcome::Target(b"d/moved".to_vec())));
    assert_eq!(f.done(Request::ReadLink { at: at("again") }), Err(EINVAL));
    let Ok(Outcome::Stat(stat)) = f.done(Request::Stat { at: at("link"), follow: true }) else { panic!() };
    assert_eq!((stat.size, stat.links, stat.mode & 0o170_000), (8, 2, 0o100_000));
    let Ok(Outcome::Stat(stat)) = f.done(Request::Stat { at: at("link"), follow: false }) else { panic!() };
    assert_eq!(stat.mode & 0o170_000, 0o120_000);
    assert_eq!(f.done(Request::RemoveDirectory { at: at("d") }), Err(39));
    assert_eq!(f.done(Request::RemoveFile { at: at("d") }), Err(EISDIR));
    assert_eq!(f.done(Request::RemoveFile { at: at("d/moved") }), Ok(Outcome::Done));
    assert_eq!(f.done(Request::RemoveDirectory { at: at("d") }), Ok(Outcome::Done));
    assert!(f.inside("again").exists() && !f.inside("d").exists());
}

#[test]
fn modes_times_and_lengths_are_set_and_read() {
    let mut f = Fixture::new();
    let set = Request::SetTimes { at: at("file"), accessed: None, modified: Some(1_500_000_000) };
    assert_eq!(f.done(set), Ok(Outcome::Done));
    assert_eq!(f.done(Request::Truncate { at: at("file"), length: 3 }), Ok(Outcome::Done));
    assert_eq!(f.done(Request::Truncate { at: at("sub"), length: 3 }), Err(EISDIR));
    assert_eq!(f.done(Request::SetMode { at: at("file"), mode: 0o6640 }), Ok(Outcome::Done));
    let about = std::fs::metadata(f.inside("file")).unwrap();
    assert_eq!((about.len(), about.mode() & 0o7777), (3, 0o640));
    let set = Request::SetTimes { at: at("file"), accessed: None, modified: Some(1_500_000_000) };
    assert_eq!(f.done(set), Ok(Outcome::Done));
    let about = std::fs::metadata(f.inside("file")).unwrap();
    assert_eq!((about.mtime(), about.mtime_nsec()), (1, 500_000_000));
    assert_eq!(f.done(Request::FileSystem { at: at("") }), Ok(Outcome::Other));
}

#[test]
fn no_program_of_an_instance_gets_another_s_rights() {
    let mut f = Fixture::new();
    let open = Request::Open { at: at("tool"), flags: CREATE, mode: 0o6777 };
    assert!(f.ask(open).0.is_ok());
    assert_eq!(f.done(Request::CreateDirectory { at: at("d"), mode: 0o6777 }), Ok(Outcome::Done));
    for path in ["tool", "d"] {
        assert_eq!(std::fs::metadata(f.inside(path)).unwrap().permissions().mode() & 0o6000, 0);
    }
}

#[test]
fn no_path_leads_out_of_a_volume() {
    let mut f = Fixture::new();
    let secret = f.outside("secret");
    symlink(&secret, f.inside("absolute"));
    symlink("../outside/secret", f.inside("relative"));
    symlink("../outside", f.inside("folder"));
    symlink("/proc/self/root", f.inside("magic"));
    let absolute = secret.to_str().unwrap();
    let paths = ["..", "../outside/secret", "sub/../../outside/secret", absolute, "absolute", "relative"];
    for path in paths.into_iter().chain(["folder/secret", "magic/etc/passwd", "/", "/etc/passwd"]) {
        assert!(f.open(0, path, READ).is_err(), "{path}");
        assert!(f.open(0, path, CREATE).is_err(), "{path}");
        assert_eq!(f.done(Request::Stat { at: at(path), follow: true }), Err(EACCES), "{path}");
        assert_eq!(f.done(Request::Truncate { at: at(path), length: 0 }), Err(EACCES), "{path}");
        assert_eq!(f.done(Request::SetMode { at: at(path), mode: 0 }), Err(EACCES), "{path}");
        let times = Request::SetTimes { at: at(path), accessed: Some(0), modified: Some(0) };
        assert_eq!(f.done(times), Err(EACCES), "{path}");
    }
    for path in ["folder/x", "../x", "sub/../../outside/x", "/tmp/kernlet-x", "..", "sub/..", ".", "sub/."] {
        assert!(f.done(Request::CreateDirectory { at: at(path), mode: 0o755 }).is_err(), "{path}");
        assert!(f.done(Request::Symlink { at: at(path), target: b"x" }).is_err(), "{path}");
        assert!(f.done(Request::Rename { from: at("file"), to: path.as_bytes() }).is_err(), "{path}");
        assert!(f.done(Request::Link { from: at("file"), to: path.as_bytes() }).is_err(), "{path}");
        assert!(f.done(Request::RemoveDirectory { at: at(path) }).is_err(), "{path}");
    }
    assert!(f.done(Request::RemoveFile { at: at("folder/secret") }).is_err());
    assert!(f.done(Request::Rename { from: at("folder/secret"), to: b"stolen" }).is_err());
    assert!(f.done(Request::Link { from: at("../outside/secret"), to: b"stolen" }).is_err());
    // A link to a link names the link, not what it leads to.
    assert_eq!(f.done(Request::Link { from: at("absolute"), to: b"second" }), Ok(Outcome::Done));
    assert_eq!(f.open(0, "second", READ).unwrap_err(), EACCES);
    assert_eq!(std::fs::read_dir(f.outside("")).unwrap().count(), 1);
    assert_eq!(std::fs::read(&secret).unwrap(), b"secret");
}

#[test]
fn a_directory_that_is_swapped_for_a_link_meanwhile_leads_nowhere() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let mut f = Fixture::new();
    std::fs::write(f.inside("sub/secret"), "public").unwrap();
    symlink("../outside", f.inside("trap"));
    let stop = AtomicBool::new(false);
    let (sub, trap) = (f.inside("sub"), f.inside("trap"));
    std::thread::scope(|scope| {
        let stop = &stop;
        scope.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let swap = rustix::fs::RenameFlags::EXCHANGE;
                rustix::fs::renameat_with(rustix::fs::CWD, &sub, rustix::fs::CWD, &trap, swap).unwrap();
            }
        });
        let (mut opened, mut made) = (0, 0);
        for round in 0..3000 {
            for path in ["sub/secret", "sub/../sub/secret"] {
                if let Ok((mut file, _)) = f.open(0, path, READ) {
                    let mut text = String::new();
                    file.read_to_string(&mut text).unwrap();
                    assert_eq!(text, "public");
                    opened += 1;
                }
            }
            let name = format!("sub/made{round}");
            made += usize::from(f.open(0, &name, CREATE).is_ok());
            made += usize::from(f.done(Request::RemoveFile { at: at(&name) }).is_ok());
        }
        stop.store(true, Ordering::Relaxed);
        assert!(opened > 0 && made > 0);
    });
    assert_eq!(std::fs::read_dir(f.outside("")).unwrap().count(), 1);
}

#[test]
fn a_volume_that_is_read_only_is_not_written() {
    let mut f = Fixture::new();
    assert!(f.open(1, "file", READ).is_ok());
    assert_eq!(f.open(1, "file", WRITE).unwrap_err(), EROFS);
    assert_eq!(f.open(1, "new", CREATE).unwrap_err(), EROFS);
    let x = read_only("file");
    let requests = [
        Request::CreateDirectory { at: read_only("d"), mode: 0 },
        Request::RemoveFile { at: x },
        Request::RemoveDirectory { at: read_only("sub") },
        Request::Rename { from: x, to: b"y" },
        Request::Link { from: x, to: b"y" },
        Request::Symlink { at: read_only("y"), target: b"x" },
        Request::SetMode { at: x, mode: 0 },
        Request::SetTimes { at: x, accessed: Some(0), modified: Some(0) },
        Request::Truncate { at: x, length: 0 },
    ];
    for request in requests {
        assert_eq!(f.done(request), Err(EROFS), "{request:?}");
    }
}

#[test]
fn pipes_devices_and_sockets_are_not_opened() {
    let mut f = Fixture::new();
    let pipe = f.inside("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(f.inside("socket")).unwrap();
    for path in ["pipe", "socket"] {
        for flags in [READ, WRITE, OpenFlags(READ.0 | WRITE.0), CREATE] {
            assert_eq!(f.open(0, path, flags).unwrap_err(), EACCES, "{path}");
        }
    }
    let dev = kernlet_broker::Volume::open(0, "/dev".as_ref(), false).unwrap();
    let broker = kernlet_broker::Broker::new(vec![dev], Vec::new());
    let open = Request::Open { at: at("null"), flags: READ, mode: 0 };
    assert_eq!(ask(&broker, open).0, Err(EACCES));
    assert!(kernlet_broker::Volume::open(0, "/dev/null".as_ref(), false).is_err());
}

#[test]
fn a_file_volume_is_that_file() {
    let mut f = Fixture::new();
    let (mut file, _) = f.open(2, "", OpenFlags(READ.0 | WRITE.0)).unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "contents");
    f.open(2, "", CREATE.with(OpenFlags::TRUNCATE, true)).unwrap();
    assert_eq!(std::fs::read(f.inside("file")).unwrap(), b"");
    let this = kernlet_wire::broker::At { volume: 2, path: b"" };
    let Ok(Outcome::Stat(stat)) = f.done(Request::Stat { at: this, follow: true }) else { panic!() };
    assert_eq!(stat.mode & 0o170_000, 0o100_000);
    assert_eq!(f.done(Request::Truncate { at: this, length: 5 }), Ok(Outcome::Done));
    assert_eq!(f.done(Request::RemoveFile { at: this }), Err(EBUSY));
    assert_eq!(f.open(2, "x", READ).unwrap_err(), ENOTDIR);
    assert_eq!(f.open(2, "../sub", READ).unwrap_err(), ENOTDIR);
    assert_eq!(f.open(2, "", CREATE.with(OpenFlags::EXCLUSIVE, true)).unwrap_err(), EEXIST);
}

#[test]
fn directories_are_opened_for_reading_their_names() {
    let mut f = Fixture::new();
    for path in ["", "sub", "."] {
        let (folder, _) = f.open(0, path, READ.with(OpenFlags::DIRECTORY, true)).unwrap();
        assert!(folder.metadata().unwrap().is_dir(), "{path}");
    }
    assert_eq!(f.open(0, "file", READ.with(OpenFlags::DIRECTORY, true)).unwrap_err(), ENOTDIR);
    assert_eq!(f.open(0, "sub", WRITE).unwrap_err(), EISDIR);
}

#[test]
fn a_link_at_the_end_is_not_followed_when_asked() {
    let mut f = Fixture::new();
    symlink("file", f.inside("link"));
    assert!(f.open(0, "link", READ).is_ok());
    assert_eq!(f.open(0, "link", READ.with(OpenFlags::NO_FOLLOW, true)).unwrap_err(), ELOOP);
    assert_eq!(f.open(0, "link", CREATE.with(OpenFlags::EXCLUSIVE, true)).unwrap_err(), EEXIST);
}

#[test]
fn an_opened_file_is_synchronised_by_its_handle_until_that_is_closed() {
    let mut f = Fixture::new();
    let (_file, handle) = f.open(0, "file", WRITE).unwrap();
    assert_eq!(f.done(Request::Sync { handle, data_only: false }), Ok(Outcome::Done));
    assert_eq!(f.done(Request::Sync { handle, data_only: true }), Ok(Outcome::Done));
    assert_eq!(f.done(Request::Close { handle }), Ok(Outcome::Done));
    assert_eq!(f.done(Request::Close { handle }), Err(EBADF));
    assert_eq!(f.done(Request::Sync { handle, data_only: false }), Err(EBADF));
}

#[test]
fn handles_are_bounded_and_come_back_when_closed() {
    let mut f = Fixture::new();
    let mut handles = Vec::new();
    let error = loop {
        match f.open(0, "file", WRITE) {
            Ok((_, handle)) => handles.push(handle),
            Err(error) => break error,
        }
    };
    assert!(error == EMFILE && handles.len() <= kernlet_wire::broker::MAX_HANDLES);
    assert!(f.open(0, "file", READ).is_ok());
    assert_eq!(f.done(Request::Close { handle: handles[0] }), Ok(Outcome::Done));
    assert!(f.open(0, "file", WRITE).is_ok());
}
