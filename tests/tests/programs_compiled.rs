//! Programs of several compilers and C libraries, linked in every way: Go, Rust, C++, C at fixed addresses, musl.

use kernlet_tests::programs::{DOORS, LONG, Server, compile, native, run, same, seal, source};
use kernlet_tests::{User, finish_within};
use std::path::PathBuf;
use std::process::Command;

/// Runs a program natively and in both doors: the same output and status.
fn check(program: PathBuf, arguments: &[&str]) {
    let expected = native(&program, arguments);
    let name = program.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    assert!(expected.out.lines().count() > 3, "{name}: {expected:?}");
    let image = seal(&program, &[], &name);
    for door in DOORS {
        same(&format!("{name} in door {door}"), &expected, &run(door, &[], &image, arguments));
    }
}

#[test]
fn a_static_go_server_with_goroutines_answers_and_ends_when_asked() {
    let options = ["build", "-trimpath", "-ldflags=-s -w"];
    let program = compile("go", "golang-go", &options, &source("languages/server.go"), "server-go");
    let image = seal(&program, &[], "server-go");
    for door in DOORS {
        let server = Server::start(User::ordinary(), door, &[8000], &[], &image, &[]);
        let base = format!("http://127.0.0.1:{}", server.ports[0]);
        let at = |path: &str| format!("{base}/{path}");
        server.until("the server answers", || {
            let url = at("fault");
            finish_within(Command::new("curl").args(["-s", "--fail", &url]), LONG).status == 0
        });
        let get = |path: &str| server.client("curl", &["-sS", "--fail", &at(path)]);
        assert_eq!(get("sum"), "50005000\n", "{door}");
        assert_eq!(get("busy"), "went on\n", "{door}");
        let null = "runtime error: invalid memory address or nil pointer dereference\n";
        assert_eq!(get("fault"), null, "{door}: a fault becomes a panic, which is recovered from");
        let body = "x".repeat(1 << 20);
        let sent = server.user.folder("sent").join("body");
        std::fs::write(&sent, body).expect("the folder is writable");
        let data = format!("@{}", sent.display());
        let hashed = server.client("curl", &["-sS", "--fail", "--data-binary", &data, &at("hash")]);
        let expected = native("sha256sum", &[sent.to_str().expect("UTF-8")]).out;
        let expected = expected.split(' ').next().unwrap_or("?");
        assert!(hashed.contains(expected) && hashed.contains("1048576"), "{door}: {hashed}");
        let many = vec![at("sum"); 8];
        let mut all = vec!["-sS", "--fail", "--parallel"];
        all.extend(many.iter().map(String::as_str));
        assert_eq!(server.client("curl", &all), "50005000\n".repeat(8), "{door}");
        let (_user, status) = server.stop();
        assert_eq!(status, "9", "{door}: it ended by itself");
    }
}

#[test]
fn the_standard_library_of_rust_says_the_same_linked_statically() {
    let options = ["--edition", "2024", "-O", "-C", "target-feature=+crt-static"];
    check(
        compile("rustc", "rustc", &options, &source("languages/standard.rs"), "rust-static"),
        &["a", "b c"],
    );
}

#[test]
fn the_standard_library_of_rust_says_the_same_linked_dynamically() {
    let options = ["--edition", "2024", "-O"];
    check(
        compile("rustc", "rustc", &options, &source("languages/standard.rs"), "rust-dynamic"),
        &["a", "b c"],
    );
}

#[test]
fn exceptions_and_threads_of_cpp_say_the_same() {
    let options = ["-std=c++20", "-O2", "-pthread"];
    check(compile("g++", "g++", &options, &source("languages/exceptions.cpp"), "cpp-dynamic"), &[]);
    let options = ["-std=c++20", "-O2", "-pthread", "-static"];
    check(compile("g++", "g++", &options, &source("languages/exceptions.cpp"), "cpp-static"), &[]);
}

#[test]
fn programs_at_fixed_addresses_say_the_same() {
    let file = source("languages/fixed.c");
    let arguments = ["one", "", "three four"];
    check(compile("gcc", "gcc", &["-O2", "-static", "-no-pie"], &file, "fixed-static"), &arguments);
    check(compile("gcc", "gcc", &["-O2", "-no-pie"], &file, "fixed-dynamic"), &arguments);
}

#[test]
fn programs_of_musl_say_the_same() {
    let file = source("languages/fixed.c");
    let fixed = ["-O2", "-no-pie", "-static"];
    check(compile("musl-gcc", "musl-tools", &fixed, &file, "musl-static"), &["one"]);
    let dynamic = ["-O2", "-no-pie"];
    check(compile("musl-gcc", "musl-tools", &dynamic, &file, "musl-dynamic"), &["one"]);
}
