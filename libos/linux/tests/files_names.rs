//! Names: making, removing, moving; attributes; locks; what is told of changes.

mod common;

use common::{CWD, Machine, o, run};
use std::ffi::CString;

const EPERM: i64 = -1;
const ENOENT: i64 = -2;
const EAGAIN: i64 = -11;
const EBUSY: i64 = -16;
const EEXIST: i64 = -17;
const EXDEV: i64 = -18;
const ENOTDIR: i64 = -20;
const EISDIR: i64 = -21;
const EINVAL: i64 = -22;
const EROFS: i64 = -30;
const ERANGE: i64 = -34;
const ENOTEMPTY: i64 = -39;
const ENODATA: i64 = -61;
const EOPNOTSUPP: i64 = -95;

#[test]
fn names_of_the_image_go_and_come_back_as_others() {
    run(async |m: Machine| {
        assert_eq!(m.with(87, "/etc/motd", 0, &[]).await, 0);
        assert_eq!(m.open("/etc/motd", 0).await, ENOENT);
        assert_eq!(m.list("/etc").await.unwrap(), ["secret"]);
        assert_eq!(m.with(87, "/etc/motd", 0, &[]).await, ENOENT);
        assert_eq!(m.put("/etc/motd", b"second").await, 6);
        assert_eq!(m.text("/etc/motd").await, "second");
        assert_eq!(m.with(84, "/etc", 0, &[]).await, ENOTEMPTY);
        assert_eq!(m.with(87, "/etc", 0, &[]).await, EISDIR);
        assert_eq!(m.with(84, "/etc/motd", 0, &[]).await, ENOTDIR);
        assert_eq!(m.with(87, "/etc/motd", 0, &[]).await, 0);
        assert_eq!(m.with(87, "/etc/secret", 0, &[]).await, 0);
        assert_eq!(m.with(84, "/etc", 0, &[]).await, 0);
        assert_eq!(m.stat("/etc", true).await, Err(ENOENT));
        // What is made in its place is empty.
        assert_eq!(m.with(83, "/etc", 0, &[0o755]).await, 0);
        assert_eq!(m.list("/etc").await.unwrap(), Vec::<String>::new());
        for (path, error) in [("/dev/shm", EBUSY), ("/", EBUSY), ("/proc", EBUSY), ("/etc/.", EINVAL)] {
            assert_eq!(m.with(84, path, 0, &[]).await, error, "{path}");
        }
    });
}

#[test]
fn directories_that_were_removed_around_the_working_one_go_however_deep() {
    run(async |m: Machine| {
        assert_eq!(m.with(80, "/tmp", 0, &[]).await, 0);
        for _ in 0..20_000 {
            assert_eq!(m.with(83, "d", 0, &[0o700]).await, 0);
            assert_eq!(m.with(80, "d", 0, &[]).await, 0);
        }
        let innermost = m.open(".", o::DIRECTORY).await;
        for _ in 0..20_000 {
            assert_eq!(m.with(80, "..", 0, &[]).await, 0);
            assert_eq!(m.with(84, "d", 0, &[]).await, 0);
        }
        assert_eq!(m.with(257, "..", 1, &[innermost, 0, 0]).await, innermost + 1);
        assert_eq!(m.close(innermost + 1).await, 0);
        assert_eq!(m.close(innermost).await, 0);
        assert_eq!(m.list("/tmp").await.unwrap(), ["sealed"]);
    });
}

#[test]
fn a_file_that_lost_its_name_lives_on() {
    run(async |m: Machine| {
        let file = m.open("/etc/motd", o::RDWR).await;
        let inode = m.fstat(file).await.unwrap().inode();
        assert_eq!(m.with(87, "/etc/motd", 0, &[]).await, 0);
        assert_eq!(m.write(file, b"W").await, 1);
        let about = m.fstat(file).await.unwrap();
        assert_eq!((about.links(), about.inode(), about.size()), (0, inode, 8));
        assert_eq!(m.link_of(&format!("/proc/self/fd/{file}")).await.unwrap(), "/etc/motd (deleted)");
        assert_eq!(m.text(&format!("/proc/self/fd/{file}")).await, "Welcome\n");
    });
}

