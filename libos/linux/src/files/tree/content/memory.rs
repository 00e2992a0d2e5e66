//! What the contents of files in memory are kept in, and counted by.

use super::super::system::Usage;
use crate::{Errno, PAGE};
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use kernlet_platform::program::{SHARED_MOST, Shared};

/// A page's bytes, counted as long as it exists.
pub struct Page(pub Box<[u8]>, Rc<Usage>);

impl Page {
    /// One that begins with `from`, and goes on with zeros.
    ///
    /// # Errors
    /// ENOSPC.
    pub fn new(usage: &Rc<Usage>, from: &[u8]) -> Result<Self, Errno> {
        let mut bytes = Vec::new();
        if bytes.try_reserve_exact(PAGE).is_err() {
            return Err(Errno::ENOSPC);
        }
        usage.take_pages(1)?;
        bytes.extend_from_slice(&from[..from.len().min(PAGE)]);
        bytes.resize(PAGE, 0);
        Ok(Self(bytes.into_boxed_slice(), usage.clone()))
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.1.give_pages(1);
    }
}

/// What holds a file that is mapped shared, counted by the pages that its length takes.
pub struct Pool {
    /// The memory.
    pub memory: Rc<Shared>,
    pages: u64,
    usage: Rc<Usage>,
}

impl Pool {
    /// One that counts nothing yet.
    pub fn new(memory: Rc<Shared>, usage: Rc<Usage>) -> Self {
        Self { memory, pages: 0, usage }
    }

    /// Counts for a file of `length` bytes.
    pub fn count(&mut self, length: u64) -> Result<(), Errno> {
        let pages = length.div_ceil(PAGE as u64);
        self.usage.take_pages(pages.saturating_sub(self.pages))?;
        self.usage.give_pages(self.pages.saturating_sub(pages));
        self.pages = pages;
        Ok(())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.usage.give_pages(self.pages);
    }
}

/// Writes what `next` gives for `most` bytes at `at`, which lie in a page.
pub fn put_shared(
    pool: &mut Pool,
    at: u64,
    most: usize,
    length: u64,
    next: &mut impl FnMut(&mut [u8]) -> Result<usize, Errno>,
) -> Result<usize, Errno> {
    let end = at + most as u64;
    if end > SHARED_MOST {
        return Err(Errno::EFBIG);
    }
    pool.count(length.max(end))?;
    let mut page = [0; PAGE];
    let moved = next(&mut page[..most])?;
    pool.memory.write(at, &page[..moved])?;
    Ok(moved)
}
