//! Reading and writing the program's memory. Each access either works or is EFAULT.
//!
//! Accesses are made by the few instructions below, between `kernlet_user_begin` and `kernlet_user_end`. When one of them
//! faults, the door's fault handler goes on at `kernlet_user_fixup`, which makes it an error.

use super::memory::within;
use crate::Errno;
#[cfg(kernlet_image)]
use core::arch::global_asm;

// Each function returns 0 in rax, or 1 from the fixup. None uses the stack, so that the fixup can simply return.
#[cfg(kernlet_image)]
global_asm!(
    ".pushsection .text.kernlet_user, \"ax\"",
    ".globl kernlet_user_begin",
    "kernlet_user_begin:",
    // rdi = to, rsi = from, rdx = length
    ".globl kernlet_user_copy",
    "kernlet_user_copy:",
    "  cmp rdx, 256",
    "  jae 4f",
    "2:",
    "  cmp rdx, 8",
    "  jb 3f",
    "  mov rax, [rsi]",
    "  mov [rdi], rax",
    "  add rsi, 8",
    "  add rdi, 8",
    "  sub rdx, 8",
    "  jmp 2b",
    "3:",
    "  test rdx, rdx",
    "  jz 5f",
    "  mov al, [rsi]",
    "  mov [rdi], al",
    "  inc rsi",
    "  inc rdi",
    "  dec rdx",
    "  jmp 3b",
    "4:",
    "  mov rcx, rdx",
    "  rep movsb",
    "5:",
    "  xor eax, eax",
    "  ret",
    // rdi = to, rdx = length
    ".globl kernlet_user_zero",
    "kernlet_user_zero:",
    "  mov rcx, rdx",
    "  xor eax, eax",
    "  rep stosb",
    "  ret",
    // rdi = word, rsi = where the old value goes, edx = operand, ecx = wanted
    ".globl kernlet_user_load",
    "kernlet_user_load:",
    "  mov eax, [rdi]",
    "  mov [rsi], eax",
    "  xor eax, eax",
    "  ret",
    ".globl kernlet_user_compare",
    "kernlet_user_compare:",
    "  mov eax, ecx",
    "  lock cmpxchg [rdi], edx",
    "  mov [rsi], eax",
    "  xor eax, eax",
    "  ret",
    ".globl kernlet_user_fixup",
    "kernlet_user_end:",
    ".globl kernlet_user_end",
    "kernlet_user_fixup:",
    "  cld",
    "  mov eax, 1",
    "  ret",
    ".popsection",
);

#[cfg(kernlet_image)]
// SAFETY: defined above with these signatures.
unsafe extern "C" {
    static kernlet_user_begin: u8;
    static kernlet_user_end: u8;
    static kernlet_user_fixup: u8;
    fn kernlet_user_copy(to: usize, from: usize, length: usize) -> u32;
    fn kernlet_user_zero(to: usize, unused: usize, length: usize) -> u32;
    fn kernlet_user_load(word: usize, old: *mut u32) -> u32;
    fn kernlet_user_compare(word: usize, old: *mut u32, new: u32, wanted: u32) -> u32;
}

/// Where to go on after a fault at `instruction`; `None` when it is none of these.
#[cfg(kernlet_image)]
pub(crate) fn fixup(instruction: usize) -> Option<usize> {
    let range = &raw const kernlet_user_begin as usize..&raw const kernlet_user_end as usize;
    range.contains(&instruction).then_some(&raw const kernlet_user_fixup as usize)
}

#[cfg(not(kernlet_image))]
mod host {
    //! A host build has no handler: tests hand in memory that is there.
    pub unsafe fn kernlet_user_copy(to: usize, from: usize, length: usize) -> u32 {
        // SAFETY: tests hand in memory that is there.
        unsafe { core::ptr::copy(from as *const u8, to as *mut u8, length) };
        0
    }
    pub unsafe fn kernlet_user_zero(to: usize, _: usize, length: usize) -> u32 {
        // SAFETY: as above.
        unsafe { core::ptr::write_bytes(to as *mut u8, 0, length) };
        0
    }
    pub unsafe fn kernlet_user_load(word: usize, old: *mut u32) -> u32 {
        // SAFETY: as above.
        unsafe { *old = (word as *const u32).read_volatile() };
        0
    }
    pub unsafe fn kernlet_user_compare(word: usize, old: *mut u32, new: u32, wanted: u32) -> u32 {
        use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
        // SAFETY: as above; the word is aligned.
        let word = unsafe { AtomicU32::from_ptr(word as *mut u32) };
        let (Ok(found) | Err(found)) = word.compare_exchange(wanted, new, SeqCst, SeqCst);
        // SAFETY: a live local of the caller.
        unsafe { *old = found };
        0
    }
}
#[cfg(not(kernlet_image))]
use host::{kernlet_user_compare, kernlet_user_copy, kernlet_user_load, kernlet_user_zero};

