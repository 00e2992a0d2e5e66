//! The seccomp filter as classic BPF (seccomp(2), Documentation/userspace-api/seccomp_filter.rst).

use crate::table::{Check, HostCall};
use std::ops::Range;

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
const INSTRUCTION: u32 = 8;
const ARGUMENTS: u32 = 16;

/// BPF operation codes: load a word, compare (equal, greater or equal), and with a constant, return.
const LOAD: u16 = 0x20;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_AT_LEAST: u16 = 0x35;
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

/// Jumps to one of the four ends, whose distance is filled in when it is known. Real ones are shorter.
const TO_ALLOW: u8 = 252;
const TO_REFUSE: u8 = 253;
const TO_TRAP: u8 = 254;
const TO_KILL: u8 = 255;
/// The ends, in the order in which they stand behind the rest.
const ENDS: [(u8, u32); 4] =
    [(TO_ALLOW, RET_ALLOW), (TO_REFUSE, RET_EPERM), (TO_TRAP, RET_TRAP), (TO_KILL, RET_KILL_PROCESS)];

/// The program that lets `calls` pass and nothing else.
///
/// Numbers are found by binary search. That does not matter for the calls themselves, as the kernel remembers which
/// numbers always pass; but to find that out it runs the program once for every number that exists when the filter is
/// installed, which with a list of comparisons takes most of the time that an instance needs to start. To translate the
/// program takes the rest, so it is short: its ends are shared.
///
/// With `text`, calls from outside of these addresses trap, whatever they are: that is how the calls of a program come in that
/// were not rewritten. (Only the clocks that the vDSO tells as well may be asked from anywhere, since the host's vDSO may
/// have to ask the host.)
///
/// # Panics
/// With more calls than a conditional jump can pass over, or a text that crosses a multiple of 4 GiB. A test compiles the
/// lists that are used.
pub fn compile(calls: &[HostCall], text: Option<Range<u64>>) -> Vec<Instruction> {
    let mut sorted: Vec<&HostCall> = calls.iter().collect();
    sorted.sort_by_key(|call| call.number);
    let mut program = Vec::with_capacity(8 * calls.len());
    program.extend([
        Instruction(LOAD, 0, 0, ARCHITECTURE),
        Instruction(JUMP_EQUAL, 0, TO_KILL, AUDIT_ARCH_X86_64),
        Instruction(LOAD, 0, 0, NUMBER),
        // x32 numbers are above all others, and so are not found either; this says it.
        Instruction(JUMP_AT_LEAST, TO_KILL, 0, X32_BIT),
    ]);
    if let Some(text) = text {
        origin(&text, &mut program);
    }
    search(&sorted, &mut program);
    let length = program.len();
    for (at, Instruction(operation, yes, no, _)) in program.iter_mut().enumerate() {
        if matches!(*operation, JUMP_EQUAL | JUMP_AT_LEAST) {
            for jump in [yes, no] {
                if let Some(end) = ENDS.iter().position(|(to, _)| to == jump) {
                    *jump = distance(length + end - at - 1);
                }
            }
        }
    }
    program.extend(ENDS.map(|(_, value)| Instruction(RETURN, 0, 0, value)));
    program
}

/// Appends the test of where the call comes from.
fn origin(text: &Range<u64>, code: &mut Vec<Instruction>) {
    const CLOCK_GETTIME: u32 = 228;
    const CLOCKS: [u32; 3] = [0, 1, 7];
    let half = (text.start >> 32) as u32;
    assert_eq!(half, ((text.end - 1) >> 32) as u32, "the text crosses a multiple of 4 GiB");
    code.push(Instruction(JUMP_EQUAL, 0, CLOCKS.len() as u8 + 1, CLOCK_GETTIME));
    code.push(Instruction(LOAD, 0, 0, ARGUMENTS));
    code.extend(CLOCKS.map(|clock| Instruction(JUMP_EQUAL, TO_ALLOW, 0, clock)));
    code.extend([
        Instruction(LOAD, 0, 0, INSTRUCTION + 4),
        Instruction(JUMP_EQUAL, 0, TO_TRAP, half),
        Instruction(LOAD, 0, 0, INSTRUCTION),
        Instruction(JUMP_AT_LEAST, 0, TO_TRAP, text.start as u32),
        // The instruction pointer is behind the instruction, which may be the text's last.
        Instruction(JUMP_AT_LEAST, TO_TRAP, 0, (text.end as u32).wrapping_add(1)),
        Instruction(LOAD, 0, 0, NUMBER),
    ]);
}