#[test]
fn renaming_replaces_keeps_and_exchanges() {
    run(async |m: Machine| {
        let rename = async |from: &str, to: &str, flags: i64| {
            let (from, to) = (CString::new(from).unwrap(), CString::new(to).unwrap());
            m.call(316, &[CWD, from.as_ptr() as i64, CWD, to.as_ptr() as i64, flags]).await
        };
        assert_eq!(m.put("/etc/new", b"new").await, 3);
        assert_eq!(rename("/etc/new", "/etc/motd", 1).await, EEXIST);
        assert_eq!(rename("/etc/new", "/etc/motd", 2).await, 0);
        assert_eq!(m.text("/etc/new").await, "welcome\n");
        assert_eq!(rename("/etc/new", "/etc/motd", 0).await, 0);
        assert_eq!(m.text("/etc/motd").await, "welcome\n");
        assert_eq!(m.open("/etc/new", 0).await, ENOENT);
        // A directory of the image with all that is in it.
        assert_eq!(rename("/usr", "/etc/usr", 0).await, 0);
        assert_eq!(m.get("/etc/usr/lib/big").await.unwrap().len(), 50_000);
        assert_eq!(m.open("/usr", 0).await, ENOENT);
        assert_eq!(rename("/etc", "/etc/usr/inside", 0).await, EINVAL);
        assert_eq!(rename("/etc/usr/lib", "/etc/motd", 0).await, ENOTDIR);
        assert_eq!(rename("/etc/motd", "/etc/usr/lib", 0).await, EISDIR);
        assert_eq!(rename("/etc/usr/lib", "/etc", 0).await, ENOTEMPTY);
        assert_eq!(rename("/etc/motd", "/dev/shm/motd", 0).await, EXDEV);
        assert_eq!(rename("/dev/shm", "/dev/x", 0).await, EBUSY);
        assert_eq!(rename("/etc/.", "/x", 0).await, EBUSY);
        assert_eq!(rename("/none", "/x", 0).await, ENOENT);
        assert_eq!(rename("/etc/motd", "/etc/motd", 8).await, EINVAL);
    });
}

#[test]
fn links_of_both_kinds_are_made() {
    run(async |m: Machine| {
        assert_eq!(m.two(86, "/etc/motd", "/etc/second").await, 0);
        assert_eq!(m.stat("/etc/motd", true).await.unwrap().links(), 2);
        assert_eq!(m.put("/etc/second", b"both").await, 4);
        assert_eq!(m.text("/etc/motd").await, "both");
        assert_eq!(m.two(86, "/etc", "/etc2").await, EPERM);
        assert_eq!(m.two(86, "/etc/motd", "/dev/shm/motd").await, EXDEV);
        assert_eq!(m.two(88, "second", "/etc/link").await, 0);
        assert_eq!(m.two(88, "second", "/etc/link").await, EEXIST);
        assert_eq!(m.link_of("/etc/link").await.unwrap(), "second");
        assert_eq!(m.text("/etc/link").await, "both");
        assert_eq!(m.stat("/etc/link", false).await.unwrap().mode(), 0o120_777);
        assert_eq!(m.link_of("/etc/motd").await, Err(EINVAL));
        // Through a link that leads nowhere yet a file is made.
        assert_eq!(m.two(88, "/etc/later", "/tmp/later").await, 0);
        assert_eq!(m.put("/tmp/later", b"made").await, 4);
        assert_eq!(m.text("/etc/later").await, "made");
    });
}

