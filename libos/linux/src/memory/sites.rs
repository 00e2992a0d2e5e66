//! System calls in code that nobody has looked at before: which of them become jumps, without knowing the program around them.
//!
//! A jump takes five bytes and `syscall` two. So one instruction of five bytes or more that stands before it gives way, most often
//! that which sets the number, and moves into a stub with all between them. What was between stays where it is as well, and the
//! `syscall`: whatever jumps there does as before, and traps. So nothing has to be known of who jumps where; only that these
//! bytes are instructions:
//!
//! 1. Decoding must come to the call from almost wherever it begins some way before: instructions of different lengths soon fall
//!    into step where there is code.
//! 2. A small number must go to eax on the way, as before every call and hardly ever in data.
//! 3. In doubt the call stays as it is, and traps, which is slower and nothing else.

use alloc::vec::Vec;
use kernlet_wire::instruction::decode;

/// `syscall`.
pub const SYSCALL: [u8; 2] = [0x0f, 0x05];
/// The length of `jmp rel32`.
pub const JUMP: usize = 5;
/// How far before the call decoding begins.
const FAR: usize = 96;
/// From so many places one after the other.
const STARTS: usize = 16;
/// Of which at least so many must come to the call, and none beyond it.
const AGREE: u32 = 6;
/// Instructions that move lie in so many bytes before the call.
pub const NEAR: usize = 64;
/// What has to be at hand before a call.
pub const BEFORE: usize = FAR;
/// Numbers of calls are below.
const NUMBERS: u32 = 1024;
/// rt_sigreturn, by which unwinders know a signal's frame.
const SIGNAL_RETURN: u32 = 15;
/// So many instructions before the call may be what clears eax, which in data is not that rare.
const CLEARS: usize = 2;

/// Where the next call may be in `code`, from `from` on.
pub fn next(code: &[u8], from: usize) -> Option<usize> {
    code.get(from..)?.windows(SYSCALL.len()).position(|bytes| bytes == SYSCALL).map(|at| from + at)
}

/// Where the instruction begins that gives way to the call at `call`; all from there to the call moves. `None` when it stays.
pub fn window(code: &[u8], call: usize) -> Option<usize> {
    let mut boundaries = boundaries(code, call)?;
    let (mut next, mut window, mut numbered) = (call, None, false);
    for steps in 1.. {
        // The last boundary before.
        let before = boundaries.trailing_zeros() as usize;
        let at = call.checked_sub(before + 1).filter(|_| before < NEAR)?;
        boundaries &= boundaries - 1;
        let rest = code.get(at..)?;
        let length = decode(rest).filter(|found| found.movable && at + found.length == next)?.length;
        next = at;
        if length >= JUMP && window.is_none() {
            window = Some(at);
        }
        match number(rest.get(..length)?) {
            Some(SIGNAL_RETURN) => return None,
            Some(0) => numbered |= length >= JUMP || steps <= CLEARS,
            Some(_) => numbered = true,
            None => {}
        }
        if numbered && window.is_some() {
            return window;
        }
    }
    None
}

/// The number that an instruction puts into eax, if it is one that a call may have.
fn number(instruction: &[u8]) -> Option<u32> {
    let number = match *instruction {
        [0xb8, a, b, c, d] | [0x48, 0xc7, 0xc0, a, b, c, d] => u32::from_le_bytes([a, b, c, d]),
        [0x31 | 0x33, 0xc0] | [0x48, 0x31 | 0x33, 0xc0] => 0,
        _ => return None,
    };
    (number < NUMBERS).then_some(number)
}

/// Where instructions begin before the call, by all ways that come there: bit n is n + 1 bytes before. `None` when it may be none.
fn boundaries(code: &[u8], call: usize) -> Option<u64> {
    let from = call.checked_sub(FAR)?;
    let (mut agreed, mut ways) = (u64::MAX, 0);
    for start in from..from + STARTS {
        let (mut at, mut seen) = (start, 0u64);
        while at < call {
            if call - at <= NEAR {
                seen |= 1 << (call - at - 1);
            }
            match code.get(at..).and_then(decode) {
                Some(instruction) => at += instruction.length,
                None => break,
            }
        }
        if at > call {
            return None;
        }
        if at == call {
            agreed &= seen;
            ways += 1;
        }
    }
    (ways >= AGREE).then_some(agreed)
}

/// Appends the stub that goes to `address`, with what moves to it, and goes on at `back`, right behind the `syscall`. The library OS is
/// entered in the state of a processor after SYSCALL: the number in eax, in rcx where to go on. `None` when that is out of reach.
pub fn stub(to: &mut Vec<u8>, address: usize, moved: &[u8], back: usize) -> Option<()> {
    const ENTER: [u8; 8] = [0x65, 0xff, 0x24, 0x25, 0, 0, 0, 0];
    let distance = distance(address + moved.len() + 7, back)?;
    to.extend_from_slice(moved);
    to.extend_from_slice(&[0x48, 0x8d, 0x0d]); // lea back(%rip), %rcx
    to.extend_from_slice(&distance);
    to.extend_from_slice(&ENTER); // jmp *%gs:0
    Some(())
}

/// `jmp` from an address to another.
pub fn jump(from: usize, to: usize) -> Option<[u8; JUMP]> {
    let [a, b, c, d] = distance(from + JUMP, to)?;
    Some([0xe9, a, b, c, d])
}

