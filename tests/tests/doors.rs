//! The same image file through every door.

use kernlet_tests::{User, finish, image, need};
use std::process::Command;

const HELLO: &str = "Hello from kernlet!";

fn hello() -> String {
    image("apps/hello").to_str().expect("temporary paths are UTF-8").to_owned()
}

#[test]
fn hello_runs_as_a_sandboxed_process() {
    assert_eq!(User::ordinary().ok(["run", &hello()]), HELLO);
}

#[test]
fn hello_runs_under_kernlets_qemu_backend() {
    need("qemu-system-x86_64", "qemu-system-x86");
    assert_eq!(User::ordinary().ok(["run", "-b", "qemu", &hello()]), HELLO);
}

/// Starts plain QEMU with no kernlet around it and returns what came over the serial port.
fn plain_qemu(arguments: &[&str]) -> kernlet_tests::Finished {
    need("qemu-system-x86_64", "qemu-system-x86");
    let mut command = Command::new("timeout");
    command.args(["30", "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-nographic", "-no-reboot"]);
    command.args(arguments).args(["-kernel", &hello()]).stdin(std::process::Stdio::null());
    finish(&mut command)
}

#[test]
fn hello_boots_under_plain_qemu_on_microvm_and_q35() {
    for machine in ["microvm", "q35"] {
        let finished = plain_qemu(&["-M", machine, "-m", "64M"]);
        assert_eq!(finished.status, 0, "{machine}: {finished:?}");
        assert!(finished.out.contains(HELLO), "{machine}: {finished:?}");
    }
}

#[test]
fn plain_qemu_tells_the_status_through_isa_debug_exit() {
    let device = ["-M", "microvm", "-m", "16M", "-device", "isa-debug-exit,iobase=0x501,iosize=1"];
    // QEMU ends with (value << 1) | 1.
    assert_eq!(plain_qemu(&device).status, 1);
}

#[test]
fn two_megabytes_are_enough_for_hello() {
    let finished = plain_qemu(&["-M", "microvm", "-m", "2M"]);
    assert!(finished.out.contains(HELLO), "{finished:?}");
}

#[test]
fn an_image_that_is_executed_itself_says_how_to_run_it() {
    let finished = finish(&mut Command::new(hello()));
    assert_eq!(finished.status, 126, "{finished:?}");
    assert!(finished.err.contains("kernlet run"), "{finished:?}");
}

#[test]
fn code_lies_at_another_address_at_each_start() {
    let user = User::ordinary();
    let image = image("tests/programs/probe");
    let image = image.to_str().expect("temporary paths are UTF-8");
    for backend in ["process", "qemu"] {
        let run = || user.ok(["run", "-b", backend, image, "address"]);
        assert_ne!(run(), run(), "{backend}");
    }
}

#[test]
fn arguments_and_environment_reach_the_program_in_both_doors() {
    let user = User::ordinary();
    let image = image("tests/programs/probe");
    let image = image.to_str().expect("temporary paths are UTF-8");
    for backend in ["process", "qemu"] {
        let out = user.ok(["run", "-b", backend, image, "--", "args", "a b", "", "--x=ä"]);
        assert_eq!(out, "[a b]\n[]\n[--x=ä]", "{backend}");
        let options = ["-e", "KEY=a=b", "--hostname", "host7", "-w", "/tmp", "-u", "7:8"];
        let mut all = vec!["run", "-b", backend];
        all.extend(options);
        all.extend([image, "env"]);
        let out = user.ok(all);
        assert!(out.contains("KEY=a=b"), "{backend}: {out}");
        assert!(out.contains("hostname host7 directory /tmp identity (7, 8)"), "{backend}: {out}");
    }
}

#[test]
fn clocks_agree_with_the_hosts_in_both_doors() {
    let user = User::ordinary();
    let image = image("tests/programs/probe");
    let image = image.to_str().expect("temporary paths are UTF-8");
    for backend in ["process", "qemu"] {
        let out = user.ok(["run", "-b", backend, image, "clock"]);
        let numbers: Vec<u64> = out.split_whitespace().filter_map(|w| w.parse().ok()).collect();
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("it is later")
            .as_secs();
        assert!(numbers[0] >= 50, "{backend}: {out}");
        assert!(numbers[1].abs_diff(now) < 60, "{backend}: {out}");
    }
}

#[test]
fn random_numbers_differ_between_starts_in_both_doors() {
    let user = User::ordinary();
    let image = image("tests/programs/probe");
    let image = image.to_str().expect("temporary paths are UTF-8");
    for backend in ["process", "qemu"] {
        let run = || user.ok(["run", "-b", backend, image, "random"]);
        assert_ne!(run(), run(), "{backend}");
    }
}

#[test]
fn standard_input_reaches_the_program_in_both_doors() {
    let user = User::ordinary();
    let image = image("tests/programs/probe");
    for backend in ["process", "qemu"] {
        let script = r#"seq 1 2000 | "$0" run -i -b "$1" "$2" cat | md5sum; seq 1 2000 | md5sum"#;
        let mut command = user.command("sh");
        command.args(["-c", script]).arg(kernlet_tests::binary()).arg(backend).arg(&image);
        let finished = finish(&mut command);
        let sums: Vec<&str> = finished.out.lines().collect();
        assert!(sums.len() == 2 && sums[0] == sums[1], "{backend}: {finished:?}");
    }
}

#[test]
fn an_idle_instance_uses_no_cpu_in_both_doors() {
    let user = User::ordinary();
    let image = image("tests/programs/probe");
    let image = image.to_str().expect("temporary paths are UTF-8");
    for backend in ["process", "qemu"] {
        let name = user.detached(["-b", backend, image, "sleep", "600000"]);
        kernlet_tests::eventually("the program sleeps", || user.logs(&name).contains("sleeping"));
        let pid = user.inspect(&name)["pid"].as_u64().expect("a running instance has a process");
        let ticks = || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
            let fields: Vec<&str> =
                stat.rsplit(')').next().expect("stat has a name").split_whitespace().collect();
            fields[11].parse::<u64>().expect("utime") + fields[12].parse::<u64>().expect("stime")
        };
        std::thread::sleep(std::time::Duration::from_millis(500));
        let before = ticks();
        std::thread::sleep(std::time::Duration::from_secs(2));
        // Of 200 ticks; QEMU's own housekeeping takes a few.
        assert!(ticks() - before <= 10, "{backend}: {} of 200 ticks", ticks() - before);
    }
}
