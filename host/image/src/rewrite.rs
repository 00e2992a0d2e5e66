//! System calls become jumps: rewritten pages for the program files of a root.
//!
//! The files stay as they are. What is to be mapped in place of some of their pages, and the stubs that these jump
//! to, goes into one more file (`kernlet_wire::rewrite`), from which the library OS maps it.
//!
//! 1. `elf` finds code and where functions begin, `code` decodes it, `sites` decides what can be replaced, and
//!    `stub` writes what stands in for it.
//! 2. `numbers` tells which calls a program can make, for `inspect`.
//! 3. Code is decoded, never searched for bytes: the two bytes of `syscall` are parts of other instructions, too.
//! 4. A call that stays as it is traps, which is slower and nothing else. So in doubt it stays.

mod code;
mod elf;
mod numbers;
mod sites;
mod stub;
#[cfg(test)]
mod tests;

use crate::hash::digest;
use crate::layout::PAGE;
use code::{Code, Region};
use elf::Program;
use kernlet_wire::rewrite::{Draft, DraftFile, DraftSegment};
use numbers::Flow;
use sites::{Function, JUMP_LEN, Patch};
use std::collections::{BTreeSet, HashMap};
use stub::{INT3, Stubs};

/// How far stubs may be from the segment's first page, in bytes: the reach of a jump.
const MAX_DISTANCE: i64 = i32::MAX as i64;

/// Rewrites the program files among `files`, each given by its path from the root's top, free of symbolic links, and
/// its bytes (any order; taken one after the other); what is no x86-64 ELF file is passed over. Gives the bytes of the file
/// [`kernlet_wire::rewrite::PATH`], `None` when nothing is rewritten. The same files give the same bytes.
pub fn rewrite<P: Into<Vec<u8>>, B: AsRef<[u8]>>(files: impl IntoIterator<Item = (P, B)>) -> Option<Vec<u8>> {
    let mut draft = Draft::default();
    let mut known = HashMap::new();
    for (path, bytes) in files {
        let bytes = bytes.as_ref();
        if !bytes.starts_with(b"\x7fELF") {
            continue;
        }
        // The same library may lie at several paths.
        let file = known.entry(digest(bytes)).or_insert_with(|| rewrite_file(bytes));
        if let Some(file) = file {
            let mut path = path.into();
            if !path.starts_with(b"/") {
                path.insert(0, b'/');
            }
            draft.files.insert(path, file.clone());
        }
    }
    if draft.files.is_empty() { None } else { draft.encode() }
}

/// The system calls that a program file can make by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Calls {
    /// Their numbers, as far as they are constants in the code.
    pub numbers: BTreeSet<u32>,
    /// How many places make a call whose number is known at run time only.
    pub at_run_time: u32,
    /// How many places make a call.
    pub places: u32,
}

/// Finds the system calls in a program file; `None` when it is no x86-64 ELF file or has none.
pub fn calls(bytes: &[u8]) -> Option<Calls> {
    let program = Program::parse(bytes)?;
    if !program.code.iter().any(|segment| has_syscall(segment.bytes)) {
        return None;
    }
    let mut calls = Calls::default();
    for code in code::decode(&program) {
        for function in with_sites(&code) {
            let mut flow = Flow::new(&function);
            for site in function.sites() {
                let numbers = flow.numbers(site);
                calls.at_run_time += u32::from(numbers.others);
                calls.places += 1;
                calls.numbers.extend(numbers.known);
            }
        }
    }
    (calls.places > 0).then_some(calls)
}

/// The regions of a segment that have `syscall` instructions, decoded.
fn with_sites<'a>(code: &'a Code<'a>) -> impl Iterator<Item = Function<'a>> {
    let has_site = |region: &&Region| {
        let first = code.syscalls.partition_point(|&at| at < region.start);
        code.syscalls.get(first).is_some_and(|&at| at < region.end)
    };
    code.regions.iter().filter(has_site).map(|region| Function::new(code, *region))
}

