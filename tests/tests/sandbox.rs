//! The hostile guest: each attack succeeds outside of the sandbox, as the control, and reaches nothing inside; for an
//! ordinary user, and the same when root started it.

use kernlet_tests::{Finished, User, finish, image, is_root, need, repository};
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// Ended by the filter: SIGSYS.
const BY_FILTER: i32 = 128 + 31;
/// Ended by a CPU fault.
const BY_FAULT: i32 = 139;
/// Refused: the attack's own status.
const REFUSED: i32 = 1;

/// The hostile program as an ordinary Linux program.
fn control() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            let target = repository().join("target/test-control");
            let mut command = Command::new("cargo");
            command.args(["build", "--release", "--quiet", "--manifest-path"]);
            command
                .arg(repository().join("tests/programs/hostile/Cargo.toml"))
                .arg("--target-dir")
                .arg(&target);
            let finished = finish_slowly(&mut command);
            assert_eq!(finished.status, 0, "{finished:#?}");
            kernlet_tests::publish(&target.join("release/hostile"), "hostile-control")
        })
        .clone()
}

/// Builds may take longer than anything else.
fn finish_slowly(command: &mut Command) -> Finished {
    let output = command.output().expect("cargo runs");
    Finished {
        status: output.status.code().unwrap_or(-1),
        out: kernlet_tests::text(&output.stdout),
        err: kernlet_tests::text(&output.stderr),
    }
}

fn outside(attack: &str) -> Finished {
    finish(Command::new(control()).arg(attack))
}

fn users() -> Vec<User> {
    if is_root() { vec![User::ordinary(), User::myself()] } else { vec![User::ordinary()] }
}

/// Expects the attack to succeed outside and to end with `status` inside, having said `says`.
fn attack(name: &str, status: i32, says: &str) {
    let control = outside(name);
    assert!(
        control.out.contains("reached") || control.status == 0,
        "outside {name} must succeed: {control:?}"
    );
    inside(name, status, says);
}

fn inside(name: &str, status: i32, says: &str) {
    let image = image("tests/programs/hostile");
    for user in users() {
        let finished = user.run([
            std::ffi::OsStr::new("run"),
            "-m".as_ref(),
            "32M".as_ref(),
            image.as_ref(),
            name.as_ref(),
        ]);
        assert_eq!(finished.status, status, "{name}: {finished:#?}");
        assert!(!finished.out.contains("reached") && finished.out.contains(says), "{name}: {finished:#?}");
    }
}

#[test]
fn opening_a_file_by_name_ends_the_instance() {
    attack("open", BY_FILTER, "");
    attack("openat", BY_FILTER, "");
    attack("openat2", BY_FILTER, "");
}

#[test]
fn making_a_socket_ends_the_instance() {
    attack("socket", BY_FILTER, "");
    attack("socketpair", BY_FILTER, "");
}

#[test]
fn executing_a_program_ends_the_instance() {
    attack("execve", BY_FILTER, "");
}

#[test]
fn making_a_process_ends_the_instance() {
    attack("fork", BY_FILTER, "");
    attack("vfork-by-clone", BY_FILTER, "");
    attack("clone3", BY_FILTER, "");
}

#[test]
fn touching_other_processes_ends_the_instance() {
    attack("ptrace", BY_FILTER, "");
    attack("kill", BY_FILTER, "");
    attack("process_vm_readv", BY_FILTER, "");
}

#[test]
fn mounting_ends_the_instance() {
    // As root, outside: an ordinary user may not mount there either.
    if is_root() {
        need("unshare", "util-linux");
        let control = finish(Command::new("unshare").args(["-m"]).arg(control()).arg("mount"));
        assert!(control.out.contains("reached"), "{control:?}");
    }
    inside("mount", BY_FILTER, "");
    inside("umount", BY_FILTER, "");
}

#[test]
fn io_uring_and_memfds_end_the_instance() {
    attack("io_uring_setup", BY_FILTER, "");
    attack("memfd_create", BY_FILTER, "");
}

