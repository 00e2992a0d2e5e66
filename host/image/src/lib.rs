//! Builds, seals and reads images.
//!
//! An image is one ELF file: a program linked with the library OS, the files it sees, and a manifest.
//!
//! 1. [`native`] builds a Rust crate on the native API, by a nested cargo call with flags of its own.
//! 2. [`linux`] gathers the files of an unmodified Linux program around a library OS that kernlet carries.
//! 3. [`seal()`] turns what the linker made into an image: stripped, with the [`erofs`] root file system and the
//!    manifest (`kernlet_wire::manifest`) in a last segment. The same input gives the same bytes.
//! 4. [`Image`] opens an image without trust and without reading all of it; it is on the way to every start.
//! 5. [`inspect`] tells people what is in an image, and [`symbols`] what an address in it means.
#![forbid(unsafe_code)]

pub mod erofs;
mod error;
mod hash;
mod image;
pub mod inspect;
mod layout;
pub mod linux;
pub mod native;
mod pieces;
pub mod rewrite;
mod sdk;
mod seal;
mod sizes;
mod store;
pub mod symbols;

pub use error::ImageError;
pub use image::Image;
pub use kernlet_wire::{manifest, trace};
pub use layout::{Access, LINK_BASE, Layout, ManifestSpan, PAGE, Segment};
pub use sdk::Sdk;
pub use seal::{SealError, seal};
pub use store::StoreError;
