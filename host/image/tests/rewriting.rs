//! Rewritten programs run as they did before: each is run by Linux as it is, and then rewritten, in a process whose
//! gs leads to an entry that counts the calls. What they print, and their status, must be the same.

#[path = "rewriting/bake.rs"]
mod bake;

use bake::{Sites, bake};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

/// A folder with the harness and what was compiled.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Compiles a program of tests/rewriting with a compiler and its arguments.
    fn compile(&self, name: &str, compiler: &str, arguments: &[&str], sources: &[&str]) -> PathBuf {
        let out = self.path(name);
        let sources = sources.iter().map(|source| folder().join(source));
        succeed(
            Command::new(compiler).args(arguments).arg("-o").arg(&out).args(sources),
            "compilers come with the Debian packages gcc and musl-tools",
        );
        out
    }

    /// Runs the program as it is and rewritten, and gives its sites and how many of its calls went the new way.
    fn compare(&self, program: &Path, arguments: &[&str]) -> (Sites, u64) {
        // Under its own name, by which some programs know what to do.
        std::fs::create_dir_all(self.path("baked")).unwrap();
        let baked = self.path("baked").join(program.file_name().unwrap());
        let sites = bake(program, &baked);
        let calls = self.compare_with(program, &baked, arguments, &[]);
        (sites, calls)
    }

    fn compare_with(&self, program: &Path, baked: &Path, arguments: &[&str], env: &[(&str, &Path)]) -> u64 {
        let run = |command: &mut Command| {
            let command = command.args(arguments).env("GREETING", "hello").stdin(Stdio::null());
            command.current_dir(folder()).output().unwrap()
        };
        let native = run(&mut Command::new(program));
        let counters = self.path("counters");
        std::fs::write(&counters, [0; 4096]).unwrap();
        let mut command = Command::new(harness());
        command.arg(&counters).arg(baked).envs(env.iter().copied());
        let rewritten = run(&mut command);
        let shown = |output: &Output| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            (output.status.to_string(), text(&output.stdout), text(&output.stderr))
        };
        assert_eq!(shown(&rewritten), shown(&native), "{} {arguments:?}", program.display());
        assert!(
            !native.stdout.is_empty() || !native.stderr.is_empty(),
            "{} {arguments:?} prints something",
            program.display()
        );
        let counters = std::fs::read(&counters).unwrap();
        u64::from_le_bytes(counters[8..16].try_into().unwrap())
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rewriting")
}

fn succeed(command: &mut Command, hint: &str) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; {hint}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn harness() -> &'static Path {
    static HARNESS: OnceLock<(Place, PathBuf)> = OnceLock::new();
    let (_, path) = HARNESS.get_or_init(|| {
        let place = Place::new();
        let path = place.compile("harness", "gcc", &["-O1", "-static-pie"], &["harness.c"]);
        (place, path)
    });
    path
}

/// At least 95 of 100 calls are to be rewritten.
fn assert_most(what: &str, sites: Sites) {
    let all = sites.rewritten + sites.trapping;
    println!("{what}: {} of {all} calls rewritten", sites.rewritten);
    assert!(sites.rewritten * 100 >= all * 95, "{what}: {sites:?}");
}

#[test]
fn every_form_of_a_call_keeps_registers_flags_and_the_red_zone() {
    let place = Place::new();
    let forms = place.compile("forms", "gcc", &["-O1", "-static"], &["forms.c", "forms.S"]);
    let (sites, calls) = place.compare(&forms, &[]);
    assert_most("forms", sites);
    // One call in each function, but in the one that stays; and what libc makes around them.
    assert!(calls >= 11 * 2, "{calls} calls went the new way");
}

#[test]
fn static_glibc_programs_run_rewritten() {
    let place = Place::new();
    for kind in ["-static", "-static-pie", "-static -no-pie -s"] {
        let arguments: Vec<_> = kind.split(' ').chain(["-O2", "-pthread"]).collect();
        let program = place.compile("program", "gcc", &arguments, &["threads.c"]);
        let (sites, calls) = place.compare(&program, &[]);
        assert_most(kind, sites);
        assert!(calls > 1000, "{calls} calls went the new way");
    }
}

#[test]
fn musl_programs_run_rewritten() {
    let place = Place::new();
    for strip in ["-g", "-s"] {
        let program = place.compile("program", "musl-gcc", &["-static", "-O2", strip], &["threads.c"]);
        let (sites, calls) = place.compare(&program, &[]);
        assert_most(&format!("musl {strip}"), sites);
        assert!(calls > 1000, "{calls} calls went the new way");
    }
}

#[test]
fn go_programs_run_rewritten() {
    let place = Place::new();
    for flags in ["-ldflags=-X=main.a=b", "-ldflags=-s -w"] {
        let program = place.path("server");
        let mut go = Command::new("go");
        go.args(["build", flags, "-o"]).arg(&program).arg(folder().join("server.go"));
        go.env("CGO_ENABLED", "0").env("GOCACHE", place.path("cache")).env("GOFLAGS", "-mod=mod");
        go.env("HOME", place.0.path()).env("GO111MODULE", "off");
        succeed(&mut go, "go comes with the Debian package golang-go");
        let (sites, calls) = place.compare(&program, &[]);
        assert_most(&format!("Go {flags}"), sites);
        assert!(calls > 500, "{calls} calls went the new way");
    }
}

#[test]
fn busybox_applets_run_rewritten() {
    let busybox = Path::new("/bin/busybox");
    assert!(busybox.exists(), "busybox comes with the Debian package busybox-static");
    let place = Place::new();
    for line in [
        "echo hello",
        "ls -l /usr/share/base-files",
        "cat /etc/os-release",
        "wc -l /etc/services",
        "sha256sum /bin/busybox",
        "awk -F: {print$1} /etc/passwd",
        "find /etc/init.d",
        "seq 1000",
        "sort -r /etc/passwd",
        "sed -n 1,3p /etc/passwd",
        "stat -c %s /etc/passwd",
        "tar -cf - -C /etc passwd group",
        "gzip -c /etc/services",
        "cat /nonexistent/file",
    ] {
        let arguments: Vec<_> = line.split(' ').collect();
        let (sites, calls) = place.compare(busybox, &arguments);
        assert_most("busybox", sites);
        assert!(calls > 3, "{line}: {calls} calls went the new way");
    }
}

#[test]
fn dynamic_programs_run_with_a_rewritten_interpreter_and_libc() {
    let place = Place::new();
    let program = place.compile("program", "gcc", &["-O2", "-pthread"], &["threads.c"]);
    let interpreter = place.path("ld.so");
    assert_most("ld.so", bake(Path::new("/lib64/ld-linux-x86-64.so.2"), &interpreter));
    std::fs::create_dir(place.path("lib")).unwrap();
    let libc = Path::new("/lib/x86_64-linux-gnu/libc.so.6");
    assert_most("libc", bake(libc, &place.path("lib/libc.so.6")));
    let env = [("INTERPRETER", &*interpreter), ("LD_LIBRARY_PATH", &*place.path("lib"))];
    let calls = place.compare_with(&program, &program, &[], &env);
    assert!(calls > 1000, "{calls} calls went the new way");
}
