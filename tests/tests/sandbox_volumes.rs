//! Ways out of a volume: links, `..`, races with somebody who moves things about, and files that are no files. Each leads
//! out for an ordinary program, as the control.

use kernlet_tests::hostile::{control, inside, outside, users};
use kernlet_tests::{Running, User, finish, is_root};
use rustix::fs::{AtFlags, CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// A volume of a user's, with `outside/secret` beside it.
struct Place<'u> {
    user: &'u User,
    volume: PathBuf,
    secret: PathBuf,
}

impl<'u> Place<'u> {
    fn new(user: &'u User) -> Self {
        let volume = user.folder("volume");
        let secret = user.folder("outside").join("secret");
        for (file, text) in [(&secret, "secret"), (&volume.join("inside"), "inside")] {
            std::fs::write(file, text).expect("it is writable");
            user.give(file);
        }
        Self { user, volume, secret }
    }

    fn mount(&self) -> String {
        format!("{}:/v", self.volume.display())
    }

    /// The same attack on the same path, outside and inside.
    fn outside(&self, kind: &str, path: &str) -> kernlet_tests::Finished {
        outside(self.user, &format!("{kind}:{}", self.volume.join(path).display()))
    }

    fn inside(&self, kind: &str, path: &str) -> kernlet_tests::Finished {
        inside(self.user, &["-v", &self.mount()], &format!("{kind}:/v/{path}"))
    }
}

#[test]
fn a_path_cannot_lead_out_of_a_volume() {
    for user in users() {
        let place = Place::new(&user);
        let link = |target: &Path, name: &str| {
            symlink(target, place.volume.join(name)).expect("it is writable");
        };
        link(Path::new("../outside/secret"), "relative");
        link(&place.secret, "absolute");
        link(place.secret.parent().expect("it lies in a folder"), "folder");
        link(Path::new("relative"), "twice");
        // A magic link: the host's own working directory, wherever that is.
        link(Path::new("/proc/self/root/etc/passwd"), "magic");
        assert!(place.inside("path", "inside").out.contains("reached"), "the volume itself works");
        for path in ["../outside/secret", "relative", "absolute", "folder/secret", "twice", "magic"] {
            let control = place.outside("path", path);
            assert!(control.out.contains("reached"), "outside {path}: {control:?}");
            let finished = place.inside("path", path);
            assert!(finished.status == 1 && finished.out.contains("errno"), "{path}: {finished:?}");
        }
    }
}

/// Exchanges two names again and again until it is dropped.
struct Mover<'s>(&'s AtomicBool);

impl Drop for Mover<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn race(user: &User, first: &str, second: &str, path: &str) {
    let place = Place::new(user);
    std::fs::create_dir_all(place.volume.join("a")).expect("it is writable");
    std::fs::write(place.volume.join("a/secret"), "inside").expect("it is writable");
    symlink(place.secret.parent().expect("it lies in a folder"), place.volume.join("b"))
        .expect("it is writable");
    symlink("../../outside/secret", place.volume.join("link")).expect("it is writable");
    let moving = AtomicBool::new(false);
    let (one, two) = (place.volume.join(first), place.volume.join(second));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !moving.load(Ordering::Relaxed) {
                let _ = renameat_with(CWD, &one, CWD, &two, RenameFlags::EXCHANGE);
            }
        });
        let _mover = Mover(&moving);
        let control = place.outside("race", path);
        assert!(control.out.contains("reached"), "outside {path}: {control:?}");
        let finished = place.inside("race", path);
        assert!(finished.status == 1 && !finished.out.contains("reached"), "{path}: {finished:?}");
    });
}

#[test]
fn a_directory_that_turns_into_a_link_does_not_lead_out() {
    users().iter().for_each(|user| race(user, "a", "b", "a/secret"));
}

#[test]
fn a_file_that_turns_into_a_link_does_not_lead_out() {
    users().iter().for_each(|user| race(user, "a/secret", "link", "a/secret"));
}

/// `..` of a directory that is being moved out of the volume and back: the classic way out of a chroot.
#[test]
fn a_directory_that_is_moved_out_does_not_lead_out() {
    for user in users() {
        let place = Place::new(&user);
        std::fs::create_dir_all(place.volume.join("deep/er")).expect("it is writable");
        let away = user.folder("outside/sub");
        // What `deep/er/../../secret` is, while `er` lies in outside/sub.
        let moving = AtomicBool::new(false);
        let (one, two) = (place.volume.join("deep/er"), away.join("er"));
        std::fs::create_dir_all(&two).expect("it is writable");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !moving.load(Ordering::Relaxed) {
                    let _ = renameat_with(CWD, &one, CWD, &two, RenameFlags::EXCHANGE);
                }
            });
            let _mover = Mover(&moving);
            let finished = place.inside("race", "deep/er/../../secret");
            assert!(finished.status == 1 && !finished.out.contains("reached"), "{finished:?}");
        });
    }
}

