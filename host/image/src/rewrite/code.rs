//! The code of one segment: where instructions begin, which are `syscall`, and what is jumped to.
//!
//! x86 code can be decoded from any byte, and data in it decodes to something. So the code is cut at the places
//! where functions are known to begin, each piece is decoded on its own, and a piece in which something does not
//! decode, or whose last instruction reaches into the next, is not [`Region::clean`].

use super::elf::{Function, Program, Segment};
use iced_x86::{Code as Opcode, Decoder, DecoderOptions, FlowControl, Instruction, OpKind};

/// How many entries of jump tables are followed: what holds more than that is not compiled code.
const MAX_TABLE_ENTRIES: usize = 1 << 24;

/// A piece of code that is decoded from its start on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Region {
    /// Its first address.
    pub start: u64,
    /// The address behind it.
    pub end: u64,
    /// Whether something says that code begins at its start; else it is what lies between functions.
    pub known: bool,
    /// Whether all of it decodes, up to its end exactly.
    pub clean: bool,
    /// Whether the unwind tables cover it.
    pub unwinds: bool,
}

/// A set of addresses in a segment.
#[derive(Debug)]
pub(super) struct Addresses {
    base: u64,
    len: u64,
    bits: Vec<u64>,
}

impl Addresses {
    fn new(base: u64, len: u64) -> Self {
        Self { base, len, bits: vec![0; (len as usize).div_ceil(64)] }
    }

    fn insert(&mut self, address: u64) {
        let at = address.wrapping_sub(self.base);
        if at < self.len {
            self.bits[at as usize / 64] |= 1 << (at % 64);
        }
    }

    /// Whether the address is in the set.
    pub fn contains(&self, address: u64) -> bool {
        let at = address.wrapping_sub(self.base);
        at < self.len && self.bits[at as usize / 64] & 1 << (at % 64) != 0
    }
}

/// What is known of a segment's code.
#[derive(Debug)]
pub(super) struct Code<'a> {
    /// The segment.
    pub segment: Segment<'a>,
    /// The pieces, by address.
    pub regions: Vec<Region>,
    /// The addresses of `syscall` instructions, rising.
    pub syscalls: Vec<u64>,
    /// Everything that may be jumped to: rather too much than too little.
    pub targets: Addresses,
    /// What clean code surely jumps to.
    pub trusted: Addresses,
    /// Whether [`Code::targets`] is complete.
    pub complete: bool,
}

/// What was found in the code of all segments.
#[derive(Default)]
struct Found {
    /// Where a jump leads, and whether it stands in clean code.
    jumps: Vec<(u64, bool)>,
    /// What is addressed relative to the instruction pointer: may be jump tables.
    tables: Vec<(u64, bool)>,
}

/// Decodes all code of a program.
pub(super) fn decode<'a>(program: &Program<'a>) -> Vec<Code<'a>> {
    let functions = program.functions();
    let mut found = Found::default();
    let mut all: Vec<Code<'a>> = program
        .code
        .iter()
        .map(|segment| {
            let range = segment.range();
            let set = || Addresses::new(range.start, range.end - range.start);
            let mut code = Code {
                segment: *segment,
                regions: regions(segment, &functions),
                syscalls: Vec::new(),
                targets: set(),
                trusted: set(),
                complete: true,
            };
            code.sweep(&mut found);
            code
        })
        .collect();
    let mut target = |address: u64, trusted: bool| {
        for code in &mut all {
            code.targets.insert(address);
            if trusted {
                code.trusted.insert(address);
            }
        }
    };
    functions.iter().for_each(|function| target(function.start, true));
    found.jumps.iter().for_each(|&(address, clean)| target(address, clean));
    program.pointers(|address| target(address, false));
    let complete = tables(program, found.tables, &mut target);
    all.iter_mut().for_each(|code| code.complete = complete);
    all
}

/// Follows jump tables as compilers make them: 32-bit distances from the table's start. Whether all were followed.
fn tables(program: &Program<'_>, mut tables: Vec<(u64, bool)>, target: &mut impl FnMut(u64, bool)) -> bool {
    tables.sort_unstable();
    tables.dedup_by_key(|table| table.0);
    let mut left = MAX_TABLE_ENTRIES;
    for (start, clean) in tables {
        target(start, false);
        for entry in program.at(start).unwrap_or_default().as_chunks().0 {
            let address = start.wrapping_add_signed(i32::from_le_bytes(*entry).into());
            if !program.is_code(address) {
                break;
            }
            target(address, clean);
            match left.checked_sub(1) {
                Some(less) => left = less,
                None => return false,
            }
        }
    }
    true
}

