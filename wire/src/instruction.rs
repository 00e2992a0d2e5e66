//! How long an x86-64 instruction is, and whether it does the same elsewhere (Intel SDM volume 2, chapter 2 and appendix A; AMD64
//! volume 3, appendix A).
//!
//! 1. Small enough for the library OS, which rewrites code that it sees first when it is mapped; the host has a whole disassembler,
//!    against which this is checked.
//! 2. What programs do not hold is unknown: instructions of kernels, those that only old AMD processors have, and
//!    prefixes that change what an instruction is on one maker's processors only.
//! 3. A length is right for whatever is an instruction; bytes that are none may be given one.

/// The longest instruction, in bytes.
pub const LONGEST: usize = 15;

/// An instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// Its bytes.
    pub length: usize,
    /// It does the same at another address: no jump, nothing that is addressed from where it stands. Some that do are not known
    /// to.
    pub movable: bool,
}

/// A set of opcodes.
struct Set([u32; 8]);

impl Set {
    /// Those in `ranges`, whose ends belong to them.
    const fn of(ranges: &[(u8, u8)]) -> Self {
        let (mut bits, mut range) = ([0; 8], 0);
        while range < ranges.len() {
            let mut opcode = ranges[range].0 as usize;
            while opcode <= ranges[range].1 as usize {
                bits[opcode / 32] |= 1 << (opcode % 32);
                opcode += 1;
            }
            range += 1;
        }
        Self(bits)
    }

    fn has(&self, opcode: u8) -> bool {
        self.0[usize::from(opcode / 32)] >> (opcode % 32) & 1 != 0
    }
}

/// What is unknown of the opcodes of one byte, prefixes apart.
static UNKNOWN: Set = Set::of(&[
    (0x06, 0x07),
    (0x0e, 0x0e),
    (0x16, 0x17),
    (0x1e, 0x1f),
    (0x27, 0x27),
    (0x2f, 0x2f),
    (0x37, 0x37),
    (0x3f, 0x3f),
    (0x60, 0x61),
    (0x82, 0x82),
    (0x8f, 0x8f),
    (0x9a, 0x9a),
    (0xce, 0xce),
    (0xd4, 0xd6),
    (0xea, 0xea),
]);
/// Those of two bytes, of which the first is 0f.
static UNKNOWN_0F: Set = Set::of(&[
    (0x04, 0x04),
    (0x06, 0x0a),
    (0x0c, 0x0c),
    (0x0e, 0x0f),
    (0x20, 0x27),
    (0x30, 0x30),
    (0x32, 0x37),
    (0x39, 0x39),
    (0x3b, 0x3f),
    (0x78, 0x7b),
    (0xa6, 0xa7),
    (0xff, 0xff),
]);
/// What has a ModRM byte.
static OPERANDS: Set = Set::of(&[
    (0x00, 0x03),
    (0x08, 0x0b),
    (0x10, 0x13),
    (0x18, 0x1b),
    (0x20, 0x23),
    (0x28, 0x2b),
    (0x30, 0x33),
    (0x38, 0x3b),
    (0x63, 0x63),
    (0x69, 0x69),
    (0x6b, 0x6b),
    (0x80, 0x8e),
    (0xc0, 0xc1),
    (0xc6, 0xc7),
    (0xd0, 0xd3),
    (0xd8, 0xdf),
    (0xf6, 0xf7),
    (0xfe, 0xff),
]);
static OPERANDS_0F: Set = Set::of(&[
    (0x00, 0x03),
    (0x0d, 0x0d),
    (0x10, 0x1f),
    (0x28, 0x2f),
    (0x40, 0x76),
    (0x7c, 0x7f),
    (0x90, 0x9f),
    (0xa3, 0xa5),
    (0xab, 0xaf),
    (0xb0, 0xc7),
    (0xd0, 0xfe),
]);
/// What ends in a byte of its own.
static BYTE: Set = Set::of(&[
    (0x04, 0x04),
    (0x0c, 0x0c),
    (0x14, 0x14),
    (0x1c, 0x1c),
    (0x24, 0x24),
    (0x2c, 0x2c),
    (0x34, 0x34),
    (0x3c, 0x3c),
    (0x6a, 0x6b),
    (0x70, 0x80),
    (0x83, 0x83),
    (0xa8, 0xa8),
    (0xb0, 0xb7),
    (0xc0, 0xc1),
    (0xc6, 0xc6),
    (0xcd, 0xcd),
    (0xe0, 0xe7),
    (0xeb, 0xeb),
]);
static BYTE_0F: Set =
    Set::of(&[(0x70, 0x73), (0xa4, 0xa4), (0xac, 0xac), (0xba, 0xba), (0xc2, 0xc2), (0xc4, 0xc6)]);
