//! The small decoder that both sides have, against a whole disassembler.

use iced_x86::{Decoder, DecoderOptions, EncodingKind, FlowControl, Instruction, Register};
use kernlet_wire::instruction::{self, LONGEST};
use object::{Object as _, ObjectSection as _, SectionKind};
use proptest::prelude::*;
use std::path::Path;

fn disassemble(bytes: &[u8]) -> Option<Instruction> {
    let instruction = Decoder::with_ip(64, bytes, 0x1_0000, DecoderOptions::NONE).decode();
    (!instruction.is_invalid()).then_some(instruction)
}

/// Compares what both say of the instruction that `bytes` begin with, if it is one. Whether the small one knows it.
fn compare(bytes: &[u8]) -> Option<bool> {
    let right = disassemble(bytes)?;
    let Some(ours) = instruction::decode(bytes) else { return Some(false) };
    assert_eq!(ours.length, right.len(), "{:?}: {:02x?}", right.code(), &bytes[..right.len()]);
    if ours.movable {
        assert!(right.flow_control() == FlowControl::Next, "{:?} moves", right.code());
        assert!(!right.is_ip_rel_memory_operand(), "{:?} is relative", right.code());
        assert!(right.memory_base() != Register::EIP && !right.is_privileged(), "{:?}", right.code());
    }
    Some(true)
}

/// Compares all instructions of a file's code: how many there are, and those that the small decoder does not know.
fn sweep(path: &Path) -> (usize, Vec<Instruction>) {
    let file = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let object = object::File::parse(&*file).expect("it is an ELF file");
    let (mut count, mut unknown) = (0, Vec::new());
    for section in object.sections().filter(|section| section.kind() == SectionKind::Text) {
        let bytes = section.data().expect("it is in the file");
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match compare(rest) {
                // Data in code, or code that is cut off.
                None => at += 1,
                Some(known) => {
                    let instruction = disassemble(rest).expect("it was one");
                    at += instruction.len();
                    count += 1;
                    if !known {
                        unknown.push(instruction);
                    }
                }
            }
        }
    }
    (count, unknown)
}

#[test]
fn all_code_of_common_programs_and_libraries_is_decoded_alike() {
    let libraries = ["libc.so.6", "libcrypto.so.3", "libm.so.6", "ld-linux-x86-64.so.2"];
    let libraries = libraries.map(|name| format!("/lib/x86_64-linux-gnu/{name}"));
    let here = std::env::current_exe().expect("this test runs").to_string_lossy().into_owned();
    let programs = ["/bin/busybox", "/usr/lib/go/bin/go", &here];
    for path in libraries.iter().map(String::as_str).chain(programs) {
        let path = Path::new(path);
        let (count, unknown) = sweep(path);
        assert!(count > 1000, "{}: {count} instructions", path.display());
        // Tables between functions, which libcrypto has, and what only a kernel runs.
        let names = || unknown.iter().take(20).map(|i| format!("{:?}", i.code())).collect::<Vec<_>>();
        assert!(
            unknown.len() * 1000 <= count,
            "{}: {} of {count}: {:?}",
            path.display(),
            unknown.len(),
            names()
        );
    }
}

/// Whether programs may hold it: then it is to be known.
fn is_common(instruction: &Instruction) -> bool {
    let old = matches!(instruction.encoding(), EncodingKind::XOP | EncodingKind::D3NOW);
    !old && instruction.flow_control() == FlowControl::Next && !instruction.is_privileged()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn bytes_are_decoded_alike(bytes in proptest::collection::vec(any::<u8>(), 1..24)) {
        let _ = compare(&bytes);
    }

    #[test]
    fn prefixes_and_operands_are_decoded_alike(
        prefixes in proptest::collection::vec(
            prop_oneof![Just(0x66u8), Just(0x67), Just(0xf2), Just(0xf3), Just(0xf0), Just(0x2e), Just(0x65), Just(0x48), Just(0x41)],
            0..4,
        ),
        map in prop_oneof![Just(&[][..]), Just(&[0x0f][..]), Just(&[0x0f, 0x38][..]), Just(&[0x0f, 0x3a][..])],
        rest in proptest::collection::vec(any::<u8>(), 16),
    ) {
        let _ = compare(&[&prefixes, map, &rest].concat());
    }

    #[test]
    fn vector_instructions_are_decoded_alike(
        lead in prop_oneof![Just(0xc4u8), Just(0xc5), Just(0x62)],
        rest in proptest::collection::vec(any::<u8>(), 16),
    ) {
        let _ = compare(&[&[lead], &*rest].concat());
    }

    #[test]
    fn common_opcodes_are_known(opcode in any::<u8>(), escaped in any::<bool>(), rest in proptest::collection::vec(any::<u8>(), 16)) {
        let bytes = [if escaped { &[0x0f][..] } else { &[] }, &[opcode], &rest].concat();
        if disassemble(&bytes).is_some_and(|instruction| is_common(&instruction)) {
            // Among them some of transactions, of virtual machines and of old processors.
            let rare = match escaped {
                true => matches!(opcode, 0x78..=0x7b | 0xa6 | 0xa7 | 0xff | 0x37 | 0x33 | 0x0e),
                // XABORT and XBEGIN.
                false if opcode & 0xfe == 0xc6 => rest[0] & 0x38 != 0,
                // Prefixes and escapes, which other tests have.
                false => matches!(
                    opcode,
                    0xd6 | 0x62 | 0xc4 | 0x40..=0x4f | 0x8f | 0x0f | 0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3
                ),
            };
            prop_assert!(rare || compare(&bytes) == Some(true), "{:02x?}", bytes);
        }
    }

    #[test]
    fn what_is_cut_off_is_no_instruction(bytes in proptest::collection::vec(any::<u8>(), 24)) {
        if let Some(whole) = instruction::decode(&bytes) {
            prop_assert!(whole.length <= LONGEST);
            for length in 0..whole.length {
                prop_assert_eq!(instruction::decode(&bytes[..length]), None);
            }
            prop_assert_eq!(instruction::decode(&bytes[..whole.length]), Some(whole));
        }
    }
}
