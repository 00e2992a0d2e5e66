//! A queue of bytes, and of records among them.

use alloc::vec::Vec;

/// Bytes that came in, in order. (`VecDeque` copies its two halves apart, in much more code.)
#[derive(Default)]
pub struct Bytes {
    bytes: Vec<u8>,
    /// So many of them were taken.
    start: usize,
}

impl Bytes {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds some.
    #[inline(never)]
    pub fn put(&mut self, bytes: &[u8]) {
        if self.start > self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Moves as many as there are and fit into `into`; tells how many.
    #[inline(never)]
    pub fn take(&mut self, into: &mut [u8]) -> usize {
        let there = self.bytes.get(self.start..).unwrap_or_default();
        let length = there.len().min(into.len());
        into[..length].copy_from_slice(&there[..length]);
        self.skip(length);
        length
    }

    /// Copies as many as there are behind `skipped` of them and fit into `into`; tells how many.
    pub fn peek(&self, skipped: usize, into: &mut [u8]) -> usize {
        let there = self.bytes.get(self.start + skipped..).unwrap_or_default();
        let length = there.len().min(into.len());
        into[..length].copy_from_slice(&there[..length]);
        length
    }

    /// Takes so many off, or as many as there are.
    #[inline(never)]
    pub fn skip(&mut self, length: usize) {
        self.start += length.min(self.len());
        if self.is_empty() {
            self.bytes.clear();
            self.start = 0;
        }
    }

    /// Adds a record of these pieces: its length as `u32`, then so many bytes.
    #[inline(never)]
    pub fn put_record(&mut self, pieces: &[&[u8]]) {
        let length = pieces.iter().map(|p| p.len()).sum::<usize>() as u32;
        self.put(&length.to_le_bytes());
        pieces.iter().for_each(|piece| self.put(piece));
    }

    /// Takes a record off into the places, one after the other; tells how long it was.
    #[inline(never)]
    pub fn take_record(&mut self, places: &mut [&mut [u8]]) -> Option<usize> {
        let mut length = [0; 4];
        if self.take(&mut length) < length.len() {
            return None;
        }
        let length = u32::from_le_bytes(length) as usize;
        let mut left = length;
        for place in places {
            let part = place.len().min(left);
            left -= self.take(&mut place[..part]);
        }
        self.skip(left);
        Some(length)
    }
}
