//! What a program meets at its limits, and what is no program: the right error or status, and a line that names it.

use kernlet_tests::programs::{DOORS, compile, compiled, left_out, run, run_as, seal, source};
use kernlet_tests::{Finished, User, finish, is_root};
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The program of tests/linux/limits.
fn limits() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let options = ["-O2", "-w", "-static", "-pthread"];
        seal(compile("gcc", "gcc", &options, &source("limits/limits.c"), "limits"), &[], "limits")
    })
}

fn ends_well(door: &str, finished: &Finished, out: &str) {
    assert_eq!((finished.status, &*finished.out), (0, out), "{door}: {finished:?}");
}

#[test]
fn too_many_descriptors_are_refused_and_a_closed_one_is_used_again() {
    let out = "open: Too many open files, as many as the limit 1\nsocket: Too many open files\n\
               pipe: Too many open files\ndup: Too many open files\nafter one was closed: 1\n";
    for door in DOORS {
        ends_well(door, &run(door, &[], limits(), &["descriptors"]), out);
    }
}

#[test]
fn too_many_threads_are_refused_and_there_is_room_again_when_they_ended() {
    let out = "threads: Resource temporarily unavailable\nagain: Success\n";
    ends_well("process", &run("process", &["-m", "1G"], limits(), &["threads"]), out);
    // As many as there is memory for: in a large VM they would take minutes when the processor is emulated.
    ends_well("qemu", &run("qemu", &["-m", "16M"], limits(), &["threads"]), out);
}

#[test]
fn a_vm_with_less_memory_than_its_image_takes_says_so() {
    let finished = run("qemu", &["-m", "2M"], limits(), &["descriptors"]);
    assert_eq!((finished.status, &*finished.out), (125, ""), "{finished:?}");
    assert!(finished.err.contains("not enough memory") && finished.err.contains("-m"), "{finished:?}");
}

#[test]
fn a_cpu_that_lacks_what_a_file_needs_is_told_before_the_program_starts() {
    let level = |level: &str| {
        let option = format!("-Wl,-z,x86-64-{level}");
        let source = compiled().join("level.c");
        std::fs::write(&source, "#include <stdio.h>\nint main(void) { return puts(\"started\") < 0; }")
            .expect("the folder is writable");
        let name = format!("level-{level}");
        seal(compile("gcc", "gcc", &["-static", &option], &source, &name), &[], &name)
    };
    let told = |finished: &Finished, level: &str, feature: &str| {
        assert_eq!((finished.status, &*finished.out), (126, ""), "{finished:?}");
        let name = format!("level-{level} needs a CPU with x86-64-{level}");
        assert!(finished.err.contains(&name) && finished.err.contains(feature), "{finished:?}");
    };
    let (second, fourth) = (level("v2"), level("v4"));
    for door in DOORS {
        ends_well(door, &run(door, &[], &second, &[]), "started\n");
    }
    let flags = std::fs::read_to_string("/proc/cpuinfo").expect("Linux has it");
    let here = run("process", &[], &fourth, &[]);
    if ["avx512f", "avx512dq", "avx512cd", "avx512bw", "avx512vl"].iter().all(|flag| flags.contains(flag)) {
        ends_well("process", &here, "started\n");
    } else {
        told(&here, "v4", "has no ");
    }
    // What QEMU emulates has none; where it does not, the CPU is this one.
    let emulated = run("qemu", &[], &fourth, &[]);
    if emulated.status == 0 {
        left_out("a CPU without AVX-512 in the VM", "QEMU shows one that has it");
    } else {
        told(&emulated, "v4", "AVX512");
    }
}

#[test]
fn memory_that_is_not_there_is_refused_and_reserving_it_is_not() {
    let out = "malloc of a gigabyte: Cannot allocate memory\na terabyte reserved: given\n\
               malloc of a megabyte: given\n";
    for door in DOORS {
        ends_well(door, &run(door, &["-m", "64M"], limits(), &["memory"]), out);
    }
}

#[test]
fn who_touches_more_memory_than_there_is_ends_with_137_and_a_line() {
    for door in DOORS {
        let finished = run(door, &["-m", "64M"], limits(), &["touch"]);
        assert_eq!((finished.status, &*finished.out), (137, "given 1\n"), "{door}: {finished:?}");
        assert!(
            finished.err.contains("out of memory") && finished.err.contains("-m"),
            "{door}: {finished:?}"
        );
    }
}

