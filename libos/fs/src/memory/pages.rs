//! The contents of one memory file.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::Cell;
use kernlet_platform::{Errno, boot};
use kernlet_sync::{CpuLocal, SmallMap};

const PAGE: usize = 4096;
/// Pages are kept in groups of so many with successive numbers, so that one which is added between others moves few.
const GROUP: u64 = 64;
/// The longest file (`loff_t` is signed).
const MOST_BYTES: u64 = i64::MAX as u64;
/// What memory files may take where nobody said how much memory there is.
const DEFAULT_LIMIT: u64 = 128 << 20;

/// Pages of all files together.
static USED: CpuLocal<Cell<u64>> = CpuLocal::new(Cell::default);

/// The bytes that all files may take, and those that they do take.
pub fn usage() -> (u64, u64) {
    (boot::blob().memory().map_or(DEFAULT_LIMIT, |m| m / 2), USED.get().get() * PAGE as u64)
}

/// A page's bytes, counted as long as it exists.
#[derive(Debug)]
struct Page(Box<[u8; PAGE]>);

impl Page {
    fn new() -> Result<Self, Errno> {
        let (limit, used) = usage();
        let mut bytes = Vec::new();
        if used + PAGE as u64 > limit || bytes.try_reserve_exact(PAGE).is_err() {
            return Err(Errno::ENOSPC);
        }
        bytes.resize(PAGE, 0);
        let bytes = bytes.into_boxed_slice().try_into().map_err(|_| Errno::ENOSPC)?;
        USED.get().set(USED.get().get() + 1);
        Ok(Self(bytes))
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        USED.get().set(USED.get().get().saturating_sub(1));
    }
}

/// The pages of a file; those that are missing are zeros, and so is what lies behind the end in the last.
#[derive(Debug, Default)]
pub struct Pages {
    length: u64,
    groups: SmallMap<u64, Box<[Option<Page>; GROUP as usize]>>,
}

/// The page in which `at` lies, where in it, and how much of `rest` bytes fits there.
fn place(at: u64, rest: usize) -> (u64, usize, usize) {
    let within = (at % PAGE as u64) as usize;
    (at / PAGE as u64, within, rest.min(PAGE - within))
}

impl Pages {
    /// The file's length.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Copies from `offset` on; tells how much there was.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let there = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let total = buffer.len().min(there);
        let mut done = 0;
        while done < total {
            let (number, within, count) = place(offset + done as u64, total - done);
            let to = &mut buffer[done..done + count];
            match self.groups.get(&(number / GROUP)).and_then(|g| g[(number % GROUP) as usize].as_ref()) {
                Some(page) => to.copy_from_slice(&page.0[within..within + count]),
                None => to.fill(0),
            }
            done += count;
        }
        total
    }

    /// Writes at `offset`; tells how much found room.
    pub fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<usize, Errno> {
        let room = usize::try_from(MOST_BYTES.saturating_sub(offset)).unwrap_or(usize::MAX);
        let bytes = &bytes[..bytes.len().min(room)];
        if bytes.is_empty() {
            return if room == 0 { Err(Errno::EFBIG) } else { Ok(0) };
        }
        let mut done = 0;
        while done < bytes.len() {
            let (number, within, count) = place(offset + done as u64, bytes.len() - done);
            let group = self.groups.get_or_insert_with(number / GROUP, || Box::new([const { None }; _]));
            let place = &mut group[(number % GROUP) as usize];
            if place.is_none() {
                match Page::new() {
                    Ok(page) => *place = Some(page),
                    // What was written before the room ended stays written.
                    Err(error) if done == 0 => return Err(error),
                    Err(_) => break,
                }
            }
            if let Some(page) = place {
                page.0[within..within + count].copy_from_slice(&bytes[done..done + count]);
            }
            done += count;
        }
        self.length = self.length.max(offset + done as u64);
        Ok(done)
    }

    /// Cuts the file, or lengthens it by a hole.
    pub fn set_len(&mut self, length: u64) -> Result<(), Errno> {
        if length > MOST_BYTES {
            return Err(Errno::EFBIG);
        }
        let (last, within, _) = place(length, 0);
        let end = length.div_ceil(PAGE as u64);
        self.groups.retain(|&group, pages| {
            let first = group * GROUP;
            pages
                .iter_mut()
                .zip(first..)
                .filter(|(_, number)| *number >= end)
                .for_each(|(page, _)| *page = None);
            if let Some(Some(page)) = last.checked_sub(first).and_then(|at| pages.get_mut(at as usize)) {
                page.0[within..].fill(0);
            }
            first < end
        });
        self.length = length;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pages_behave_like_a_vector(
            steps in proptest::collection::vec(
                // At the beginning, and where one group of pages ends.
                (0u8..3, prop_oneof![0u64..20_000, 255_000u64..270_000], 0usize..9000, any::<u8>()),
                1..30,
            )
        ) {
            let (mut pages, mut model) = (Pages::default(), std::vec::Vec::<u8>::new());
            for (what, at, length, byte) in steps {
                match what {
                    0 => {
                        let bytes = std::vec![byte; length];
                        prop_assert_eq!(pages.write_at(at, &bytes), Ok(length));
                        if length > 0 {
                            model.resize(model.len().max(at as usize + length), 0);
                            model[at as usize..at as usize + length].copy_from_slice(&bytes);
                        }
                    }
                    1 => {
                        pages.set_len(at).unwrap();
                        model.resize(at as usize, 0);
                    }
                    _ => {
                        let mut buffer = std::vec![0xee; length];
                        let count = pages.read_at(at, &mut buffer);
                        let wanted = model.get(at as usize..).unwrap_or(&[]);
                        prop_assert_eq!(&buffer[..count], &wanted[..length.min(wanted.len())]);
                    }
                }
                prop_assert_eq!(pages.len(), model.len() as u64);
            }
        }
    }

    #[test]
    fn the_limit_is_enforced_and_room_comes_back_when_a_file_goes() {
        let mut blob = kernlet_wire::boot::BlobWriter::new();
        blob.memory(64 << 10);
        let bytes: &'static [u8] = std::vec::Vec::leak(blob.finish());
        boot::set_blob(boot::Blob::parse(bytes).unwrap());
        let mut pages = Pages::default();
        assert_eq!(pages.write_at(0, &[1; 40_000]), Ok(32 << 10));
        assert_eq!(pages.write_at(32 << 10, &[1]), Err(Errno::ENOSPC));
        pages.set_len(1 << 60).unwrap();
        assert_eq!(usage(), (32 << 10, 32 << 10));
        drop(pages);
        assert_eq!(usage().1, 0);
        assert_eq!(Pages::default().write_at(u64::MAX, &[1]), Err(Errno::EFBIG));
    }
}
