//! What sockets are ready for, as the bits of poll(2).

/// POLLIN.
pub const IN: u32 = 0x1;
/// POLLOUT.
pub const OUT: u32 = 0x4;
/// POLLERR.
pub const ERROR: u32 = 0x8;
/// POLLHUP.
pub const HANG_UP: u32 = 0x10;
/// POLLRDHUP.
pub const READ_HANG_UP: u32 = 0x2000;

/// `bits` when `yes`.
pub const fn when(bits: u32, yes: bool) -> u32 {
    if yes { bits } else { 0 }
}
