//! Files of volumes that are mapped shared where no host maps them, in a VM: pages of them in memory, which are written back
//! by msync(2), munmap(2), fsync(2) and the end of the program, and before the file is read otherwise. What another instance
//! writes is not seen there, as on other file systems that come over a wire.

use super::volume::Opened;
use crate::{Errno, PAGE};
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::Cell;
use core::ops::Range;
use kernlet_platform::cell::RefCell;
use kernlet_platform::program::Shared;
use kernlet_sync::SmallMap;

/// Those of a volume, as long as they are mapped.
pub type AllCached = RefCell<Vec<Weak<Cached>>>;

/// Pages of one file.
pub struct Cached {
    /// What holds them, each at its place in the file.
    pub memory: Rc<Shared>,
    inode: u64,
    /// By what they are written back: it was opened for writing when somebody mapped it so.
    file: RefCell<Rc<Opened>>,
    writable: Cell<bool>,
    /// What stands in the file, by its hash: what differs was written.
    pages: RefCell<SmallMap<u64, u64>>,
}

fn hash(page: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix =
        |sum: u64, word: &[u8; 8]| (sum ^ u64::from_le_bytes(*word)).wrapping_mul(FACTOR).rotate_left(29);
    page.as_chunks::<8>().0.iter().fold(FACTOR, mix)
}

impl Opened {
    /// The pages of this file that are in memory, if any are.
    async fn known(&self) -> Result<Option<Rc<Cached>>, Errno> {
        let all = &self.top().system.cached;
        if all.borrow().is_empty() {
            return Ok(None);
        }
        let inode = self.metadata().await?.inode;
        Ok(all.borrow().iter().filter_map(Weak::upgrade).find(|cached| cached.inode == inode))
    }

    /// Has the file hold what was written to its pages, before it is read, written or cut otherwise.
    ///
    /// # Errors
    /// The server's.
    pub async fn settle(&self) -> Result<(), Errno> {
        match self.known().await? {
            Some(cached) => cached.write_back().await,
            None => Ok(()),
        }
    }

    /// The file was written or cut by itself: its pages are what it holds now.
    ///
    /// # Errors
    /// The server's.
    pub async fn changed(&self, bytes: Range<u64>) -> Result<(), Errno> {
        let Some(cached) = self.known().await? else { return Ok(()) };
        let pages = bytes.start / PAGE as u64..bytes.end.div_ceil(PAGE as u64);
        let known: Vec<u64> = cached.pages.borrow().keys().copied().filter(|n| pages.contains(n)).collect();
        for number in known {
            cached.load(number).await?;
        }
        Ok(())
    }

    /// Has a part of the file in memory, to be mapped shared.
    ///
    /// # Errors
    /// ENODEV where there is no such memory; ENOSPC; the server's.
    pub async fn cached(self: &Rc<Self>, write: bool, bytes: Range<u64>) -> Result<Rc<Cached>, Errno> {
        let cached = match self.known().await? {
            Some(known) => known,
            None => {
                let inode = self.metadata().await?.inode;
                let cached = Rc::new(Cached {
                    memory: Rc::new(Shared::new()?),
                    inode,
                    file: RefCell::new(self.clone()),
                    writable: Cell::new(false),
                    pages: RefCell::default(),
                });
                let mut all = self.top().system.cached.borrow_mut();
                all.retain(|cached| cached.strong_count() > 0);
                all.push(Rc::downgrade(&cached));
                cached
            }
        };
        if write && !cached.writable.replace(true) {
            *cached.file.borrow_mut() = self.clone();
        }
        for number in bytes.start / PAGE as u64..bytes.end.div_ceil(PAGE as u64) {
            let known = cached.pages.borrow().contains_key(&number);
            if !known {
                cached.load(number).await?;
            }
        }
        Ok(cached)
    }
}

impl Cached {
    /// Reads a page from the file; zeros behind its end.
    async fn load(&self, number: u64) -> Result<(), Errno> {
        let (mut page, mut done) = (alloc::vec![0; PAGE], 0);
        let file = self.file.borrow().clone();
        while done < PAGE {
            let at = number * PAGE as u64 + done as u64;
            match file.file().read_at(at, &mut page[done..]).await? {
                0 => break,
                length => done += length,
            }
        }
        self.memory.write(number * PAGE as u64, &page)?;
        self.pages.borrow_mut().insert(number, hash(&page));
        Ok(())
    }

    /// Writes back what was written. What lies behind the file's end is nobody's.
    ///
    /// # Errors
    /// The server's; what could not be written is tried again the next time.
    pub async fn write_back(&self) -> Result<(), Errno> {
        if !self.writable.get() {
            return Ok(());
        }
        let file = self.file.borrow().clone();
        let length = file.metadata().await?.size;
        let known: Vec<(u64, u64)> = self.pages.borrow().iter().map(|(n, hash)| (*n, *hash)).collect();
        let mut page = alloc::vec![0; PAGE];
        for (number, before) in known {
            let at = number * PAGE as u64;
            self.memory.read(at, &mut page)?;
            let now = hash(&page);
            let room = length.saturating_sub(at).min(PAGE as u64) as usize;
            let mut done = 0;
            while now != before && done < room {
                done += file.file().write_at(at + done as u64, &page[done..room]).await?.max(1);
            }
            self.pages.borrow_mut().insert(number, now);
        }
        Ok(())
    }
}

impl core::fmt::Debug for Cached {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Cached({})", self.inode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_byte_anywhere_changes_the_hash() {
        let mut page = alloc::vec![0; PAGE];
        let zeros = hash(&page);
        for at in [0, 7, 8, 1000, PAGE - 1] {
            page[at] = 1;
            assert_ne!(hash(&page), zeros);
            page[at] = 0;
        }
        page.swap(0, 1);
        assert_eq!(hash(&page), zeros);
    }
}