#[test]
fn mode_owner_and_times_are_changed_on_files_of_the_image() {
    run(async |m: Machine| {
        assert_eq!(m.with(90, "/usr/motd", 0, &[0o640]).await, 0);
        assert_eq!(m.with(92, "/etc/motd", 0, &[5, 6]).await, 0);
        let times = [100u64, 5, 200, 0x3fff_fffe];
        assert_eq!(m.with(280, "/etc/motd", 1, &[CWD, times.as_ptr() as i64, 0]).await, 0);
        let about = m.stat("/etc/motd", true).await.unwrap();
        assert_eq!((about.mode(), about.owner()), (0o100_640, (5, 6)));
        assert_eq!((about.0[9], about.0[10]), (100, 5));
        assert_eq!(m.with(94, "/usr/motd", 0, &[7, -1]).await, 0);
        assert_eq!(m.stat("/usr/motd", false).await.unwrap().owner(), (7, 0));
        assert_eq!(m.stat("/etc/motd", true).await.unwrap().owner(), (5, 6));
        let wrong = [0u64, 1_000_000_000, 0, 0];
        assert_eq!(m.with(280, "/etc/motd", 1, &[CWD, wrong.as_ptr() as i64, 0]).await, EINVAL);
        assert_eq!(m.with(90, "/proc/self/stat", 0, &[0o777]).await, EPERM);
        assert_eq!(m.with(90, "/sys/devices", 0, &[0o777]).await, EROFS);
        assert_eq!(m.call(95, &[0o077]).await, 0o022);
        assert_eq!(m.put("/tmp/mine", b"").await, 0);
        assert_eq!(m.stat("/tmp/mine", true).await.unwrap().mode(), 0o100_600);
        // Writing takes the right to be another user away.
        assert_eq!(m.with(90, "/tmp/mine", 0, &[0o6711]).await, 0);
        assert_eq!(m.put("/tmp/mine", b"x").await, 1);
        assert_eq!(m.stat("/tmp/mine", true).await.unwrap().mode(), 0o100_711);
    });
}

#[test]
fn statx_tells_what_stat_tells() {
    run(async |m: Machine| {
        let mut x = [0u64; 32];
        let basic = 0x7ff;
        assert_eq!(m.with(332, "/etc/motd", 1, &[CWD, 0, basic, x.as_mut_ptr() as i64]).await, 0);
        let about = m.stat("/etc/motd", true).await.unwrap();
        assert_eq!(((x[3] >> 32) as u32, x[4], x[5]), (about.mode(), about.inode(), about.size()));
        let file = m.open("/etc/motd", o::PATH).await;
        assert_eq!(m.with(332, "", 1, &[file, 0x1000, basic, x.as_mut_ptr() as i64]).await, 0);
        assert_eq!(x[4], about.inode());
        assert_eq!(m.with(332, "", 1, &[file, 0, basic, x.as_mut_ptr() as i64]).await, ENOENT);
        assert_eq!(m.call(332, &[file, 0, 0x1000, basic, x.as_mut_ptr() as i64]).await, 0);
        assert_eq!(m.with(332, "x", 1, &[file, 0x6000, basic, x.as_mut_ptr() as i64]).await, EINVAL);
    });
}

#[test]
fn attributes_are_kept_with_files() {
    run(async |m: Machine| {
        let path = CString::new("/etc/motd").unwrap();
        let path = path.as_ptr() as i64;
        let set = async |name: &str, value: &str, flags: i64| {
            let name = CString::new(name).unwrap();
            m.call(188, &[path, name.as_ptr() as i64, value.as_ptr() as i64, value.len() as i64, flags]).await
        };
        let get = async |name: &str, room: usize| {
            let name = CString::new(name).unwrap();
            let mut value = vec![0u8; room];
            let to = value.as_mut_ptr() as i64;
            match m.call(191, &[path, name.as_ptr() as i64, to, room as i64]).await {
                length @ 0.. if room > 0 => Ok(value[..length as usize].to_vec()),
                other => Err(other),
            }
        };
        assert_eq!(get("user.x", 9).await, Err(ENODATA));
        assert_eq!(set("user.x", "value", 2).await, ENODATA);
        assert_eq!(set("user.x", "value", 0).await, 0);
        assert_eq!(set("user.x", "value", 1).await, EEXIST);
        assert_eq!(get("user.x", 9).await.unwrap(), b"value");
        assert_eq!(get("user.x", 0).await, Err(5));
        assert_eq!(get("user.x", 4).await, Err(ERANGE));
        assert_eq!(set("system.x", "value", 0).await, EOPNOTSUPP);
        assert_eq!(set("x", "value", 0).await, EOPNOTSUPP);
        let mut names = [0u8; 32];
        assert_eq!(m.call(194, &[path, names.as_mut_ptr() as i64, 32]).await, 7);
        assert_eq!(&names[..7], b"user.x\0");
        let name = CString::new("user.x").unwrap();
        assert_eq!(m.call(197, &[path, name.as_ptr() as i64]).await, 0);
        assert_eq!(m.call(197, &[path, name.as_ptr() as i64]).await, ENODATA);
        m.become_user(9, 9);
        assert_eq!(set("user.x", "value", 0).await, -13);
        assert_eq!(set("trusted.x", "value", 0).await, EPERM);
    });
}