#[test]
fn pipes_and_sockets_in_a_volume_are_not_opened() {
    for user in users() {
        let place = Place::new(&user);
        let fifo = place.volume.join("fifo");
        mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o666), 0).expect("it is writable");
        user.give(&fifo);
        let _listener = std::os::unix::net::UnixListener::bind(place.volume.join("socket"));
        // Outside the pipe is read from, as soon as somebody writes.
        let mut command = user.command(control());
        command.arg(format!("path:{}", fifo.display())).stdout(std::process::Stdio::piped());
        let reader = Running::start(&mut command);
        std::fs::write(&fifo, "written").expect("there is a reader");
        let mut reader = reader;
        assert_eq!(reader.0.wait().expect("it ends").code(), Some(0));
        for path in ["fifo", "socket"] {
            let finished = place.inside("path", path);
            assert!(finished.status == 1 && finished.out.contains("errno"), "{path}: {finished:?}");
        }
    }
}

#[test]
fn devices_in_a_volume_are_not_opened() {
    if !is_root() {
        // Nobody else can make one.
        return;
    }
    for user in users() {
        let place = Place::new(&user);
        // /dev/null, of which reading ends.
        let device = place.volume.join("device");
        let null = rustix::fs::makedev(1, 3);
        mknodat(CWD, &device, FileType::CharacterDevice, Mode::from_raw_mode(0o666), null).expect("root may");
        std::fs::set_permissions(&device, PermissionsExt::from_mode(0o666)).expect("root may");
        let control = place.outside("path", "device");
        assert!(control.out.contains("reached"), "a volume of the tests allows devices: {control:?}");
        let finished = place.inside("path", "device");
        assert!(finished.status == 1 && finished.out.contains("errno 013"), "{finished:?}");
    }
}

#[test]
fn no_program_that_a_guest_leaves_behind_runs_as_somebody_else() {
    for user in users() {
        let place = Place::new(&user);
        let file = place.volume.join("inside");
        let mode = |path: &Path| std::fs::metadata(path).expect("it exists").mode() & 0o7777;
        // Outside, by chmod(2).
        let changed = finish(user.command("chmod").arg("7755").arg(&file));
        assert!(changed.status == 0 && mode(&file) == 0o7755, "{changed:?}");
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).expect("it is the user's");
        // Inside, by raw requests to the broker.
        let attack =
            |kind: &str, path: &str| inside(place.user, &["-v", &place.mount()], &format!("{kind}:{path}"));
        assert_eq!(attack("setuid", "inside").status, 0);
        assert_eq!(mode(&file), 0o755);
        assert_eq!(attack("directory-setuid", "made").status, 0);
        assert_eq!(mode(&place.volume.join("made")) & 0o6000, 0);
        // And out of the volume by the same means.
        symlink(&place.secret, place.volume.join("out")).expect("it is writable");
        let before = mode(&place.secret);
        for path in ["out", "../outside/secret", "/etc/passwd"] {
            assert_eq!(attack("setuid", path).status, 1, "{path}");
        }
        assert_eq!(mode(&place.secret), before);
    }
}

/// A file system of a megabyte.
struct Small(PathBuf);

impl Small {
    fn mount(at: PathBuf) -> Self {
        let options = ["-t", "tmpfs", "-o", "size=1m,mode=777", "none"];
        let mounted = finish(std::process::Command::new("mount").args(options).arg(&at));
        assert_eq!(mounted.status, 0, "{mounted:?}");
        Self(at)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        finish(std::process::Command::new("umount").arg("-l").arg(&self.0));
    }
}

#[test]
fn a_full_volume_is_told_to_the_program_and_to_nobody_else() {
    assert!(is_root(), "mounting needs root");
    for user in users() {
        let small = Small::mount(user.folder("volume"));
        let mount = format!("{}:/v", small.0.display());
        // ENOSPC.
        let finished = inside(&user, &["-v", &mount], "fill:/v/large");
        assert!(finished.status == 1 && finished.out.contains("errno 028"), "{finished:?}");
        assert!(rustix::fs::statat(CWD, small.0.join("large"), AtFlags::empty()).is_ok());
    }
}
