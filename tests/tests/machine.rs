//! Pieces of machine code run as threads of a program (tests/programs/machine), below any Linux: calls, faults, turns,
//! registers and memory are as the platform promises, on several CPUs.

use kernlet_tests::{User, image, image_with_root};
use std::path::{Path, PathBuf};

const CHECKS: [&str; 11] = [
    "calls",
    "faults",
    "flags",
    "turns",
    "shares",
    "waits",
    "registers",
    "vdso",
    "pages",
    "copies",
    "giving-back",
];

/// QEMU with another CPU than kernlet asks for: a script that replaces it.
fn other_cpu(user: &User, cpu: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let script = user.folder("bin").join("qemu");
    let text = format!(
        "#!/bin/bash\nfor word; do [ \"$word\" = max ] && word={cpu}; all+=(\"$word\"); done\nexec qemu-system-x86_64 \"${{all[@]}}\"\n"
    );
    std::fs::write(&script, text).expect("writable");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("ours");
    script
}

fn check(user: &User, image: &Path, name: &str, machine: &str, qemu: Option<&Path>) -> String {
    check_within(user, image, name, machine, qemu, "32M")
}

fn check_within(
    user: &User,
    image: &Path,
    name: &str,
    machine: &str,
    qemu: Option<&Path>,
    memory: &str,
) -> String {
    let mut command = user.kernlet(["run", "-b", "qemu", "-m", memory]);
    command.arg(image).arg(name).env("KERNLET_QEMU_MACHINE", machine);
    if let Some(qemu) = qemu {
        command.env("KERNLET_QEMU", qemu);
    }
    let finished = kernlet_tests::finish(&mut command);
    assert_eq!(finished.status, 0, "{name} on {machine} {qemu:?}: {finished:#?}");
    assert!(finished.out.ends_with("right\n"), "{name}: {finished:#?}");
    finished.out
}

#[test]
fn code_runs_as_a_program_in_a_vm() {
    let (user, image) = (User::ordinary(), image("tests/programs/machine"));
    for name in CHECKS {
        check(&user, &image, name, "microvm", None);
    }
    for name in ["calls", "turns", "copies"] {
        check(&user, &image, name, "q35", None);
    }
}

#[test]
fn code_runs_as_a_program_on_a_cpu_without_xsave_and_fsgsbase() {
    let (user, image) = (User::ordinary(), image("tests/programs/machine"));
    for cpu in ["qemu64", "max,-xsave", "max,-fsgsbase"] {
        let qemu = other_cpu(&user, cpu);
        for name in ["calls", "faults", "turns", "registers"] {
            check(&user, &image, name, "microvm", Some(&qemu));
        }
    }
}

#[test]
fn a_program_that_touches_more_than_there_is_ends_with_a_line_and_137() {
    let (user, image) = (User::ordinary(), image("tests/programs/machine"));
    let finished = user.run(["run", "-b", "qemu", "-m", "16M", image.to_str().expect("UTF-8"), "exhausted"]);
    assert_eq!(finished.status, 137, "{finished:#?}");
    assert!(finished.err.contains("out of memory: the program touched more than there is"), "{finished:#?}");
}

#[test]
fn a_sealed_root_is_mapped_in_a_vm_without_copies_where_it_is_in_memory() {
    let user = User::ordinary();
    // The larger one lies on a disk.
    for (length, copied) in [(1_000_123, false), (6_000_123, true)] {
        let image = with_root(length);
        let out = check(&user, &image, "sealed", "microvm", None);
        let copies: usize = out.split(' ').next().and_then(|word| word.parse().ok()).expect("a number");
        assert_eq!(copies * 1024 > length / 2, copied, "{out}");
        // Only the end of the last page, behind which something else lies, is not as it is in the file.
        assert!(copied || copies <= 4, "{out}");
        std::fs::remove_file(image).expect("it was just built");
    }
}

#[test]
fn pages_of_a_root_on_a_disk_are_read_again_when_memory_is_short_for_the_program_or_the_heap() {
    let (user, image) = (User::ordinary(), with_root(7_000_123));
    for memory in ["6M", "20M"] {
        check_within(&user, &image, "sealed", "microvm", None, memory);
    }
    std::fs::remove_file(image).expect("it was just built");
}

/// The program with a root of a file of that length, in which no two pages are alike.
fn with_root(length: usize) -> PathBuf {
    let root = tempfile::tempdir().expect("the temporary folder is writable");
    let bytes: Vec<u8> =
        (0..length as u32 / 4 + 1).flat_map(|n| n.wrapping_mul(0x9e37_79b9).to_le_bytes()).collect();
    std::fs::write(root.path().join("file"), &bytes[..length]).expect("writable");
    image_with_root("tests/programs/machine", root.path(), &format!("machine-{length}"))
}
