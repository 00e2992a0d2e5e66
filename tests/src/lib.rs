//! The harness of the tests of the whole: they drive the `kernlet` command as a user would, with clients that nobody
//! here wrote.
//!
//! Images are built once, by whoever runs the tests; instances run as an ordinary user: root becomes `nobody` first.
//! A missing tool fails the test that needs it and says how to get it.

pub mod hostile;
pub mod http;
pub mod programs;
pub mod terminal;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long anything here may take before it counts as hanging.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The ordinary user that root becomes: nobody.
const NOBODY: u32 = 65534;

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests have a folder of their own")
}

/// A folder that every user may read, for what instances of an ordinary user need; the repository may lie where only
/// its owner looks.
pub fn public() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("kernlet-tests-{}", rustix::process::geteuid().as_raw()));
    let symbols = folder.join("symbols");
    std::fs::create_dir_all(&symbols).expect("the temporary folder is writable");
    // Every user builds, and keeps the symbols of what was built.
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&symbols, PermissionsExt::from_mode(0o1777)).expect("it is ours");
    folder
}

/// Puts a copy of a file into the [`public`] folder, whole or not at all, and returns its path.
pub fn publish(file: &Path, name: &str) -> PathBuf {
    try_publish(file, name).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn try_publish(file: &Path, name: &str) -> std::io::Result<PathBuf> {
    let target = public().join(name);
    let fresh = public().join(format!("{name}.{}", std::process::id()));
    std::fs::copy(file, &fresh)?;
    std::fs::rename(&fresh, &target)?;
    Ok(target)
}

/// The command under test: `$KERNLET`, else what `cargo build --release` makes.
pub fn binary() -> PathBuf {
    static PUBLISHED: OnceLock<PathBuf> = OnceLock::new();
    let publish = || {
        let built = std::env::var_os("KERNLET")
            .map_or_else(|| repository().join("target/release/kernlet"), PathBuf::from);
        assert!(built.exists(), "{} is missing: run `cargo build --release` first", built.display());
        publish(&built, "kernlet")
    };
    PUBLISHED.get_or_init(publish).clone()
}

/// Whether the tests run as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A new image, `name` in the [`public`] folder, of the crate in `folder` with the files of `root`. Whoever asks removes it.
pub fn image_with_root(folder: &str, root: &Path, name: &str) -> PathBuf {
    let image = public().join(format!("{name}-{}.img", std::process::id()));
    let output = Command::new(binary())
        .env("KERNLET_HOME", repository().join("target/test-home"))
        .args(["build", "-q", "--root"])
        .arg(root)
        .arg("-o")
        .arg(&image)
        .arg(repository().join(folder))
        .output()
        .expect("kernlet runs");
    assert!(output.status.success(), "building {folder}: {}", text(&output.stderr));
    image
}

/// An image of the crate in `folder` of the repository, built once for all tests of a process and, by kernlet's own
/// cache, quickly for all others.
pub fn image(folder: &'static str) -> PathBuf {
    static BUILT: OnceLock<std::sync::Mutex<std::collections::BTreeMap<&'static str, PathBuf>>> =
        OnceLock::new();
    let mut built =
        BUILT.get_or_init(Default::default).lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(path) = built.get(folder) {
        return path.clone();
    }
    let home = repository().join("target/test-home");
    std::fs::create_dir_all(&home).expect("the target folder is writable");
    let image = home.join(format!("{}-{}.img", folder.replace('/', "-"), std::process::id()));
    let output = Command::new(binary())
        .env("KERNLET_HOME", &home)
        .args(["build", "-q", "-o"])
        .arg(&image)
        .arg(repository().join(folder))
        .output()
        .expect("kernlet runs");
    assert!(output.status.success(), "building {folder}: {}", text(&output.stderr));
    let public = publish(&image, &format!("{}.img", folder.replace('/', "-")));
    std::fs::remove_file(&image).expect("it was just built");
    for symbols in std::fs::read_dir(home.join("symbols")).into_iter().flatten().flatten() {
        let name = format!("symbols/{}", symbols.file_name().to_string_lossy());
        if self::public().join(&name).exists() {
            continue;
        }
        match try_publish(&symbols.path(), &name) {
            // Those of an older image give way when another is built beside this test.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            published => drop(published.unwrap_or_else(|error| panic!("{name}: {error}"))),
        }
    }
    built.insert(folder, public.clone());
    public
}

/// Bytes as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A user of kernlet with a state of their own; everything of theirs ends with it.
pub struct User {
    home: tempfile::TempDir,
    /// Run as root, though an ordinary user would do.
    root: bool,
}

impl User {
    /// An ordinary user.
    pub fn ordinary() -> Self {
        let user =
            Self { home: tempfile::tempdir().expect("the temporary folder is writable"), root: !is_root() };
        if is_root() {
            user.give(user.home.path());
        }
        user.know_symbols();
        user
    }

    /// Lets the user's kernlet find the symbols of the images that the tests built.
    fn know_symbols(&self) {
        let state = self.folder("state");
        std::os::unix::fs::symlink(public().join("symbols"), state.join("symbols"))
            .expect("the state is new");
    }

    /// The user who runs the tests; for those that must be root.
    pub fn myself() -> Self {
        let user = Self { home: tempfile::tempdir().expect("the temporary folder is writable"), root: true };
        user.know_symbols();
        user
    }

    /// Whether it is root.
    pub fn is_root(&self) -> bool {
        self.root && is_root()
    }

    /// A folder of the user's.
    pub fn folder(&self, name: &str) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::create_dir_all(&path).expect("the home is writable");
        self.give(&path);
        path
    }

    /// Makes a file or folder the user's.
    pub fn give(&self, path: &Path) {
        if !self.root {
            std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).expect("root may give files away");
        }
    }

    /// Where the user's state lies.
    pub fn state(&self) -> PathBuf {
        self.home.path().join("state")
    }

    /// Any command as this user.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = if self.root {
            Command::new(program)
        } else {
            let mut command = Command::new("setpriv");
            command.args([
                &format!("--reuid={NOBODY}"),
                &format!("--regid={NOBODY}"),
                "--clear-groups",
                "--",
            ]);
            command.arg(program);
            command
        };
        command.env("KERNLET_HOME", self.state()).env("HOME", self.home.path()).stdin(Stdio::null());
        command.env_remove("XDG_STATE_HOME").current_dir(self.home.path());
        command
    }

    /// `kernlet` with these arguments.
    pub fn kernlet<S: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.command(binary());
        command.args(arguments);
        command
    }

    /// Runs `kernlet` with these arguments to its end.
    pub fn run<S: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Finished {
        finish(&mut self.kernlet(arguments))
    }

    /// Runs `kernlet`, which must succeed, and returns its standard output without the last newline.
    pub fn ok<S: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> String {
        let finished = self.run(arguments);
        assert_eq!(finished.status, 0, "{finished:#?}");
        finished.out.trim_end().to_owned()
    }

    /// The names of all of the user's instances.
    pub fn instances(&self) -> Vec<String> {
        let list: serde_json::Value =
            serde_json::from_str(&self.run(["ps", "-a", "--json"]).out).unwrap_or_default();
        let names = list.as_array().into_iter().flatten();
        names.filter_map(|i| i.get("name")?.as_str().map(str::to_owned)).collect()
    }

    /// What an instance wrote, its standard output first.
    pub fn logs(&self, name: &str) -> String {
        let finished = self.run(["logs", name]);
        finished.out + &finished.err
    }

    /// What `inspect --json` says of an instance or image.
    pub fn inspect(&self, what: &str) -> serde_json::Value {
        serde_json::from_str(&self.ok(["inspect", "--json", what])).expect("--json prints JSON")
    }

    /// Starts a detached instance and returns its name.
    pub fn detached<S: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> String {
        let mut all: Vec<std::ffi::OsString> = vec!["run".into(), "-d".into()];
        all.extend(arguments.into_iter().map(|a| a.as_ref().to_owned()));
        self.ok(all)
    }
}