#[test]
fn locks_keep_other_descriptions_out() {
    run(async |m: Machine| {
        let one = m.open("/tmp/lock", o::RDWR | o::CREAT).await;
        let other = m.open("/tmp/lock", o::RDWR).await;
        assert_eq!(m.call(73, &[one, 2]).await, 0);
        assert_eq!(m.call(73, &[other, 2 | 4]).await, EAGAIN);
        assert_eq!(m.call(73, &[other, 1 | 4]).await, EAGAIN);
        assert_eq!(m.call(73, &[one, 1]).await, 0);
        assert_eq!(m.call(73, &[other, 1 | 4]).await, 0);
        assert_eq!(m.call(73, &[one, 8]).await, 0);
        assert_eq!(m.call(73, &[one, 3]).await, EINVAL);
        // Whoever waits gets it when the description goes.
        let waiting = Machine { thread: m.thread.clone() };
        assert_eq!(m.call(73, &[other, 2]).await, 0);
        let waiter = kernlet_exec::spawn("waiter", async move { waiting.call(73, &[one, 2]).await });
        kernlet_exec::yield_now().await;
        assert!(!waiter.is_finished());
        m.close(other).await;
        assert_eq!(waiter.join().await, Some(0));

        let flock = |kind: u16, start: u64, length: u64| [u64::from(kind), start, length, 0];
        let other = m.open("/tmp/lock", o::RDWR).await;
        let lock = flock(1, 10, 10);
        assert_eq!(m.call(72, &[one, 37, lock.as_ptr() as i64]).await, 0);
        let wanted = flock(0, 0, 0);
        assert_eq!(m.call(72, &[other, 37, wanted.as_ptr() as i64]).await, EAGAIN);
        assert_eq!(m.call(72, &[other, 6, wanted.as_ptr() as i64]).await, EAGAIN);
        let mut asked = flock(0, 0, 0);
        assert_eq!(m.call(72, &[other, 36, asked.as_mut_ptr() as i64]).await, 0);
        assert_eq!((asked[0] as u16, asked[1], asked[2], asked[3] as i32), (1, 10, 10, -1));
        let before = flock(1, 0, 10);
        assert_eq!(m.call(72, &[other, 6, before.as_ptr() as i64]).await, 0);
        // Locks of one process do not meet.
        assert_eq!(m.call(72, &[one, 6, before.as_ptr() as i64]).await, 0);
        let free = flock(2, 0, 0);
        assert_eq!(m.call(72, &[one, 37, free.as_ptr() as i64]).await, 0);
        assert_eq!(m.call(72, &[other, 6, wanted.as_ptr() as i64]).await, 0);
        let reading = m.open("/tmp/lock", o::RDONLY).await;
        assert_eq!(m.call(72, &[reading, 6, lock.as_ptr() as i64]).await, -9);
    });
}

