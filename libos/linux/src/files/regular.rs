//! Regular files in memory and in the image.

use super::tree::{Content, Kind, Node, Times};
use crate::Errno;
use crate::user::Buffers;
use alloc::rc::Rc;
use core::ops::Range;
use kernlet_platform::cell::RefCell;
use kernlet_platform::program::Shared;
use kernlet_platform::{clock, sealed};

/// An open file. Its node is a file.
pub struct Regular(Rc<Node>);

impl Regular {
    /// Opens a node.
    ///
    /// # Errors
    /// EINVAL when it is no regular file.
    pub fn open(node: Rc<Node>) -> Result<Self, Errno> {
        let Kind::File(_) = &node.kind else { return Err(Errno::EINVAL) };
        node.used();
        Ok(Self(node))
    }

    /// Its node.
    pub fn node(&self) -> &Rc<Node> {
        &self.0
    }

    /// Its contents.
    ///
    /// # Errors
    /// None, since it is a file.
    pub fn content(&self) -> Result<&RefCell<Content>, Errno> {
        match &self.0.kind {
            Kind::File(content) => Ok(content),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Reads.
    ///
    /// # Errors
    /// EFAULT.
    pub fn read(&self, offset: u64, to: &mut Buffers) -> Result<usize, Errno> {
        self.content()?.borrow().read(offset, to)
    }

    /// Writes at `offset` or at the end; tells how much was written, and where.
    ///
    /// # Errors
    /// EFAULT, ENOSPC, EFBIG; EPERM by a seal.
    pub fn write(&self, offset: u64, appends: bool, from: &mut Buffers) -> Result<(usize, u64), Errno> {
        let start = if appends { self.content()?.borrow().length() } else { offset };
        self.may_write(start.saturating_add(from.remaining() as u64))?;
        let mut content = self.content()?.borrow_mut();
        let length = content.write(start, from)?;
        drop(content);
        if length > 0 {
            self.written();
        }
        Ok((length, start))
    }

    /// Its contents were changed: the times say so, and the bits that give rights go.
    pub fn written(&self) {
        let node = &self.0;
        node.keep();
        let mode = node.mode.get();
        if mode & 0o6000 != 0 {
            let group = if mode & 0o010 != 0 { 0o2000 } else { 0 };
            node.mode.set(mode & !(0o4000 | group));
        }
        let now = clock::wall();
        node.times.set(Times { modified: now, changed: now, ..node.times.get() });
    }

    /// Its contents as memory that can be mapped shared.
    ///
    /// # Errors
    /// ENODEV without such memory; ENOSPC; EFBIG.
    pub fn share(&self) -> Result<Rc<Shared>, Errno> {
        self.0.keep();
        self.content()?.borrow_mut().share()
    }

    /// Where the file lies in what is sealed into the image; `None` when it was changed.
    pub fn sealed(&self) -> Option<Range<usize>> {
        let content = self.content().ok()?.borrow();
        let bytes = content.sealed()?;
        let start = (bytes.as_ptr() as usize).checked_sub(sealed::whole().as_ptr() as usize)?;
        Some(start..start + bytes.len())
    }
}
