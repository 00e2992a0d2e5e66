//! How programs end, in both doors: the status, and what the log says.

use kernlet_tests::{Finished, User, image};

fn run(backend: &str, arguments: &[&str]) -> Finished {
    let user = User::ordinary();
    let image = image("tests/programs/probe");
    let mut all = vec!["run", "-b", backend, "-m", "32M"];
    all.push(image.to_str().expect("temporary paths are UTF-8"));
    all.extend(arguments);
    user.run(all)
}

/// Runs in both doors and expects the status and each text in what was said on standard error.
fn ends(arguments: &[&str], status: i32, texts: &[&str]) {
    for backend in ["process", "qemu"] {
        let finished = run(backend, arguments);
        assert_eq!(finished.status, status, "{backend}: {finished:#?}");
        for text in texts {
            assert!(finished.err.contains(text), "{backend}: `{text}` is missing: {finished:#?}");
        }
    }
}

#[test]
fn the_programs_status_is_that_of_kernlet_run() {
    ends(&["exit", "0"], 0, &[]);
    ends(&["exit", "3"], 3, &[]);
    ends(&["exit", "255"], 255, &[]);
}

#[test]
fn a_panic_tells_where_and_who_called_and_ends_with_134() {
    ends(&["panic"], 134, &["panic at", "end.rs", "the len is 0 but the index is 3", "end::panic", "main"]);
}

#[test]
fn a_null_pointer_is_named_and_ends_with_139() {
    ends(&["null"], 139, &["null pointer: read of address 0x8", "end::null"]);
}

#[test]
fn a_wild_pointer_is_named_and_ends_with_139() {
    ends(&["wild"], 139, &["write to address 0x123456789000", "end::wild"]);
}

#[test]
fn data_cannot_be_executed() {
    ends(&["execute"], 139, &["execution of address"]);
}

#[test]
fn a_stack_overflow_is_named_and_ends_with_139() {
    ends(&["overflow"], 139, &["stack overflow", "end::overflow"]);
}

#[test]
fn exhausted_memory_is_named_and_ends_with_137() {
    ends(&["memory"], 137, &["out of memory", "memory allocation of"]);
}

#[test]
fn a_panic_leaves_other_instances_alone() {
    let user = User::ordinary();
    let image = image("tests/programs/probe");
    let image = image.to_str().expect("temporary paths are UTF-8");
    let other = user.detached([image, "sleep", "600000"]);
    assert_eq!(user.run(["run", image, "panic"]).status, 134);
    assert_eq!(user.inspect(&other)["state"], "running");
}