fn distance(instructions: usize) -> u8 {
    u8::try_from(instructions).ok().filter(|&n| n < TO_ALLOW).expect("the list of calls is short")
}

/// Appends the search for the number among `calls`, which ascend.
fn search(calls: &[&HostCall], code: &mut Vec<Instruction>) {
    match calls {
        [] => code.push(Instruction(JUMP_AT_LEAST, TO_TRAP, TO_TRAP, 0)),
        [call] if call.checks.is_empty() => {
            code.push(Instruction(JUMP_EQUAL, TO_ALLOW, TO_TRAP, call.number));
        }
        [call] => {
            code.push(Instruction(JUMP_EQUAL, 0, TO_TRAP, call.number));
            checks(call.checks, code);
        }
        _ => {
            let (low, high) = calls.split_at(calls.len() / 2);
            let at = code.len();
            code.push(Instruction(JUMP_AT_LEAST, 0, 0, high[0].number));
            search(low, code);
            code[at].1 = distance(code.len() - at - 1);
            search(high, code);
        }
    }
}

/// Appends checks, the last of which goes to an end. Arguments are 64 bits, loaded in halves.
fn checks(checks: &[Check], code: &mut Vec<Instruction>) {
    for (index, &check) in checks.iter().enumerate() {
        let last = index + 1 == checks.len();
        match check {
            Check::Masked(argument, mask, value) => {
                for half in 0..2 {
                    let (mask, value) = ((mask >> (32 * half)) as u32, (value >> (32 * half)) as u32);
                    if mask != 0 {
                        code.push(Instruction(LOAD, 0, 0, ARGUMENTS + 8 * u32::from(argument) + 4 * half));
                        if mask != u32::MAX {
                            code.push(Instruction(AND, 0, 0, mask));
                        }
                        code.push(Instruction(JUMP_EQUAL, 0, TO_REFUSE, value));
                    }
                }
            }
            Check::NotAll(argument, bits) => {
                code.push(Instruction(LOAD, 0, 0, ARGUMENTS + 8 * u32::from(argument)));
                code.push(Instruction(AND, 0, 0, bits as u32));
                let no = if last { TO_ALLOW } else { 0 };
                code.push(Instruction(JUMP_EQUAL, TO_REFUSE, no, bits as u32));
                if last {
                    return;
                }
            }
            Check::Option(levels) => {
                code.push(Instruction(LOAD, 0, 0, ARGUMENTS + 8));
                for (i, &(level, names)) in levels.iter().enumerate() {
                    // Each level: is it this, then load the name and compare.
                    let last = i + 1 == levels.len();
                    let no = if last { TO_REFUSE } else { distance(1 + names.len()) };
                    code.push(Instruction(JUMP_EQUAL, 0, no, level as u32));
                    code.push(Instruction(LOAD, 0, 0, ARGUMENTS + 16));
                    for (n, &name) in names.iter().enumerate() {
                        let no = if n + 1 == names.len() { TO_REFUSE } else { 0 };
                        code.push(Instruction(JUMP_EQUAL, TO_ALLOW, no, name as u32));
                    }
                }
                return;
            }
            // The kernel reads the low half of these arguments, which are ints.
            Check::OneOf(argument, values) => {
                code.push(Instruction(LOAD, 0, 0, ARGUMENTS + 8 * u32::from(argument)));
                for (i, &value) in values.iter().enumerate() {
                    let rest = values.len() - i - 1;
                    let yes = if last { TO_ALLOW } else { distance(rest) };
                    let no = if rest == 0 { TO_REFUSE } else { 0 };
                    code.push(Instruction(JUMP_EQUAL, yes, no, value as u32));
                }
            }
        }
    }
    if let Some(Instruction(_, yes, ..)) = code.last_mut() {
        *yes = TO_ALLOW;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{HOST_CALLS, Kind, calls};

    /// Runs a program on one call, as the kernel would.
    fn run(
        program: &[Instruction],
        architecture: u32,
        number: u32,
        arguments: [u64; 6],
        instruction: u64,
    ) -> u32 {
        let word = |offset: u32| match offset {
            NUMBER => number,
            ARCHITECTURE => architecture,
            INSTRUCTION => instruction as u32,
            12 => (instruction >> 32) as u32,
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
                JUMP_EQUAL => at += usize::from(if accumulator == operand { yes } else { no }),
                JUMP_AT_LEAST => at += usize::from(if accumulator >= operand { yes } else { no }),
                RETURN => return operand,
                other => panic!("operation {other:#x}"),
            }
        }
    }

    fn native(number: u32, arguments: [u64; 6]) -> u32 {
        run(&compile(HOST_CALLS, None), AUDIT_ARCH_X86_64, number, arguments, 0)
    }

    const TEXT: Range<u64> = 0x6800_0010_1000..0x6800_0018_0000;

    fn linux(number: u32, arguments: [u64; 6], instruction: u64) -> u32 {
        run(&compile(&calls(Kind::Linux), Some(TEXT)), AUDIT_ARCH_X86_64, number, arguments, instruction)
    }

    #[test]
    fn calls_from_outside_of_the_library_os_trap() {
        for (instruction, expected) in [
            (TEXT.start + 2, RET_ALLOW),
            (TEXT.end, RET_ALLOW),
            (TEXT.start - 1, RET_TRAP),
            (TEXT.end + 1, RET_TRAP),
            (0x40_1000, RET_TRAP),
            (TEXT.start + 2 + (1 << 32), RET_TRAP),
        ] {
            assert_eq!(linux(1, [0; 6], instruction), expected, "{instruction:#x}");
            assert_eq!(linux(9, [0, 4096, 7, 0x22, 0, 0], instruction), expected, "{instruction:#x}");
            assert_eq!(linux(59, [0; 6], instruction), RET_TRAP);
            assert_eq!(linux(228, [1, 0, 0, 0, 0, 0], instruction), RET_ALLOW);
        }
        assert_eq!(linux(228, [2, 0, 0, 0, 0, 0], 0x40_1000), RET_TRAP);
    }

    #[test]
    fn a_linux_program_shares_files_but_no_memory_that_nobody_counts() {
        let inside = TEXT.start + 2;
        for flags in [0x01, 0x11, 0x02, 0x12, 0x22, 0x4022] {
            assert_eq!(linux(9, [0, 4096, 7, flags, 5, 0], inside), RET_ALLOW, "{flags:#x}");
        }
        for flags in [0x21, 0x31, 0x23, 0x122, 0x2022, 0x4_0022, 0x22 | 1 << 40] {
            assert_eq!(linux(9, [0, 4096, 3, flags, 5, 0], inside), RET_EPERM, "{flags:#x}");
        }
        assert_eq!(linux(38, [1, 0, 0, 0, 0, 0], inside), RET_EPERM);
        assert_eq!(linux(38, [2, 0, 0, 0, 0, 0], inside), RET_ALLOW);
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
    fn each_value_that_a_check_names_passes_and_its_neighbours_do_not() {
        for call in HOST_CALLS.iter().filter(|call| !call.checks.is_empty()) {
            let mut good = [0; 6];
            for check in call.checks {
                match *check {
                    Check::Masked(argument, _, value) => good[usize::from(argument)] = value,
                    Check::OneOf(argument, values) => good[usize::from(argument)] = values[0],
                    Check::NotAll(..) | Check::Option(_) => {}
                }
            }
            assert_eq!(native(call.number, good), RET_ALLOW, "{}", call.name);
            for check in call.checks {
                let (argument, tried): (u8, Vec<(u64, bool)>) = match *check {
                    Check::Masked(argument, mask, value) => {
                        let flipped = (0..64).map(|bit| (value ^ 1 << bit, mask >> bit & 1 == 0));
                        (argument, flipped.collect())
                    }
                    Check::NotAll(argument, bits) => (argument, vec![(bits, false)]),
                    // A Linux program's alone: see below.
                    Check::Option(_) => continue,
                    Check::OneOf(argument, values) => {
                        (argument, (0..300).map(|value| (value, values.contains(&value))).collect())
                    }
                };
                for (value, passes) in tried {
                    let mut arguments = good;
                    arguments[usize::from(argument)] = value;
                    let expected = if passes { RET_ALLOW } else { RET_EPERM };
                    assert_eq!(native(call.number, arguments), expected, "{} {arguments:x?}", call.name);
                }
            }
        }
    }

    #[test]
    fn x32_and_32_bit_calls_end_the_instance() {
        let program = compile(HOST_CALLS, None);
        assert_eq!(native(X32_BIT, [0; 6]), RET_KILL_PROCESS);
        assert_eq!(native(X32_BIT | 1, [0; 6]), RET_KILL_PROCESS);
        assert_eq!(run(&program, 0x4000_0003, 1, [0; 6], 0), RET_KILL_PROCESS);
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
    fn only_memory_that_the_limit_counts_is_mapped() {
        for flags in [0x22, 0x02, 0x32, 0x4022, 0xc022, 0x10_0022] {
            assert_eq!(native(9, [0, 4096, 3, flags, 0, 0]), RET_ALLOW, "{flags:#x}");
        }
        // MAP_SHARED, MAP_SHARED_VALIDATE, MAP_DROPPABLE, MAP_GROWSDOWN, MAP_LOCKED, MAP_HUGETLB, and none at all.
        for flags in [0x21, 0x23, 0x28, 0x122, 0x2022, 0x4_0022, 0x20, 0x22 | 1 << 40] {
            assert_eq!(native(9, [0, 4096, 3, flags, 0, 0]), RET_EPERM, "{flags:#x}");
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
    fn a_linux_program_sets_the_listed_options_and_no_other() {
        let inside = TEXT.start + 2;
        let listed = |level, name| kernlet_wire::options::is_listed(level, name);
        for level in (0..300).chain([u32::MAX, 1 << 16]) {
            for name in (0..300).chain([u32::MAX, 1 << 16, 1 << 31]) {
                let expected = if listed(level, name) { RET_ALLOW } else { RET_EPERM };
                // The upper halves say nothing to the kernel.
                let arguments = [3, u64::from(level) | 1 << 40, u64::from(name) | 1 << 50, 0, 4, 0];
                assert_eq!(linux(54, arguments, inside), expected, "{level} {name}");
                let expected = if (level, name) == (6, 11) { RET_ALLOW } else { RET_EPERM };
                assert_eq!(linux(55, arguments, inside), expected, "getsockopt {level} {name}");
            }
        }
        // Those that reach beyond the socket: SO_BINDTODEVICE, SO_ATTACH_FILTER, SO_ATTACH_BPF, SO_RCVBUFFORCE, SO_SNDBUFFORCE,
        // SO_MARK, SO_REUSEPORT, SO_ATTACH_REUSEPORT_EBPF, SO_PRIORITY; TCP_MD5SIG, TCP_REPAIR, TCP_FASTOPEN,
        // TCP_FASTOPEN_CONNECT, TCP_ULP, TCP_CONGESTION, TCP_ZEROCOPY_RECEIVE; IP_HDRINCL, IP_OPTIONS, IP_TRANSPARENT, IP_FREEBIND,
        // IP_ADD_MEMBERSHIP, IP_MULTICAST_IF, IP_XFRM_POLICY; IPV6_TRANSPARENT, IPV6_ADD_MEMBERSHIP, IPV6_XFRM_POLICY, IPV6_ADDRFORM.
        let hostile: [(u32, &[u32]); 4] = [
            (1, &[25, 26, 50, 33, 32, 36, 15, 52, 12]),
            (6, &[14, 19, 23, 30, 31, 13, 35]),
            (0, &[3, 4, 19, 15, 35, 32, 17]),
            (41, &[75, 20, 35, 1]),
        ];
        for (level, names) in hostile {
            assert!(names.iter().all(|name| !listed(level, *name)), "{level}");
        }
        assert_eq!(linux(54, [3, 6, 1, 0, 4, 0], TEXT.end + 9), RET_TRAP);
    }

    #[test]
    fn every_jump_lands_inside_the_program() {
        for program in [compile(HOST_CALLS, None), compile(&calls(Kind::Linux), Some(TEXT))] {
            for (at, Instruction(operation, yes, no, _)) in program.iter().enumerate() {
                if matches!(*operation, JUMP_EQUAL | JUMP_AT_LEAST) {
                    assert!(at + 1 + usize::from(*yes.max(no)) < program.len());
                }
            }
        }
    }
}
