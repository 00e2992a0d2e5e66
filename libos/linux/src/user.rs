//! The program's memory, as calls see it.

use crate::{Errno, PAGE};
use alloc::vec::Vec;
use core::ops::Range;
use kernlet_platform::program;

/// PATH_MAX, with the 0.
const PATH_MOST: usize = 4096;
/// The most pieces of one vectored call (IOV_MAX).
const PIECES_MOST: usize = 1024;
/// The most bytes that one call moves (MAX_RW_COUNT).
pub const MOVED_MOST: usize = 0x7fff_f000;

/// Reads `N` bytes.
///
/// # Errors
/// EFAULT.
pub fn read<const N: usize>(from: usize) -> Result<[u8; N], Errno> {
    let mut bytes = [0; N];
    program::read(from, &mut bytes)?;
    Ok(bytes)
}

/// Reads `N` words of 8 bytes.
///
/// # Errors
/// EFAULT.
pub fn read_words<const N: usize>(from: usize) -> Result<[u64; N], Errno> {
    let mut words = [0; N];
    program::read_words(from, &mut words)?;
    Ok(words)
}

/// Reads a word of 4 bytes.
///
/// # Errors
/// EFAULT.
pub fn read_u32(from: usize) -> Result<u32, Errno> {
    read(from).map(u32::from_le_bytes)
}

/// Reads a word of 8 bytes.
///
/// # Errors
/// EFAULT.
pub fn read_u64(from: usize) -> Result<u64, Errno> {
    read(from).map(u64::from_le_bytes)
}

/// Reads so many bytes.
///
/// # Errors
/// EFAULT; ENOMEM.
#[inline(never)]
pub fn bytes(from: usize, length: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(|_| Errno::ENOMEM)?;
    bytes.resize(length, 0);
    program::read(from, &mut bytes)?;
    Ok(bytes)
}

/// Writes bytes.
///
/// # Errors
/// EFAULT.
pub fn write(to: usize, bytes: &[u8]) -> Result<(), Errno> {
    program::write(to, bytes)
}

/// Writes words of 8 bytes.
///
/// # Errors
/// EFAULT.
pub fn write_words(to: usize, words: &[u64]) -> Result<(), Errno> {
    for (i, word) in words.iter().enumerate() {
        program::write(to.wrapping_add(8 * i), &word.to_le_bytes())?;
    }
    Ok(())
}

/// Linux's end of a program's addresses (TASK_SIZE_MAX): what lies beyond is refused before anything else is looked at.
pub const END: u64 = 0x7fff_ffff_f000;

/// Reads a path.
///
/// # Errors
/// EFAULT, ENAMETOOLONG.
pub fn path(from: usize) -> Result<Vec<u8>, Errno> {
    string(from, PATH_MOST)
}

/// Reads a string of fewer than `most` bytes.
///
/// # Errors
/// EFAULT, ENAMETOOLONG.
pub fn string(from: usize, most: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = alloc::vec![0; 256.min(most)];
    loop {
        match program::string(from, &mut bytes) {
            Ok(length) => {
                bytes.truncate(length);
                return Ok(bytes);
            }
            Err(Errno::ENAMETOOLONG) if bytes.len() < most => bytes.resize((bytes.len() * 4).min(most), 0),
            Err(error) => return Err(error),
        }
    }
}

/// So many pieces need no list that is allocated.
const FEW: usize = 4;

/// A piece: address and length.
type Piece = [u64; 2];

/// Memory of the program that a call fills or takes from, in one or several pieces, front to back.
#[derive(Clone, Debug)]
pub struct Buffers {
    few: [Piece; FEW],
    /// All pieces, when there are more.
    many: Vec<Piece>,
    count: usize,
    /// Which is in use.
    next: usize,
    remaining: usize,
}

impl Buffers {
    /// One piece.
    pub fn one(address: usize, length: usize) -> Self {
        let length = length.min(MOVED_MOST);
        let mut few = [[0; 2]; FEW];
        few[0] = [address as u64, length as u64];
        Self { few, many: Vec::new(), count: 1, next: 0, remaining: length }
    }

