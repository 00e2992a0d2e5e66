//! The source of randomness.

/// Random bytes with 256 bits of entropy, fit to seed a generator.
///
/// # Errors
/// `None` when this machine has no source of entropy at all: no virtio-rng, no RDRAND, no seed in the blob.
pub fn seed() -> Option<[u8; 32]> {
    at_door!(entropy::seed())
}
