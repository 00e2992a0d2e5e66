//! Ways to end badly.

use core::hint::black_box;
use kernlet::alloc::vec::Vec;

#[inline(never)]
pub fn panic() {
    let numbers: Vec<u32> = Vec::new();
    let at = black_box(3);
    kernlet::println!("{}", numbers[at]);
}

#[inline(never)]
pub fn null() {
    // SAFETY: none: the point is that the library OS reports it.
    let value = unsafe { black_box(8 as *const u32).read_volatile() };
    kernlet::println!("{value}");
}

#[inline(never)]
pub fn wild() {
    // SAFETY: none, as above.
    unsafe { black_box(0x1234_5678_9000 as *mut u8).write_volatile(1) };
}

#[inline(never)]
pub fn execute() {
    let code = kernlet::alloc::vec![0xc3u8; 16];
    // SAFETY: none, as above: the heap is not executable.
    unsafe {
        let function: extern "C" fn() = core::mem::transmute(black_box(code.as_ptr()));
        function();
    }
}

#[inline(never)]
pub fn overflow(depth: u64) -> u64 {
    let room = black_box([depth; 64]);
    if depth == 0 { 0 } else { overflow(black_box(depth + 1)) + room[(depth % 64) as usize] }
}

pub fn memory() {
    let mut pieces = Vec::new();
    loop {
        pieces.push(black_box(kernlet::alloc::vec![1u8; 1 << 20]));
    }
}
