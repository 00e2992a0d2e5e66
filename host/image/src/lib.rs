//! Builds, seals and reads images.
