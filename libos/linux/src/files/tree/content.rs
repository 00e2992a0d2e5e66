//! The contents of a file in memory: pages by their number, over what the image holds of the file.
//!
//! A file of the image that is written becomes pages where it was written, and stays the image's everywhere else: a change
//! takes the memory of the change. A hole takes nothing.

mod memory;
mod room;

pub use room::Seek;

use super::system::Usage;
use crate::files::seal::SEAL;
use crate::user::Buffers;
use crate::{Errno, PAGE};
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use kernlet_platform::cpu::CpuLocal;
use kernlet_platform::program::{SHARED_MOST, Shared};
use kernlet_sync::SmallMap;
use memory::{Page, Pool, put_shared};

/// Pages are kept in groups of so many with successive numbers.
const GROUP: u64 = 64;
/// The longest file (`loff_t` is signed).
const MOST_BYTES: u64 = i64::MAX as u64;
static ZEROS: CpuLocal<Vec<u8>> = CpuLocal::new(|| alloc::vec![0; PAGE]);

/// A page of zeros, the same each time: made when the first asks, since the image would hold it otherwise.
pub fn zeros() -> &'static [u8] {
    ZEROS.get()
}

type Group = Box<[Option<Page>; GROUP as usize]>;

/// The contents of a file.
pub struct Content {
    length: u64,
    /// What shows where there is no page.
    base: &'static [u8],
    groups: SmallMap<u64, Group>,
    usage: Rc<Usage>,
    /// All of it, once it was mapped shared: then there are neither pages nor a base.
    shared: Option<Pool>,
    /// Its seals: at first that there can be none ([`crate::files::seal`]).
    pub seals: u32,
}

impl Content {
    /// A file that holds `base`.
    pub fn new(usage: Rc<Usage>, base: &'static [u8]) -> Self {
        Self { length: base.len() as u64, base, groups: SmallMap::new(), usage, shared: None, seals: SEAL }
    }

    /// Bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Units of 512 bytes that it takes, the image's included (`st_blocks`).
    pub fn blocks(&self) -> u64 {
        if self.shared.is_some() {
            return self.length.div_ceil(PAGE as u64) * (PAGE as u64 / 512);
        }
        let pages: usize = self.groups.values().map(|g| g.iter().flatten().count()).sum();
        pages as u64 * (PAGE as u64 / 512) + (self.base.len() as u64).div_ceil(512)
    }

    /// Makes it memory that can be mapped shared, so that what is written there is the file's, and the other way round.
    ///
    /// # Errors
    /// ENODEV without such memory; ENOSPC; EFBIG.
    pub fn share(&mut self) -> Result<Rc<Shared>, Errno> {
        if let Some(pool) = &self.shared {
            return Ok(pool.memory.clone());
        }
        if self.length > SHARED_MOST {
            return Err(Errno::EFBIG);
        }
        let memory = Rc::new(Shared::new()?);
        let mut pool = Pool::new(memory.clone(), self.usage.clone());
        let mut at = 0;
        while at < self.length {
            let piece = self.piece(at);
            // Holes stay holes.
            if !core::ptr::eq(piece.as_ptr(), zeros().as_ptr()) {
                memory.write(at, piece)?;
            }
            at += piece.len() as u64;
        }
        self.groups.clear();
        self.base = &[];
        pool.count(self.length)?;
        self.shared = Some(pool);
        Ok(memory)
    }

