//! A process over a sealed root, whose calls are made as a program makes them: by number, with addresses of memory.
#![allow(dead_code, reason = "each test file uses a part")]

use kernlet_image::erofs::{Plan, Tree};
use kernlet_linux::call::{Call, WAITS};
use kernlet_linux::files;
use kernlet_linux::memory::Space;
use kernlet_linux::process::Process;
use kernlet_linux::system::Credentials;
use kernlet_linux::thread::Thread;
use kernlet_platform::sealed;
use kernlet_wire::manifest::{Digest, Draft, Kind, Root};
use std::ffi::CString;
use std::rc::Rc;

/// AT_FDCWD.
pub const CWD: i64 = -100;

/// The flags of open(2).
pub mod o {
    pub const RDONLY: i64 = 0;
    pub const WRONLY: i64 = 1;
    pub const RDWR: i64 = 2;
    pub const CREAT: i64 = 0o100;
    pub const EXCL: i64 = 0o200;
    pub const TRUNC: i64 = 0o1000;
    pub const APPEND: i64 = 0o2000;
    pub const NONBLOCK: i64 = 0o4000;
    pub const DIRECTORY: i64 = 0o200_000;
    pub const NOFOLLOW: i64 = 0o400_000;
    pub const CLOEXEC: i64 = 0o2_000_000;
    pub const PATH: i64 = 0o10_000_000;
    pub const TMPFILE: i64 = 0o20_200_000;
}

/// Makes a root this thread's.
fn seal() {
    let mut tree = Tree::new();
    tree.add_bytes("/etc/motd", 0o644, b"welcome\n".to_vec()).unwrap();
    tree.add_bytes("/etc/secret", 0o600, b"hidden\n".to_vec()).unwrap();
    tree.add_bytes("/usr/lib/big", 0o755, (0..50_000u32).map(|i| i as u8).collect()).unwrap();
    tree.add_bytes("/.kernlet/rewrite", 0o644, vec![1]).unwrap();
    tree.add_bytes("/tmp/sealed", 0o644, b"in the image".to_vec()).unwrap();
    tree.add_symlink("/lib", "usr/lib").unwrap();
    tree.add_symlink("/loop", "loop").unwrap();
    tree.add_symlink("/usr/motd", "/etc/motd").unwrap();
    let plan = Plan::new(&tree).unwrap();
    let root = |offset| Some(Root { offset, len: plan.byte_len(), digest: Digest([0; 32]) });
    let draft = |root| Draft { root, ..Draft::new("test", Kind::Native) };
    let offset = draft(root(4096)).encode().unwrap().len().next_multiple_of(4096);
    let mut bytes = draft(root(offset as u64)).encode().unwrap();
    bytes.resize(offset, 0);
    plan.write(&mut bytes).unwrap();
    sealed::set_segment(Vec::leak(bytes));
}

/// A thread of a process that root started.
pub struct Machine {
    pub thread: Rc<Thread>,
}

impl Machine {
    /// Its first thread.
    pub fn new() -> Self {
        seal();
        let space = Space::new(0x1000_0000);
        let process = Process::new(space, Credentials::of(0, 0), false);
        Self { thread: Thread::new(&process) }
    }

    /// From now on it is an ordinary user.
    pub fn become_user(&self, user: u32, group: u32) {
        *self.thread.process.credentials.borrow_mut() = Credentials::of(user, group);
    }

    /// Makes a call; the result as the program sees it.
    pub async fn call(&self, number: u64, arguments: &[i64]) -> i64 {
        let mut all = [0; 6];
        for (to, from) in all.iter_mut().zip(arguments) {
            *to = *from as u64;
        }
        let call = Call { number, arguments: all };
        let outcome = match files::at_once(&self.thread, call) {
            Err(WAITS) => files::call(&self.thread, call).await,
            outcome => outcome,
        };
        match outcome {
            Ok(value) => value as i64,
            Err(error) => -i64::from(error.0),
        }
    }

    /// Makes a call whose argument `index` is a path.
    pub async fn with(&self, number: u64, path: &str, index: usize, arguments: &[i64]) -> i64 {
        let path = CString::new(path).unwrap();
        let mut all = arguments.to_vec();
        all.insert(index, path.as_ptr() as i64);
        self.call(number, &all).await
    }

    pub async fn open(&self, path: &str, flags: i64) -> i64 {
        self.with(257, path, 1, &[CWD, flags, 0o666]).await
    }

    pub async fn close(&self, descriptor: i64) -> i64 {
        self.call(3, &[descriptor]).await
    }

    pub async fn write(&self, descriptor: i64, bytes: &[u8]) -> i64 {
        self.call(1, &[descriptor, bytes.as_ptr() as i64, bytes.len() as i64]).await
    }

