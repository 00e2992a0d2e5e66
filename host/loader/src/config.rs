// What the launcher tells the loader, and where: at the start of the loader's last segment. Shared by both as source,
// as the loader links nothing.

/// Tells a configuration from an unfilled segment.
pub const MAGIC: u64 = u64::from_le_bytes(*b"KNLOADER");
/// Room in the table of segments; an image has five.
pub const SEGMENTS: usize = 12;
/// Room in the table of limits.
pub const LIMITS: usize = 10;
/// Where an image is linked.
pub const LINKED_BASE: u64 = 0x10_0000;

/// A PT_LOAD of the image.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct Segment {
    /// Offset in the file, congruent to the address modulo the page size.
    pub offset: u64,
    /// Bytes in the file.
    pub file_size: u64,
    /// Linked address.
    pub address: u64,
    /// Bytes in memory.
    pub memory_size: u64,
    /// PF_X = 1, PF_W = 2, PF_R = 4.
    pub flags: u64,
}

/// The fixed part; what offsets point at follows it.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Config {
    /// [`MAGIC`].
    pub magic: u64,
    /// Descriptor of the image.
    pub image: i32,
    /// How many of `segments` are used.
    pub segment_count: u32,
    /// The image's segments by ascending address.
    pub segments: [Segment; SEGMENTS],
    /// Linked address of the entry.
    pub entry: u64,
    /// Where the image goes, for an image whose filter knows the place of its text; 0: anywhere.
    pub base: u64,
    /// The process that this one may not outlive.
    pub parent: u32,
    /// How many of `limits` are used.
    pub limit_count: u32,
    /// Resource limits (prlimit(2)): resource, soft and hard value.
    pub limits: [[u64; 2]; LIMITS],
    /// User and group to become, when started by root.
    pub identity: [u32; 2],
    /// 1: become that identity.
    pub drop_identity: u32,
    /// Descriptors to leave open, ascending: how many, at which offset (i32 each).
    pub kept_count: u32,
    /// Their offset from the start of this structure.
    pub kept_offset: u64,
    /// The filter: how many instructions (of 8 bytes), at which offset.
    pub filter_count: u64,
    /// Their offset.
    pub filter_offset: u64,
    /// The boot blob: length and offset.
    pub blob_length: u64,
    /// Its offset.
    pub blob_offset: u64,
    /// How far the stack may grow, in bytes.
    pub stack_size: u64,
    /// Where a refused host call is told: standard error, or -1.
    pub stderr: i64,
}
