//! The program: C's main, and nothing else (the crate `kernlet_cli` is what it does).
//!
//! Where `build.rs` has built that crate against musl, main comes with it, and this is empty.
#![deny(unsafe_code)]
#![no_main]
#![cfg_attr(kernlet_archive, no_std)]

/// What C's start calls.
///
/// # Safety
/// As C's start calls it.
#[cfg(not(kernlet_archive))]
#[expect(unsafe_code, reason = "the name is C's, and so are the arguments")]
#[unsafe(export_name = "main")]
unsafe extern "C" fn main(
    count: std::ffi::c_int,
    arguments: *const *const std::ffi::c_char,
) -> std::ffi::c_int {
    // SAFETY: C hands over as many strings as it says, for as long as the process lives.
    unsafe { kernlet_cli::begin(count, arguments) }
}

/// Nothing here panics.
#[cfg(kernlet_archive)]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
