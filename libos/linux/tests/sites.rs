//! System calls that are replaced when code is mapped, against a whole disassembler.

use iced_x86::{Code, Decoder, DecoderOptions, FlowControl, Instruction};
use kernlet_linux::memory::sites::{self, JUMP};
use object::{Object as _, ObjectSection as _, SectionKind};

/// How many calls are in a file's code, and how many of them would be jumps.
fn compare(path: &str) -> (usize, usize) {
    let file = std::fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let object = object::File::parse(&*file).expect("it is an ELF file");
    let (mut calls, mut replaced) = (0, 0);
    for section in object.sections().filter(|section| section.kind() == SectionKind::Text) {
        let code = section.data().expect("it is in the file");
        let all: Vec<Instruction> = Decoder::with_ip(64, code, 0, DecoderOptions::NONE).iter().collect();
        calls += all.iter().filter(|instruction| instruction.code() == Code::Syscall).count();
        let mut from = 0;
        while let Some(call) = sites::next(code, from) {
            from = call + 1;
            let Some(window) = sites::window(code, call) else { continue };
            let index = |at: usize| all.binary_search_by_key(&(at as u64), Instruction::ip);
            let what = format!("{path}, {}+{call:#x}", section.name().unwrap_or_default());
            let (Ok(first), Ok(last)) = (index(window), index(call)) else {
                panic!("{what}: no instruction")
            };
            assert_eq!(all[last].code(), Code::Syscall, "{what}");
            assert!(all[first].len() >= JUMP, "{what}");
            for moved in &all[first..last] {
                let straight = moved.flow_control() == FlowControl::Next;
                assert!(straight && !moved.is_ip_rel_memory_operand(), "{what}: {:?}", moved.code());
            }
            replaced += 1;
        }
    }
    (calls, replaced)
}

#[test]
fn what_is_replaced_is_a_call_in_straight_code() {
    for (path, share) in [
        ("/lib/x86_64-linux-gnu/libc.so.6", 80),
        ("/lib/x86_64-linux-gnu/libcrypto.so.3", 0),
        ("/bin/busybox", 70),
        ("/usr/lib/go/bin/go", 70),
    ] {
        let (calls, replaced) = compare(path);
        println!("{path}: {replaced} of {calls}");
        assert!(replaced * 100 >= calls * share, "{path}: {replaced} of {calls}");
    }
}