    /// Reads at most `most` bytes.
    pub async fn read(&self, descriptor: i64, most: usize) -> Result<Vec<u8>, i64> {
        let mut bytes = vec![0; most];
        let length = self.call(0, &[descriptor, bytes.as_mut_ptr() as i64, most as i64]).await;
        if length < 0 {
            return Err(length);
        }
        bytes.truncate(length as usize);
        Ok(bytes)
    }

    /// Writes a whole file.
    pub async fn put(&self, path: &str, bytes: &[u8]) -> i64 {
        let file = self.open(path, o::WRONLY | o::CREAT | o::TRUNC).await;
        if file < 0 {
            return file;
        }
        let written = self.write(file, bytes).await;
        self.close(file).await;
        written
    }

    /// Reads a whole file.
    pub async fn get(&self, path: &str) -> Result<Vec<u8>, i64> {
        let file = self.open(path, o::RDONLY).await;
        if file < 0 {
            return Err(file);
        }
        let mut all = Vec::new();
        loop {
            match self.read(file, 8192).await {
                Ok(bytes) if bytes.is_empty() => break,
                Ok(bytes) => all.extend(bytes),
                Err(error) => {
                    self.close(file).await;
                    return Err(error);
                }
            }
        }
        self.close(file).await;
        Ok(all)
    }

    pub async fn text(&self, path: &str) -> String {
        String::from_utf8(self.get(path).await.unwrap_or_else(|e| panic!("{path}: {e}"))).unwrap()
    }

    /// stat(2) or lstat(2): the words of `struct stat`.
    pub async fn stat(&self, path: &str, follow: bool) -> Result<Stat, i64> {
        let mut words = [0u64; 18];
        let flags = if follow { 0 } else { 0x100 };
        match self.with(262, path, 1, &[CWD, words.as_mut_ptr() as i64, flags]).await {
            0 => Ok(Stat(words)),
            error => Err(error),
        }
    }

    pub async fn fstat(&self, descriptor: i64) -> Result<Stat, i64> {
        let mut words = [0u64; 18];
        match self.call(5, &[descriptor, words.as_mut_ptr() as i64]).await {
            0 => Ok(Stat(words)),
            error => Err(error),
        }
    }

    /// The names of a directory, sorted, without `.` and `..`.
    pub async fn list(&self, path: &str) -> Result<Vec<String>, i64> {
        let folder = self.open(path, o::DIRECTORY).await;
        if folder < 0 {
            return Err(folder);
        }
        let mut names = Vec::new();
        loop {
            let mut bytes = vec![0u8; 256];
            let length = self.call(217, &[folder, bytes.as_mut_ptr() as i64, bytes.len() as i64]).await;
            if length <= 0 {
                self.close(folder).await;
                names.sort();
                return if length < 0 { Err(length) } else { Ok(names) };
            }
            let mut rest = &bytes[..length as usize];
            while !rest.is_empty() {
                let size = usize::from(u16::from_le_bytes([rest[16], rest[17]]));
                let name = rest[19..size].split(|&b| b == 0).next().unwrap();
                if name != b"." && name != b".." {
                    names.push(String::from_utf8(name.to_vec()).unwrap());
                }
                rest = &rest[size..];
            }
        }
    }

    pub async fn link_of(&self, path: &str) -> Result<String, i64> {
        let mut bytes = vec![0u8; 4096];
        let length = self.with(89, path, 0, &[bytes.as_mut_ptr() as i64, bytes.len() as i64]).await;
        if length < 0 {
            return Err(length);
        }
        bytes.truncate(length as usize);
        Ok(String::from_utf8(bytes).unwrap())
    }

    /// A call with two paths.
    pub async fn two(&self, number: u64, one: &str, other: &str) -> i64 {
        let (one, other) = (CString::new(one).unwrap(), CString::new(other).unwrap());
        self.call(number, &[one.as_ptr() as i64, other.as_ptr() as i64]).await
    }
}

/// `struct stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat(pub [u64; 18]);

impl Stat {
    pub fn device(&self) -> u64 {
        self.0[0]
    }
    pub fn inode(&self) -> u64 {
        self.0[1]
    }
    pub fn links(&self) -> u64 {
        self.0[2]
    }
    pub fn mode(&self) -> u32 {
        self.0[3] as u32
    }
    pub fn owner(&self) -> (u32, u32) {
        ((self.0[3] >> 32) as u32, self.0[4] as u32)
    }
    pub fn size(&self) -> u64 {
        self.0[6]
    }
}

/// Runs a test as the executor's main task.
pub fn run<F: Future<Output = ()> + 'static>(test: impl FnOnce(Machine) -> F + 'static) {
    kernlet_exec::block_on(async move { test(Machine::new()).await });
}
