//! Randomness from the host.

/// See [`crate::entropy::seed`].
pub fn seed() -> Option<[u8; 32]> {
    #[cfg(kernlet_image)]
    {
        crate::boot::blob().seed()
    }
    #[cfg(not(kernlet_image))]
    {
        let mut seed = [0u8; 32];
        // SAFETY: the host writes 32 bytes into the buffer.
        let got = unsafe {
            super::call::retried(super::call::number::GETRANDOM, [seed.as_mut_ptr() as usize, 32, 0, 0, 0, 0])
        };
        (got == Ok(32)).then_some(seed)
    }
}
