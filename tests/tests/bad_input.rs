//! What goes wrong says what and how to mend it, exits with 125 (126, 127), and leaves nothing behind.

use kernlet_tests::{Finished, User, image};

fn probe() -> String {
    image("tests/programs/probe").to_str().expect("temporary paths are UTF-8").to_owned()
}

/// Expects a failure of kernlet's own that says all of this, and no instance left.
fn fails(user: &User, arguments: &[&str], says: &[&str]) -> Finished {
    fails_with(user, 125, arguments, says)
}

fn fails_with(user: &User, status: i32, arguments: &[&str], says: &[&str]) -> Finished {
    let before = user.instances();
    let finished = user.run(arguments);
    assert_eq!(finished.status, status, "{arguments:?}: {finished:#?}");
    for text in says {
        assert!(finished.err.contains(text), "{arguments:?}: `{text}` is missing: {finished:#?}");
    }
    assert_eq!(finished.out, "", "messages go to standard error");
    assert_eq!(user.instances(), before, "{arguments:?}: nothing is left behind");
    finished
}

#[test]
fn a_port_in_use_is_named() {
    let user = User::ordinary();
    let holder = std::net::TcpListener::bind("127.0.0.1:0").expect("there are ports");
    let port = holder.local_addr().expect("it is bound").port().to_string();
    fails(&user, &["run", "-p", &format!("{port}:80"), &probe(), "wait"], &[&port, "in use"]);
}

#[test]
fn a_privileged_port_names_the_setting_that_allows_it() {
    let user = User::ordinary();
    let limit =
        std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").expect("Linux has it");
    if limit.trim().parse::<u16>().is_ok_and(|limit| limit > 81) {
        let finished = fails(&user, &["run", "-p", "81:81", &probe(), "wait"], &["81"]);
        assert!(finished.err.contains("ip_unprivileged_port_start"), "{}", finished.err);
    }
}

#[test]
fn damaged_images_are_refused() {
    let user = User::ordinary();
    let folder = user.folder("images");
    let whole = std::fs::read(probe()).expect("the image is readable");
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).expect("writable");
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("ours");
        path.to_str().expect("temporary paths are UTF-8").to_owned()
    };
    for length in [1, 63, 100, 4096, whole.len() / 2, whole.len() - 1] {
        let path = write("truncated.img", &whole[..length]);
        let finished = user.run(["run", &path]);
        assert_eq!(finished.status, 125, "{length}: {finished:#?}");
        assert!(finished.err.contains("truncated.img"), "{length}: {finished:#?}");
    }
    let mut state = 7u32;
    let noise: Vec<u8> = (0..9000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect();
    let path = write("random.img", &noise);
    fails(&user, &["run", &path], &["random.img", "neither"]);
}

#[test]
fn what_is_not_found_or_cannot_be_run_says_so() {
    let user = User::ordinary();
    fails_with(&user, 127, &["run", "no-such-thing"], &["no-such-thing"]);
    fails_with(&user, 127, &["run", "./no/such/thing"], &["no/such/thing"]);
    let folder = user.folder("empty");
    fails(&user, &["run", folder.to_str().expect("UTF-8")], &["Cargo.toml"]);
}

#[test]
fn missing_qemu_names_its_package() {
    let user = User::ordinary();
    // By itself, as setpriv, too, is found by the path.
    let mut command = std::process::Command::new(kernlet_tests::binary());
    command
        .args(["run", "-b", "qemu", &probe(), "exit", "0"])
        .env("PATH", "/nonexistent")
        .env("KERNLET_HOME", user.state());
    let finished = kernlet_tests::finish(&mut command);
    assert_eq!(finished.status, 125, "{finished:#?}");
    assert!(finished.err.contains("apt-get install qemu-system-x86"), "{finished:#?}");
}

#[test]
fn a_tap_that_does_not_exist_is_named() {
    let user = User::ordinary();
    fails(&user, &["run", "--net", "tap=nosuchtap0", &probe(), "wait"], &["nosuchtap0", "ip tuntap add"]);
}

#[test]
fn options_are_checked() {
    let user = User::ordinary();
    let probe = probe();
    fails(&user, &["run", "-m", "4K", &probe, "wait"], &["-m", "2M"]);
    fails(&user, &["run", "-m", "lots", &probe, "wait"], &["lots"]);
    fails(&user, &["run", "-p", "99999:53", &probe, "wait"], &["99999"]);
    fails(&user, &["run", "-p", "53:53/sctp", &probe, "wait"], &["sctp"]);
    fails(&user, &["run", "--cpus", "4", &probe, "wait"], &["cpus"]);
    fails(&user, &["run", "--restart", "sometimes", &probe, "wait"], &["sometimes"]);
    fails(&user, &["run", "--net", "bridge", &probe, "wait"], &["bridge"]);
    fails(&user, &["run", "-v", "/nowhere/at/all:/v", &probe, "wait"], &["/nowhere/at/all"]);
    fails(&user, &["run", "-v", "relative", &probe, "wait"], &["relative"]);
    fails(&user, &["run", "-e", "=x", &probe, "wait"], &["=x"]);
    fails(&user, &["run", "--no-such-option", &probe, "wait"], &["--no-such-option"]);
    fails(&user, &["frobnicate"], &["frobnicate"]);
}

#[test]
fn a_name_in_use_or_malformed_is_refused() {
    let user = User::ordinary();
    user.detached(["--name", "taken", &probe(), "sleep", "600000"]);
    fails(&user, &["run", "--name", "taken", &probe(), "wait"], &["taken", "kernlet rm"]);
    fails(&user, &["run", "--name", "../x", &probe(), "wait"], &["../x"]);
}

#[test]
fn unknown_instances_are_named() {
    let user = User::ordinary();
    for command in ["logs", "stop", "kill", "rm", "wait", "inspect"] {
        let finished = user.run([command, "nobody-knows"]);
        assert_ne!(finished.status, 0, "{command}");
        assert!(finished.err.contains("nobody-knows"), "{command}: {finished:#?}");
    }
}

#[test]
fn a_read_only_state_directory_is_named() {
    let user = User::ordinary();
    let mut command = user.kernlet(["run", "-d", &probe(), "wait"]);
    command.env("KERNLET_HOME", "/proc/kernlet");
    let finished = kernlet_tests::finish(&mut command);
    assert_eq!(finished.status, 125, "{finished:#?}");
    assert!(finished.err.contains("/proc/kernlet") && finished.err.contains("KERNLET_HOME"), "{finished:#?}");
}

#[test]
fn a_full_disk_under_the_state_does_not_stop_the_program() {
    if !kernlet_tests::is_root() {
        return;
    }
    let user = User::myself();
    let disk = user.folder("disk");
    let path = disk.to_str().expect("UTF-8");
    let script =
        r#"mount -t tmpfs -o size=192k none "$1" && KERNLET_HOME="$1" "$2" run "$3" log 20000 | tail -n 1"#;
    let mut command = std::process::Command::new("unshare");
    command.args(["-m", "sh", "-c", script, "sh", path]).arg(kernlet_tests::binary()).arg(probe());
    let finished = kernlet_tests::finish(&mut command);
    assert!(finished.out.contains("line 19999 "), "{finished:#?}");
}

#[test]
fn memory_that_is_too_small_for_the_program_says_so() {
    let user = User::ordinary();
    for backend in ["process", "qemu"] {
        let finished = user.run(["run", "-b", backend, "-m", "2M", &probe(), "memory"]);
        assert_eq!(finished.status, 137, "{backend}: {finished:#?}");
        assert!(finished.err.contains("memory"), "{backend}: {finished:#?}");
    }
}
