//! A limit on the memory that connections take beyond their place in the table: what clients have half sent or not yet
//! taken, and pieces of files on their way.

use core::cell::Cell;

/// How much of a file is read at a time; little when many do so.
const CHUNK: usize = 128 << 10;
const SMALL_CHUNK: usize = 16 << 10;

/// Counts octets.
pub struct Budget {
    used: Cell<usize>,
    limit: usize,
}

impl Budget {
    /// So many octets.
    pub fn new(limit: usize) -> Self {
        Self { used: Cell::new(0), limit }
    }

    /// Changes how much somebody holds; `false` when it is more than there is, and the holder has to let go of it.
    pub fn change(&self, before: usize, after: usize) -> bool {
        let used = self.used.get() - before + after;
        self.used.set(used);
        used <= self.limit || after <= before
    }

    /// How much of a file to read at once.
    pub fn chunk(&self) -> usize {
        if self.used.get() < self.limit / 4 { CHUNK } else { SMALL_CHUNK }
    }

    /// Whether something of this size still fits.
    pub fn fits(&self, size: usize) -> bool {
        self.used.get().saturating_add(size) <= self.limit
    }
}
