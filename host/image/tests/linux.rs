//! Linux programs and what they are loaded with, in systems of a few files.

#[path = "common/system.rs"]
mod system;

use kernlet_image::Image;
use kernlet_image::linux::ProgramOptions;
use kernlet_image::native::RootSource;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use system::{Elf, Root, System};

const LIBC: &str = "/usr/lib/x86_64-linux-gnu/libc.so.6";

#[test]
fn a_program_brings_its_linker_and_libraries_and_the_links_to_them() {
    let system = System::new();
    system.program("/usr/bin/app-1", &Elf::program(&["libx.so.1", "libc.so.6"]));
    system.link("/usr/bin/app", "app-1");
    system.link("/usr/lib/libx.so.1", "libx.so.1.2");
    let needed: &[&str] = &["liby.so"];
    system.library("/usr/lib/libx.so.1.2", Elf { needed, soname: Some("libx.so.1"), ..Elf::default() });
    system.library("/usr/lib/liby.so", Elf { needed: &["libx.so.1"], ..Elf::default() });
    system.library("/usr/lib/libz.so", Elf::default());
    let image = system.image("/usr/bin/app");
    let root = Root::of(&image);
    root.check(
        &["/usr/bin/app-1", "/usr/lib/libx.so.1.2", "/usr/lib/liby.so", LIBC],
        &["/usr/lib/libz.so", "/lib/liby.so"],
    );
    assert_eq!(root.target("/usr/bin/app"), Some("app-1"));
    assert_eq!(root.target("/usr/lib/libx.so.1"), Some("libx.so.1.2"));
    assert_eq!(root.target("/lib64"), Some("usr/lib64"));
    let manifest = image.manifest();
    assert_eq!(manifest.program, Some(&b"/usr/bin/app"[..]));
    assert!(manifest.lead().eq([b"/usr/bin/app"]));
    image.verify().unwrap();
}

#[test]
fn files_are_the_same_byte_for_byte_and_programs_begin_on_pages() {
    let system = System::new();
    let program = Elf::program(&["libc.so.6"]).bytes();
    system.put("/opt/app", &program, 0o755);
    let image = system.image("/opt/app");
    let (offset, len) = image.root().unwrap();
    let mut bytes = vec![0; usize::try_from(len).unwrap()];
    image.file().read_exact_at(&mut bytes, offset).unwrap();
    let places: Vec<_> = bytes.windows(program.len()).enumerate().filter(|(_, w)| *w == program).collect();
    assert_eq!(places.len(), 1);
    assert!(program.len() < 1000 && places[0].0 % 4096 == 0, "{:#x}", places[0].0);
}

