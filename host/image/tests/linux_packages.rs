//! What packages bring to a program: in a system with a small database of dpkg's, and on this machine.

#[path = "common/system.rs"]
mod system;

use kernlet_image::linux::{ProgramOptions, build_program};
use kernlet_image::{Image, erofs};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use system::{Elf, Root, System};

/// A package and the files that it has; a path that ends in `/` is a directory.
struct Package {
    about: &'static str,
    files: &'static [&'static str],
}

const PACKAGES: &[Package] = &[
    Package {
        about: "Package: app-minimal\nSource: app\nDepends: libc6 (>= 2), tool | other, virtual:any, setup\n",
        files: &[
            "/usr/bin/app",
            "/usr/bin/app-helper",
            "/usr/share/app/data",
            "/usr/share/man/man1/app.1.gz",
        ],
    },
    Package {
        about: "Package: app\nDepends: app-minimal (= 1)\n",
        files: &[
            "/usr/lib/app/module",
            "/etc/app/",
            "/etc/app/enabled/",
            "/etc/app/available/one",
            "/etc/cron.d/app",
        ],
    },
    Package {
        about: "Package: tool\nPre-Depends: deep\n",
        files: &["/bin/tool", "/usr/share/tool/data", "/usr/share/doc/tool/copyright"],
    },
    Package { about: "Package: deep\n", files: &["/lib/deep/plugin", "/usr/lib/deep/static.a"] },
    Package {
        about: "Package: real\nProvides: virtual (= 2)\n",
        files: &["/usr/share/real", "/var/lib/real/"],
    },
    Package {
        about: "Package: setup\nPriority: important\nDepends: only-setup\n",
        files: &["/usr/sbin/setup", "/usr/share/setup/data"],
    },
    Package { about: "Package: only-setup\n", files: &["/usr/share/only-setup"] },
    Package { about: "Package: other\n", files: &["/usr/share/other"] },
    Package { about: "Package: libc6\n", files: &["/lib/x86_64-linux-gnu/libc.so.6"] },
];

/// A system with these packages installed.
fn system() -> System {
    let system = System::new();
    let mut status = String::new();
    for package in PACKAGES {
        let name = package.about.lines().next().unwrap().trim_start_matches("Package: ");
        status += &format!("{}Status: install ok installed\nArchitecture: amd64\n\n", package.about);
        let list: Vec<&str> = package.files.iter().map(|path| path.trim_end_matches('/')).collect();
        system.put(&format!("/var/lib/dpkg/info/{name}.list"), (list.join("\n") + "\n").as_bytes(), 0o644);
        for path in package.files {
            match path.strip_suffix('/') {
                Some(folder) => fs::create_dir_all(system.outside(folder)).unwrap(),
                None if !system.outside(path).exists() => {
                    system.put(path, path.as_bytes(), 0o644);
                }
                None => {}
            }
        }
    }
    system.program("/usr/bin/app", &Elf::program(&["libc.so.6"]));
    system.put("/var/lib/dpkg/status", status.as_bytes(), 0o644);
    system
}

#[test]
fn a_program_brings_what_its_packages_need_at_run_time() {
    let system = system();
    system.root("/usr/bin/app").check(
        &[
            "/usr/bin/app",
            "/usr/bin/app-helper",
            "/usr/share/app/data",
            "/usr/lib/app/module",
            "/etc/app/available/one",
            "/usr/share/tool/data",
            "/usr/lib/deep/plugin",
            "/usr/share/real",
            "/var/lib/real",
        ],
        &[
            "/usr/share/man/man1/app.1.gz",
            "/etc/cron.d/app",
            "/usr/bin/tool",
            "/bin/tool",
            "/usr/share/doc/tool/copyright",
            "/usr/lib/deep/static.a",
            "/usr/share/other",
        ],
    );
}

#[test]
fn what_only_maintainer_scripts_need_stays_outside() {
    let root = system().root("/usr/bin/app");
    root.check(&[], &["/usr/sbin/setup", "/usr/share/setup/data", "/usr/share/only-setup"]);
}

#[test]
fn libraries_alone_are_all_when_that_is_wanted() {
    let system = system();
    let options = ProgramOptions { libs_only: true, ..system.options() };
    let built = system.build_with("/usr/bin/app", &options).unwrap();
    let root = Root::of(&Image::open(built.image).unwrap());
    root.check(
        &["/usr/bin/app", "/usr/lib/x86_64-linux-gnu/libc.so.6"],
        &["/usr/lib/app/module", "/usr/share/real"],
    );
}

#[test]
fn a_program_of_no_package_brings_none() {
    let system = system();
    system.program("/opt/app", &Elf::program(&["libc.so.6"]));
    system.root("/opt/app").check(&["/opt/app"], &["/usr/lib/app/module", "/usr/bin/app"]);
    // A script brings its interpreter's.
    system.put("/opt/script", b"#!/usr/bin/app\n", 0o755);
    system.root("/opt/script").check(&["/opt/script", "/usr/lib/app/module"], &[]);
}