    /// The pieces that an array of `struct iovec` names.
    ///
    /// # Errors
    /// EFAULT; EINVAL for too many or too long ones.
    pub fn vector(address: usize, count: usize) -> Result<Self, Errno> {
        if count > PIECES_MOST {
            return Err(Errno::EINVAL);
        }
        let mut all = Self { few: [[0; 2]; FEW], many: Vec::new(), count, next: 0, remaining: 0 };
        if count > FEW {
            all.many = alloc::vec![[0; 2]; count];
        }
        let pieces = if count > FEW { &mut all.many[..] } else { &mut all.few[..count] };
        program::read_words(address, pieces.as_flattened_mut())?;
        for [base, length] in pieces {
            if *length > isize::MAX as u64 {
                return Err(Errno::EINVAL);
            }
            if base.checked_add(*length).is_none_or(|end| end > END) {
                return Err(Errno::EFAULT);
            }
            *length = (*length).min((MOVED_MOST - all.remaining) as u64);
            all.remaining += *length as usize;
        }
        Ok(all)
    }

    /// Bytes that are left.
    pub fn remaining(&self) -> usize {
        self.remaining
    }

    fn left(&self) -> &[Piece] {
        let all = if self.count > FEW { &self.many[..] } else { &self.few[..self.count] };
        all.get(self.next..).unwrap_or_default()
    }

    fn left_mut(&mut self) -> &mut [Piece] {
        let all = if self.count > FEW { &mut self.many[..] } else { &mut self.few[..self.count] };
        all.get_mut(self.next..).unwrap_or_default()
    }

    /// Keeps the first `most` bytes of what is left.
    pub fn truncate(&mut self, most: usize) {
        self.remaining = self.remaining.min(most);
        let mut left = self.remaining as u64;
        for [_, length] in self.left_mut() {
            *length = left.min(*length);
            left -= *length;
        }
    }

    /// The next piece that is not empty: address and length; `None` when nothing is left.
    pub fn piece(&mut self) -> Option<(usize, usize)> {
        loop {
            let [address, length] = *self.left().first()?;
            if length > 0 {
                return Some((address as usize, length as usize));
            }
            self.next += 1;
        }
    }

    /// Leaves out `length` bytes, which are at most those of the next piece.
    pub fn advance(&mut self, length: usize) {
        if let Some([address, left]) = self.left_mut().first_mut() {
            let length = length.min(*left as usize);
            *address += length as u64;
            *left -= length as u64;
            self.remaining -= length;
        }
    }

    /// Fills from `bytes`, as far as there is room; tells how much was.
    ///
    /// # Errors
    /// EFAULT when not even the first byte could be written.
    pub fn fill(&mut self, mut bytes: &[u8]) -> Result<usize, Errno> {
        let mut done = 0;
        while let (false, Some((address, length))) = (bytes.is_empty(), self.piece()) {
            let length = length.min(bytes.len());
            if program::write(address, &bytes[..length]).is_err() {
                done += self.until_fault(length, |at, part| program::write(address + at, &bytes[part]));
                return if done > 0 { Ok(done) } else { Err(Errno::EFAULT) };
            }
            self.advance(length);
            bytes = &bytes[length..];
            done += length;
        }
        Ok(done)
    }

    /// As [`Self::fill`], but what does not find room in whole is EFAULT, unless the pieces have no more.
    ///
    /// # Errors
    /// EFAULT.
    pub fn fill_whole(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        let wanted = bytes.len().min(self.remaining);
        self.fill(bytes).and_then(|done| if done == wanted { Ok(done) } else { Err(Errno::EFAULT) })
    }

    /// Moves what can be moved of the next piece, of which something cannot: page by page. Tells how much that was.
    #[inline(never)]
    fn until_fault(
        &mut self,
        length: usize,
        mut part: impl FnMut(usize, Range<usize>) -> Result<(), Errno>,
    ) -> usize {
        let mut done = 0;
        let at = self.piece().map_or(0, |(address, _)| address);
        while done < length {
            let step = (PAGE - (at + done) % PAGE).min(length - done);
            if part(done, done..done + step).is_err() {
                break;
            }
            done += step;
        }
        self.advance(done);
        done
    }

    /// Takes as much as `bytes` has room for; tells how much it was.
    ///
    /// # Errors
    /// EFAULT when not even the first byte could be read.
    pub fn take(&mut self, bytes: &mut [u8]) -> Result<usize, Errno> {
        let mut done = 0;
        while let (true, Some((address, length))) = (done < bytes.len(), self.piece()) {
            let length = length.min(bytes.len() - done);
            let to = &mut bytes[done..done + length];
            if program::read(address, to).is_err() {
                done += self.until_fault(length, |at, part| program::read(address + at, &mut to[part]));
                return if done > 0 { Ok(done) } else { Err(Errno::EFAULT) };
            }
            self.advance(length);
            done += length;
        }
        Ok(done)
    }
}

