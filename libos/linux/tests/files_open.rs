//! Opening, reading, writing, seeking, descriptors.

mod common;

use common::{CWD, Machine, o, run};

const EPERM: i64 = -1;
const ENOENT: i64 = -2;
const EBADF: i64 = -9;
const EAGAIN: i64 = -11;
const EACCES: i64 = -13;
const EEXIST: i64 = -17;
const EXDEV: i64 = -18;
const ENOTDIR: i64 = -20;
const EISDIR: i64 = -21;
const EINVAL: i64 = -22;
const ENOTTY: i64 = -25;
const ESPIPE: i64 = -29;
const ENXIO: i64 = -6;
const ENAMETOOLONG: i64 = -36;
const ELOOP: i64 = -40;

#[test]
fn files_of_the_image_are_read_by_every_path_that_leads_to_them() {
    run(async |m: Machine| {
        for path in ["/etc/motd", "//etc/./motd", "etc/motd", "/usr/motd", "/lib/../motd", "/../etc/motd"] {
            assert_eq!(m.text(path).await, "welcome\n", "{path}");
        }
        let big = m.get("/lib/big").await.unwrap();
        assert_eq!(big.len(), 50_000);
        assert!(big.iter().enumerate().all(|(i, &b)| b == i as u8));
    });
}

#[test]
fn what_is_wrong_with_a_path_is_said_as_linux_says_it() {
    run(async |m: Machine| {
        let errors = [
            ("", ENOENT),
            ("/none", ENOENT),
            ("/none/x", ENOENT),
            ("/etc/motd/x", ENOTDIR),
            ("/etc/motd/", ENOTDIR),
            ("/etc/motd/..", ENOTDIR),
            ("/loop", ELOOP),
            ("/.kernlet/rewrite", ENOENT),
            ("/.kernlet", ENOENT),
        ];
        for (path, error) in errors {
            assert_eq!(m.open(path, 0).await, error, "{path}");
        }
        assert_eq!(m.open(&format!("/{}", "x".repeat(256)), 0).await, ENAMETOOLONG);
        assert_eq!(m.open(&"/x".repeat(3000), 0).await, ENAMETOOLONG);
        assert_eq!(m.open("/etc", o::WRONLY).await, EISDIR);
        assert_eq!(m.open("/etc", o::CREAT).await, EISDIR);
        assert_eq!(m.open("/etc/motd", o::DIRECTORY).await, ENOTDIR);
        assert_eq!(m.open("/usr/motd", o::NOFOLLOW).await, ELOOP);
        assert_eq!(m.open("/etc/motd", o::CREAT | o::EXCL).await, EEXIST);
        assert_eq!(m.open("/usr/motd", o::CREAT | o::EXCL).await, EEXIST);
        assert_eq!(m.open("/etc/new/", o::CREAT).await, EISDIR);
        let etc = m.open("/etc", 0).await;
        assert_eq!(m.read(etc, 1).await, Err(EISDIR));
        assert!(!m.list("/").await.unwrap().contains(&".kernlet".to_owned()));
    });
}

#[test]
fn the_image_can_be_written_and_everybody_sees_it() {
    run(async |m: Machine| {
        let before = m.open("/usr/lib/big", o::RDONLY).await;
        let file = m.open("/lib/big", o::RDWR).await;
        assert_eq!(m.call(18, &[file, b"changed".as_ptr() as i64, 7, 20_000]).await, 7);
        let mut bytes = [0u8; 9];
        assert_eq!(m.call(17, &[before, bytes.as_mut_ptr() as i64, 9, 19_999]).await, 9);
        assert_eq!(&bytes, b"\x1fchanged\x27");
        m.close(before).await;
        m.close(file).await;
        assert_eq!(&m.get("/lib/big").await.unwrap()[20_000..20_007], b"changed");
        assert_eq!(m.put("/etc/motd", b"x").await, 1);
        assert_eq!(m.text("/usr/motd").await, "x");
        assert_eq!(m.put("/etc/new", b"new").await, 3);
        assert_eq!(m.list("/etc").await.unwrap(), ["motd", "new", "secret"]);
        assert_eq!(m.text("/tmp/sealed").await, "in the image");
        assert_eq!(m.stat("/tmp", true).await.unwrap().mode(), 0o041_777);
        let created = m.stat("/etc/new", true).await.unwrap();
        assert_eq!((created.mode(), created.size()), (0o100_644, 3));
    });
}

