//! A name server of others, running beside the tests: in a folder of its own, on a loopback port, never left behind.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long a peer may take for anything on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A folder that goes with its owner.
pub struct Folder(PathBuf);

impl Folder {
    /// A new one in the temporary folder, whose name starts with `name`.
    pub fn new(name: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("dns-{name}-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file in it.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running server; it and its folder are gone when this is dropped.
pub struct Peer {
    /// Its name, for messages.
    pub name: &'static str,
    /// Where it answers, over both transports.
    pub address: SocketAddr,
    child: Child,
    folder: Folder,
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Asked to end, it takes its other processes with it; killed, it would leave them behind.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let deadline = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Peer {
    /// Starts `binary` with these arguments. It writes its log to `log` in the folder, or to its standard error, and
    /// is there once it answers for all zones.
    pub fn start(
        name: &'static str,
        binary: &Path,
        arguments: &[&str],
        address: SocketAddr,
        folder: Folder,
        zones: &[&str],
    ) -> Self {
        let log = std::fs::File::create(folder.path().join("stderr")).expect("the folder is writable");
        // The server ends with the test, even if that is killed.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "--"])
            .arg(binary)
            .args(arguments)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("setpriv (util-linux) starts the server");
        let mut peer = Self { name, address, child, folder };
        peer.wait(zones);
        peer
    }

    /// What the server wrote so far.
    pub fn log(&self) -> String {
        let read = |name| std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        read("log") + &read("stderr")
    }

    /// Waits until every zone is served.
    fn wait(&mut self, zones: &[&str]) {
        let deadline = Instant::now() + PATIENCE;
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        socket.connect(self.address).expect("loopback");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a valid time");
        for origin in zones {
            let query = crate::common::Ask::new(&format!("{}.", origin.trim_end_matches('.')), 6).packet();
            let mut reply = [0; 4096];
            // Refused or failed until the zone is loaded.
            while !(socket.send(&query).is_ok()
                && socket.recv(&mut reply).is_ok_and(|length| length > 12 && reply[3] & 15 == 0))
            {
                let ended = self.child.try_wait().ok().flatten();
                let late = Instant::now() > deadline;
                assert!(
                    ended.is_none() && !late,
                    "{} does not serve {origin} ({ended:?}); its log:\n{}",
                    self.name,
                    self.log()
                );
                if reply[3] & 15 != 0 || late {
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        }
        let log = self.log();
        assert!(!log.contains("error:"), "{} does not like the zones:\n{log}", self.name);
    }
}

/// A loopback address whose port is free for both transports, as far as one can know.
pub fn free_address() -> SocketAddr {
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there are free ports");
        let address = listener.local_addr().expect("it is bound");
        if UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
}

/// Where a server's binary is; `package` brings it.
pub fn binary(name: &str, package: &str) -> PathBuf {
    ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"]
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("{name} is missing, which this test needs: apt-get install {package}"))
}
