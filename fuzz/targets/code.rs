//! Code that may be anything: the small decoder against a whole disassembler, and which system calls are replaced when code is
//! mapped.
#![no_main]
#![forbid(unsafe_code)]

use iced_x86::{Decoder, DecoderOptions, FlowControl};
use kernlet_linux::memory::sites::{self, JUMP, NEAR};
use kernlet_wire::instruction;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut at = 0;
    while at < bytes.len() {
        let right = Decoder::with_ip(64, &bytes[at..], 0x1_0000, DecoderOptions::NONE).decode();
        let ours = instruction::decode(&bytes[at..]);
        if let (false, Some(ours)) = (right.is_invalid(), ours) {
            assert_eq!(ours.length, right.len(), "{:?}", right.code());
            let moves = right.flow_control() == FlowControl::Next && !right.is_ip_rel_memory_operand();
            assert!(moves || !ours.movable, "{:?}", right.code());
        }
        at += ours.map_or(1, |ours| ours.length);
    }
    let (mut from, mut stubs) = (0, Vec::new());
    while let Some(call) = sites::next(bytes, from) {
        from = call + 1;
        let Some(window) = sites::window(bytes, call) else { continue };
        assert!(window + JUMP <= call && call - window <= NEAR);
        // What moves is instructions that can, up to the call.
        let mut at = window;
        while at < call {
            let moved = instruction::decode(&bytes[at..]).expect("it is one");
            assert!(moved.movable);
            at += moved.length;
        }
        assert_eq!(at, call);
        let address = 0x7000_0000 + stubs.len();
        sites::stub(&mut stubs, address, &bytes[window..call], 0x6000_0000 + call).expect("it is near");
    }
});