#[test]
fn changes_are_told_to_who_watches() {
    run(async |m: Machine| {
        let notify = m.call(294, &[o::NONBLOCK]).await;
        assert_eq!(m.with(254, "/tmp", 1, &[notify, 0xfff]).await, 1);
        assert_eq!(m.with(254, "/tmp", 1, &[notify, 0xfc0]).await, 1);
        assert_eq!(m.read(notify, 4096).await, Err(EAGAIN));
        assert_eq!(m.put("/tmp/x", b"x").await, 1);
        assert_eq!(m.two(82, "/tmp/x", "/tmp/y").await, 0);
        assert_eq!(m.with(87, "/tmp/y", 0, &[]).await, 0);
        assert_eq!(m.with(83, "/tmp/d", 0, &[0o700]).await, 0);
        let bytes = m.read(notify, 4096).await.unwrap();
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let mut events = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let length = word(at + 12) as usize;
            let name = bytes[at + 16..at + 16 + length].split(|&b| b == 0).next().unwrap();
            events.push((word(at), word(at + 4), word(at + 8), String::from_utf8(name.to_vec()).unwrap()));
            at += 16 + length;
        }
        let told: Vec<_> = events.iter().map(|(_, mask, _, name)| (*mask, name.as_str())).collect();
        let wanted = [(0x100, "x"), (0x40, "x"), (0x80, "y"), (0x200, "y"), (0x4000_0100, "d")];
        assert_eq!(told, wanted);
        assert_eq!(events[1].2, events[2].2);
        assert_eq!(m.call(255, &[notify, 1]).await, 0);
        assert_eq!(m.call(255, &[notify, 1]).await, EINVAL);
        // That the watch is gone is told, too.
        assert_eq!(m.read(notify, 10).await, Err(EINVAL));
        assert_eq!(m.read(notify, 16).await.unwrap()[4..8], 0x8000u32.to_le_bytes());
    });
}

#[test]
fn bytes_go_from_descriptor_to_descriptor() {
    run(async |m: Machine| {
        let source = m.open("/lib/big", o::RDONLY).await;
        let target = m.open("/tmp/copy", o::RDWR | o::CREAT).await;
        assert_eq!(m.call(40, &[target, source, 0, 100_000]).await, 50_000);
        assert_eq!(m.get("/tmp/copy").await.unwrap(), m.get("/lib/big").await.unwrap());
        let mut from = 49_990u64;
        assert_eq!(m.call(40, &[target, source, &raw mut from as i64, 100]).await, 10);
        assert_eq!(from, 50_000);
        assert_eq!(m.fstat(target).await.unwrap().size(), 50_010);
        let (mut from, mut to) = (5u64, 0u64);
        let offsets = [&raw mut from as i64, &raw mut to as i64];
        assert_eq!(m.call(326, &[source, offsets[0], target, offsets[1], 3, 0]).await, 3);
        assert_eq!((from, to), (8, 3));
        assert_eq!(&m.get("/tmp/copy").await.unwrap()[..4], b"\x05\x06\x07\x03");
        assert_eq!(m.call(326, &[target, offsets[0], target, offsets[1], 100, 0]).await, EINVAL);
        let mut ends = [0i32; 4];
        m.call(22, &[ends.as_mut_ptr() as i64]).await;
        m.call(22, &[ends[2..].as_mut_ptr() as i64]).await;
        let [reading, writing, second, behind] = ends.map(i64::from);
        let mut at = 100u64;
        assert_eq!(m.call(275, &[source, &raw mut at as i64, writing, 0, 50, 0]).await, 50);
        assert_eq!(at, 150);
        assert_eq!(m.call(276, &[reading, behind, 20, 0]).await, 20);
        assert_eq!(m.call(275, &[reading, 0, behind, 0, 5, 0]).await, 5);
        let wanted: Vec<u8> = (100..120).chain(100..105).collect();
        assert_eq!(m.read(second, 99).await.unwrap(), wanted);
        assert_eq!(m.call(275, &[reading, 0, target, 0, 99, 0]).await, 45);
        assert_eq!(m.call(275, &[reading, 0, behind, 0, 5, 2]).await, EAGAIN);
        assert_eq!(m.call(275, &[source, 0, target, 0, 5, 0]).await, EINVAL);
    });
}

