//! Shared memory: frames by the number of their piece and of their page in it. Once shared memory, a frame stays that, since
//! somebody may have it mapped still; what a dropped piece had is used again for others.

use super::super::frames::PAGE;
use super::super::single::Single;
use super::frame;
use crate::Errno;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

struct Pieces {
    next: u64,
    frames: BTreeMap<(u64, usize), usize>,
    spare: Vec<usize>,
}

static PIECES: Single<Pieces> = Single::new(Pieces { next: 0, frames: BTreeMap::new(), spare: Vec::new() });

/// The frame of a page, made when it is not there. `None` without memory for it.
pub fn frame(number: u64, page: usize) -> Option<usize> {
    let known = PIECES.lock().frames.get(&(number, page)).copied();
    if known.is_some() {
        return known;
    }
    let spare = PIECES.lock().spare.pop();
    let made = match spare {
        Some(frame) => {
            frame::write(frame, 0, &[0; PAGE]);
            frame
        }
        None => frame::take(&[])?,
    };
    PIECES.lock().frames.insert((number, page), made);
    Some(made)
}

pub fn new_shared() -> Result<u64, Errno> {
    let mut pieces = PIECES.lock();
    pieces.next += 1;
    Ok(pieces.next)
}

/// Each page of `length` bytes from `offset` on: its number, where in it, and how much of it.
fn pages(offset: u64, length: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    let mut at = offset as usize;
    let end = at + length;
    core::iter::from_fn(move || {
        let within = at % PAGE;
        let part = (PAGE - within).min(end - at);
        let page = at / PAGE;
        at += part;
        (part > 0).then_some((page, within, part))
    })
}

pub fn read_shared(number: u64, offset: u64, to: &mut [u8]) -> Result<(), Errno> {
    let mut rest = to;
    for (page, within, part) in pages(offset, rest.len()) {
        let (piece, behind) = rest.split_at_mut(part);
        match PIECES.lock().frames.get(&(number, page)).copied() {
            Some(frame) => frame::read(frame, within, piece),
            None => piece.fill(0),
        }
        rest = behind;
    }
    Ok(())
}

pub fn write_shared(number: u64, offset: u64, from: &[u8]) -> Result<(), Errno> {
    let mut rest = from;
    for (page, within, part) in pages(offset, from.len()) {
        let (piece, behind) = rest.split_at(part);
        let frame = frame(number, page).ok_or(Errno::ENOSPC)?;
        frame::write(frame, within, piece);
        rest = behind;
    }
    Ok(())
}

pub fn drop_shared(number: u64) {
    let mut pieces = PIECES.lock();
    let behind = pieces.frames.split_off(&(number, 0));
    for (key, frame) in behind {
        if key.0 == number {
            pieces.spare.push(frame);
        } else {
            pieces.frames.insert(key, frame);
        }
    }
}
