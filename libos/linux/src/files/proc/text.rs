//! Open files that are made up.

use super::Generated;
use crate::Errno;
use crate::process::Process;
use crate::thread::Thread;
use crate::user::Buffers;
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use kernlet_platform::cell::RefCell;

/// The most that is written at once.
const WRITTEN_MOST: usize = 4096;

/// An open file that is made up.
pub struct Text {
    process: Weak<Process>,
    of: Generated,
    /// What it was when it was last read from the beginning.
    bytes: RefCell<Vec<u8>>,
}

impl Text {
    /// Opens a file.
    ///
    /// # Errors
    /// ENOENT when what it is about is gone.
    pub fn open(thread: &Rc<Thread>, of: &Generated) -> Result<Self, Errno> {
        let bytes = super::make(&thread.process, of)?;
        Ok(Self { process: Rc::downgrade(&thread.process), of: of.clone(), bytes: RefCell::new(bytes) })
    }

    fn process(&self) -> Result<Rc<Process>, Errno> {
        self.process.upgrade().ok_or(Errno::ESRCH)
    }

    /// Bytes.
    pub fn length(&self) -> u64 {
        self.bytes.borrow().len() as u64
    }

    /// Reads; from the beginning what is so now.
    ///
    /// # Errors
    /// EFAULT; ENOENT when what it is about is gone.
    pub fn read(&self, offset: u64, to: &mut Buffers) -> Result<usize, Errno> {
        if offset == 0 {
            let bytes = super::make(&*self.process()?, &self.of)?;
            *self.bytes.borrow_mut() = bytes;
        }
        let bytes = self.bytes.borrow();
        let rest = usize::try_from(offset).ok().and_then(|at| bytes.get(at..)).unwrap_or(&[]);
        to.fill(&rest[..rest.len().min(to.remaining())])
    }

    /// Copies from `offset` on; tells how much there was.
    pub fn copy(&self, offset: u64, to: &mut [u8]) -> usize {
        let bytes = self.bytes.borrow();
        let rest = usize::try_from(offset).ok().and_then(|at| bytes.get(at..)).unwrap_or(&[]);
        let length = rest.len().min(to.len());
        to[..length].copy_from_slice(&rest[..length]);
        length
    }

    /// Writes.
    ///
    /// # Errors
    /// EINVAL for what cannot be set so; EFAULT.
    pub fn write(&self, from: &mut Buffers) -> Result<usize, Errno> {
        let mut bytes = alloc::vec![0; from.remaining().min(WRITTEN_MOST)];
        let length = from.take(&mut bytes)?;
        super::set(&*self.process()?, &self.of, &bytes[..length])?;
        Ok(length)
    }
}
