//! The VM door's half of [`crate::program`]: not there yet.

use crate::Errno;
use crate::program::{Backing, Context, Exit, Protection};
use core::ops::Range;

pub fn prepare() -> Result<(), &'static str> {
    Err("programs for Linux do not run in a VM yet")
}

pub fn vdso() -> usize {
    0
}

pub fn extended_features() -> u64 {
    3
}

pub fn extended_length() -> usize {
    576
}

pub fn save(_: &mut Context) {}

pub fn forget(_: &mut Context) {}

pub fn enter(_: &mut Context) -> Exit {
    Exit::Preempted
}

pub fn map(_: Range<usize>, _: Protection, _: Backing<'_>) -> Result<(), Errno> {
    Err(Errno::ENOSYS)
}

pub fn unmap(_: Range<usize>) -> Result<(), Errno> {
    Err(Errno::ENOSYS)
}

pub fn protect(_: Range<usize>, _: Protection) -> Result<(), Errno> {
    Err(Errno::ENOSYS)
}

pub fn discard(_: Range<usize>) -> Result<(), Errno> {
    Err(Errno::ENOSYS)
}

pub fn resident() -> usize {
    0
}
