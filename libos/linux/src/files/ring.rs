//! Bytes on their way: a ring that grows up to a limit.

use crate::user::Buffers;
use crate::{Errno, PAGE};
use alloc::vec::Vec;

/// What is allocated first.
const FIRST: usize = 4096;

/// Bytes that come out in the order in which they went in.
#[derive(Debug)]
pub struct Ring {
    bytes: Vec<u8>,
    start: usize,
    length: usize,
    most: usize,
}

/// What of bytes that were moved up to a fault counts: a pipe moves page by page (pipe_read and pipe_write of fs/pipe.c).
///
/// # Errors
/// EFAULT when nothing does.
fn whole_pages(moved: usize) -> Result<usize, Errno> {
    if moved < PAGE { Err(Errno::EFAULT) } else { Ok(moved - moved % PAGE) }
}

impl Ring {
    /// Empty, for at most `most` bytes.
    pub fn new(most: usize) -> Self {
        Self { bytes: Vec::new(), start: 0, length: 0, most }
    }

    /// Bytes in it.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Bytes that find room.
    pub fn room(&self) -> usize {
        self.most - self.length
    }

    /// The most bytes.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Changes the limit; `false` when there are more bytes than that.
    pub fn set_most(&mut self, most: usize) -> bool {
        if most < self.length {
            return false;
        }
        self.most = most;
        if self.bytes.len() > most {
            self.move_to(most);
        }
        true
    }

    /// Into a vector of `size` bytes, from its beginning on.
    fn move_to(&mut self, size: usize) {
        let mut bytes = Vec::with_capacity(size);
        let (first, second) = self.pieces();
        bytes.extend_from_slice(first);
        bytes.extend_from_slice(second);
        bytes.resize(size, 0);
        (self.bytes, self.start) = (bytes, 0);
    }

    fn pieces(&self) -> (&[u8], &[u8]) {
        let first = self.length.min(self.bytes.len() - self.start);
        (&self.bytes[self.start..self.start + first], &self.bytes[..self.length - first])
    }

    /// Makes room for `more` bytes, as far as the limit lets.
    fn grow(&mut self, more: usize) {
        let wanted = (self.length + more).min(self.most);
        if wanted > self.bytes.len() {
            self.move_to(wanted.next_power_of_two().max(FIRST).min(self.most));
        }
    }

    /// The next piece that is free, at most `most` bytes.
    fn free(&mut self, most: usize) -> &mut [u8] {
        let size = self.bytes.len();
        let at = self.start + self.length;
        let (at, end) = if at < size { (at, size) } else { (at - size, self.start) };
        let end = end.min(at + most);
        &mut self.bytes[at..end]
    }

    /// Takes in at most `most` bytes, as many as find room; tells how many.
    ///
    /// # Errors
    /// EFAULT when not even the first page of what is moved could be read.
    pub fn fill(&mut self, from: &mut Buffers, most: usize) -> Result<usize, Errno> {
        let most = most.min(self.room()).min(from.remaining());
        self.grow(most);
        let before = self.length;
        while self.length - before < most {
            let piece = self.free(most - (self.length - before));
            let wanted = piece.len();
            let taken = from.take(piece).unwrap_or(0);
            self.length += taken;
            if taken < wanted {
                let kept = whole_pages(self.length - before);
                self.length = before + kept.unwrap_or(0);
                return kept;
            }
        }
        Ok(most)
    }

    /// Takes in as many of `bytes` as find room; tells how many.
    pub fn push(&mut self, bytes: &[u8]) -> usize {
        let most = bytes.len().min(self.room());
        self.grow(most);
        let mut done = 0;
        while done < most {
            let piece = self.free(most - done);
            let length = piece.len();
            piece.copy_from_slice(&bytes[done..done + length]);
            self.length += length;
            done += length;
        }
        done
    }

    /// Gives out as many bytes as there are and `to` has room for; tells how many.
    ///
    /// # Errors
    /// EFAULT when not even the first page of what is moved could be written.
    pub fn drain(&mut self, to: &mut Buffers) -> Result<usize, Errno> {
        let wanted = self.length.min(to.remaining());
        let (first, second) = self.pieces();
        let mut done = to.fill(first).unwrap_or(0);
        if done == first.len() {
            done += to.fill(second).unwrap_or(0);
        }
        if done < wanted {
            done = whole_pages(done)?;
        }
        self.skip(done);
        Ok(done)
    }

    /// Copies the first bytes into `to` and leaves them; tells how many.
    pub fn peek(&self, to: &mut [u8]) -> usize {
        let (first, second) = self.pieces();
        let one = first.len().min(to.len());
        to[..one].copy_from_slice(&first[..one]);
        let two = second.len().min(to.len() - one);
        to[one..one + two].copy_from_slice(&second[..two]);
        one + two
    }

    /// Forgets the first `count` bytes.
    pub fn skip(&mut self, count: usize) {
        let count = count.min(self.length);
        self.length -= count;
        self.start += count;
        if self.start >= self.bytes.len() {
            self.start -= self.bytes.len();
        }
        if self.length == 0 {
            self.start = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    proptest! {
        #[test]
        fn bytes_come_out_as_they_went_in(
            steps in proptest::collection::vec((0u8..4, 0usize..20_000), 1..60)
        ) {
            let (mut ring, mut model, mut next) = (Ring::new(16_384), VecDeque::<u8>::new(), 0u8);
            for (what, length) in steps {
                match what {
                    0 => {
                        let bytes: Vec<u8> = (0..length).map(|i| next.wrapping_add(i as u8)).collect();
                        let room = ring.room();
                        let pushed = ring.push(&bytes);
                        prop_assert_eq!(pushed, length.min(room));
                        model.extend(&bytes[..pushed]);
                        next = next.wrapping_add(pushed as u8);
                    }
                    1 => {
                        let mut bytes = std::vec![0; length];
                        let address = bytes.as_mut_ptr() as usize;
                        let count = ring.drain(&mut Buffers::one(address, length)).unwrap();
                        prop_assert_eq!(count, length.min(model.len()));
                        let wanted: Vec<u8> = model.drain(..count).collect();
                        prop_assert_eq!(&bytes[..count], &wanted[..]);
                    }
                    2 => {
                        let bytes = std::vec![next; length];
                        let mut from = Buffers::one(bytes.as_ptr() as usize, length);
                        let count = ring.fill(&mut from, 5000).unwrap();
                        model.extend(&bytes[..count]);
                    }
                    _ => {
                        let fits = ring.set_most(length.max(1));
                        prop_assert_eq!(fits, length.max(1) >= model.len());
                    }
                }
                prop_assert_eq!(ring.length(), model.len());
                let mut all = std::vec![0; model.len()];
                prop_assert_eq!(ring.peek(&mut all), model.len());
                prop_assert_eq!(all, model.iter().copied().collect::<Vec<_>>());
            }
        }
    }
}