#[test]
fn reading_and_writing_go_on_where_they_were() {
    run(async |m: Machine| {
        let file = m.open("/tmp/x", o::RDWR | o::CREAT).await;
        assert_eq!(m.write(file, b"hello ").await, 6);
        assert_eq!(m.write(file, b"world").await, 5);
        assert_eq!(m.call(8, &[file, -5, 2]).await, 6);
        assert_eq!(m.read(file, 10).await.unwrap(), b"world");
        assert_eq!(m.read(file, 10).await.unwrap(), b"");
        assert_eq!(m.call(8, &[file, -1, 0]).await, EINVAL);
        assert_eq!(m.call(8, &[file, 100, 0]).await, 100);
        assert_eq!(m.write(file, b"!").await, 1);
        assert_eq!(m.fstat(file).await.unwrap().size(), 101);
        let appending = m.open("/tmp/x", o::WRONLY | o::APPEND).await;
        assert_eq!(m.call(8, &[appending, 0, 0]).await, 0);
        assert_eq!(m.write(appending, b"end").await, 3);
        assert_eq!(m.call(8, &[appending, 0, 1]).await, 104);
        assert_eq!(m.read(appending, 1).await, Err(EBADF));
        let reading = m.open("/tmp/x", o::RDONLY).await;
        assert_eq!(m.write(reading, b"x").await, EBADF);
        // Vectored.
        let (mut a, mut b) = ([0u8; 3], [0u8; 3]);
        let vector = [a.as_mut_ptr() as u64, 3, b.as_mut_ptr() as u64, 3];
        assert_eq!(m.call(19, &[reading, vector.as_ptr() as i64, 2]).await, 6);
        assert_eq!((&a, &b), (b"hel", b"lo "));
        assert_eq!(m.call(295, &[reading, vector.as_ptr() as i64, 2, 101]).await, 3);
        assert_eq!(&a, b"end");
        assert_eq!(m.call(295, &[reading, vector.as_ptr() as i64, 2, -1]).await, EINVAL);
        assert_eq!(m.call(327, &[reading, vector.as_ptr() as i64, 2, -1]).await, 6);
    });
}

#[test]
fn holes_are_found() {
    run(async |m: Machine| {
        let file = m.open("/tmp/holes", o::RDWR | o::CREAT).await;
        assert_eq!(m.call(18, &[file, b"x".as_ptr() as i64, 1, 1 << 20]).await, 1);
        assert_eq!(m.call(8, &[file, 0, 3]).await, 1 << 20);
        assert_eq!(m.call(8, &[file, 1 << 20, 4]).await, (1 << 20) + 1);
        assert_eq!(m.call(8, &[file, 1 << 21, 3]).await, ENXIO);
        assert_eq!(m.call(285, &[file, 3, 1 << 20, 4096]).await, 0);
        assert_eq!(m.call(8, &[file, 0, 3]).await, ENXIO);
        assert_eq!(m.call(285, &[file, 0, 0, 1 << 21]).await, 0);
        assert_eq!(m.fstat(file).await.unwrap().size(), 1 << 21);
        assert_eq!(m.call(285, &[file, 2, 0, 1]).await, -95);
        assert_eq!(m.call(77, &[file, 10]).await, 0);
        assert_eq!(m.call(77, &[file, -1]).await, EINVAL);
        assert_eq!(m.fstat(file).await.unwrap().size(), 10);
        assert_eq!(m.with(76, "/tmp", 0, &[0]).await, EISDIR);
    });
}