/// What ends in a number of the operand's size, of four bytes at most.
static NUMBER: Set = Set::of(&[
    (0x05, 0x05),
    (0x0d, 0x0d),
    (0x15, 0x15),
    (0x1d, 0x1d),
    (0x25, 0x25),
    (0x2d, 0x2d),
    (0x35, 0x35),
    (0x3d, 0x3d),
    (0x68, 0x69),
    (0x81, 0x81),
    (0xa9, 0xa9),
    (0xb8, 0xbf),
    (0xc7, 0xc7),
]);
/// What does the same elsewhere: moves, arithmetic, stack. Not padding, which is run on no way.
static MOVABLE: Set = Set::of(&[
    (0x00, 0x3d),
    (0x50, 0x59),
    (0x63, 0x63),
    (0x68, 0x6b),
    (0x80, 0x8e),
    (0x91, 0x99),
    (0xa8, 0xa9),
    (0xb0, 0xc1),
    (0xc6, 0xc7),
    (0xd0, 0xd3),
    (0xf6, 0xf7),
    (0xfe, 0xff),
]);
static MOVABLE_0F: Set = Set::of(&[
    (0x10, 0x17),
    (0x28, 0x29),
    (0x40, 0x4f),
    (0x6e, 0x6f),
    (0x7e, 0x7f),
    (0x90, 0x9f),
    (0xa3, 0xa3),
    (0xab, 0xab),
    (0xaf, 0xaf),
    (0xb6, 0xb7),
    (0xba, 0xba),
    (0xbe, 0xbf),
    (0xc8, 0xcf),
]);

/// The instruction that `bytes` begin with; `None` when it is unknown or does not end in them.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<Instruction> {
    let mut at = 0;
    let (mut narrow, mut near_addresses, mut repeated) = (false, false, false);
    let opcode = loop {
        match *bytes.get(at)? {
            0x66 => narrow = true,
            0x67 => near_addresses = true,
            0xf2 | 0xf3 => repeated = true,
            0x26 | 0x2e | 0x36 | 0x3e | 0x64 | 0x65 | 0xf0 => {}
            opcode => break opcode,
        }
        at += 1;
        if at == LONGEST {
            return None;
        }
    };
    let (wide, opcode) = match opcode {
        0x40..=0x4f => {
            at += 1;
            (opcode & 8 != 0, *bytes.get(at)?)
        }
        _ => (false, opcode),
    };
    at += 1;
    // What follows the opcode: whether there are operands, and the bytes of a number.
    let (operands, number, movable) = match opcode {
        // Another REX, or a prefix behind one: none that means anything.
        0x40..=0x4f | 0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3 => return None,
        0xc4 | 0xc5 | 0x62 => {
            let (map, prefix) = match opcode {
                0xc5 => (1, 1),
                0xc4 => (bytes.get(at)? & 31, 2),
                // Bit 2 of the second byte is always set, bit 3 of the first never.
                _ if bytes.get(at)? & 8 != 0 || bytes.get(at + 1)? & 4 == 0 => return None,
                _ => (bytes.get(at)? & 7, 3),
            };
            at += prefix;
            let opcode = *bytes.get(at)?;
            at += 1;
            match map {
                1 => (
                    opcode != 0x77,
                    usize::from(opcode != 0xa4 && opcode != 0xac && BYTE_0F.has(opcode)),
                    false,
                ),
                2 => (true, 0, false),
                3 => (true, 1, false),
                _ => return None,
            }
        }
        0x0f => {
            let opcode = *bytes.get(at)?;
            at += 1;
            match opcode {
                0x38 | 0x3a => {
                    at += 1;
                    (true, usize::from(opcode == 0x3a), false)
                }
                _ if UNKNOWN_0F.has(opcode) => return None,
                // A jump of 16 bits, or of 32 on other processors.
                0x80..=0x8f if narrow => return None,
                0x80..=0x8f => (false, 4, false),
                // Without the prefix it is none.
                0xb8 if !repeated => return None,
                _ => (OPERANDS_0F.has(opcode), usize::from(BYTE_0F.has(opcode)), MOVABLE_0F.has(opcode)),
            }
        }
        _ if UNKNOWN.has(opcode) => return None,
        0xe8 | 0xe9 if narrow => return None,
        0xe8 | 0xe9 => (false, 4, false),
        0xc2 | 0xca => (false, 2, false),
        0xc8 => (false, 3, false),
        0xa0..=0xa3 => (false, if near_addresses { 4 } else { 8 }, false),
        0xb8..=0xbf if wide => (false, 8, true),
        0xf6 | 0xf7 => {
            // The first two of them test with a number.
            let tests = bytes.get(at)? & 0x30 == 0;
            let number = if opcode == 0xf6 { 1 } else { number(narrow && !wide) };
            (true, if tests { number } else { 0 }, true)
        }
        // Of these only the first two, and to push, do not jump.
        0xfe | 0xff => (true, 0, matches!(bytes.get(at)? >> 3 & 7, 0 | 1 | 6)),
        // What begins a transaction jumps.
        0xc6 | 0xc7 if bytes.get(at)? & 0x38 != 0 => return None,
        _ => {
            let number = if NUMBER.has(opcode) { number(narrow && !wide) } else { 0 };
            (OPERANDS.has(opcode), number + usize::from(BYTE.has(opcode)), MOVABLE.has(opcode))
        }
    };
    let mut movable = movable;
    if operands {
        let modrm = *bytes.get(at)?;
        at += 1;
        let (mode, base) = (modrm >> 6, modrm & 7);
        if mode != 3 && base == 4 {
            let base = bytes.get(at)? & 7;
            at += 1;
            at += if mode == 0 && base == 5 { 4 } else { 0 };
        } else if mode == 0 && base == 5 {
            // Relative to the instruction.
            movable = false;
            at += 4;
        }
        at += [0, 1, 4, 0][usize::from(mode)];
    }
    let length = at + number;
    (length <= LONGEST.min(bytes.len())).then_some(Instruction { length, movable })
}

fn number(narrow: bool) -> usize {
    if narrow { 2 } else { 4 }
}
