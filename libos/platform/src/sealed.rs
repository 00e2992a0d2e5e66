//! What is sealed into this image beside its code: the manifest and the read-only root.

/// The bytes of the sealed segment from the manifest on (manifest, then the root at the offset that it tells);
/// empty in an image that was never sealed, and on a host build.
pub fn segment() -> &'static [u8] {
    #[cfg(kernlet_image)]
    {
        crate::entry::sealed_segment()
    }
    #[cfg(not(kernlet_image))]
    {
        &[]
    }
}