impl Drop for User {
    fn drop(&mut self) {
        for name in self.instances() {
            self.run(["rm", "-f", &name]);
        }
    }
}

/// A command that came to its end.
#[derive(Debug)]
pub struct Finished {
    /// Its exit status; 128 and the signal's number when one ended it.
    pub status: i32,
    /// What it wrote to standard output.
    pub out: String,
    /// What it wrote to standard error.
    pub err: String,
}

/// Runs a command to its end, within [`PATIENCE`].
pub fn finish(command: &mut Command) -> Finished {
    finish_within(command, PATIENCE)
}

/// Runs a command to its end, within a time after which it counts as hanging.
pub fn finish_within(command: &mut Command, patience: Duration) -> Finished {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let described = format!("{command:?}");
    let id = child.id();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    match receiver.recv_timeout(patience) {
        Ok(output) => finished(&output.expect("a child can be waited for")),
        Err(_) => {
            kill(id, rustix::process::Signal::KILL);
            panic!("{described} took longer than {patience:?}");
        }
    }
}

fn finished(output: &Output) -> Finished {
    use std::os::unix::process::ExitStatusExt;
    let status = output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap_or(0));
    Finished { status, out: text(&output.stdout), err: text(&output.stderr) }
}

/// Sends a signal.
pub fn kill(id: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(id as i32).expect("no process has number 0");
    let _ = rustix::process::kill_process(pid, signal);
}

/// Asks again until the answer is yes; panics when that takes too long.
pub fn eventually(what: &str, mut asked: impl FnMut() -> bool) {
    let start = Instant::now();
    while !asked() {
        assert!(start.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A TCP and UDP port of the loopback that is free on both. Ports are handed out once a process.
pub fn free_port() -> u16 {
    loop {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").expect("there are free ports");
        let port = tcp.local_addr().expect("it is bound").port();
        if std::net::UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Makes sure that a tool is there.
pub fn need(tool: &str, package: &str) {
    let found = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path)
            .chain(["/usr/sbin".into(), "/sbin".into()])
            .any(|d| d.join(tool).exists())
    });
    assert!(found, "{tool} is missing: apt-get install {package}");
}

/// What dig answers: `+short`-like lines or the whole, as its arguments say.
pub fn dig(port: u16, arguments: &[&str]) -> String {
    need("dig", "bind9-dnsutils");
    let port = port.to_string();
    let mut command = Command::new("dig");
    command.args(["@127.0.0.1", "-p", &port, "+tries=3", "+time=2"]).args(arguments);
    finish(&mut command).out
}

/// A process that is killed when it goes out of scope.
pub struct Running(pub Child);

impl Running {
    /// Starts a command whose output nobody reads.
    pub fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    /// Waits for its end, and returns what it wrote to standard output, which is a pipe.
    pub fn end(mut self) -> String {
        let mut out = Vec::new();
        let mut pipe = self.0.stdout.take().expect("standard output is a pipe");
        pipe.read_to_end(&mut out).expect("it can be read");
        let _ = self.0.wait();
        text(&out)
    }

    /// Ends it and returns what it wrote to standard output, if that is a pipe.
    pub fn stop(mut self) -> String {
        let _ = self.0.kill();
        let mut out = Vec::new();
        if let Some(mut pipe) = self.0.stdout.take() {
            let _ = pipe.read_to_end(&mut out);
        }
        text(&out)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