#[test]
fn a_call_that_does_not_exist_is_refused_and_ends_a_strict_program() {
    for door in DOORS {
        let finished = run(door, &[], limits(), &["unknown"]);
        ends_well(door, &finished, "unknown: -1 Function not implemented\n");
        assert!(finished.err.contains("9999"), "{door}: {finished:?}");
        let strict = run(door, &["--strict"], limits(), &["unknown"]);
        // 128 and SIGSYS.
        assert_eq!((strict.status, &*strict.out), (159, ""), "{door}: {strict:?}");
        assert!(strict.err.contains("9999"), "{door}: {strict:?}");
    }
}

/// A small file system, mounted.
struct Small(PathBuf);

impl Drop for Small {
    fn drop(&mut self) {
        finish(Command::new("umount").arg("-l").arg(&self.0));
    }
}

#[test]
fn a_full_volume_refuses_what_does_not_fit_and_keeps_what_did() {
    if !is_root() {
        return left_out("a full volume", "mounting a small file system needs root");
    }
    for door in DOORS {
        let user = User::ordinary();
        let small = Small(user.folder("small"));
        let options = ["-t", "tmpfs", "-o", "size=1m,mode=777", "none"];
        let mounted = finish(Command::new("mount").args(options).arg(&small.0));
        assert_eq!(mounted.status, 0, "{mounted:?}");
        let volume = format!("{}:/small", small.0.display());
        let finished = run_as(&user, door, &["-v", &volume], limits(), &["fill", "/small/file"]);
        let out = "write: No space left on device, some fitted 1\nsync 0, end 1\nafter it was cut: 4096\n";
        ends_well(door, &finished, out);
    }
}

#[test]
fn faults_end_a_program_in_the_vm_as_on_linux_with_a_line_that_tells_where() {
    let options = ["-O1", "-w", "-static", "-pthread"];
    let program = compile("gcc", "gcc", &options, &source("signals.c"), "signals-ends");
    let image = seal(&program, &[], "signals-ends");
    for (how, status, says) in [
        ("segv", 139, "writing to 0x10 (nothing is mapped there)"),
        ("fpe", 136, "ended by SIGFPE at"),
        ("ill", 132, "ended by SIGILL at"),
        ("overflow", 139, "ended by SIGSEGV at"),
        ("nowhere", 139, "executing 0x0 (nothing is mapped there)"),
        ("in-handler", 139, "executing 0x10"),
        ("unmap", 139, "(nothing is mapped there)"),
        ("abort", 134, ""),
        ("kill", 137, ""),
    ] {
        let finished = run("qemu", &[], &image, &[how]);
        assert_eq!(finished.status, status, "{how}: {finished:?}");
        assert!(finished.err.contains(says), "{how}: {finished:?}");
    }
}

#[test]
fn programs_that_cannot_be_run_say_why() {
    let user = User::ordinary();
    let folder = compiled();
    let put = |name: &str, bytes: &[u8]| {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.join(name);
        std::fs::write(&path, bytes).expect("the folder is writable");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("ours");
        path
    };
    let library = put("gone.c", b"int gone(void) { return 0; }");
    let library = compile("gcc", "gcc", &["-shared", "-fPIC"], &library, "libgone.so");
    let main = put("main.c", b"int gone(void); int main(void) { return gone(); }");
    let library_name = library.to_str().expect("UTF-8").to_owned();
    let lonely = put("lonely.c", b"int main(void) { return 0; }");
    // The linker looks at the library, which then goes away.
    let needs = compile("gcc", "gcc", &["-Wl,--no-as-needed", &library_name], &main, "needs-gone");
    std::fs::remove_file(&library).expect("it was there");
    let dynamic = ["-Wl,--dynamic-linker=/no/such/ld.so"];
    let nobody = compile("gcc", "gcc", &dynamic, &lonely, "no-linker");
    let whole = std::fs::read(&nobody).expect("it was just made");
    let changed = |name: &str, at: usize, octet: u8| {
        let mut bytes = whole.clone();
        bytes[at] = octet;
        put(name, &bytes)
    };
    let few = put("few", &whole[..100]);
    for (program, status, says) in [
        (needs, 127, "libgone.so"),
        (nobody, 127, "/no/such/ld.so"),
        (changed("narrow", 4, 1), 126, "32-bit"),
        (changed("foreign", 18, 183), 126, "AArch64"),
        (few, 126, "few"),
    ] {
        let finished = user.run(["run", program.to_str().expect("UTF-8")]);
        assert_eq!(finished.status, status, "{program:?}: {finished:?}");
        assert!(finished.err.contains(says) && finished.out.is_empty(), "{program:?}: {finished:?}");
    }
}