fn regions(segment: &Segment<'_>, functions: &[Function]) -> Vec<Region> {
    let range = segment.range();
    let mut regions = Vec::new();
    let mut push = |start, end, known, unwinds| {
        if start < end {
            regions.push(Region { start, end, known, clean: false, unwinds });
        }
    };
    let first = functions.partition_point(|function| function.start < range.start);
    let last = functions.partition_point(|function| function.start < range.end);
    let functions = &functions[first..last];
    let mut covered = 0;
    push(range.start, functions.first().map_or(range.end, |function| function.start), false, false);
    for (index, function) in functions.iter().enumerate() {
        let next = functions.get(index + 1).map_or(range.end, |function| function.start);
        let end = function.len.and_then(|len| function.start.checked_add(len)).unwrap_or(next);
        if function.unwinds {
            covered = covered.max(end);
        }
        push(function.start, end.min(next), true, function.start < covered);
        push(end.min(next), next, false, false);
    }
    regions
}

impl<'a> Code<'a> {
    /// The instructions of a region, in the order of their addresses. What does not decode is one byte long.
    pub fn instructions(&self, region: &Region) -> impl Iterator<Item = Instruction> + use<'a> {
        let from = (region.start - self.segment.address) as usize;
        // The last one may reach beyond the region: then it is not clean.
        let bytes = self.segment.bytes.get(from..).unwrap_or_default();
        let (end, mut at, mut ip) = (region.end, 0, region.start);
        let mut decoder = Decoder::with_ip(64, bytes, ip, DecoderOptions::NONE);
        std::iter::from_fn(move || {
            if ip >= end {
                return None;
            }
            let instruction = decoder.decode();
            if instruction.is_invalid() {
                (at, ip) = (at + 1, ip + 1);
                decoder.set_position(at).ok()?;
                decoder.set_ip(ip);
            } else {
                (at, ip) = (at + instruction.len(), instruction.next_ip());
            }
            Some(instruction)
        })
    }

    fn sweep(&mut self, found: &mut Found) {
        let regions = std::mem::take(&mut self.regions);
        let mut goes_on = false;
        for mut region in regions {
            let (jumps, tables) = (found.jumps.len(), found.tables.len());
            let (mut clean, mut end, mut last_ends) = (true, region.start, false);
            for instruction in self.instructions(&region) {
                clean &= !instruction.is_invalid();
                end = instruction.next_ip();
                last_ends = ends(&instruction);
                if let Some(to) = jumps_to(&instruction) {
                    found.jumps.push((to, false));
                } else if instruction.is_ip_rel_memory_operand() {
                    found.tables.push((instruction.ip_rel_memory_address(), false));
                } else if instruction.code() == Opcode::Syscall {
                    self.syscalls.push(instruction.ip());
                }
            }
            region.clean = clean && end == region.end;
            let known = region.known && region.clean;
            found.jumps[jumps..].iter_mut().chain(&mut found.tables[tables..]).for_each(|to| to.1 = known);
            // Some functions end their unwind entry early, as clone does where it has two stacks.
            match self.regions.last_mut() {
                Some(before) if goes_on && region.clean && !region.known => before.end = region.end,
                _ => self.regions.push(region),
            }
            goes_on = region.clean && !last_ends;
        }
    }
}

/// Whether what follows it is not run after it.
pub(super) fn ends(instruction: &Instruction) -> bool {
    matches!(
        instruction.flow_control(),
        FlowControl::UnconditionalBranch
            | FlowControl::IndirectBranch
            | FlowControl::Return
            | FlowControl::Exception
    )
}

/// Where a direct jump or call leads.
pub(super) fn jumps_to(instruction: &Instruction) -> Option<u64> {
    let direct = match instruction.flow_control() {
        FlowControl::ConditionalBranch
        | FlowControl::UnconditionalBranch
        | FlowControl::Call
        | FlowControl::XbeginXabortXend => instruction.op0_kind() == OpKind::NearBranch64,
        _ => false,
    };
    direct.then(|| instruction.near_branch_target())
}