#[test]
fn namespaces_end_the_instance() {
    inside("unshare", BY_FILTER, "");
}

#[test]
fn the_other_system_call_interfaces_end_the_instance() {
    attack("getpid-x32", BY_FILTER, "");
    attack("getpid-int80", BY_FILTER, "");
}

#[test]
fn memory_does_not_become_executable() {
    attack("mprotect-exec", REFUSED, "errno 001");
    attack("mmap-exec", REFUSED, "errno 001");
}

#[test]
fn code_cannot_be_overwritten() {
    attack("write-to-text", BY_FAULT, "");
}

#[test]
fn a_socket_cannot_be_connected_by_sending() {
    attack("connect-by-fastopen", REFUSED, "errno 001");
}

#[test]
fn descriptors_that_were_not_granted_are_closed() {
    inside("guessed-descriptors", REFUSED, "errno 009");
}

#[test]
fn a_memory_bomb_harms_only_its_instance() {
    attack("memory-bomb", REFUSED, "errno 012");
}

#[test]
fn a_path_cannot_lead_out_of_a_volume() {
    let image = image("tests/programs/hostile");
    for user in users() {
        let volume = user.folder("volume");
        let secret = user.folder("outside").join("secret");
        std::fs::write(&secret, "secret").expect("it is writable");
        user.give(&secret);
        std::fs::write(volume.join("inside"), "inside").expect("it is writable");
        std::os::unix::fs::symlink("../outside/secret", volume.join("relative")).expect("it is writable");
        std::os::unix::fs::symlink(&secret, volume.join("absolute")).expect("it is writable");
        let outside =
            |path: &str| finish(user.command(control()).arg(format!("path:{}", volume.join(path).display())));
        let mount = format!("{}:/v", volume.display());
        let inside = |path: &str| {
            let attack = format!("path:/v/{path}");
            user.run(["run", "-v", &mount, image.to_str().expect("temporary paths are UTF-8"), &attack])
        };
        assert!(inside("inside").out.contains("reached"), "the volume itself works: {:?}", inside("inside"));
        for path in ["../outside/secret", "relative", "absolute"] {
            assert!(outside(path).out.contains("reached"), "outside {path}: {:?}", outside(path));
            let finished = inside(path);
            assert!(finished.status == 1 && finished.out.contains("errno"), "{path}: {finished:?}");
        }
    }
}

#[test]
fn files_in_volumes_belong_to_whoever_started_the_instance() {
    use std::os::unix::fs::MetadataExt;
    let image = image("tests/programs/probe");
    for user in users() {
        let volume = user.folder("volume");
        let owner = std::fs::metadata(&volume).expect("it exists").uid();
        let mount = format!("{}:/v", volume.display());
        user.ok([
            "run",
            "-v",
            &mount,
            image.to_str().expect("temporary paths are UTF-8"),
            "write",
            "/v/new",
            "text",
        ]);
        let new = std::fs::metadata(volume.join("new")).expect("the instance made it");
        assert_eq!(new.uid(), owner);
        assert_eq!(std::fs::read_to_string(volume.join("new")).expect("it is readable"), "text");
    }
}

#[test]
fn an_instance_that_root_started_is_not_root() {
    if !is_root() {
        return;
    }
    let user = User::myself();
    let image = image("tests/programs/probe");
    let name = user.detached([image.to_str().expect("temporary paths are UTF-8"), "sleep", "600000"]);
    let pid = user.inspect(&name)["pid"].as_u64().expect("a running instance has a process");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line =
        |name: &str| status.lines().find(|l| l.starts_with(name)).map(str::to_owned).unwrap_or_default();
    assert!(!line("Uid:").split_whitespace().any(|w| w == "0"), "{}", line("Uid:"));
    assert!(!line("Gid:").split_whitespace().any(|w| w == "0"), "{}", line("Gid:"));
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
        assert!(line(set).ends_with("0000000000000000"), "{}", line(set));
    }
    assert!(line("NoNewPrivs:").ends_with('1') && line("Seccomp:").ends_with('2'));
    assert_eq!(line("Groups:").trim(), "Groups:");
}
