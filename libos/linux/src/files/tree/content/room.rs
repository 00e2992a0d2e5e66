//! The length of a file in memory, its holes, and room for what is to come.

use super::{Content, GROUP, MOST_BYTES, zeros};
use crate::{Errno, PAGE};
use kernlet_platform::program::SHARED_MOST;

/// A kind of place in a file: SEEK_DATA and SEEK_HOLE of lseek(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seek {
    /// Something that takes room.
    Data,
    /// A hole, or the end.
    Hole,
}

impl Content {
    /// Makes zeros of `start..end`, and gives back what whole pages took; the length stays.
    ///
    /// # Errors
    /// ENOSPC when a part of a page of the image would have to become a page.
    pub fn zero(&mut self, start: u64, end: u64) -> Result<(), Errno> {
        if let Some(pool) = &self.shared {
            let mut at = start;
            while at < end.min(self.length) {
                let length = (end.min(self.length) - at).min(PAGE as u64);
                pool.memory.write(at, &zeros()[..length as usize])?;
                at += length;
            }
            return Ok(());
        }
        let end = end.min(self.length.next_multiple_of(PAGE as u64));
        // Where the image shows through, zeros need pages, unless nothing of the image comes behind.
        if end >= self.base.len() as u64 && start < self.base.len() as u64 {
            self.base = &self.base[..start as usize];
        }
        let mut at = start;
        while at < end {
            let (number, within) = (at / PAGE as u64, (at % PAGE as u64) as usize);
            let most = (end - at).min((PAGE - within) as u64) as usize;
            let whole = most == PAGE && self.base(at, at + PAGE as u64).is_empty();
            if whole {
                match self.groups.at_or_after_mut(&(number / GROUP)) {
                    None => break,
                    Some((&group, _)) if group > number / GROUP => {
                        // Nothing is there up to this group.
                        at = (group * GROUP * PAGE as u64).max(at + 1).min(end);
                        continue;
                    }
                    Some((_, pages)) => pages[(number % GROUP) as usize] = None,
                }
            } else if self.page(number).is_some() || !self.base(at, at + most as u64).is_empty() {
                self.make(number)?[within..within + most].fill(0);
            }
            at += most as u64;
        }
        Ok(())
    }

    /// Cuts the file, or lengthens it by a hole.
    ///
    /// # Errors
    /// EFBIG.
    pub fn set_len(&mut self, length: u64) -> Result<(), Errno> {
        if length > MOST_BYTES {
            return Err(Errno::EFBIG);
        }
        if let Some(pool) = &mut self.shared {
            if length > SHARED_MOST {
                return Err(Errno::EFBIG);
            }
            pool.count(length)?;
            let old = self.length;
            self.zero(length, old)?;
            self.length = length;
            return Ok(());
        }
        if length < self.length {
            self.base = &self.base[..self.base.len().min(usize::try_from(length).unwrap_or(usize::MAX))];
            let end = length.div_ceil(PAGE as u64);
            self.groups.retain(|&group, pages| {
                let first = group * GROUP;
                for (page, number) in pages.iter_mut().zip(first..) {
                    if number >= end {
                        *page = None;
                    }
                }
                first < end
            });
            let within = (length % PAGE as u64) as usize;
            if within > 0 && self.page(length / PAGE as u64).is_some() {
                self.make(length / PAGE as u64)?[within..].fill(0);
            }
        }
        self.length = length;
        Ok(())
    }

    /// Makes pages for all of `start..end`, so that writing there finds room; the length stays.
    ///
    /// # Errors
    /// ENOSPC; what was made until then stays.
    pub fn reserve(&mut self, start: u64, end: u64) -> Result<(), Errno> {
        if let Some(pool) = &mut self.shared {
            return pool.count(end.max(self.length));
        }
        let missing = (end.saturating_sub(start)).div_ceil(PAGE as u64);
        if missing > self.usage.free_pages() {
            return Err(Errno::ENOSPC);
        }
        for number in start / PAGE as u64..end.div_ceil(PAGE as u64) {
            if self.base(number * PAGE as u64, (number + 1) * PAGE as u64).len() < PAGE {
                self.make(number)?;
            }
        }
        Ok(())
    }

    /// The first place of this kind from `from` on (lseek(2)).
    ///
    /// # Errors
    /// ENXIO behind the end, and when no data come any more.
    pub fn seek(&self, from: u64, what: Seek) -> Result<u64, Errno> {
        if from >= self.length {
            return Err(Errno::ENXIO);
        }
        if self.shared.is_some() {
            return Ok(if what == Seek::Data { from } else { self.length });
        }
        let mut at = from;
        while at < self.length {
            let number = at / PAGE as u64;
            let data = at < self.base.len() as u64 || self.page(number).is_some();
            if data == (what == Seek::Data) {
                return Ok(at);
            }
            at = match (what, self.groups.at_or_after(&(number / GROUP))) {
                // A long hole is passed by groups.
                (Seek::Data, None) => break,
                (Seek::Data, Some((&group, _))) if group > number / GROUP => group * GROUP * PAGE as u64,
                _ if at < self.base.len() as u64 && self.groups.is_empty() => self.base.len() as u64,
                _ => (number + 1) * PAGE as u64,
            };
        }
        if what == Seek::Hole { Ok(self.length) } else { Err(Errno::ENXIO) }
    }
}
