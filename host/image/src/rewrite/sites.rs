//! Which bytes around a system call give way to a jump.
//!
//! A jump takes five bytes and `syscall` two, so instructions beside it move into the stub. That is right only if
//! nothing jumps to one of them but the first:
//!
//! 1. Most calls follow a `mov` of the number into eax, which is five bytes or more: it moves alone, and the
//!    `syscall` stays, so that what jumps to it traps.
//! 2. Else instructions before it move, or it moves itself with those before or after it. For that the whole
//!    function must decode, look like code, and everything that jumps must be known.
//! 3. In doubt the call stays as it is, and traps.

use super::code::{Code, Region, ends, jumps_to};
use iced_x86::{Code as Opcode, FlowControl, Instruction, Mnemonic, Register};
use std::ops::Range;

/// The length of `jmp rel32`.
pub(super) const JUMP_LEN: u64 = 5;
/// The length of `syscall`.
const SYSCALL_LEN: u64 = 2;
/// `mov $15, %rax; syscall`: libgcc knows a signal's frame by these bytes when no unwind table covers them
/// (`x86_64_fallback_frame_state` in libgcc/config/i386/linux-unwind.h).
const SIGNAL_RETURN: [u8; 9] = [0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05];

/// How many instructions before a call are looked at.
const LOOK_BACK: usize = 32;

/// How a system call is rewritten: which instructions of its region move to the stub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Patch {
    /// The index of the `syscall`.
    pub site: usize,
    /// Indices of what moves and stood before it.
    pub before: Range<usize>,
    /// Indices of what moves and stood after it.
    pub after: Range<usize>,
    /// The bytes that the jump takes the place of.
    pub window: Range<u64>,
}

/// A region with system calls, decoded.
#[derive(Debug)]
pub(super) struct Function<'a> {
    code: &'a Code<'a>,
    region: Region,
    /// Its instructions.
    pub instructions: Vec<Instruction>,
    reached: Vec<bool>,
}

impl<'a> Function<'a> {
    /// Decodes a region.
    pub fn new(code: &'a Code<'a>, region: Region) -> Self {
        let instructions: Vec<_> = code.instructions(&region).collect();
        let reached = vec![false; instructions.len()];
        let mut function = Self { code, region, instructions, reached };
        function.reach();
        function
    }

