//! Which calls a program can make: the constants that reach eax before each `syscall`.
//!
//! Values are followed backwards through moves, over every way that leads to the call within its function. Where a
//! way ends in something else than a constant (an argument, memory), the number is known at run time only, as in
//! libc's syscall(2).

use super::code::{ends, jumps_to};
use super::sites::Function;
use iced_x86::{
    Code as Opcode, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register,
};
use std::collections::{BTreeMap, BTreeSet};

/// How many steps back are made for one call.
const MAX_STEPS: usize = 4096;

/// The numbers with which a system call may be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    /// Constants.
    pub known: BTreeSet<u32>,
    /// Whether there may be others.
    pub others: bool,
}

/// The ways through a function.
pub(super) struct Flow<'a> {
    function: &'a Function<'a>,
    /// Jumps by where they lead.
    jumps: BTreeMap<u64, Vec<usize>>,
    info: InstructionInfoFactory,
}

/// What an instruction does to a register.
enum Effect {
    /// Nothing.
    Keeps,
    /// Gives it a constant.
    Constant(u32),
    /// Gives it the value that another had.
    Copies(Register),
    /// Something else.
    Changes,
}

impl<'a> Flow<'a> {
    /// Takes a function.
    pub fn new(function: &'a Function<'a>) -> Self {
        let mut jumps: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (index, instruction) in function.instructions.iter().enumerate() {
            if let Some(to) =
                jumps_to(instruction).filter(|_| instruction.flow_control() != FlowControl::Call)
            {
                jumps.entry(to).or_default().push(index);
            }
        }
        Self { function, jumps, info: InstructionInfoFactory::new() }
    }

    /// The numbers of the call at an index.
    pub fn numbers(&mut self, site: usize) -> Numbers {
        let mut numbers = Numbers::default();
        let mut todo = vec![(site, Register::RAX)];
        let mut seen = BTreeSet::new();
        while let Some((index, register)) = todo.pop() {
            if !seen.insert((index, register as usize)) {
                continue;
            }
            let before = self.before(index);
            // What nothing is seen to lead to, something unseen does: a caller, a jump table.
            numbers.others |= before.is_empty() || seen.len() > MAX_STEPS;
            if seen.len() > MAX_STEPS {
                break;
            }
            for from in before {
                match self.effect(from, register) {
                    Effect::Keeps => todo.push((from, register)),
                    Effect::Constant(number) => drop(numbers.known.insert(number)),
                    Effect::Copies(other) => todo.push((from, other)),
                    Effect::Changes => numbers.others = true,
                }
            }
        }
        numbers
    }

    /// The instructions that may run right before one.
    fn before(&self, index: usize) -> Vec<usize> {
        let instructions = &self.function.instructions;
        // Padding before a label leads to it, but nothing leads to the padding.
        let above = index.checked_sub(1).filter(|&above| {
            let runs = self.function.is_reached(above) || !self.function.is_reached(index);
            runs && !instructions[above].is_invalid() && !ends(&instructions[above])
        });
        let jumps = self.jumps.get(&instructions[index].ip()).into_iter().flatten().copied();
        above.into_iter().chain(jumps).collect()
    }

    fn effect(&mut self, index: usize, register: Register) -> Effect {
        let instruction = &self.function.instructions[index];
        let used = self.info.info(instruction).used_registers();
        let writes = |access| {
            matches!(
                access,
                OpAccess::Write | OpAccess::ReadWrite | OpAccess::CondWrite | OpAccess::ReadCondWrite
            )
        };
        let written =
            used.iter().any(|used| used.register().full_register() == register && writes(used.access()));
        // The System V ABI leaves these to the function that is called.
        let spoiled = |register| {
            use Register::{R8, R9, R10, R11, RAX, RCX, RDI, RDX, RSI};
            [RAX, RCX, RDX, RSI, RDI, R8, R9, R10, R11].contains(&register)
        };
        match instruction.flow_control() {
            FlowControl::Call | FlowControl::IndirectCall if instruction.code() == Opcode::Syscall => {
                let changed = [Register::RAX, Register::RCX, Register::R11].contains(&register);
                if changed { Effect::Changes } else { Effect::Keeps }
            }
            FlowControl::Call | FlowControl::IndirectCall if spoiled(register) => Effect::Changes,
            _ if !written => Effect::Keeps,
            _ => self.assigned(index, instruction).unwrap_or(Effect::Changes),
        }
    }

    /// What is assigned by an instruction that writes the register.
    fn assigned(&self, index: usize, instruction: &Instruction) -> Option<Effect> {
        let whole = |register: Register| register.size() >= 4;
        match instruction.mnemonic() {
            Mnemonic::Mov if whole(instruction.op0_register()) => match instruction.op1_kind() {
                OpKind::Register => Some(Effect::Copies(instruction.op1_register().full_register())),
                OpKind::Memory => None,
                _ => Some(Effect::Constant(instruction.immediate(1) as u32)),
            },
            Mnemonic::Xor | Mnemonic::Sub
                if whole(instruction.op0_register())
                    && instruction.op1_kind() == OpKind::Register
                    && instruction.op0_register() == instruction.op1_register() =>
            {
                Some(Effect::Constant(0))
            }
            Mnemonic::Pop => {
                let push = &self.function.instructions[index.checked_sub(1)?];
                let constant = push.mnemonic() == Mnemonic::Push && push.op0_kind() != OpKind::Register;
                (constant && push.op0_kind() != OpKind::Memory)
                    .then(|| Effect::Constant(push.immediate(0) as u32))
            }
            _ => None,
        }
    }
}
