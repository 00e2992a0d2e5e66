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
/// The longest: what moves, what enters the library OS, and filling up.
const STUB_MOST: usize = NEAR + 24;
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
    /// Where the jump leads.
    stub: usize,
}

/// All of a process, by address.
pub type Patches = Vec<Replaced>;

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
    let Ok(stubs) = space.place(0, (room * STUB_MOST).next_multiple_of(PAGE)) else { return };
    let (mut bytes, found) = find(&area.pages, stubs, room);
    if found.is_empty() {
        return;
    }
    bytes.resize(bytes.len().next_multiple_of(PAGE), INT3);
    let pages = stubs..stubs + bytes.len();
    let object = Object::Stubs(Object::WRITTEN);
    let protection = Protection::READ_WRITE;
    let mapped = Area { pages: pages.clone(), protection, shared: false, object, offset: 0 };
    if space.map(mapped, Backing::Anonymous).is_err() {
        return;
    }
    let written = program::write(stubs, &bytes);
    if written.and_then(|()| space.protect(pages, Protection::READ_EXECUTE)).is_err() {
        return;
    }
    for patch in found {
        if let Some(jump) = sites::jump(patch.start, patch.stub) {
            change(space, patch.start, &jump);
        }
        let index = space.patches.partition_point(|other| other.start < patch.start);
        space.patches.insert(index, patch);
    }
}

/// Looks for calls to replace, at most so many, and writes their stubs, which go to `stubs`.
fn find(pages: &Range<usize>, stubs: usize, most: usize) -> (Vec<u8>, Patches) {
    let (mut bytes, mut found) = (Vec::new(), Vec::new());
    let mut buffer = alloc::vec![0; sites::BEFORE + CHUNK + BEHIND];
    let mut chunk = pages.start;
    while chunk < pages.end {
        let at = chunk.saturating_sub(sites::BEFORE).max(pages.start);
        let end = (chunk + CHUNK + BEHIND).min(pages.end);
        let Some(code) = buffer.get_mut(..end - at) else { break };
        // Behind the end of a file there is nothing.
        if program::read(at, code).is_err() {
            break;
        }
        let mut from = chunk - at;
        chunk += CHUNK;
        while let Some(call) = sites::next(code, from).filter(|&call| at + call < chunk) {
            from = call + 1;
            let Some((window, moved)) =
                sites::window(code, call).and_then(|window| Some((window, code.get(window..call)?)))
            else {
                continue;
            };
            let stub = stubs + bytes.len();
            if found.len() < most
                && let Some(&original) = moved.first_chunk()
                && sites::jump(at + window, stub).is_some()
                && sites::stub(&mut bytes, stub, moved, at + call + SYSCALL.len()).is_some()
            {
                found.push(Replaced { start: at + window, end: at + call, original, undone: false, stub });
                bytes.resize(bytes.len().next_multiple_of(ALIGN), INT3);
            }
        }
    }
    (bytes, found)
}

/// Puts back what was replaced in `pages`, which the program is about to change; `gone`: which are about to go, with what they
/// hold.
pub fn restore(space: &mut Space, pages: &Range<usize>, gone: bool) {
    // What begins before the pages may reach into them.
    let lowest = pages.start.saturating_sub(NEAR + JUMP);
    let mut index = space.patches.partition_point(|patch| patch.start < lowest);
    while let Some(patch) = space.patches.get(index).copied().filter(|patch| patch.start < pages.end) {
        if patch.end <= pages.start {
            index += 1;
            continue;
        }
        let within = pages.start <= patch.start && patch.end <= pages.end;
        if !(patch.undone || gone && within) {
            change(space, patch.start, &patch.original);
        }
        if !gone {
            space.patches[index].undone = true;
            index += 1;
            continue;
        }
        space.patches.remove(index);
        // The last one takes the stubs with it.
        let Some(stubs) = space.find(patch.stub).filter(|area| area.object.is_written_stubs()) else {
            continue;
        };
        let stubs = stubs.pages.clone();
        if !space.patches.iter().any(|other| stubs.contains(&other.stub)) {
            let _ = space.unmap(stubs);
        }
    }
}

/// Changes bytes of code, which the program is not to write to.
fn change(space: &Space, at: usize, bytes: &[u8; JUMP]) {
    let mut from = at;
    let end = at + JUMP;
    while from < end {
        let start = from & !(PAGE - 1);
        let to = end.min(start + PAGE);
        if let (Some(area), Some(bytes)) = (space.find(from), bytes.get(from - at..to - at)) {
            // What fails here is memory that the program has none of any more.
            let _ = program::protect(start..start + PAGE, Protection::READ_WRITE)
                .and_then(|()| program::write(from, bytes))
                .and_then(|()| program::protect(start..start + PAGE, area.protection));
        }
        from = to;
    }
}
