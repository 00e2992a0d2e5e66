//! What stands in for a system call: the way from the program's code into the library OS and back.
//!
//! A stub leaves every register as it was, but those that SYSCALL changes (rcx, r11), the flags, and all memory: the
//! 128 bytes below the stack pointer belong to the program. So it jumps and never calls. It enters the library OS
//! in the state of a processor after SYSCALL: the number in eax, in rcx where to go on. Right before that there is
//! always a `syscall`, which traps: a call is restarted by going there, as Linux does.

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction};

/// `int3`.
pub(super) const INT3: u8 = 0xcc;
/// `jmp *%gs:0`: the library OS's entry stands first in the block that gs points to.
const LEAVE: [u8; 8] = [0x65, 0xff, 0x24, 0x25, 0, 0, 0, 0];
/// `syscall`.
const SYSCALL: [u8; 2] = [0x0f, 0x05];
/// Stubs begin on multiples of this, so that the processor fetches each in few pieces.
const ALIGN: usize = 8;

/// Pages of stubs in the making.
#[derive(Debug)]
pub(super) struct Stubs {
    /// The address of the first.
    pub address: u64,
    /// The machine code.
    pub bytes: Vec<u8>,
}

impl Stubs {
    /// No stubs yet, at an address.
    pub fn new(address: u64) -> Self {
        Self { address, bytes: Vec::new() }
    }

    /// Appends the stub that `fill` writes, and gives its address. `None`, and no stub, when something is out of the
    /// reach of 32 bits.
    pub fn add(&mut self, fill: impl FnOnce(&mut Self) -> Option<()>) -> Option<u64> {
        let before = self.bytes.len();
        self.bytes.resize(before.next_multiple_of(ALIGN), INT3);
        let start = self.here();
        let filled = fill(self);
        if filled.is_none() {
            self.bytes.truncate(before);
        }
        filled.map(|()| start)
    }

    /// Enters the library OS, which goes on at `back`.
    pub fn enter(&mut self, back: u64) -> Option<()> {
        // lea back(%rip), %rcx
        self.relative(&[0x48, 0x8d, 0x0d], back)?;
        self.bytes.extend_from_slice(&LEAVE);
        Some(())
    }

    /// Enters the library OS, which goes on behind this in the stub.
    pub fn enter_here(&mut self) -> Option<()> {
        let back = self.here() + 7 + (LEAVE.len() + SYSCALL.len()) as u64;
        self.enter(back)?;
        self.bytes.extend_from_slice(&SYSCALL);
        Some(())
    }

    /// `jmp to`.
    pub fn jump(&mut self, to: u64) -> Option<()> {
        self.relative(&[0xe9], to)
    }

    /// An instruction from elsewhere, so that it does the same here; `bytes` is its machine code.
    pub fn instruction(&mut self, instruction: &Instruction, bytes: &[u8]) -> Option<()> {
        match instruction.flow_control() {
            FlowControl::UnconditionalBranch => self.jump(instruction.near_branch_target()),
            FlowControl::ConditionalBranch => {
                // The condition is the low half of the opcode: 70+cc for the short form, 0f 80+cc for the near one.
                let near = instruction.is_jcc_near();
                let at = bytes.len().checked_sub(if near { 5 } else { 2 })?;
                self.relative(&[0x0f, 0x80 | bytes.get(at)? & 0xf], instruction.near_branch_target())
            }
            _ if instruction.is_ip_rel_memory_operand() => {
                let mut decoder = Decoder::with_ip(64, bytes, instruction.ip(), DecoderOptions::NONE);
                let again = decoder.decode();
                let at = decoder.get_constant_offsets(&again).displacement_offset();
                // What is addressed stays where it is: the distance changes.
                let next = self.here() + bytes.len() as u64;
                let distance = distance(next, instruction.ip_rel_memory_address())?;
                let mut moved = bytes.to_vec();
                moved.get_mut(at..at + 4)?.copy_from_slice(&distance);
                self.bytes.extend_from_slice(&moved);
                Some(())
            }
            _ => {
                self.bytes.extend_from_slice(bytes);
                Some(())
            }
        }
    }

    fn here(&self) -> u64 {
        self.address + self.bytes.len() as u64
    }

    fn relative(&mut self, opcode: &[u8], to: u64) -> Option<()> {
        let next = self.here() + opcode.len() as u64 + 4;
        let distance = distance(next, to)?;
        self.bytes.extend_from_slice(opcode);
        self.bytes.extend_from_slice(&distance);
        Some(())
    }
}

/// `jmp` from an address to another.
pub(super) fn jump(from: u64, to: u64) -> Option<[u8; 5]> {
    let [a, b, c, d] = distance(from + 5, to)?;
    Some([0xe9, a, b, c, d])
}

fn distance(from: u64, to: u64) -> Option<[u8; 4]> {
    i32::try_from(to.wrapping_sub(from).cast_signed()).ok().map(i32::to_le_bytes)
}