    /// Where the whole of it lies in the image, when nothing of it was changed.
    pub fn sealed(&self) -> Option<&'static [u8]> {
        (self.shared.is_none()
            && self.groups.is_empty()
            && self.base.len() as u64 == self.length
            && !self.base.is_empty())
        .then_some(self.base)
    }

    fn page(&self, number: u64) -> Option<&[u8]> {
        let page = self.groups.get(&(number / GROUP))?[(number % GROUP) as usize].as_ref()?;
        Some(&page.0)
    }

    /// A part of the image's bytes: those from `at` on, at most up to `end`.
    fn base(&self, at: u64, end: u64) -> &'static [u8] {
        let end = (self.base.len() as u64).min(end) as usize;
        usize::try_from(at).ok().and_then(|at| self.base.get(at..end)).unwrap_or(&[])
    }

    /// What is there from `at` on, in one piece as long as may be; empty at the end.
    fn piece(&self, at: u64) -> &[u8] {
        let left = self.length.saturating_sub(at);
        if self.groups.is_empty() && at < self.base.len() as u64 {
            return self.base(at, self.length);
        }
        let (number, within) = (at / PAGE as u64, (at % PAGE as u64) as usize);
        let most = left.min((PAGE - within) as u64) as usize;
        if let Some(page) = self.page(number) {
            return &page[within..within + most];
        }
        match self.base(at, at + most as u64) {
            [] => &zeros()[..most],
            piece => piece,
        }
    }

    /// Copies from `offset` on to the program's memory; tells how much there was.
    ///
    /// # Errors
    /// EFAULT when not even the first byte could be written.
    pub fn read(&self, offset: u64, to: &mut Buffers) -> Result<usize, Errno> {
        let mut done = 0;
        let mut chunk = [0; 1024];
        while let (true, Some((_, room))) = (self.shared.is_some(), to.piece()) {
            let length = room.min(chunk.len());
            let length = self.read_at(offset + done as u64, &mut chunk[..length]);
            match to.fill(&chunk[..length]) {
                Ok(0) => return Ok(done),
                Ok(length) => done += length,
                Err(_) if done > 0 => return Ok(done),
                Err(error) => return Err(error),
            }
        }
        while to.remaining() > 0 {
            let piece = self.piece(offset + done as u64);
            if piece.is_empty() {
                break;
            }
            let wanted = piece.len().min(to.remaining());
            match to.fill(&piece[..wanted]) {
                Ok(length) => {
                    done += length;
                    if length < wanted {
                        break;
                    }
                }
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// Copies from `offset` on into `to`; tells how much there was.
    pub fn read_at(&self, offset: u64, to: &mut [u8]) -> usize {
        if let Some(pool) = &self.shared {
            let left = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX);
            let length = left.min(to.len());
            return pool.memory.read(offset, &mut to[..length]).map_or(0, |()| length);
        }
        let mut done = 0;
        while done < to.len() {
            let piece = self.piece(offset + done as u64);
            if piece.is_empty() {
                break;
            }
            let length = piece.len().min(to.len() - done);
            to[done..done + length].copy_from_slice(&piece[..length]);
            done += length;
        }
        done
    }

    /// The page of this number, made when it is not there.
    fn make(&mut self, number: u64) -> Result<&mut [u8], Errno> {
        let base = self.base(number * PAGE as u64, (number + 1) * PAGE as u64);
        let group = self.groups.get_or_insert_with(number / GROUP, || Box::new([const { None }; _]));
        let place = &mut group[(number % GROUP) as usize];
        if place.is_none() {
            *place = Some(Page::new(&self.usage, base)?);
        }
        place.as_mut().map(|page| &mut page.0[..]).ok_or(Errno::EIO)
    }

    /// Writes at `offset` what `next` gives for each piece, up to `length` bytes; it may give less than it is asked for.
    fn put(
        &mut self,
        offset: u64,
        length: usize,
        mut next: impl FnMut(&mut [u8]) -> Result<usize, Errno>,
    ) -> Result<usize, Errno> {
        if length == 0 {
            return Ok(0);
        }
        let room = MOST_BYTES.saturating_sub(offset);
        if room == 0 {
            return Err(Errno::EFBIG);
        }
        let length = length.min(usize::try_from(room).unwrap_or(usize::MAX));
        let mut done = 0;
        while done < length {
            let at = offset + done as u64;
            let within = (at % PAGE as u64) as usize;
            let most = (length - done).min(PAGE - within);
            let moved = match &mut self.shared {
                Some(pool) => put_shared(pool, at, most, self.length, &mut next),
                None => self.make(at / PAGE as u64).and_then(|page| next(&mut page[within..within + most])),
            };
            match moved {
                Ok(moved) => {
                    done += moved;
                    if moved < most {
                        break;
                    }
                }
                // What was written before stays written.
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        self.length = self.length.max(offset + done as u64);
        Ok(done)
    }

    /// Writes from the program's memory; tells how much found room.
    ///
    /// # Errors
    /// EFAULT, ENOSPC when not even the first byte could be written; EFBIG.
    pub fn write(&mut self, offset: u64, from: &mut Buffers) -> Result<usize, Errno> {
        let length = from.remaining();
        self.put(offset, length, |piece| from.take(piece))
    }

    /// Writes `bytes`; tells how much found room.
    ///
    /// # Errors
    /// ENOSPC when not even the first byte could be written; EFBIG.
    pub fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<usize, Errno> {
        let mut rest = bytes;
        self.put(offset, bytes.len(), |piece| {
            let (first, behind) = rest.split_at(piece.len());
            piece.copy_from_slice(first);
            rest = behind;
            Ok(first.len())
        })
    }
}

#[cfg(test)]
mod tests;
