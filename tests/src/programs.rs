//! Unmodified Linux programs: compiling them, sealing them once for both doors, running them there and natively.

use crate::{Finished, User, binary, finish_within, need, public, publish, repository, text};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

/// The doors that every program is run in.
pub const DOORS: [&str; 2] = ["process", "qemu"];
/// How long a program may take: a VM whose processor is emulated is slow, and slower on a busy machine.
pub const LONG: Duration = Duration::from_secs(150);

/// Says what is left out and why, also when the test passes: written past the capture of the test's output.
pub fn left_out(what: &str, reason: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr().lock(), "left out: {what}: {reason}");
}

/// A source below tests/linux.
pub fn source(name: &str) -> PathBuf {
    repository().join("tests/linux").join(name)
}

/// Where what was compiled lies: every user may read and execute it.
pub fn compiled() -> PathBuf {
    let folder = public().join("compiled");
    std::fs::create_dir_all(&folder).expect("the temporary folder is writable");
    folder
}

/// Compiles `source` to `name` with a compiler that takes `-o`, as all of them do.
pub fn compile(compiler: &str, package: &str, options: &[&str], source: &Path, name: &str) -> PathBuf {
    match try_compile(compiler, package, options, source, name) {
        Ok(path) => path,
        Err(said) => panic!("{compiler} {options:?} {}: {said}", source.display()),
    }
}

/// As [`compile`]; what the compiler said when it refused.
pub fn try_compile(
    compiler: &str,
    package: &str,
    options: &[&str],
    source: &Path,
    name: &str,
) -> Result<PathBuf, String> {
    need(compiler, package);
    let path = compiled().join(name);
    let mut command = Command::new(compiler);
    // Go's compiler wants its options first, a linker its libraries last: both are served by `-o` between.
    let (command_name, options) = match options.split_first() {
        Some((&"build", rest)) => (Some("build"), rest),
        _ => (None, options),
    };
    command.args(command_name).arg("-o").arg(&path).args(options).arg(source);
    let done = finish_within(&mut command, LONG);
    if done.status == 0 { Ok(path) } else { Err(done.err) }
}

/// A certificate for localhost and its key, made once a process.
pub fn certificate() -> [PathBuf; 2] {
    static MADE: OnceLock<[PathBuf; 2]> = OnceLock::new();
    let make = || {
        need("openssl", "openssl");
        let files = ["cert.pem", "key.pem"].map(|name| compiled().join(name));
        let mut command = Command::new("openssl");
        command.args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "3650",
            "-subj",
            "/CN=localhost",
        ]);
        command
            .args(["-addext", "subjectAltName=DNS:localhost", "-keyout"])
            .arg(&files[1])
            .arg("-out")
            .arg(&files[0]);
        let made = finish_within(&mut command, LONG);
        assert_eq!(made.status, 0, "{made:?}");
        files
    };
    MADE.get_or_init(make).clone()
}

/// A folder of a user's with these files, the certificate and its key beside them.
pub fn folder_with(user: &User, name: &str, files: &[(&str, &[u8])]) -> PathBuf {
    let folder = user.folder(name);
    let [cert, key] = certificate().map(|path| std::fs::read(path).expect("it was made"));
    for (file, bytes) in files.iter().chain(&[("cert.pem", &cert[..]), ("key.pem", &key)]) {
        let path = folder.join(file);
        std::fs::write(&path, bytes).expect("the folder is writable");
        user.give(&path);
    }
    folder
}

/// Seals a program, named as for `kernlet build`, into an image for all tests of this process; `options` go before it,
/// and those after a `--` behind it.
pub fn seal(what: impl AsRef<std::ffi::OsStr>, options: &[&str], name: &str) -> String {
    let home = repository().join("target/test-home");
    std::fs::create_dir_all(&home).expect("the target folder is writable");
    let image = home.join(format!("{name}-{}.img", std::process::id()));
    let mut command = Command::new(binary());
    command
        .env("KERNLET_HOME", &home)
        .args(["build", "-q", "-o"])
        .arg(&image)
        .args(options)
        .arg(what.as_ref());
    let done = finish_within(&mut command, LONG);
    assert_eq!(done.status, 0, "sealing {}: {}", what.as_ref().display(), done.err);
    let path = publish(&image, &format!("{name}.img"));
    std::fs::remove_file(&image).expect("it was just built");
    path.to_str().expect("temporary paths are UTF-8").to_owned()
}

