//! The root that is sealed into the image, and its files as they lie there.

use crate::erofs::{Erofs, Inode};
use crate::metadata::Metadata;
use kernlet_platform::{Errno, sealed};
use kernlet_wire::manifest::Manifest;

/// The image's manifest; `None` when it was never sealed.
pub(crate) fn manifest() -> Option<Manifest<'static>> {
    Manifest::parse(sealed::segment()).ok()
}

/// The read-only root.
pub(crate) fn root() -> Result<Erofs<'static>, Errno> {
    let place = manifest().and_then(|m| m.root).ok_or(Errno::ENOENT)?;
    let at = usize::try_from(place.offset).map_err(|_| Errno::EIO)?;
    let end = usize::try_from(place.len).ok().and_then(|n| at.checked_add(n)).ok_or(Errno::EIO)?;
    Erofs::new(sealed::whole().get(at..end).ok_or(Errno::EIO)?)
}

/// What is known of a file of the root.
pub(crate) fn metadata(inode: &Inode) -> Metadata {
    Metadata {
        device: 0,
        inode: inode.nid,
        mode: inode.mode,
        links: inode.links,
        uid: inode.uid,
        gid: inode.gid,
        size: inode.size,
        blocks: inode.size.div_ceil(512),
        accessed: inode.modified,
        modified: inode.modified,
        changed: inode.modified,
    }
}
