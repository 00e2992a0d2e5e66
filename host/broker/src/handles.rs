//! The files that the broker keeps open for what is done to them here.

use kernlet_wire::broker::MAX_HANDLES;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Handles of one instance; numbers are not used again until all others were.
#[derive(Debug)]
pub struct Handles {
    open: HashMap<u32, Arc<OwnedFd>>,
    next: u32,
    most: usize,
}

impl Handles {
    /// No more than a quarter of the descriptors that this process may have: a monitor needs some for itself.
    pub fn new() -> Self {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX) / 4;
        let most = usize::try_from(limit).unwrap_or(usize::MAX).clamp(1, MAX_HANDLES);
        Self { open: HashMap::new(), next: 1, most }
    }

    pub fn add(&mut self, file: OwnedFd) -> Result<u32, Errno> {
        if self.open.len() >= self.most {
            return Err(Errno::MFILE);
        }
        while self.next == 0 || self.open.contains_key(&self.next) {
            self.next = self.next.wrapping_add(1);
        }
        let handle = self.next;
        self.next = self.next.wrapping_add(1);
        self.open.insert(handle, Arc::new(file));
        Ok(handle)
    }

    pub fn get(&self, handle: u32) -> Result<Arc<OwnedFd>, Errno> {
        self.open.get(&handle).cloned().ok_or(Errno::BADF)
    }

    pub fn close(&mut self, handle: u32) -> Result<(), Errno> {
        self.open.remove(&handle).map(drop).ok_or(Errno::BADF)
    }
}