    /// The indices of system calls that are surely instructions.
    pub fn sites(&self) -> impl Iterator<Item = usize> + '_ {
        let in_sync = |index: &usize| self.region.clean || self.reached[*index];
        let calls = self.instructions.iter().enumerate().filter(|(_, i)| i.code() == Opcode::Syscall);
        calls.map(|(index, _)| index).filter(in_sync)
    }

    /// The patches for its system calls, by address; where none is given, the call stays.
    pub fn patches(&self) -> Vec<Patch> {
        let sites: Vec<_> = self.sites().filter(|&site| !self.returns_from_signal(site)).collect();
        // The simple form first: others must not take its instructions away.
        let simple = |&site: &usize| if self.is_target(site) { None } else { self.number(site) };
        let mut patches: Vec<Option<Patch>> = sites.iter().map(simple).collect();
        for (index, &site) in sites.iter().enumerate() {
            if patches[index].is_some() {
                continue;
            }
            // A window holds no call but its own: only those of neighbours can overlap.
            let from = index.checked_sub(1).and_then(|before| patches[before].as_ref());
            let from = from.map_or(0, |patch| patch.window.end);
            let to = patches.get(index + 1).and_then(|patch| patch.as_ref());
            let to = to.map_or(u64::MAX, |patch| patch.window.start);
            let found =
                self.candidates(site).find(|patch| from <= patch.window.start && patch.window.end <= to);
            patches[index] = found;
        }
        patches.into_iter().flatten().collect()
    }

    /// Walks from where code surely begins.
    fn reach(&mut self) {
        let trusted = |i: &Instruction| self.code.trusted.contains(i.ip());
        let mut todo: Vec<usize> = (0..self.instructions.len())
            .filter(|&index| index == 0 && self.region.known || trusted(&self.instructions[index]))
            .collect();
        while let Some(mut index) = todo.pop() {
            while let Some(instruction) = self.instructions.get(index)
                && !instruction.is_invalid()
                && !std::mem::replace(&mut self.reached[index], true)
            {
                let target = jumps_to(instruction).and_then(|to| self.index_of(to));
                match instruction.flow_control() {
                    FlowControl::ConditionalBranch | FlowControl::Call => todo.extend(target),
                    FlowControl::UnconditionalBranch => {
                        todo.extend(target);
                        break;
                    }
                    _ if ends(instruction) => break,
                    _ => {}
                }
                index += 1;
            }
        }
    }

    /// The instruction at an address.
    pub fn index_of(&self, address: u64) -> Option<usize> {
        self.instructions.binary_search_by_key(&address, Instruction::ip).ok()
    }

    /// Whether it is surely run: a way leads to it from where code surely begins.
    pub fn is_reached(&self, index: usize) -> bool {
        self.reached[index]
    }

    /// Whether something may jump to it.
    pub fn is_target(&self, index: usize) -> bool {
        self.code.targets.contains(self.instructions[index].ip())
    }

    fn returns_from_signal(&self, site: usize) -> bool {
        let end = self.instructions[site].next_ip() - self.code.segment.address;
        let before = self.code.segment.bytes.get(..end as usize).unwrap_or_default();
        before.ends_with(&SIGNAL_RETURN) && !self.region.unwinds
    }

    fn candidates(&self, site: usize) -> impl Iterator<Item = Patch> + '_ {
        // What returns into the code right behind the call comes first, since there unwind tables hold; but a call
        // that is jumped to goes direct on every way only if it is replaced itself.
        let target = self.is_target(site);
        (0..4).filter_map(move |choice| match (target, choice) {
            (true, 0) | (false, 2) => self.following(site),
            (true, 1) => self.number(site),
            (true, 2) | (false, 0) => self.preceding(site),
            (false, 1) => self.preceding_with_call(site),
            (false, _) => self.both(site),
            (true, _) => None,
        })
    }

    /// The `mov` of the number before the call.
    fn number(&self, site: usize) -> Option<Patch> {
        let mov = site.checked_sub(1)?;
        let instruction = &self.instructions[mov];
        let number = matches!(instruction.code(), Opcode::Mov_r32_imm32 | Opcode::Mov_rm64_imm32)
            && matches!(instruction.op0_register(), Register::EAX | Register::RAX);
        (number && instruction.len() as u64 >= JUMP_LEN).then(|| self.patch(site, mov..site, site..site))
    }

    /// Instructions before the call, which stays.
    fn preceding(&self, site: usize) -> Option<Patch> {
        Some(self.patch(site, self.before(site, JUMP_LEN)?, site..site))
    }

    /// Instructions before the call, and the call.
    fn preceding_with_call(&self, site: usize) -> Option<Patch> {
        let after = site + 1;
        Some(self.patch(site, self.before(site, JUMP_LEN - SYSCALL_LEN)?, after..after))
    }

    /// The call, and instructions after it.
    fn following(&self, site: usize) -> Option<Patch> {
        Some(self.patch(site, site..site, self.after(site, JUMP_LEN - SYSCALL_LEN)?))
    }

    /// The call with instructions before and after it.
    fn both(&self, site: usize) -> Option<Patch> {
        let before = (1..JUMP_LEN - SYSCALL_LEN).rev().find_map(|len| self.before(site, len))?;
        let taken = self.len(&before) + SYSCALL_LEN;
        Some(self.patch(site, before, self.after(site, JUMP_LEN.saturating_sub(taken))?))
    }

    /// The fewest instructions before the call that have `len` bytes.
    fn before(&self, site: usize, len: u64) -> Option<Range<usize>> {
        if !self.is_certain(site) || (len < JUMP_LEN && self.is_target(site)) {
            return None;
        }
        let mut first = site;
        while self.len(&(first..site)) < len {
            // What moves with the instruction before it must not be jumped to.
            if first != site && self.is_target(first) {
                return None;
            }
            first = first.checked_sub(1)?;
            if !self.can_move(first) {
                return None;
            }
        }
        Some(first..site)
    }

    /// The fewest instructions after the call that have `len` bytes.
    fn after(&self, site: usize, len: u64) -> Option<Range<usize>> {
        if !self.is_certain(site) {
            return None;
        }
        let (mut end, mut ended) = (site + 1, false);
        while self.len(&(site + 1..end)) < len {
            let next = self.instructions.get(end)?;
            if self.is_target(end) {
                return None;
            }
            // Behind a jump or a return there is only padding to take.
            let moves = match next.flow_control() {
                _ if ended => matches!(next.mnemonic(), Mnemonic::Nop | Mnemonic::Int3),
                FlowControl::ConditionalBranch => next.is_jcc_short_or_near(),
                FlowControl::UnconditionalBranch => jumps_to(next).is_some(),
                FlowControl::Return => next.code() == Opcode::Retnq,
                _ => self.can_move(end),
            };
            if !moves {
                return None;
            }
            ended |= matches!(next.flow_control(), FlowControl::UnconditionalBranch | FlowControl::Return);
            end += 1;
        }
        Some(site + 1..end)
    }

    /// Whether the code around it is known well enough to move it.
    fn is_certain(&self, index: usize) -> bool {
        if !self.region.clean || !self.code.complete {
            return false;
        }
        // Data may decode: it has to look like something that runs, from where it begins.
        let before = (0..index).rev().map_while(|index| {
            let instruction = &self.instructions[index];
            (!ends(instruction)).then_some(instruction)
        });
        before.take(LOOK_BACK).all(is_plausible)
    }

    fn can_move(&self, index: usize) -> bool {
        let instruction = &self.instructions[index];
        is_plausible(instruction) && instruction.flow_control() == FlowControl::Next
    }

    fn len(&self, of: &Range<usize>) -> u64 {
        self.instructions[of.clone()].iter().map(|instruction| instruction.len() as u64).sum()
    }

    fn patch(&self, site: usize, before: Range<usize>, after: Range<usize>) -> Patch {
        let first = &self.instructions[before.start];
        let end = match after.end > site {
            true => self.instructions[after.end - 1].next_ip(),
            false => self.instructions[site].ip(),
        };
        Patch { site, window: first.ip()..end, before, after }
    }
}

/// Whether it is an instruction that programs have: none that only a kernel runs (but `hlt`, with which libcs stop
/// what cannot go on), nor the zeros of data.
fn is_plausible(instruction: &Instruction) -> bool {
    let zeros = instruction.code() == Opcode::Add_rm8_r8
        && instruction.len() == 2
        && instruction.memory_base() == Register::RAX
        && instruction.op1_register() == Register::AL;
    let of_kernels = instruction.is_privileged() && instruction.mnemonic() != Mnemonic::Hlt;
    !instruction.is_invalid() && !of_kernels && !zeros
}