#[test]
fn descriptors_are_copied_and_closed() {
    run(async |m: Machine| {
        let file = m.open("/etc/motd", o::CLOEXEC).await;
        assert_eq!(file, 3);
        assert_eq!(m.call(72, &[file, 1]).await, 1);
        assert_eq!(m.call(32, &[file]).await, 4);
        assert_eq!(m.call(72, &[4, 1]).await, 0);
        assert_eq!(m.read(4, 3).await.unwrap(), b"wel");
        assert_eq!(m.read(3, 3).await.unwrap(), b"com");
        assert_eq!(m.call(33, &[3, 9]).await, 9);
        assert_eq!(m.call(292, &[3, 3, 0]).await, EINVAL);
        assert_eq!(m.call(33, &[3, 3]).await, 3);
        assert_eq!(m.call(33, &[77, 3]).await, EBADF);
        assert_eq!(m.call(72, &[3, 0, 20]).await, 20);
        assert_eq!(m.call(72, &[3, 1030, 20]).await, 21);
        assert_eq!(m.call(72, &[21, 1]).await, 1);
        assert_eq!(m.call(436, &[9, 20, 0]).await, 0);
        assert_eq!(m.call(72, &[20, 1]).await, EBADF);
        assert_eq!(m.call(72, &[21, 1]).await, 1);
        assert_eq!(m.call(436, &[5, 4, 0]).await, EINVAL);
        assert_eq!(m.close(9).await, EBADF);
        // F_GETFL tells what was opened, F_SETFL changes what may be changed.
        let file = m.open("/tmp/f", o::RDWR | o::CREAT | o::TRUNC).await;
        assert_eq!(m.call(72, &[file, 3]).await, 0o100_002);
        assert_eq!(m.call(72, &[file, 4, o::APPEND | o::NONBLOCK | o::WRONLY]).await, 0);
        assert_eq!(m.call(72, &[file, 3]).await, 0o100_002 | o::APPEND | o::NONBLOCK);
        assert_eq!(m.call(16, &[file, 0x5401, 0]).await, ENOTTY);
    });
}

#[test]
fn paths_begin_at_directories_that_are_open() {
    run(async |m: Machine| {
        let etc = m.open("/etc", o::PATH | o::DIRECTORY).await;
        let file = m.with(257, "motd", 1, &[etc, 0, 0]).await;
        assert_eq!(m.read(file, 99).await.unwrap(), b"welcome\n");
        assert_eq!(m.read(etc, 1).await, Err(EBADF));
        assert_eq!(m.with(257, "motd", 1, &[file, 0, 0]).await, ENOTDIR);
        assert_eq!(m.with(257, "motd", 1, &[99, 0, 0]).await, EBADF);
        assert_eq!(m.with(257, "/etc/motd", 1, &[99, 0, 0]).await, file + 1);
        // A directory that is moved takes what begins there along.
        assert_eq!(m.with(83, "/tmp/one", 0, &[0o777]).await, 0);
        assert_eq!(m.put("/tmp/one/x", b"inside").await, 6);
        let one = m.open("/tmp/one", o::DIRECTORY).await;
        assert_eq!(m.with(80, "/tmp/one", 0, &[]).await, 0);
        assert_eq!(m.two(82, "/tmp/one", "/tmp/two").await, 0);
        assert!(m.with(257, "x", 1, &[one, 0, 0]).await > 0);
        assert_eq!(m.text("x").await, "inside");
        let mut path = [0u8; 64];
        assert_eq!(m.call(79, &[path.as_mut_ptr() as i64, 64]).await, 9);
        assert_eq!(&path[..9], b"/tmp/two\0");
        assert_eq!(m.call(79, &[path.as_mut_ptr() as i64, 8]).await, -34);
        assert_eq!(m.link_of("/proc/self/cwd").await.unwrap(), "/tmp/two");
        assert_eq!(m.call(81, &[etc]).await, 0);
        assert_eq!(m.text("motd").await, "welcome\n");
        assert_eq!(m.with(80, "/etc/motd", 0, &[]).await, ENOTDIR);
    });
}

#[test]
fn openat2_keeps_a_path_where_it_belongs() {
    run(async |m: Machine| {
        let usr = m.open("/usr", o::DIRECTORY).await;
        let open = async |path: &str, resolve: u64| {
            let how = [0u64, 0, resolve];
            let opened = m.with(437, path, 1, &[usr, how.as_ptr() as i64, 24]).await;
            if opened >= 0 {
                m.close(opened).await;
                return 0;
            }
            opened
        };
        assert_eq!(open("lib/big", 8).await, 0);
        assert_eq!(open("../etc/motd", 8).await, EXDEV);
        assert_eq!(open("/etc/motd", 8).await, EXDEV);
        assert_eq!(open("motd", 8).await, EXDEV);
        assert_eq!(open("motd", 0).await, 0);
        assert_eq!(open("motd", 4).await, ELOOP);
        assert_eq!(open("../../lib/big", 16).await, 0);
        assert_eq!(open("/lib/big", 16).await, 0);
        assert_eq!(open("motd", 16).await, ENOENT);
        assert_eq!(open("../proc/self/stat", 1).await, EXDEV);
        assert_eq!(open("lib", 24).await, EINVAL);
        assert_eq!(open("lib", 1 << 40).await, EINVAL);
        let how = [0u64, 0o777, 0];
        assert_eq!(m.with(437, "lib", 1, &[usr, how.as_ptr() as i64, 24]).await, EINVAL);
        assert_eq!(m.with(437, "lib", 1, &[usr, how.as_ptr() as i64, 8]).await, EINVAL);
        let later = [0u64, 0, 0, 1];
        assert_eq!(m.with(437, "lib", 1, &[usr, later.as_ptr() as i64, 32]).await, -7);
    });
}

