//! What is still to be sent after the heads.

use super::files::OpenFile;
use kernlet::alloc::rc::Rc;
use kernlet::alloc::vec::Vec;

/// A part of an answer.
pub enum Segment {
    /// Octets of its own, from an offset on.
    Own(Vec<u8>, usize),
    /// Of a file of the image.
    Static(&'static [u8]),
    /// Of a small file that was read, from the first to before the last.
    Shared(Rc<[u8]>, usize, usize),
    /// Of an open file: where it begins, and how much it is.
    File(Rc<OpenFile>, u64, u64),
}

impl Segment {
    /// The octets, as far as they are in memory.
    pub fn memory(&self) -> Option<&[u8]> {
        match self {
            Self::Own(bytes, from) => bytes.get(*from..),
            Self::Static(bytes) => Some(bytes),
            Self::Shared(bytes, first, end) => bytes.get(*first..*end),
            Self::File(..) => None,
        }
    }

    /// Takes off what was sent.
    pub fn advance(&mut self, count: usize) {
        match self {
            Self::Own(_, from) => *from += count,
            Self::Static(bytes) => *bytes = bytes.get(count..).unwrap_or(&[]),
            Self::Shared(_, first, _) => *first += count,
            Self::File(_, first, left) => {
                *first += count as u64;
                *left = left.saturating_sub(count as u64);
            }
        }
    }

    /// Octets of memory that it holds by itself.
    pub fn held(&self) -> usize {
        match self {
            Self::Own(bytes, _) => bytes.capacity(),
            _ => 0,
        }
    }
}