#[test]
fn proc_tells_of_the_process_and_the_system() {
    run(async |m: Machine| {
        assert_eq!(m.link_of("/proc/self").await.unwrap(), "1");
        // Of the executable it is told where links lead to: by that a program finds its libraries ($ORIGIN).
        assert_eq!(m.put("/tmp/program", b"x").await, 1);
        assert_eq!(m.two(88, "program", "/tmp/alias").await, 0);
        let program = kernlet_linux::files::executable(&m.thread, b"/tmp/alias").await.unwrap();
        m.thread.process.executable.replace(Some(program));
        assert_eq!(m.link_of("/proc/self/exe").await.unwrap(), "/tmp/program");
        let status = m.text("/proc/self/status").await;
        assert!(status.contains("Pid:\t1\n") && status.contains("Threads:\t1\n"), "{status}");
        let stat = m.text("/proc/self/stat").await;
        assert_eq!(stat.rsplit(')').next().unwrap().split_whitespace().count(), 50, "{stat}");
        assert_eq!(m.text("/proc/self/statm").await.split_whitespace().count(), 7);
        assert!(m.text("/proc/mounts").await.contains("tmpfs /dev/shm tmpfs rw,noatime 0 0\n"));
        assert!(m.text("/proc/self/mountinfo").await.starts_with("20 1 0:20 / / rw,noatime - overlay"));
        assert!(m.text("/proc/meminfo").await.contains("MemTotal:"));
        assert!(m.text("/proc/cpuinfo").await.contains("processor\t: 0\n"));
        assert_eq!(m.text("/proc/sys/kernel/ostype").await, "Linux\n");
        assert_eq!(m.text("/sys/devices/system/cpu/online").await, "0\n");
        assert_eq!(m.text("/sys/fs/cgroup/memory.max").await, "max\n");
        assert_eq!(m.open("/sys/fs/cgroup/nothing", 0).await, ENOENT);
        let [one, other] =
            [m.text("/proc/sys/kernel/random/uuid").await, m.text("/proc/sys/kernel/random/uuid").await];
        assert!(one.len() == 37 && one != other && one.as_bytes()[14] == b'4');
        let boot = m.text("/proc/sys/kernel/random/boot_id").await;
        assert_eq!(boot, m.text("/proc/sys/kernel/random/boot_id").await);
        let names = m.list("/proc").await.unwrap();
        for name in ["1", "self", "cpuinfo", "sys", "mounts"] {
            assert!(names.contains(&name.to_owned()), "{name}");
        }
        assert_eq!(m.list("/proc/self/task").await.unwrap(), ["1"]);
        assert_eq!(m.list("/proc/self/fd").await.unwrap(), ["0", "1", "2", "3"]);
        assert_eq!(m.list("/sys/devices/system/cpu/cpu0/topology").await.unwrap().len(), 5);
        assert_eq!(m.put("/proc/self/comm", b"another\n").await, 8);
        assert_eq!(m.text("/proc/self/task/1/comm").await, "another\n");
        assert_eq!(m.open("/proc/self/stat", o::WRONLY).await, -13);
        assert_eq!(m.open("/proc/77/stat", 0).await, ENOENT);
        assert_eq!(m.open("/proc/new", o::CREAT | o::WRONLY).await, ENOENT);
        assert_eq!(m.with(87, "/proc/cpuinfo", 0, &[]).await, EPERM);
        // What is read again from the beginning is what is so now.
        let comm = m.open("/proc/self/comm", 0).await;
        assert_eq!(m.read(comm, 99).await.unwrap(), b"another\n");
        assert_eq!(m.put("/proc/self/comm", b"third").await, 5);
        assert_eq!(m.call(8, &[comm, 0, 0]).await, 0);
        assert_eq!(m.read(comm, 99).await.unwrap(), b"third\n");
        let limits = m.text("/proc/self/limits").await;
        assert!(limits.contains("Max open files            1024"), "{limits}");
    });
}