#[test]
fn an_unnamed_file_gets_a_name_by_its_descriptor() {
    run(async |m: Machine| {
        let file = m.open("/tmp", o::TMPFILE | o::RDWR).await;
        assert_eq!(m.write(file, b"late").await, 4);
        assert_eq!(m.list("/tmp").await.unwrap(), ["sealed"]);
        let source = format!("/proc/self/fd/{file}\0");
        let target = "/tmp/named\0";
        let [source, target] = [source.as_ptr() as i64, target.as_ptr() as i64];
        assert_eq!(m.call(265, &[CWD, source, CWD, target, 0x400]).await, 0);
        assert_eq!(m.text("/tmp/named").await, "late");
    });
}

#[test]
fn an_ordinary_user_is_kept_out() {
    run(async |m: Machine| {
        assert_eq!(m.with(83, "/tmp/mine", 0, &[0o700]).await, 0);
        assert_eq!(m.put("/tmp/theirs", b"x").await, 1);
        m.become_user(1000, 1000);
        assert_eq!(m.open("/etc/secret", 0).await, EACCES);
        assert_eq!(m.open("/etc/motd", o::WRONLY).await, EACCES);
        assert_eq!(m.open("/etc/new", o::CREAT | o::WRONLY).await, EACCES);
        assert_eq!(m.open("/tmp/mine/x", 0).await, EACCES);
        assert_eq!(m.text("/etc/motd").await, "welcome\n");
        assert_eq!(m.put("/tmp/own", b"x").await, 1);
        assert_eq!(m.stat("/tmp/own", true).await.unwrap().owner(), (1000, 1000));
        // The sticky bit of /tmp.
        assert_eq!(m.with(87, "/tmp/theirs", 0, &[]).await, EPERM);
        assert_eq!(m.with(87, "/tmp/own", 0, &[]).await, 0);
        assert_eq!(m.with(90, "/etc/motd", 0, &[0o777]).await, EPERM);
        assert_eq!(m.with(21, "/etc/secret", 0, &[4]).await, EACCES);
        assert_eq!(m.with(21, "/etc/motd", 0, &[4]).await, 0);
        assert_eq!(m.with(21, "/etc/motd", 0, &[2]).await, EACCES);
    });
}

#[test]
fn devices_behave_as_they_are_called() {
    run(async |m: Machine| {
        let null = m.open("/dev/null", o::RDWR).await;
        assert_eq!(m.read(null, 10).await.unwrap(), b"");
        assert_eq!(m.write(null, b"gone").await, 4);
        let zero = m.open("/dev/zero", o::RDONLY).await;
        assert_eq!(m.read(zero, 5000).await.unwrap(), vec![0; 5000]);
        let full = m.open("/dev/full", o::RDWR).await;
        assert_eq!(m.write(full, b"x").await, -28);
        let random = m.open("/dev/urandom", o::RDONLY).await;
        let (one, other) = (m.read(random, 600).await.unwrap(), m.read(random, 600).await.unwrap());
        assert_eq!(one.len(), 600);
        assert_ne!(one, other);
        assert_ne!(one[..256], one[256..512]);
        let about = m.stat("/dev/null", true).await.unwrap();
        assert_eq!((about.mode(), about.0[5]), (0o020_666, 0x103));
        assert_eq!(m.open("/dev/tty", o::RDWR).await, ENXIO);
        assert_eq!(m.call(8, &[1, 0, 0]).await, ESPIPE);
        assert_eq!(m.put("/dev/shm/x", b"shared").await, 6);
        assert_eq!(m.open("/dev/stdout", o::WRONLY).await, 7);
        // Made elsewhere, as for a jail.
        assert_eq!(m.with(133, "/tmp/null", 0, &[0o020_666, 0x103]).await, 0);
        assert_eq!(m.put("/tmp/null", b"gone").await, 4);
        assert_eq!(m.with(133, "/tmp/disk", 0, &[0o020_666, 0x805]).await, EPERM);
    });
}

