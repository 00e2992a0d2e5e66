//! Memory that devices read and write: contiguous, never given back.

use super::frames::{PAGE, RAM};
use super::paging::{self, NO_EXECUTE, WRITE};

/// A piece of such memory. What a device wrote there is read with care: it may change at any time.
pub struct Dma {
    address: usize,
    length: usize,
}

impl Dma {
    /// At least `length` zeroed bytes, whole pages.
    pub fn new(length: usize) -> Option<Self> {
        let memory = Self::dirty(length)?;
        // SAFETY: in bounds, and nobody else has seen it.
        unsafe { (memory.address as *mut u8).write_bytes(0, memory.length) };
        Some(memory)
    }

    /// The same with any content: for buffers of which nothing is read that was not written first. To zero those of a
    /// network device would take most of the time of its start.
    pub fn dirty(length: usize) -> Option<Self> {
        let pages = length.div_ceil(PAGE);
        let physical = RAM.lock().take_back(pages)?;
        // SAFETY: the frames were just taken. They hold what the machine's memory held, which is no object of Rust's.
        let address = unsafe { paging::window(physical, pages * PAGE, NO_EXECUTE | WRITE)? };
        Some(Self { address, length: pages * PAGE })
    }

    /// Its length.
    pub fn len(&self) -> usize {
        self.length
    }

    /// The address by which a device knows the byte at `offset`.
    pub fn physical(&self, offset: usize) -> u64 {
        paging::physical_in_window(self.address) + offset as u64
    }

    /// A pointer to the byte at `offset`, behind which `length` bytes lie.
    pub fn pointer(&self, offset: usize, length: usize) -> *mut u8 {
        assert!(offset <= self.length && length <= self.length - offset, "beyond a device's memory");
        (self.address + offset) as *mut u8
    }

    /// Bytes that no device owns at present.
    pub fn bytes(&self, offset: usize, length: usize) -> &[u8] {
        // SAFETY: in bounds and initialised; the queue handed them back, and a device that goes on writing to
        // them only garbles what is copied or parsed with checks anyway.
        unsafe { core::slice::from_raw_parts(self.pointer(offset, length), length) }
    }

    /// Bytes that no device owns at present, to write.
    pub fn bytes_mut(&mut self, offset: usize, length: usize) -> &mut [u8] {
        // SAFETY: as above; `&mut self` keeps other references away.
        unsafe { core::slice::from_raw_parts_mut(self.pointer(offset, length), length) }
    }
}