fn outcome(failed: u32) -> Result<(), Errno> {
    if failed == 0 { Ok(()) } else { Err(Errno::EFAULT) }
}

/// Fills `to` from the program's memory at `from`.
///
/// # Errors
/// EFAULT; what was read up to there is in `to`.
pub fn read(from: usize, to: &mut [u8]) -> Result<(), Errno> {
    within(from, to.len())?;
    // SAFETY: `to` is ours to write, `from` lies where the program's memory may be, and a fault there is caught.
    outcome(unsafe { kernlet_user_copy(to.as_mut_ptr() as usize, from, to.len()) })
}

/// Fills `to` with words from the program's memory at `from`.
///
/// # Errors
/// EFAULT.
pub fn read_words(from: usize, to: &mut [u64]) -> Result<(), Errno> {
    let length = size_of_val(to);
    within(from, length)?;
    // SAFETY: as for `read`; any bytes are words.
    outcome(unsafe { kernlet_user_copy(to.as_mut_ptr() as usize, from, length) })
}

/// Writes `from` to the program's memory at `to`.
///
/// # Errors
/// EFAULT; a part may have been written.
pub fn write(to: usize, from: &[u8]) -> Result<(), Errno> {
    within(to, from.len())?;
    // SAFETY: the target lies where only the program's memory may be, and a fault there is caught.
    outcome(unsafe { kernlet_user_copy(to, from.as_ptr() as usize, from.len()) })
}

/// Writes zeros.
///
/// # Errors
/// EFAULT.
pub fn zero(to: usize, length: usize) -> Result<(), Errno> {
    within(to, length)?;
    // SAFETY: as for `write`.
    outcome(unsafe { kernlet_user_zero(to, 0, length) })
}

/// Copies a string up to its 0, which is not counted, into `to`; returns its length.
///
/// # Errors
/// EFAULT; ENAMETOOLONG when no 0 comes within `to`.
pub fn string(from: usize, to: &mut [u8]) -> Result<usize, Errno> {
    let mut done = 0;
    while done < to.len() {
        // Not beyond a page of which the string may not reach into the next.
        let step = (64 - ((from + done) & 63)).min(to.len() - done);
        let piece = &mut to[done..done + step];
        read(from.checked_add(done).ok_or(Errno::EFAULT)?, piece)?;
        if let Some(end) = piece.iter().position(|&b| b == 0) {
            return Ok(done + end);
        }
        done += step;
    }
    Err(Errno::ENAMETOOLONG)
}

fn word(at: usize) -> Result<(), Errno> {
    if at.is_multiple_of(4) { within(at, 4) } else { Err(Errno::EINVAL) }
}

/// Loads a word.
///
/// # Errors
/// EFAULT; EINVAL when it is not aligned.
pub fn load_u32(at: usize) -> Result<u32, Errno> {
    word(at)?;
    let mut old = 0;
    // SAFETY: `old` is a live local; the word lies where the program's memory may be, and a fault there is caught.
    outcome(unsafe { kernlet_user_load(at, &raw mut old) })?;
    Ok(old)
}

/// Replaces `wanted` by `new` in one step; returns what was there.
///
/// # Errors
/// EFAULT; EINVAL when it is not aligned.
pub fn compare_exchange_u32(at: usize, wanted: u32, new: u32) -> Result<u32, Errno> {
    word(at)?;
    let mut old = 0;
    // SAFETY: as for `load_u32`.
    outcome(unsafe { kernlet_user_compare(at, &raw mut old, new, wanted) })?;
    Ok(old)
}

fn update(at: usize, new: impl Fn(u32) -> u32) -> Result<u32, Errno> {
    let mut old = load_u32(at)?;
    loop {
        let found = compare_exchange_u32(at, old, new(old))?;
        if found == old {
            return Ok(old);
        }
        old = found;
    }
}

macro_rules! updates {
    ($($(#[$about:meta])* $name:ident = |$old:ident, $operand:ident| $new:expr;)*) => {$(
        $(#[$about])*
        ///
        /// # Errors
        /// EFAULT; EINVAL when it is not aligned.
        pub fn $name(at: usize, $operand: u32) -> Result<u32, Errno> {
            update(at, |$old| $new)
        }
    )*};
}

updates! {
    /// Stores a word in one step; returns what was there.
    exchange_u32 = |_old, operand| operand;
    /// Adds in one step; returns what was there.
    add_u32 = |old, operand| old.wrapping_add(operand);
    /// Ors in one step; returns what was there.
    or_u32 = |old, operand| old | operand;
    /// Ands in one step; returns what was there.
    and_u32 = |old, operand| old & operand;
    /// Xors in one step; returns what was there.
    xor_u32 = |old, operand| old ^ operand;
}
