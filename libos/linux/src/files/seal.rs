//! Seals on files in memory (fcntl(2), "File Sealing"; mm/memfd.c): what can never be done with a file any more.

use super::description::{Description, Kind};
use super::regular::Regular;
use super::tree::{self, Node, Sort};
use crate::call::Outcome;
use crate::process::Process;
use crate::{Errno, memory};

/// F_SEAL_SEAL: no more seals. F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE, F_SEAL_FUTURE_WRITE, F_SEAL_EXEC.
pub const SEAL: u32 = 0x1;
const SHRINK: u32 = 0x2;
const GROW: u32 = 0x4;
const WRITE: u32 = 0x8;
const FUTURE_WRITE: u32 = 0x10;
/// See [`SEAL`].
pub const EXECUTE: u32 = 0x20;
const ALL: u32 = 0x3f;

/// The file, when it is one that can have seals: on a tmpfs, or of no file system at all.
fn sealable(file: &Description) -> Result<&Regular, Errno> {
    match &file.kind {
        Kind::Regular(regular) if matches!(regular.node().system.sort, Sort::Tmpfs) => Ok(regular),
        _ => Err(Errno::EINVAL),
    }
}

/// F_GET_SEALS.
pub fn get(file: &Description) -> Outcome {
    Ok(sealable(file)?.content()?.borrow().seals.into())
}

/// F_ADD_SEALS.
pub fn add(process: &Process, file: &Description, seals: u32) -> Outcome {
    if !file.writable() {
        return Err(Errno::EPERM);
    }
    if seals & !ALL != 0 {
        return Err(Errno::EINVAL);
    }
    let regular = sealable(file)?;
    let node = regular.node();
    let mut content = regular.content()?.borrow_mut();
    if content.seals & SEAL != 0 {
        return Err(Errno::EPERM);
    }
    let maps = |mapped: &memory::Mapped| (mapped.device, mapped.inode) == (node.system.device, node.number);
    if seals & WRITE != 0 && content.seals & WRITE == 0 && process.space.borrow().writes(maps) {
        return Err(Errno::EBUSY);
    }
    content.seals |= seals;
    Ok(0)
}

impl Regular {
    fn has(&self, seals: u32) -> bool {
        self.content().is_ok_and(|content| content.borrow().seals & seals != 0)
    }

    /// Whether bytes up to `end` may be written.
    ///
    /// # Errors
    /// EPERM by a seal.
    pub fn may_write(&self, end: u64) -> Result<(), Errno> {
        let grows = self.has(GROW) && end > self.content()?.borrow().length();
        if grows || self.has(WRITE | FUTURE_WRITE) { Err(Errno::EPERM) } else { Ok(()) }
    }

    /// Whether it may become so long.
    ///
    /// # Errors
    /// EPERM by a seal.
    pub fn may_have(&self, length: u64) -> Result<(), Errno> {
        let old = self.content()?.borrow().length();
        let against = if length < old { SHRINK } else { GROW };
        if length != old && self.has(against) { Err(Errno::EPERM) } else { Ok(()) }
    }
}

/// Whether the permissions of a node may become those of `mode`.
///
/// # Errors
/// EPERM by a seal.
pub fn may_have_mode(node: &Node, mode: u32) -> Result<(), Errno> {
    match &node.kind {
        tree::Kind::File(content)
            if content.borrow().seals & EXECUTE != 0 && (node.mode.get() ^ mode) & 0o111 != 0 =>
        {
            Err(Errno::EPERM)
        }
        _ => Ok(()),
    }
}
