//! The numbers of virtio (virtio 1.2) that drivers use.

/// Device types (section 5).
pub mod kind {
    pub const NET: u16 = 1;
    pub const BLOCK: u16 = 2;
    pub const CONSOLE: u16 = 3;
    pub const RNG: u16 = 4;
    pub const P9: u16 = 9;
}

/// Reserved feature bits (section 6).
pub mod feature {
    pub const EVENT_INDEX: u64 = 1 << 29;
    pub const VERSION_1: u64 = 1 << 32;
}
