//! Clocks by the host's vDSO, so that they cost no host call and never drift from the host's.

use super::call::{call, number};
use core::sync::atomic::{AtomicUsize, Ordering};

type ClockGettime = unsafe extern "C" fn(clock: i32, time: *mut [i64; 2]) -> i32;

/// The address of the host's vDSO, which the loader tells; 0 when there is none.
pub static VDSO: AtomicUsize = AtomicUsize::new(0);
/// The address of its clock_gettime, once it was looked for; [`ABSENT`] when it is not there.
static CLOCK_GETTIME: AtomicUsize = AtomicUsize::new(0);
const ABSENT: usize = 1;

fn read(clock: i32) -> u64 {
    let mut time = [0i64; 2];
    let address = match CLOCK_GETTIME.load(Ordering::Relaxed) {
        0 => {
            let vdso = VDSO.load(Ordering::Relaxed);
            // SAFETY: the loader, which is trusted, told the address of the host's vDSO.
            let found = (vdso != 0).then(|| unsafe { find(vdso, b"__vdso_clock_gettime") }).flatten();
            CLOCK_GETTIME.store(found.unwrap_or(ABSENT), Ordering::Relaxed);
            found.unwrap_or(ABSENT)
        }
        known => known,
    };
    if address == ABSENT {
        let arguments = [clock as usize, time.as_mut_ptr() as usize, 0, 0, 0, 0];
        // SAFETY: the host writes one timespec of 16 bytes.
        let _ = unsafe { call(number::CLOCK_GETTIME, arguments) };
    } else {
        // SAFETY: this is the vDSO's function of that name, which has this type (vdso(7)).
        unsafe {
            let function: ClockGettime = core::mem::transmute(address);
            function(clock, &mut time);
        }
    }
    (time[0] as u64).wrapping_mul(1_000_000_000).wrapping_add(time[1] as u64)
}

/// The address of the host's clock_gettime in its vDSO; 0 when there is none.
#[cfg(kernlet_image)]
pub fn function() -> usize {
    monotonic();
    match CLOCK_GETTIME.load(Ordering::Relaxed) {
        ABSENT => 0,
        known => known,
    }
}

/// Finds a function in the vDSO by its dynamic symbol table.
///
/// # Safety
/// `vdso` must be the address of the host's vDSO.
unsafe fn find(vdso: usize, name: &[u8]) -> Option<usize> {
    // SAFETY: the vDSO is a well-formed ELF image of the host kernel, mapped for good; all reads stay in it.
    let word = |at: usize| unsafe { (at as *const u64).read_unaligned() as usize };
    // SAFETY: as above.
    let half = |at: usize| unsafe { (at as *const u16).read_unaligned() as usize };
    let headers = vdso + word(vdso + 32);
    let header =
        |kind: u16| (0..half(vdso + 56)).map(|i| headers + i * 56).find(|&h| half(h) == usize::from(kind));
    // Addresses in it are relative to the place for which it was linked.
    let load = header(1)?;
    let bias = vdso.wrapping_add(word(load + 8)).wrapping_sub(word(load + 16));
    let dynamic = bias.wrapping_add(word(header(2)? + 16));
    let entry = |tag: usize| {
        (0..64).map(|i| dynamic + i * 16).take_while(|&d| word(d) != 0).find(|&d| word(d) == tag)
    };
    // DT_STRTAB, DT_SYMTAB; the string table lies behind the symbol table and so bounds it.
    let strings = bias.wrapping_add(word(entry(5)? + 8));
    let symbols = bias.wrapping_add(word(entry(6)? + 8));
    let count = strings.checked_sub(symbols)? / 24;
    (0..count).map(|i| symbols + i * 24).find_map(|symbol| {
        let text = strings + half(symbol) + (half(symbol + 2) << 16);
        // SAFETY: as above; the comparison ends at the first byte that differs.
        let matches =
            name.iter().chain(b"\0").enumerate().all(|(i, &b)| unsafe { *((text + i) as *const u8) } == b);
        (matches && half(symbol + 6) != 0).then(|| bias.wrapping_add(word(symbol + 8)))
    })
}

/// CLOCK_MONOTONIC.
pub fn monotonic() -> u64 {
    read(1)
}

/// CLOCK_REALTIME.
pub fn wall() -> u64 {
    read(0)
}
