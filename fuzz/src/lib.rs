//! What the targets share.
#![forbid(unsafe_code)]

pub mod broker;
pub mod zones;

use std::fs::File;
use std::os::unix::fs::FileExt;

/// The fuzzer's bytes, taken apart piece by piece. At its end it gives zeros, so that every input means something.
#[derive(Clone)]
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    /// Whether all of it was taken.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One byte.
    pub fn u8(&mut self) -> u8 {
        let Some((&byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        byte
    }

    /// Two bytes, little-endian.
    pub fn u16(&mut self) -> u16 {
        u16::from_le_bytes([self.u8(), self.u8()])
    }

    /// A number below `bound`, which is at most 256.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::from(self.u8()) % bound
    }

    /// At most `most` bytes, as many as the next byte (or two, when `most` is above 255) says.
    pub fn bytes(&mut self, most: usize) -> &'a [u8] {
        let length = usize::from(if most > 255 { self.u16() } else { self.u8().into() });
        let (head, rest) = self.0.split_at(length.min(most).min(self.0.len()));
        self.0 = rest;
        head
    }
}

/// A file in memory that holds one input after the other.
pub struct Scratch(File);

impl Default for Scratch {
    fn default() -> Self {
        let flags = rustix::fs::MemfdFlags::CLOEXEC;
        Self(rustix::fs::memfd_create("fuzz", flags).expect("the host has memfd_create").into())
    }
}

impl Scratch {
    /// The file with these bytes.
    pub fn hold(&self, bytes: &[u8]) -> &File {
        self.0.set_len(bytes.len() as u64).expect("a file in memory can be cut");
        self.0.write_all_at(bytes, 0).expect("a file in memory can be written");
        &self.0
    }
}
