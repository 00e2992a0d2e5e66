//! An image with a root of 300 MB runs in both doors, and takes no more for it than for a small one.

use kernlet_tests::{User, image, image_with_root};
use std::io::Write;
use std::path::PathBuf;

/// The large file: so many pieces of 1 MiB, no two alike.
const PIECES: u64 = 300;
/// FNV-1a, as the program computes it.
const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;

struct Large {
    image: PathBuf,
    /// What `sum` says of the large file and of the small one.
    sums: String,
}

/// The probe with a large root.
fn large() -> Large {
    let root = tempfile::tempdir().expect("the temporary folder is writable");
    let mut file = std::fs::File::create(root.path().join("large")).expect("writable");
    let (mut state, mut hash) = (88_172_645_463_325_252u64, BASIS);
    let mut piece = vec![0; 1 << 20];
    for _ in 0..PIECES {
        for word in piece.chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes());
        }
        hash = piece.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME));
        file.write_all(&piece).expect("the disk has room");
    }
    std::fs::write(root.path().join("small"), "x").expect("writable");
    let small = (BASIS ^ u64::from(b'x')).wrapping_mul(PRIME);
    let image = image_with_root("tests/programs/probe", root.path(), "large-root");
    let sums = format!("/large {} {hash:016x}\n/small 1 {small:016x}\n", PIECES << 20);
    Large { image, sums }
}

impl Drop for Large {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.image);
    }
}

impl Large {
    fn path(&self) -> &str {
        self.image.to_str().expect("UTF-8")
    }
}

/// Page faults of an idle instance so far, and what it holds of the memory, in KB.
fn cost(user: &User, image: &str) -> (u64, u64) {
    let name = user.detached([image, "wait"]);
    let pid = user.inspect(&name)["pid"].as_u64().expect("a number");
    let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).expect("it runs");
    kernlet_tests::eventually("the program to wait", || user.logs(&name).contains("ready"));
    let faults = read("stat").rsplit(')').next().and_then(|rest| rest.split(' ').nth(8)?.parse().ok());
    let resident = read("smaps_rollup")
        .lines()
        .find_map(|line| line.strip_prefix("Rss:")?.trim().strip_suffix(" kB")?.parse().ok());
    user.ok(["rm", "-f", &name]);
    (faults.expect("a number"), resident.expect("a number"))
}

#[test]
fn a_large_root_is_read_right_in_both_doors_and_costs_a_process_nothing() {
    let (large, user) = (large(), User::ordinary());
    is_read_right_with_little_memory(&large, &user);
    neither_start_nor_memory_grow(&large, &user);
}

fn is_read_right_with_little_memory(large: &Large, user: &User) {
    for (backend, machine) in [("process", ""), ("qemu", "microvm"), ("qemu", "q35")] {
        let mut command =
            user.kernlet(["run", "-b", backend, "-m", "32M", large.path(), "sum", "/large", "/small"]);
        let output = command.env("KERNLET_QEMU_MACHINE", machine).output().expect("kernlet runs");
        assert_eq!(String::from_utf8_lossy(&output.stdout), large.sums, "{backend} {machine}");
    }
}

fn neither_start_nor_memory_grow(large: &Large, user: &User) {
    let small = image("tests/programs/probe");
    let (faults, resident) = cost(user, small.to_str().expect("UTF-8"));
    let (large_faults, large_resident) = cost(user, large.path());
    // A page table more, and what the kernel maps around a fault.
    assert!(large_faults <= faults + 4, "{large_faults} page faults, {faults} with a small root");
    assert!(large_resident <= resident + 128, "{large_resident} KB, {resident} with a small root");
}
