//! What the trusted loader hands to the process door's entry, in the register that carries a first argument.

/// Tells a [`Launch`] from whatever else a register may hold.
pub const MAGIC: u64 = u64::from_le_bytes(*b"KNLAUNCH");

/// The loader's word to the image: where things are in the address space that it made.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Launch {
    /// [`MAGIC`].
    pub magic: u64,
    /// The boot blob's address and length.
    pub blob: [usize; 2],
    /// The lowest and the highest address that the stack may reach.
    pub stack: [usize; 2],
    /// The address of the host's vDSO (its ELF header), 0 when there is none.
    pub vdso: usize,
    /// Descriptor of /proc/self/statm, open for reading, which tells how much memory is in use; -1 without /proc, and for a
    /// native image.
    pub usage: i64,
}