#[test]
fn links_that_switch_a_part_on_come_with_it() {
    let system = system();
    system.link("/etc/app/enabled/one", "/etc/app/available/one");
    system.link("/etc/app/enabled/two", "/etc/hostname");
    system.put("/etc/hostname", b"here\n", 0o644);
    system.put("/etc/app/secret", b"key\n", 0o600);
    let root = system.root("/usr/bin/app");
    root.check(&["/etc/app/enabled/one"], &["/etc/app/enabled/two", "/etc/hostname", "/etc/app/secret"]);
}

#[test]
fn compiled_modules_come_with_their_sources_and_keep_their_times() {
    let system = system();
    let list = "/usr/lib/app/code.py\n";
    system.put("/var/lib/dpkg/info/only.list", list.as_bytes(), 0o644);
    let status = fs::read_to_string(system.outside("/var/lib/dpkg/status")).unwrap();
    let status = status.replace("Depends: libc6 (>= 2)", "Depends: only, libc6 (>= 2)");
    let only = "Package: only\nStatus: install ok installed\nArchitecture: all\n";
    system.put("/var/lib/dpkg/status", format!("{status}{only}").as_bytes(), 0o644);
    let source = system.put("/usr/lib/app/code.py", b"pass", 0o644);
    let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_600_000_000);
    fs::File::options().write(true).open(source).unwrap().set_modified(time).unwrap();
    for name in ["code.cpython-311.pyc", "code.cpython-311.opt-1.pyc", "gone.cpython-311.pyc"] {
        system.put(&format!("/usr/lib/app/__pycache__/{name}"), b"x", 0o644);
    }
    let image = system.image("/usr/bin/app");
    let cache = "/usr/lib/app/__pycache__";
    Root::of(&image).check(
        &["/usr/lib/app/code.py", &format!("{cache}/code.cpython-311.pyc")],
        &[&format!("{cache}/code.cpython-311.opt-1.pyc"), &format!("{cache}/gone.cpython-311.pyc")],
    );
    let bytes = fs::read(system.build("/usr/bin/app").unwrap().image).unwrap();
    let stamp = 1_600_000_000u64.to_le_bytes();
    assert!(bytes.windows(8).any(|window| window == stamp), "the time is in the inode");
}

#[test]
fn accounts_that_packages_have_made_come_without_passwords() {
    let system = system();
    system.put("/var/lib/dpkg/info/app.postinst", b"adduser --system \"_app\"\nchown person x\n", 0o755);
    system.put(
        "/etc/passwd",
        b"_app:secret:123:145:app:/var/lib/app:/bin/no\nother:x:124:124:::\nperson:x:1000:1000:::\n",
        0o644,
    );
    system.put("/etc/group", b"apps:x:145:person\nother:x:124:\n", 0o644);
    system.put("/var/lib/app/state", b"x", 0o600);
    let built = system.build("/usr/bin/app").unwrap();
    let image = Image::open(&built.image).unwrap();
    Root::of(&image).check(&["/var/lib/app"], &["/var/lib/app/state"]);
    let (offset, _) = image.root().unwrap();
    let bytes = &fs::read(built.image).unwrap()[usize::try_from(offset).unwrap()..];
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("_app:*:123:145:app:/var/lib/app:/bin/no\n") && holds("apps:*:145:\n"));
    assert!(!holds("secret") && !holds("other:") && !holds("person:"));
}

/// Where ldd(1) finds the libraries of a program, links followed.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(program).output().expect("ldd: apt-get install -y libc-bin");
    let text = String::from_utf8(output.stdout).unwrap();
    let paths = text.split_whitespace().filter(|word| word.starts_with('/'));
    paths.map(|path| fs::canonicalize(path).unwrap()).collect()
}

#[test]
fn programs_of_this_machine_bring_all_that_ldd_lists() {
    let home = tempfile::tempdir().unwrap();
    for (program, more) in [
        ("/usr/bin/python3", &["/usr/lib/ssl/openssl.cnf", "/usr/share/zoneinfo/UTC"][..]),
        ("/usr/bin/perl", &[]),
        ("/usr/bin/sqlite3", &["/usr/lib/terminfo/x/xterm"]),
        ("/usr/bin/curl", &["/etc/ssl/certs/ca-certificates.crt"]),
        ("/usr/bin/openssl", &["/etc/ssl/openssl.cnf"]),
        ("/bin/ls", &[]),
    ] {
        let path = Path::new(program);
        assert!(path.exists(), "{program}: apt-get install -y python3 perl sqlite3 curl openssl");
        let built = build_program(path, &ProgramOptions::default(), home.path(), &mut ()).unwrap();
        let image = Image::open(built.image).unwrap();
        let (offset, len) = image.root().unwrap();
        let entries = erofs::list(image.file(), offset, len).unwrap();
        let has = |path: &Path| entries.iter().any(|entry| Path::new(&entry.path) == path);
        for library in libraries(path) {
            assert!(has(&library), "{program}: {} is missing", library.display());
        }
        for path in more {
            assert!(has(Path::new(path)), "{program}: {path} is missing");
        }
    }
}