/// Rewrites one file; `None` when there is nothing to rewrite in it.
fn rewrite_file(bytes: &[u8]) -> Option<DraftFile> {
    let program = Program::parse(bytes)?;
    // Most libraries have no system call of their own, and need not be decoded.
    if !program.code.iter().any(|segment| has_syscall(segment.bytes)) {
        return None;
    }
    let mut file = DraftFile { len: bytes.len() as u64, ..DraftFile::default() };
    for code in code::decode(&program) {
        let stubs_at = program.end.checked_add(file.reserve)?;
        let segment = rewrite_segment(&program, &code, stubs_at);
        if segment.rewritten > 0 && segment.distance <= MAX_DISTANCE {
            file.reserve += (segment.stubs.len() as u64).next_multiple_of(PAGE);
            file.segments.push(segment);
        }
    }
    file.segments.sort_by_key(|segment| segment.offset);
    // Segments that share a page of the file cannot be told apart by their offset.
    let apart = file
        .segments
        .windows(2)
        .all(|pair| pair[0].offset + u64::from(pair[0].pages) * PAGE <= pair[1].offset);
    (apart && !file.segments.is_empty()).then_some(file)
}

/// So many pages apart two replaced pages may be to be mapped at once, with those between.
const BRIDGE: u32 = 24;

fn has_syscall(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| pair == [0x0f, 0x05])
}

fn rewrite_segment(program: &Program<'_>, code: &Code<'_>, stubs_at: u64) -> DraftSegment {
    let segment = &code.segment;
    let skipped = segment.offset % PAGE;
    let pages = (skipped + segment.bytes.len() as u64).div_ceil(PAGE);
    let mut draft = DraftSegment {
        offset: segment.offset - skipped,
        pages: u32::try_from(pages).unwrap_or(0),
        distance: stubs_at.wrapping_sub(segment.address - skipped).cast_signed(),
        ..DraftSegment::default()
    };
    let mut stubs = Stubs::new(stubs_at);
    for function in with_sites(code) {
        let sites = function.sites().count() as u32;
        let patches = function.patches();

        let done =
            patches.iter().filter(|patch| apply(program, code, &function, patch, &mut stubs, &mut draft));
        let done = done.count() as u32;
        draft.rewritten += done;
        draft.trapping += sites - done;
    }
    draft.stubs = stubs.bytes;
    bridge(program, &mut draft);
    draft
}

/// A page of a segment as it is in the file.
fn contents(program: &Program<'_>, offset: u64, page: u32) -> Vec<u8> {
    let from = (offset + u64::from(page) * PAGE) as usize;
    let mut contents = program.file.get(from..).unwrap_or_default().to_vec();
    contents.truncate(PAGE as usize);
    contents.resize(PAGE as usize, 0);
    contents
}

/// Adds the pages between such as are replaced, where they are few: each run is mapped by a call of its own.
fn bridge(program: &Program<'_>, draft: &mut DraftSegment) {
    let replaced: Vec<u32> = draft.replaced.keys().copied().collect();
    for pair in replaced.windows(2).filter(|pair| pair[1] - pair[0] <= BRIDGE) {
        for page in pair[0] + 1..pair[1] {
            draft.replaced.insert(page, contents(program, draft.offset, page));
        }
    }
}

/// Writes the stub of a patch, and the jump to it into the pages. Whether everything was in reach.
fn apply(
    program: &Program<'_>,
    code: &Code<'_>,
    function: &Function<'_>,
    patch: &Patch,
    stubs: &mut Stubs,
    draft: &mut DraftSegment,
) -> bool {
    let segment = &code.segment;
    let written = stubs.add(|stubs| {
        let moved = |stubs: &mut Stubs, index: usize| {
            let instruction = &function.instructions[index];
            let at = (instruction.ip() - segment.address) as usize;
            stubs.instruction(instruction, segment.bytes.get(at..at + instruction.len())?)
        };
        patch.before.clone().try_for_each(|index| moved(stubs, index))?;
        let site = &function.instructions[patch.site];
        if patch.window.end <= site.ip() {
            return stubs.enter(site.next_ip());
        }
        stubs.enter_here()?;
        patch.after.clone().try_for_each(|index| moved(stubs, index))?;
        stubs.jump(patch.window.end)
    });
    let Some((jump, stub)) = written.and_then(|stub| Some((stub::jump(patch.window.start, stub)?, stub)))
    else {
        return false;
    };
    debug_assert!(stub >= program.end && patch.window.end - patch.window.start >= JUMP_LEN);
    let first = segment.offset - draft.offset + (patch.window.start - segment.address);
    let len = (patch.window.end - patch.window.start) as usize;
    for (at, byte) in (first..).zip(jump.into_iter().chain(std::iter::repeat(INT3)).take(len)) {
        let page = (at / PAGE) as u32;
        let contents = draft.replaced.entry(page).or_insert_with(|| contents(program, draft.offset, page));
        contents[(at % PAGE) as usize] = byte;
    }
    true
}