impl kernlet_net::Memory for Buffers {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn pieces(&self, into: &mut [[usize; 2]; kernlet_net::PIECES]) -> usize {
        let all = self.left().iter().filter(|[_, length]| *length > 0);
        into.iter_mut().zip(all).map(|(piece, at)| *piece = at.map(|n| n as usize)).count()
    }

    fn advance(&mut self, mut length: usize) {
        while let (true, Some((_, piece))) = (length > 0, self.piece()) {
            let part = length.min(piece);
            Self::advance(self, part);
            length -= part;
        }
    }

    fn fill(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        Self::fill(self, bytes)
    }

    fn look(&self, bytes: &mut [u8]) -> Result<usize, Errno> {
        Self::take(&mut self.clone(), bytes)
    }

    fn take(&mut self, bytes: &mut [u8]) -> Result<usize, Errno> {
        Self::take(self, bytes)
    }
}

/// Bytes of the library OS that are sent as if they were the program's.
pub struct Slice<'b>(pub &'b [u8]);

impl kernlet_net::Memory for Slice<'_> {
    fn remaining(&self) -> usize {
        self.0.len()
    }

    fn pieces(&self, _: &mut [[usize; 2]; kernlet_net::PIECES]) -> usize {
        0
    }

    fn advance(&mut self, length: usize) {
        self.0 = self.0.get(length..).unwrap_or_default();
    }

    fn fill(&mut self, _: &[u8]) -> Result<usize, Errno> {
        Err(Errno::EFAULT)
    }

    fn look(&self, bytes: &mut [u8]) -> Result<usize, Errno> {
        let length = self.0.len().min(bytes.len());
        bytes[..length].copy_from_slice(&self.0[..length]);
        Ok(length)
    }

    fn bytes(&self) -> Option<&[u8]> {
        Some(self.0)
    }

    fn take(&mut self, bytes: &mut [u8]) -> Result<usize, Errno> {
        let length = self.look(bytes)?;
        self.advance(length);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn pieces_are_filled_and_taken_front_to_back() {
        let (a, b) = ([0u8; 3], [0u8; 4]);
        let vector: [u64; 6] = [a.as_ptr() as u64, 3, 0, 0, b.as_ptr() as u64, 4];
        let mut buffers = Buffers::vector(vector.as_ptr() as usize, 3).unwrap();
        assert_eq!(buffers.remaining(), 7);
        assert_eq!(buffers.fill(b"abcde").unwrap(), 5);
        assert_eq!(buffers.remaining(), 2);
        assert_eq!(buffers.fill(b"fgh").unwrap(), 2);
        let mut buffers = Buffers::vector(vector.as_ptr() as usize, 3).unwrap();
        let mut taken = Vec::from([0; 9]);
        assert_eq!(buffers.take(&mut taken).unwrap(), 7);
        assert_eq!(&taken[..7], b"abcdefg");
        core::hint::black_box((a, b));
    }

    #[test]
    fn many_pieces_are_as_good_as_few() {
        for count in [1, FEW, FEW + 1, 40] {
            let bytes: Vec<u8> = (0..count as u8).collect();
            let vector: Vec<[u64; 2]> = bytes.iter().map(|b| [core::ptr::from_ref(b) as u64, 1]).collect();
            let mut buffers = Buffers::vector(vector.as_ptr() as usize, count).unwrap();
            let mut pieces = [[0; 2]; kernlet_net::PIECES];
            assert_eq!(kernlet_net::Memory::pieces(&buffers, &mut pieces), count.min(kernlet_net::PIECES));
            assert_eq!(pieces[0], vector[0].map(|n| n as usize));
            let mut taken = std::vec![0; count];
            assert_eq!(kernlet_net::Memory::look(&buffers, &mut taken), Ok(count));
            assert_eq!((taken, buffers.remaining()), (bytes, count));
            kernlet_net::Memory::advance(&mut buffers, count);
            assert_eq!((buffers.remaining(), buffers.piece()), (0, None));
        }
        assert!(Buffers::vector(0, 0).is_ok_and(|mut none| none.piece().is_none()));
    }

    #[test]
    fn a_string_longer_than_the_first_guess_is_read_whole() {
        let mut long = std::vec![b'x'; 3000];
        long.push(0);
        assert_eq!(path(long.as_ptr() as usize).unwrap().len(), 3000);
        assert_eq!(string(long.as_ptr() as usize, 100), Err(Errno::ENAMETOOLONG));
    }
}
