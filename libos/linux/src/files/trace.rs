//! Telling which files the program uses, when somebody wants to know: see [`kernlet_wire::trace`].

use alloc::vec::Vec;
use core::cell::Cell;
use kernlet_fs::OpenOptions;
use kernlet_fs::volume::{HostFile, LinuxVolume};
use kernlet_platform::boot;
use kernlet_platform::cell::RefCell;
use kernlet_sync::SmallMap;
use kernlet_wire::trace::PATH;

/// More paths than a program uses that is worth tracing; what it reaches beyond that is not told.
const MOST: usize = 1 << 16;

/// Where it is told, and what was.
pub struct Trace {
    file: HostFile,
    end: Cell<u64>,
    told: RefCell<SmallMap<Vec<u8>, ()>>,
}

impl Trace {
    /// That of this instance, if it is traced. Only the process door does so.
    pub async fn begin() -> Option<Self> {
        let mount = boot::blob().mounts().find(|mount| mount.path == PATH)?;
        let volume = LinuxVolume::new(&mount);
        let file = match volume.open(b"", OpenOptions::new().write(true)).await {
            Ok(file) => file,
            Err(error) => {
                crate::report!("what the program uses cannot be told: {error}");
                return None;
            }
        };
        Some(Self { file, end: Cell::new(0), told: RefCell::default() })
    }

    /// Tells that `path`, an absolute one, led somewhere.
    pub fn reached(&self, path: Vec<u8>) {
        let mut told = self.told.borrow_mut();
        if told.len() == MOST || told.contains_key(&path) {
            return;
        }
        let mut line = path.clone();
        line.push(0);
        // A path that was not written is not in the image that comes of it, and its build says which are.
        if let Some(Ok(written)) = self.file.host().map(|file| file.write_at(self.end.get(), &line)) {
            self.end.set(self.end.get() + written as u64);
            told.insert(path, ());
        }
    }
}
