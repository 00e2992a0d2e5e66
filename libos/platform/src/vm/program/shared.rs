//! Shared memory: frames by the number of their piece and of their page in it. Once shared memory, a frame stays that, since
//! somebody may have it mapped still; what a dropped piece had is used again for others.

use super::super::frames::PAGE;
use super::super::single::Single;
use super::frame;
use crate::Errno;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Frames are kept in groups of so many of successive pages.
const GROUP: usize = 64;

type Group = Box<[Option<usize>; GROUP]>;

struct Pieces {
    next: u64,
    /// Groups of frames by piece and place in it, sorted.
    groups: Vec<((u64, usize), Group)>,
    spare: Vec<usize>,
}

impl Pieces {
    fn find(&self, number: u64, page: usize) -> Result<usize, usize> {
        self.groups.binary_search_by_key(&(number, page / GROUP), |&(key, _)| key)
    }

    fn frame(&self, number: u64, page: usize) -> Option<usize> {
        let (_, group) = self.groups.get(self.find(number, page).ok()?)?;
        group[page % GROUP]
    }

    fn insert(&mut self, number: u64, page: usize, frame: usize) {
        let at = self.find(number, page).unwrap_or_else(|at| {
            self.groups.insert(at, ((number, page / GROUP), Box::new([None; GROUP])));
            at
        });
        self.groups[at].1[page % GROUP] = Some(frame);
    }
}

static PIECES: Single<Pieces> = Single::new(Pieces { next: 0, groups: Vec::new(), spare: Vec::new() });

/// The frame of a page, made when it is not there. `None` without memory for it.
pub fn frame(number: u64, page: usize) -> Option<usize> {
    let known = PIECES.lock().frame(number, page);
    if known.is_some() {
        return known;
    }
    let spare = PIECES.lock().spare.pop();
    let made = match spare {
        Some(frame) => {
            // In pieces: the image would hold a page of zeros otherwise.
            (0..PAGE).step_by(256).for_each(|at| frame::write(frame, at, &[0; 256]));
            frame
        }
        None => frame::take(&[])?,
    };
    PIECES.lock().insert(number, page, made);
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
        let frame = PIECES.lock().frame(number, page);
        match frame {
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
    let Pieces { groups, spare, .. } = &mut *pieces;
    groups.retain(|((piece, _), group)| {
        if *piece == number {
            spare.extend(group.iter().flatten());
        }
        *piece != number
    });
}
