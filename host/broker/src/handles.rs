//! The files that the broker keeps open for what is done to them here.

use crate::locks::Ranges;
use kernlet_wire::broker::MAX_HANDLES;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

/// A file, and the volume that it lies in.
#[derive(Debug)]
pub struct OpenFile {
    pub volume: u32,
    pub descriptor: OwnedFd,
    locks: Mutex<Ranges>,
}

impl OpenFile {
    pub fn new(volume: u32, descriptor: OwnedFd, locks: Ranges) -> Self {
        Self { volume, descriptor, locks: Mutex::new(locks) }
    }

    /// Does something with the locks that it has.
    pub fn locks<T>(&self, with: impl FnOnce(&mut Ranges) -> T) -> T {
        with(&mut self.locks.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Handles of one instance; numbers are not used again until all others were.
#[derive(Debug)]
pub struct Handles {
    open: HashMap<u32, Arc<OpenFile>>,
    next: u32,
    most: usize,
}

impl Handles {
    /// No more than a quarter of the descriptors that this process may have: a monitor needs some for itself.
    pub fn new() -> Self {
        Self { open: HashMap::new(), next: 1, most: quarter_of_descriptors().clamp(1, MAX_HANDLES) }
    }

    /// Keeps a file. (It comes shared, so that a file that is not kept is closed by the caller, who holds no lock.)
    pub fn add(&mut self, file: Arc<OpenFile>) -> Result<u32, Errno> {
        if self.open.len() >= self.most {
            return Err(Errno::MFILE);
        }
        while self.next == 0 || self.open.contains_key(&self.next) {
            self.next = self.next.wrapping_add(1);
        }
        let handle = self.next;
        self.next = self.next.wrapping_add(1);
        self.open.insert(handle, file);
        Ok(handle)
    }

    pub fn get(&self, handle: u32) -> Result<Arc<OpenFile>, Errno> {
        self.open.get(&handle).cloned().ok_or(Errno::BADF)
    }

    /// Forgets a handle; the file is closed when what is returned is dropped.
    pub fn close(&mut self, handle: u32) -> Result<Arc<OpenFile>, Errno> {
        self.open.remove(&handle).ok_or(Errno::BADF)
    }
}

/// A quarter of the descriptors that this process may have.
pub fn quarter_of_descriptors() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX) / 4;
    usize::try_from(limit).unwrap_or(usize::MAX)
}