/// Builds /opt/app/bin/app in a system where libx.so is in each of these places, and tells which one was taken.
fn taken_of<'a>(system: &System, program: &Elf<'_>, places: &[&'a str]) -> Vec<&'a str> {
    system.program("/opt/app/bin/app", program);
    for place in places {
        system.library(&format!("{place}/libx.so"), Elf::default());
    }
    let root = system.root("/opt/app/bin/app");
    places.iter().copied().filter(|place| root.has(&format!("{place}/libx.so"))).collect()
}

#[test]
fn the_order_of_the_search_is_that_of_ld_so() {
    let needed: &[&str] = &["libx.so"];
    let plain = Elf::program(needed);
    assert_eq!(
        taken_of(&System::new(), &plain, &["/usr/lib", "/usr/lib/x86_64-linux-gnu"]),
        ["/usr/lib/x86_64-linux-gnu"]
    );

    let rpath = Elf { rpath: Some("/nowhere:$ORIGIN/../lib"), ..plain.clone() };
    assert_eq!(taken_of(&System::new(), &rpath, &["/usr/lib", "/opt/app/lib"]), ["/opt/app/lib"]);
    let both = Elf { runpath: Some("/opt/run"), ..rpath.clone() };
    assert_eq!(taken_of(&System::new(), &both, &["/opt/run", "/opt/app/lib"]), ["/opt/run"]);
    // A directory that is named and has no such library leads on.
    assert_eq!(taken_of(&System::new(), &both, &["/usr/lib"]), ["/usr/lib"]);

    // $ORIGIN is where the program is, whatever link led there.
    let system = System::new();
    system.link("/usr/bin/app", "/opt/app/bin/app");
    system.program("/opt/app/bin/app", &rpath);
    system.library("/opt/app/lib/libx.so", Elf::default());
    system.root("/usr/bin/app").check(&["/opt/app/lib/libx.so", "/opt/app/bin/app"], &[]);
}

#[test]
fn the_old_path_is_inherited_and_the_new_one_is_not() {
    let middle = |system: &System| {
        system.library("/opt/lib/libmiddle.so", Elf { needed: &["libx.so"], ..Elf::default() });
        system.library("/opt/lib/libx.so", Elf::default());
    };
    let (old, new) = (System::new(), System::new());
    [&old, &new].into_iter().for_each(middle);
    let needed: &[&str] = &["libmiddle.so"];
    old.program("/bin/app", &Elf { rpath: Some("/opt/lib"), ..Elf::program(needed) });
    old.root("/bin/app").check(&["/opt/lib/libx.so"], &[]);
    new.program("/bin/app", &Elf { runpath: Some("/opt/lib"), ..Elf::program(needed) });
    let (message, status) = new.fails("/bin/app");
    assert!(message.contains("libx.so, which /opt/lib/libmiddle.so needs"), "{message}");
    assert_eq!(status, Some(127));
}

#[test]
fn variants_for_some_cpus_come_along() {
    let system = System::new();
    system.program("/bin/app", &Elf::program(&["libx.so"]));
    system.library("/usr/lib/libx.so", Elf::default());
    system.library("/usr/lib/glibc-hwcaps/x86-64-v3/libx.so", Elf::default());
    system.root("/bin/app").check(&["/usr/lib/libx.so", "/usr/lib/glibc-hwcaps/x86-64-v3/libx.so"], &[]);
}

#[test]
fn libraries_for_other_machines_are_passed_over_and_damaged_ones_are_named() {
    let system = System::new();
    system.program("/bin/app", &Elf::program(&["libx.so"]));
    let mut other = Elf::default().bytes();
    other[18] = 183;
    system.put("/usr/lib/x86_64-linux-gnu/libx.so", &other, 0o644);
    system.library("/usr/lib/libx.so", Elf::default());
    system.root("/bin/app").check(&["/usr/lib/libx.so"], &["/usr/lib/x86_64-linux-gnu/libx.so"]);
    system.put("/usr/lib/x86_64-linux-gnu/libx.so", b"/* GNU ld script */", 0o644);
    let (message, status) = system.fails("/bin/app");
    assert!(message.contains("/lib/x86_64-linux-gnu/libx.so cannot be used: it is no ELF file"), "{message}");
    assert_eq!(status, Some(126));
}

#[test]
fn musl_has_directories_of_its_own() {
    let system = System::new();
    system.library("/lib/ld-musl-x86_64.so.1", Elf::default());
    let interpreter = Some("/lib/ld-musl-x86_64.so.1");
    system.program("/bin/app", &Elf { interpreter, needed: &["libc.so", "libx.so"], ..Elf::default() });
    system.library("/usr/local/lib/libx.so", Elf::default());
    system.root("/bin/app").check(&["/usr/local/lib/libx.so", "/usr/lib/ld-musl-x86_64.so.1"], &[LIBC]);
    system.put("/etc/ld-musl-x86_64.path", b"/opt/a:/opt/b\n", 0o644);
    system.library("/opt/b/libx.so", Elf::default());
    system
        .root("/bin/app")
        .check(&["/opt/b/libx.so", "/etc/ld-musl-x86_64.path"], &["/usr/local/lib/libx.so"]);
}

#[test]
fn what_is_missing_is_named_with_where_it_was_sought() {
    let system = System::new();
    system.program("/bin/app", &Elf { rpath: Some("$ORIGIN/lib"), ..Elf::program(&["libgone.so.7"]) });
    let (message, status) = system.fails("/bin/app");
    for text in ["libgone.so.7", "which /bin/app needs", "/bin/lib", "/lib/x86_64-linux-gnu", "/usr/lib"] {
        assert!(message.contains(text), "{text}: {message}");
    }
    assert_eq!(status, Some(127));
    system.program("/bin/app", &Elf { interpreter: Some("/lib/ld-gone.so"), ..Elf::default() });
    let (message, status) = system.fails("/bin/app");
    assert!(message.contains("/bin/app wants the dynamic linker /lib/ld-gone.so"), "{message}");
    assert_eq!(status, Some(127));
    let (message, status) = system.fails("/bin/gone");
    assert!(message.contains("/bin/gone does not exist"), "{message}");
    assert_eq!(status, Some(127));
}

#[test]
fn what_is_no_program_says_what_it_is() {
    let system = System::new();
    let whole = Elf::program(&["libc.so.6"]).bytes();
    let changed = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        bytes
    };
    for (contents, mode, says) in [
        (b"hello".to_vec(), 0o755, "no image, no Linux program and no script"),
        (Vec::new(), 0o755, "no image, no Linux program and no script"),
        (whole.clone(), 0o644, "chmod +x"),
        (changed(4, 1), 0o755, "32-bit"),
        (changed(5, 2), 0o755, "big-endian"),
        (changed(18, 183), 0o755, "AArch64"),
        (changed(16, 1), 0o755, "object file"),
        (changed(16, 4), 0o755, "core dump"),
        (changed(54, 57), 0o755, "program headers"),
        (changed(56, 0), 0o755, "no program headers"),
        (whole[..whole.len() - 1].to_vec(), 0o755, "cut off"),
    ] {
        system.put("/bin/app", &contents, mode);
        let (message, status) = system.fails("/bin/app");
        assert!(message.contains(says) && message.contains("/bin/app"), "{says}: {message}");
        assert_eq!(status, Some(126), "{message}");
    }
    let mut library = Elf::default().bytes();
    library[24..32].fill(0);
    system.put("/bin/app", &library, 0o755);
    assert!(system.fails("/bin/app").0.contains("shared library"));
    assert_eq!(system.fails("/usr/lib").1, Some(126));
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_refused() {
    let system = System::new();
    let whole = Elf::program(&["libc.so.6"]).bytes();
    for len in 0..whole.len() {
        system.put("/bin/app", &whole[..len], 0o755);
        assert_eq!(system.fails("/bin/app").1, Some(126), "{len} bytes");
    }
}

#[test]
fn scripts_lead_to_their_interpreters() {
    let system = System::new();
    system.program("/usr/bin/lang", &Elf::program(&["libc.so.6"]));
    system.put("/srv/app", b"#! /usr/bin/lang -x -y\n", 0o755);
    let image = system.image("/srv/app");
    assert_eq!(image.manifest().program, Some(&b"/usr/bin/lang"[..]));
    assert!(image.manifest().lead().eq([&b"/usr/bin/lang"[..], b"-x -y", b"/srv/app"]));
    Root::of(&image).check(&["/srv/app", "/usr/bin/lang", LIBC], &[]);

    system.put("/srv/deep", b"#!/srv/app -z\n", 0o755);
    let lead = [&b"/usr/bin/lang"[..], b"-x -y", b"/srv/app", b"-z", b"/srv/deep"];
    assert!(system.image("/srv/deep").manifest().lead().eq(lead));

    system.put("/srv/env", b"#!/usr/bin/env lang\n", 0o755);
    let image = system.image("/srv/env");
    assert_eq!(image.manifest().program, Some(&b"/usr/bin/lang"[..]));
    assert!(image.manifest().lead().eq([&b"lang"[..], b"/srv/env"]));
}

#[test]
fn scripts_that_lead_nowhere_are_refused() {
    let system = System::new();
    system.put("/srv/app", b"#!/usr/bin/gone\n", 0o755);
    let (message, status) = system.fails("/srv/app");
    assert!(message.contains("/srv/app is a script for /usr/bin/gone"), "{message}");
    assert_eq!(status, Some(127));
    system.put("/srv/app", b"#!/usr/bin/env gone\n", 0o755);
    assert!(system.fails("/srv/app").0.contains("it is in none of /usr/local/sbin"));
    system.put("/srv/app", b"#!/srv/app\n", 0o755);
    assert!(system.fails("/srv/app").0.contains("and so on"));
}

#[test]
fn every_system_has_accounts_without_passwords_and_names() {
    let system = System::new();
    system.program("/bin/app", &Elf::program(&[]));
    system.put("/tmp/mine", b"root:x:0:0:mine:/:/bin/x\n", 0o644);
    let root = system.root("/bin/app");
    root.check(
        &[
            "/etc/passwd",
            "/etc/group",
            "/etc/hosts",
            "/etc/nsswitch.conf",
            "/etc/resolv.conf",
            "/tmp",
            "/proc",
        ],
        &["/etc/shadow"],
    );
    let mode = |path: &str| root.entries.iter().find(|entry| entry.path == path).unwrap().mode;
    assert_eq!((mode("/tmp"), mode("/root"), mode("/etc/passwd")), (0o1777, 0o700, 0o644));
    // What the user adds wins.
    let file = RootSource::File { host: system.outside("/tmp/mine"), guest: "/etc/passwd".into() };
    let built =
        system.build_with("/bin/app", &ProgramOptions { root: vec![file], ..system.options() }).unwrap();
    let bytes = fs::read(built.image).unwrap();
    let holds = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    assert!(holds(b"root:x:0:0:mine") && !holds(b"root:*:0:0"));
}

#[test]
fn what_a_trace_tells_is_kept_and_all_else_goes() {
    let system = System::new();
    system.program("/opt/app", &Elf::program(&["libx.so", "libc.so.6"]));
    system.library("/usr/lib/libx.so", Elf::default());
    system.put("/data/used", b"1", 0o644);
    system.put("/data/unused", b"2", 0o644);
    let root = vec![RootSource::File { host: system.outside("/data"), guest: "/data".into() }];
    let used =
        ["/lib/x86_64-linux-gnu/libc.so.6", "/data/used", "/proc/self/maps", "/gone", "/../etc/hostname"];
    let only = Some(used.map(Into::into).to_vec());
    let options = ProgramOptions { root, only, ..system.options() };
    let built = system.build_with("/opt/app", &options).unwrap();
    let root = Root::of(&Image::open(built.image).unwrap());
    let linker = "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2";
    root.check(
        &["/opt/app", linker, LIBC, "/data/used", "/etc/passwd", "/lib", "/tmp"],
        &["/usr/lib/libx.so", "/data/unused", "/etc/hostname", "/etc/ld.so.cache"],
    );
}

#[test]
fn as_long_as_nothing_has_changed_the_image_is_the_one_in_the_cache() {
    let system = System::new();
    system.program("/bin/app", &Elf::program(&["libx.so"]));
    let library = system.library("/usr/lib/libx.so", Elf { soname: Some("one"), ..Elf::default() });
    // What was written just now is not believed to stay.
    let settled = || std::thread::sleep(std::time::Duration::from_millis(100));
    settled();
    let first = system.build("/bin/app").unwrap();
    assert!(!first.cached);
    assert!(system.build("/bin/app").unwrap().cached);
    assert_eq!(
        system.build("/bin/app").unwrap(),
        kernlet_image::native::Built { cached: true, ..first.clone() }
    );

    // The same length, the same time.
    let time = library.metadata().unwrap().modified().unwrap();
    system.library("/usr/lib/libx.so", Elf { soname: Some("two"), ..Elf::default() });
    File::options().write(true).open(&library).unwrap().set_modified(time).unwrap();
    settled();
    let second = system.build("/bin/app").unwrap();
    assert!(!second.cached && second.image != first.image);
    // Nothing but a library where there was none, in a directory that comes first.
    system.library("/usr/lib/x86_64-linux-gnu/libx.so", Elf::default());
    settled();
    let third = system.build("/bin/app").unwrap();
    assert!(!third.cached && third.image != second.image);
    fs::remove_file(system.outside("/usr/lib/x86_64-linux-gnu/libx.so")).unwrap();
    assert_eq!(system.build("/bin/app").unwrap().image, second.image);
    // Options are part of what an image is.
    let options = ProgramOptions { args: vec![b"-v".to_vec()], ..system.options() };
    assert_ne!(system.build_with("/bin/app", &options).unwrap().image, second.image);
    // An image that was changed, cut off, removed.
    let whole = fs::read(&second.image).unwrap();
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for damaged in [&flipped[..], &whole[..whole.len() - 1], &whole[..10], &[]] {
        fs::write(&second.image, damaged).unwrap();
        system.build("/bin/app").unwrap();
        assert!(fs::read(&second.image).unwrap() == whole);
    }
    fs::remove_file(&second.image).unwrap();
    system.build("/bin/app").unwrap();
    assert!(fs::read(&second.image).unwrap() == whole);
}