/// Runs an image to its end in a door, as an ordinary user: options of `kernlet run`, then the program's arguments.
pub fn run(door: &str, options: &[&str], image: &str, arguments: &[&str]) -> Finished {
    let user = User::ordinary();
    run_as(&user, door, options, image, arguments)
}

/// As [`run`], as this user.
pub fn run_as(user: &User, door: &str, options: &[&str], image: &str, arguments: &[&str]) -> Finished {
    let all = [&["run", "-b", door], options, &[image], arguments].concat();
    finish_within(&mut user.kernlet(all), LONG)
}

/// Runs a program natively, as whoever runs the tests.
pub fn native(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Finished {
    finish_within(Command::new(program).args(arguments), LONG)
}

/// Expects that two runs ended alike and wrote the same to standard output; tells the first lines that differ.
pub fn same(what: &str, expected: &Finished, got: &Finished) {
    let differ: Vec<String> = expected
        .out
        .lines()
        .chain(std::iter::repeat(""))
        .zip(got.out.lines().chain(std::iter::repeat("")))
        .take(expected.out.lines().count().max(got.out.lines().count()))
        .filter(|(a, b)| a != b)
        .map(|(a, b)| format!("  natively: {a}\n  here:     {b}"))
        .take(8)
        .collect();
    assert!(
        differ.is_empty() && expected.status == got.status && expected.out == got.out,
        "{what}: status {} natively, {} here\n{}\n{}",
        expected.status,
        got.status,
        differ.join("\n"),
        text(got.err.as_bytes()).lines().take(20).collect::<Vec<_>>().join("\n")
    );
}

/// A server in a detached instance; its log is shown when a check of it fails.
pub struct Server {
    /// Who runs it.
    pub user: User,
    /// The instance.
    pub name: String,
    /// Published ports, in the order asked for.
    pub ports: Vec<u16>,
}

impl Server {
    /// Starts an image that serves these ports of its own, and waits until the first accepts connections.
    pub fn start(
        user: User,
        door: &str,
        inside: &[u16],
        options: &[&str],
        image: &str,
        arguments: &[&str],
    ) -> Self {
        let ports: Vec<u16> = inside.iter().map(|_| crate::free_port()).collect();
        let published: Vec<String> =
            ports.iter().zip(inside).map(|(out, port)| format!("{out}:{port}")).collect();
        let mut all = vec!["run", "-d", "-b", door];
        published.iter().for_each(|p| all.extend(["-p", p]));
        all.extend(options);
        all.push(image);
        all.extend(arguments);
        let started = finish_within(&mut user.kernlet(all), LONG);
        assert_eq!(started.status, 0, "{image}: {started:?}");
        Self { user, name: started.out.trim().to_owned(), ports }
    }

    /// Asks until the answer is yes; shows the log when that takes too long.
    pub fn until(&self, what: &str, mut asked: impl FnMut() -> bool) {
        let start = std::time::Instant::now();
        while !asked() {
            let running = self.user.inspect(&self.name)["state"] == "running";
            let late = start.elapsed() > LONG;
            assert!(running && !late, "in vain: {what} (running: {running}): {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The end of what it wrote.
    pub fn log(&self) -> String {
        let log = self.user.logs(&self.name);
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// A client's output, which has to end well.
    pub fn client(&self, program: &str, arguments: &[&str]) -> String {
        let done = finish_within(Command::new(program).args(arguments), LONG);
        assert_eq!(done.status, 0, "{program} {arguments:?}: {done:?}\nthe server: {}", self.log());
        done.out
    }

    /// Stops it and gives its status back, and the user with all that is theirs.
    pub fn stop(self) -> (User, String) {
        let stopped = finish_within(&mut self.user.kernlet(["stop", "-t", "60", &self.name]), LONG);
        assert_eq!(stopped.status, 0, "{stopped:?}");
        let status = self.user.ok(["wait", &self.name]);
        (self.user, status)
    }
}
