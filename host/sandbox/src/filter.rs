//! The seccomp filter as classic BPF (seccomp(2), Documentation/userspace-api/seccomp_filter.rst).

use crate::table::{Check, HostCall};

const RET_ALLOW: u32 = 0x7fff_0000;
const RET_KILL_PROCESS: u32 = 0x8000_0000;
/// SECCOMP_RET_TRAP: the loader's handler of SIGSYS tells which call it was and ends the instance.
const RET_TRAP: u32 = 0x0003_0000;
/// SECCOMP_RET_ERRNO with EPERM.
const RET_EPERM: u32 = 0x0005_0001;
const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
/// Set in the numbers of the x32 ABI, which shares the architecture's value.
const X32_BIT: u32 = 0x4000_0000;

/// Offsets in struct seccomp_data.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// BPF operation codes: load a word, compare (equal, greater or equal), jump,
/// and with a constant, return.
const LOAD: u16 = 0x20;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_AT_LEAST: u16 = 0x35;
const JUMP: u16 = 0x05;
const AND: u16 = 0x54;
const RETURN: u16 = 0x06;

/// struct sock_filter: operation, jump if true, jump if false, operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction(pub u16, pub u8, pub u8, pub u32);

impl Instruction {
    /// Its eight bytes.
    pub fn encode(self) -> [u8; 8] {
        let Self(operation, yes, no, operand) = self;
        let ([a, b], [c, d, e, f]) = (operation.to_le_bytes(), operand.to_le_bytes());
        [a, b, yes, no, c, d, e, f]
    }
}

/// The program that lets `calls` pass and nothing else.
///
/// Numbers are found by binary search. That does not matter for the calls themselves, as the kernel remembers which
/// numbers always pass; but to find that out it runs the program once for every number that exists when the filter is
/// installed, which with a list of comparisons takes most of the time that an instance needs to start.
pub fn compile(calls: &[HostCall]) -> Vec<Instruction> {
    let mut sorted: Vec<&HostCall> = calls.iter().collect();
    sorted.sort_by_key(|call| call.number);
    let mut program = vec![
        Instruction(LOAD, 0, 0, ARCHITECTURE),
        Instruction(JUMP_EQUAL, 1, 0, AUDIT_ARCH_X86_64),
        Instruction(RETURN, 0, 0, RET_KILL_PROCESS),
        Instruction(LOAD, 0, 0, NUMBER),
        // x32 numbers are above all others, and so are not found either; this says it.
        Instruction(JUMP_AT_LEAST, 0, 1, X32_BIT),
        Instruction(RETURN, 0, 0, RET_KILL_PROCESS),
    ];
    program.extend(search(&sorted));
    program
}

/// Looks for the number among `calls`, which ascend.
fn search(calls: &[&HostCall]) -> Vec<Instruction> {
    match calls {
        [] => vec![Instruction(RETURN, 0, 0, RET_TRAP)],
        [call] => {
            let body = call_body(call.checks);
            let mut code = vec![Instruction(JUMP_EQUAL, 0, body.len() as u8, call.number)];
            code.extend(body);
            code.push(Instruction(RETURN, 0, 0, RET_TRAP));
            code
        }
        _ => {
            let (low, high) = calls.split_at(calls.len() / 2);
            let (low, number) = (search(low), high[0].number);
            // A conditional jump reaches 255 instructions; an unconditional one reaches any.
            let mut code =
                vec![Instruction(JUMP_AT_LEAST, 0, 1, number), Instruction(JUMP, 0, 0, low.len() as u32)];
            code.extend(low);
            code.extend(search(high));
            code
        }
    }
}

