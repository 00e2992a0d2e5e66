//! Code that comes from a volume, or was written by the program: its system calls are replaced when it is mapped to be
//! executed, in the process's own copy of its pages.
//!
//! What was replaced comes back before the program can write there, or moves it: what it then sees and changes is its own. It
//! is the program's affair that no thread runs what it takes away.

use super::area::{Area, Object};
use super::sites::{self, JUMP, NEAR, SYSCALL};
use super::space::Space;
use crate::PAGE;
use alloc::vec::Vec;
use core::ops::Range;
use kernlet_platform::program::{self, Backing, Protection};

/// So many bytes are looked at when code is mapped; larger code traps. Other threads wait meanwhile.
const CODE_MOST: usize = 32 << 20;
/// So many calls of a process are replaced.
const PATCHES_MOST: usize = 8192;
/// What is read at once.
const CHUNK: usize = 32 << 10;
/// Bytes of a call and of what may follow it in the last instruction that decoding looks at.
const BEHIND: usize = 16;
/// Stubs begin on multiples of this, filled up with `int3`.
const ALIGN: usize = 8;
const INT3: u8 = 0xcc;

/// A call that was replaced.
#[derive(Debug, Clone, Copy)]
pub struct Replaced {
    /// Where the jump is.
    start: usize,
    /// Behind what moved.
    end: usize,
    /// What the jump took the place of.
    original: [u8; JUMP],
    /// It is there again.
    undone: bool,
    /// The first page of the stubs.
    stubs: usize,
}

/// All of a process, by address.
pub type Patches = Vec<Replaced>;

/// A call that will be.
struct Found {
    /// Where the jump goes.
    start: usize,
    /// What moves, up to the call.
    moved: Vec<u8>,
}

/// Replaces calls in `area`, which can be executed from now on, if it is private and shows a file that is none of the image's.
pub fn replace(space: &mut Space, area: &Area) {
    let Object::File(file) = &area.object else { return };
    if !area.protection.execute || area.protection.write || area.shared || file.sealed.is_some() {
        return;
    }
    let room = PATCHES_MOST.saturating_sub(space.patches.len());
    if area.length() > CODE_MOST || room == 0 {
        return;
    }
    let found = find(&area.pages, room);
    if found.is_empty() {
        return;
    }
    // What a stub has beside what moves, and the most that filling up takes.
    let most = found.len() * (NEAR + 24);
    let Ok(stubs) = space.place(0, most.next_multiple_of(PAGE)) else { return };
    let (mut bytes, mut jumps) = (Vec::new(), Vec::new());
    for Found { start, moved } in &found {
        bytes.resize(bytes.len().next_multiple_of(ALIGN), INT3);
        let (stub, length, end) = (stubs + bytes.len(), bytes.len(), start + moved.len());
        let made = sites::stub(&mut bytes, stub, moved, end + SYSCALL.len());
        match made.and_then(|()| sites::jump(*start, stub)).zip(moved.first_chunk()) {
            Some((jump, &original)) => {
                jumps.push((jump, Replaced { start: *start, end, original, undone: false, stubs }));
            }
            None => bytes.truncate(length),
        }
    }
    if jumps.is_empty() || !place(space, stubs, &bytes) {
        return;
    }
    if program::protect(area.pages.clone(), Protection::READ_WRITE).is_err() {
        let _ = space.unmap(stubs..stubs + bytes.len().next_multiple_of(PAGE));
        return;
    }
    for (jump, replaced) in jumps {
        if program::write(replaced.start, &jump).is_ok() {
            let patches = &mut space.patches;
            let index = patches.partition_point(|patch| patch.start < replaced.start);
            patches.insert(index, replaced);
        }
    }
    // The pages are mapped, so this fails for want of memory only; then the program ends with the next instruction.
    let _ = program::protect(area.pages.clone(), area.protection);
}

/// Maps stubs; whether that is done.
fn place(space: &mut Space, at: usize, bytes: &[u8]) -> bool {
    let pages = at..at + bytes.len().next_multiple_of(PAGE);
    let area = Area {
        pages: pages.clone(),
        protection: Protection::READ_WRITE,
        shared: false,
        object: Object::Stubs(Object::WRITTEN),
        offset: 0,
    };
    if space.map(area, Backing::Anonymous).is_err() {
        return false;
    }
    let done =
        program::write(at, bytes).and_then(|()| space.protect(pages.clone(), Protection::READ_EXECUTE));
    if done.is_err() {
        let _ = space.unmap(pages);
    }
    done.is_ok()
}

/// Looks for calls to replace, at most so many.
fn find(pages: &Range<usize>, most: usize) -> Vec<Found> {
    let (mut found, mut buffer) = (Vec::new(), alloc::vec![0; sites::BEFORE + CHUNK + BEHIND]);
    for chunk in pages.clone().step_by(CHUNK) {
        let at = chunk.saturating_sub(sites::BEFORE).max(pages.start);
        let end = (chunk + CHUNK + BEHIND).min(pages.end);
        let Some(code) = buffer.get_mut(..end - at) else { break };
        // Behind the end of a file there is nothing.
        if program::read(at, code).is_err() {
            break;
        }
        let mut from = chunk - at;
        while let Some(call) = sites::next(code, from).filter(|&call| at + call < chunk + CHUNK) {
            from = call + 1;
            let Some(window) = sites::window(code, call) else { continue };
            if found.len() == most {
                return found;
            }
            let moved = code.get(window..call).unwrap_or_default().to_vec();
            found.push(Found { start: at + window, moved });
        }
    }
    found
}

/// Puts back what was replaced in `pages`, which the program is about to change; `gone`: which are about to go, with what they
/// hold.
pub fn restore(space: &mut Space, pages: &Range<usize>, gone: bool) {
    if space.patches.is_empty() {
        return;
    }
    let lowest = pages.start.saturating_sub(NEAR + JUMP);
    let first = space.patches.partition_point(|patch| patch.start < lowest);
    let last = space.patches.partition_point(|patch| patch.start < pages.end);
    let mut idle = Vec::new();
    for index in (first..last).rev() {
        let Some(mut patch) = space.patches.get(index).copied() else { continue };
        if patch.end <= pages.start {
            continue;
        }
        let within = pages.start <= patch.start && patch.end <= pages.end;
        if !(patch.undone || gone && within) {
            patch.undone = true;
            put_back(space, &patch);
        }
        if gone {
            space.patches.drain(index..=index);
            idle.push(patch.stubs);
        } else if let Some(there) = space.patches.get_mut(index) {
            *there = patch;
        }
    }
    idle.dedup();
    for stubs in idle {
        let used = space.patches.iter().any(|patch| patch.stubs == stubs);
        if let Some(area) = space.find(stubs).filter(|area| !used && area.object.is_written_stubs()) {
            let pages = area.pages.clone();
            let _ = space.unmap(pages);
        }
    }
}

fn put_back(space: &Space, patch: &Replaced) {
    // The page may be another from one byte to the next.
    for (at, byte) in (patch.start..).zip(patch.original) {
        let Some(area) = space.find(at) else { continue };
        let page = at & !(PAGE - 1)..(at & !(PAGE - 1)) + PAGE;
        // What fails here is memory that the program has none of any more.
        let _ = program::protect(page.clone(), Protection::READ_WRITE)
            .and_then(|()| program::write(at, &[byte]))
            .and_then(|()| program::protect(page, area.protection));
    }
}