#[test]
fn pipes_carry_bytes_in_order_and_end_with_their_writers() {
    run(async |m: Machine| {
        let mut ends = [0i32; 2];
        assert_eq!(m.call(293, &[ends.as_mut_ptr() as i64, o::NONBLOCK]).await, 0);
        let (reading, writing) = (i64::from(ends[0]), i64::from(ends[1]));
        assert_eq!(m.read(reading, 10).await, Err(EAGAIN));
        assert_eq!(m.write(writing, b"hello").await, 5);
        let mut there = 0u32;
        assert_eq!(m.call(16, &[reading, 0x541b, &raw mut there as i64]).await, 0);
        assert_eq!(there, 5);
        assert_eq!(m.read(reading, 3).await.unwrap(), b"hel");
        assert_eq!(m.read(reading, 9).await.unwrap(), b"lo");
        assert_eq!(m.call(72, &[writing, 1032]).await, 65_536);
        assert_eq!(m.write(writing, &vec![7; 100_000]).await, 65_536);
        assert_eq!(m.write(writing, b"x").await, EAGAIN);
        assert_eq!(m.read(reading, 100).await.unwrap().len(), 100);
        // A short write is whole or not at all.
        assert_eq!(m.write(writing, &[1; 101]).await, EAGAIN);
        assert_eq!(m.write(writing, &[1; 100]).await, 100);
        assert_eq!(m.call(72, &[writing, 1031, 4096]).await, -16);
        assert_eq!(m.call(72, &[writing, 1031, 100_000]).await, 131_072);
        m.close(writing).await;
        assert_eq!(m.read(reading, 100_000).await.unwrap().len(), 65_536);
        assert_eq!(m.read(reading, 10).await.unwrap(), b"");
        assert_eq!(m.call(8, &[reading, 0, 0]).await, ESPIPE);
    });
}

#[test]
fn who_writes_waits_for_who_reads() {
    run(async |m: Machine| {
        let mut ends = [0i32; 2];
        assert_eq!(m.call(22, &[ends.as_mut_ptr() as i64]).await, 0);
        let (reading, writing) = (i64::from(ends[0]), i64::from(ends[1]));
        let other = Machine { thread: m.thread.clone() };
        let writer = kernlet_exec::spawn("writer", async move {
            let bytes: Vec<u8> = (0..200_000u32).map(|i| (i / 7) as u8).collect();
            let written = other.write(writing, &bytes).await;
            other.close(writing).await;
            written
        });
        let mut all = Vec::new();
        loop {
            match m.read(reading, 30_000).await.unwrap() {
                bytes if bytes.is_empty() => break,
                bytes => all.extend(bytes),
            }
        }
        assert_eq!(writer.join().await, Some(200_000));
        assert!(all.iter().enumerate().all(|(i, &b)| b == (i as u32 / 7) as u8));
        assert_eq!(all.len(), 200_000);
    });
}

#[test]
fn a_named_pipe_is_opened_when_both_ends_are() {
    run(async |m: Machine| {
        assert_eq!(m.with(133, "/tmp/fifo", 0, &[0o010_644, 0]).await, 0);
        assert_eq!(m.stat("/tmp/fifo", true).await.unwrap().mode(), 0o010_644);
        assert_eq!(m.open("/tmp/fifo", o::WRONLY | o::NONBLOCK).await, ENXIO);
        let other = Machine { thread: m.thread.clone() };
        let writer = kernlet_exec::spawn("writer", async move {
            let end = other.open("/tmp/fifo", o::WRONLY).await;
            other.write(end, b"through").await;
            other.close(end).await
        });
        let end = m.open("/tmp/fifo", o::RDONLY).await;
        assert_eq!(m.read(end, 100).await.unwrap(), b"through");
        assert_eq!(writer.join().await, Some(0));
        assert_eq!(m.read(end, 100).await.unwrap(), b"");
    });
}
