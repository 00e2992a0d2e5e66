//! Random numbers that cannot be guessed: ChaCha20, seeded once from the platform's sources.
#![no_std]
#![forbid(unsafe_code)]

use kernlet_platform::cell::RefCell;
use kernlet_platform::cpu::CpuLocal;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

static GENERATOR: CpuLocal<RefCell<ChaCha20Rng>> = CpuLocal::new(|| {
    let seed = kernlet_platform::entropy::seed();
    // To go on without entropy would make every secret of the program known.
    let seed = seed.expect("this machine has no source of entropy: give it virtio-rng, or a CPU with RDRAND");
    RefCell::new(ChaCha20Rng::from_seed(seed))
});

/// Fills `buffer` with random bytes.
///
/// # Panics
/// When the machine has no source of entropy at all.
pub fn fill(buffer: &mut [u8]) {
    GENERATOR.get().borrow_mut().fill_bytes(buffer);
}

/// A random number.
pub fn u64() -> u64 {
    GENERATOR.get().borrow_mut().next_u64()
}

/// A random number.
pub fn u32() -> u32 {
    GENERATOR.get().borrow_mut().next_u32()
}