fn distance(from: usize, to: usize) -> Option<[u8; 4]> {
    i32::try_from(to.wrapping_sub(from).cast_signed()).ok().map(i32::to_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    /// Code as compilers make it: a function's end, padding, a function's beginning.
    fn before() -> Vec<u8> {
        let mut code = vec![];
        for _ in 0..8 {
            // mov %rsi,%rdx; mov %rdi,%rsi; mov 8(%rsp),%r9; pop %rbx; ret
            code.extend([0x48, 0x89, 0xf2, 0x48, 0x89, 0xfe, 0x4c, 0x8b, 0x4c, 0x24, 8, 0x5b, 0xc3]);
        }
        code.extend([0x66, 0x0f, 0x1f, 0x44, 0, 0, 0xf3, 0x0f, 0x1e, 0xfa]);
        code
    }

    /// The bytes that move for the call that ends `run`.
    fn moved(run: &[u8]) -> Option<Vec<u8>> {
        let mut code = before();
        code.extend_from_slice(run);
        let call = code.len() - 2;
        code.extend([0x48, 0x3d, 0, 0xf0, 0xff, 0xff, 0x77, 1, 0xc3]);
        assert_eq!(next(&code, 0), Some(call));
        window(&code, call).map(|start| code[start..call].to_vec())
    }

    #[test]
    fn what_sets_the_number_gives_way() {
        assert_eq!(moved(&[0xb8, 39, 0, 0, 0, 0x0f, 5]), Some(vec![0xb8, 39, 0, 0, 0]));
        let long = [0x48, 0xc7, 0xc0, 39, 0, 0, 0];
        assert_eq!(moved(&[&long[..], &SYSCALL].concat()), Some(long.to_vec()));
        // mov $1, %eax; mov %rdi, %rsi; xor %edx, %edx
        let three = [0xb8, 1, 0, 0, 0, 0x48, 0x89, 0xfe, 0x31, 0xd2];
        assert_eq!(moved(&[&three[..], &SYSCALL].concat()), Some(three.to_vec()));
    }

    #[test]
    fn another_long_instruction_gives_way_when_the_number_is_nothing() {
        // mov $4096, %edx; xor %eax, %eax
        let read = [0xba, 0, 0x10, 0, 0, 0x31, 0xc0];
        assert_eq!(moved(&[&read[..], &SYSCALL].concat()), Some(read.to_vec()));
    }

    #[test]
    fn a_call_stays_without_room_or_number() {
        assert_eq!(moved(&[0x31, 0xc0, 0x0f, 5]), None);
        assert_eq!(moved(&[0x48, 0x89, 0xf8, 0x4c, 0x8b, 0x4c, 0x24, 8, 0x0f, 5]), None);
        // No call has such a number.
        assert_eq!(moved(&[0xb8, 0, 0, 1, 0, 0x0f, 5]), None);
        // A jump, and what is addressed relative to itself, cannot move.
        assert_eq!(moved(&[0xb8, 1, 0, 0, 0, 0x74, 0, 0x0f, 5]), None);
        assert_eq!(moved(&[0xb8, 1, 0, 0, 0, 0x48, 0x8d, 0x3d, 0, 0, 0, 0, 0x0f, 5]), None);
    }

    #[test]
    fn a_return_from_a_signal_stays() {
        assert_eq!(moved(&[0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 5]), None);
        assert_eq!(moved(&[0xb8, 15, 0, 0, 0, 0x0f, 5]), None);
    }

    #[test]
    fn bytes_in_another_instruction_are_no_call() {
        // movabs $0x50f00000027b8, %rax and the same as a displacement.
        assert_eq!(moved(&[0x48, 0xb8, 0xb8, 39, 0, 0, 0, 0x0f, 5]), None);
        let mut code = before();
        code.extend([0x48, 0xb8, 0xb8, 39, 0, 0, 0, 0x0f, 5, 0, 0xc3]);
        assert_eq!(window(&code, next(&code, 0).unwrap()), None);
        // movabs whose number is right where a call's would be.
        let mut code = before();
        code.extend([0x48, 0xb8, 39, 0, 0, 0, 0x0f, 5, 0, 0, 0xc3]);
        assert_eq!(window(&code, next(&code, 0).unwrap()), None);
    }

    #[test]
    fn data_is_no_code() {
        // A table of words, in which there is a number, a mov and a call.
        let mut data = vec![];
        for word in 0u32..40 {
            data.extend(((word * 0x0101_3b07) ^ 0x9e37_79b9).to_le_bytes());
        }
        data.extend([0xb8, 1, 0, 0, 0, 0x0f, 5]);
        let call = data.len() - 2;
        data.extend([0; 16]);
        assert_eq!(window(&data, call), None);
        assert_eq!(window(&[0xb8, 1, 0, 0, 0, 0x0f, 5], 5), None);
    }

    #[test]
    fn a_stub_goes_on_behind_the_call() {
        let moved = [0xb8, 39, 0, 0, 0];
        let mut bytes = vec![];
        stub(&mut bytes, 0x2000, &moved, 0x1007).unwrap();
        assert_eq!(bytes[..8], [0xb8, 39, 0, 0, 0, 0x48, 0x8d, 0x0d]);
        let distance = i32::from_le_bytes(bytes[8..12].try_into().unwrap());
        assert_eq!(0x2000 + 12 + distance, 0x1007);
        assert_eq!(bytes[12..], [0x65, 0xff, 0x24, 0x25, 0, 0, 0, 0]);
        assert_eq!(jump(0x1000, 0x2000), Some([0xe9, 0xfb, 0x0f, 0, 0]));
        assert_eq!(jump(0x1000, 0x1_0000_0000), None);
        assert_eq!(stub(&mut bytes, 0x1_0000_0000, &moved, 0x1007), None);
    }
}