/// What follows the comparison of the number: checks, then a return. Arguments are 64 bits, loaded in halves.
fn call_body(checks: &[Check]) -> Vec<Instruction> {
    let mut body = Vec::new();
    for &check in checks {
        match check {
            Check::Masked(argument, mask, value) => {
                for half in 0..2 {
                    let (mask, value) = ((mask >> (32 * half)) as u32, (value >> (32 * half)) as u32);
                    if mask != 0 {
                        body.push(Instruction(LOAD, 0, 0, ARGUMENTS + 8 * u32::from(argument) + 4 * half));
                        body.push(Instruction(AND, 0, 0, mask));
                        body.push(Instruction(JUMP_EQUAL, 1, 0, value));
                        body.push(Instruction(RETURN, 0, 0, RET_EPERM));
                    }
                }
            }
            // The kernel reads the low half of these arguments, which are ints.
            Check::OneOf(argument, values) => {
                body.push(Instruction(LOAD, 0, 0, ARGUMENTS + 8 * u32::from(argument)));
                for (i, &value) in values.iter().enumerate() {
                    let rest = (values.len() - i) as u8;
                    body.push(Instruction(JUMP_EQUAL, rest, 0, value as u32));
                }
                body.push(Instruction(RETURN, 0, 0, RET_EPERM));
            }
        }
    }
    body.push(Instruction(RETURN, 0, 0, RET_ALLOW));
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::HOST_CALLS;

    /// Runs a program on one call, as the kernel would.
    fn run(program: &[Instruction], architecture: u32, number: u32, arguments: [u64; 6]) -> u32 {
        let word = |offset: u32| match offset {
            NUMBER => number,
            ARCHITECTURE => architecture,
            _ => {
                let at = (offset - ARGUMENTS) as usize;
                (arguments[at / 8] >> (8 * (at % 8))) as u32
            }
        };
        let (mut at, mut accumulator) = (0, 0);
        loop {
            let Instruction(operation, yes, no, operand) = program[at];
            at += 1;
            match operation {
                LOAD => accumulator = word(operand),
                AND => accumulator &= operand,
                JUMP => at += operand as usize,
                JUMP_EQUAL => at += usize::from(if accumulator == operand { yes } else { no }),
                JUMP_AT_LEAST => at += usize::from(if accumulator >= operand { yes } else { no }),
                RETURN => return operand,
                other => panic!("operation {other:#x}"),
            }
        }
    }

    fn native(number: u32, arguments: [u64; 6]) -> u32 {
        run(&compile(HOST_CALLS), AUDIT_ARCH_X86_64, number, arguments)
    }

    #[test]
    fn only_listed_calls_pass() {
        for number in 0..600 {
            match HOST_CALLS.iter().find(|c| c.number == number) {
                None => assert_eq!(native(number, [0; 6]), RET_TRAP, "call {number}"),
                Some(call) if call.checks.is_empty() => {
                    assert_eq!(native(number, [0; 6]), RET_ALLOW, "{}", call.name);
                }
                Some(_) => {}
            }
        }
    }

    #[test]
    fn x32_and_32_bit_calls_end_the_instance() {
        let program = compile(HOST_CALLS);
        assert_eq!(native(X32_BIT, [0; 6]), RET_KILL_PROCESS);
        assert_eq!(native(X32_BIT | 1, [0; 6]), RET_KILL_PROCESS);
        assert_eq!(run(&program, 0x4000_0003, 1, [0; 6]), RET_KILL_PROCESS);
    }

    #[test]
    fn only_faults_can_be_handled_and_refused_calls_cannot() {
        for signal in 0..65 {
            let expected = if [4, 7, 8, 11].contains(&signal) { RET_ALLOW } else { RET_EPERM };
            assert_eq!(native(13, [signal, 0, 0, 8, 0, 0]), expected, "signal {signal}");
        }
    }

    #[test]
    fn no_memory_becomes_executable() {
        for number in [9, 10] {
            assert_eq!(native(number, [0, 4096, 3, 0x22, 0, 0]), RET_ALLOW);
            assert_eq!(native(number, [0, 4096, 5, 0x22, 0, 0]), RET_EPERM);
            assert_eq!(native(number, [0, 4096, 7, 0x22, 0, 0]), RET_EPERM);
        }
    }

    #[test]
    fn datagrams_cannot_carry_flags_that_connect() {
        assert_eq!(native(307, [3, 0, 1, 0x40, 0, 0]), RET_ALLOW);
        assert_eq!(native(307, [3, 0, 1, 0x2000_0040, 0, 0]), RET_EPERM);
        assert_eq!(native(307, [3, 0, 1, 0, 0, 0]), RET_EPERM);
    }

    #[test]
    fn only_two_socket_options_can_be_set() {
        assert_eq!(native(54, [3, 6, 1, 0, 4, 0]), RET_ALLOW);
        assert_eq!(native(54, [3, 6, 12, 0, 4, 0]), RET_ALLOW);
        assert_eq!(native(54, [3, 6, 30, 0, 4, 0]), RET_EPERM);
        assert_eq!(native(54, [3, 1, 1, 0, 4, 0]), RET_EPERM);
    }

    #[test]
    fn every_jump_lands_inside_the_program() {
        let program = compile(HOST_CALLS);
        for (at, Instruction(operation, yes, no, _)) in program.iter().enumerate() {
            if matches!(*operation, JUMP_EQUAL | JUMP_AT_LEAST) {
                assert!(at + 1 + usize::from(*yes.max(no)) < program.len());
            }
        }
    }
}
