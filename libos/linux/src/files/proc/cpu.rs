//! /proc/cpuinfo: what CPUID tells (Intel SDM volume 2, CPUID).

use super::put;
use crate::Errno;
use crate::process::Process;
use alloc::string::String;
use alloc::vec::Vec;
use core::arch::x86_64::{__cpuid, __cpuid_count};
use core::fmt::Write;

/// Names of features by bit, as Linux has them (arch/x86/include/asm/cpufeatures.h).
type Features = &'static [(u32, &'static str)];

const EDX_1: Features = &[
    (0, "fpu"),
    (1, "vme"),
    (2, "de"),
    (3, "pse"),
    (4, "tsc"),
    (5, "msr"),
    (6, "pae"),
    (8, "cx8"),
    (11, "sep"),
    (13, "pge"),
    (15, "cmov"),
    (16, "pat"),
    (19, "clflush"),
    (23, "mmx"),
    (24, "fxsr"),
    (25, "sse"),
    (26, "sse2"),
    (28, "ht"),
];
const ECX_1: Features = &[
    (0, "pni"),
    (1, "pclmulqdq"),
    (9, "ssse3"),
    (12, "fma"),
    (13, "cx16"),
    (19, "sse4_1"),
    (20, "sse4_2"),
    (22, "movbe"),
    (23, "popcnt"),
    (25, "aes"),
    (26, "xsave"),
    (28, "avx"),
    (29, "f16c"),
    (30, "rdrand"),
    (31, "hypervisor"),
];
const EDX_EXTENDED: Features = &[(11, "syscall"), (20, "nx"), (26, "pdpe1gb"), (27, "rdtscp"), (29, "lm")];
const ECX_EXTENDED: Features = &[(0, "lahf_lm"), (5, "abm"), (6, "sse4a"), (8, "3dnowprefetch")];
const EBX_7: Features = &[
    (0, "fsgsbase"),
    (3, "bmi1"),
    (5, "avx2"),
    (8, "bmi2"),
    (9, "erms"),
    (16, "avx512f"),
    (17, "avx512dq"),
    (18, "rdseed"),
    (19, "adx"),
    (21, "avx512ifma"),
    (23, "clflushopt"),
    (24, "clwb"),
    (28, "avx512cd"),
    (29, "sha_ni"),
    (30, "avx512bw"),
    (31, "avx512vl"),
];

fn text_of(registers: &[u32]) -> String {
    let bytes: Vec<u8> = registers.iter().flat_map(|word| word.to_le_bytes()).collect();
    String::from_utf8_lossy(bytes.split(|&b| b == 0).next().unwrap_or_default()).trim().into()
}

/// The brand, when the CPU tells one.
fn brand() -> String {
    if __cpuid(0x8000_0000).eax < 0x8000_0004 {
        return String::from("unknown");
    }
    let leaves = (0x8000_0002..=0x8000_0004).map(__cpuid);
    text_of(&leaves.flat_map(|leaf| [leaf.eax, leaf.ebx, leaf.ecx, leaf.edx]).collect::<Vec<_>>())
}

pub(super) fn information(_: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    let (first, features, extended) = (__cpuid(0), __cpuid(1), __cpuid(0x8000_0001));
    let family = features.eax >> 8 & 0xf;
    let family = if family == 0xf { family + (features.eax >> 20 & 0xff) } else { family };
    let model = features.eax >> 4 & 0xf | features.eax >> 12 & 0xf0;
    put!(text, "processor\t: 0\nvendor_id\t: {}\n", text_of(&[first.ebx, first.edx, first.ecx]));
    put!(text, "cpu family\t: {family}\nmodel\t\t: {model}\nmodel name\t: {}\n", brand());
    put!(text, "stepping\t: {}\nphysical id\t: 0\nsiblings\t: 1\ncore id\t\t: 0\n", features.eax & 0xf);
    put!(text, "cpu cores\t: 1\napicid\t\t: 0\nfpu\t\t: yes\ncpuid level\t: {}\nflags\t\t:", first.eax);
    let more = if first.eax >= 7 { __cpuid_count(7, 0).ebx } else { 0 };
    let sets = [
        (features.edx, EDX_1),
        (extended.edx, EDX_EXTENDED),
        (features.ecx, ECX_1),
        (extended.ecx, ECX_EXTENDED),
        (more, EBX_7),
    ];
    for (word, names) in sets {
        names.iter().filter(|(bit, _)| word >> bit & 1 != 0).for_each(|(_, name)| put!(text, " {name}"));
    }
    put!(text, "\nbogomips\t: 4000.00\nclflush size\t: 64\ncache_alignment\t: 64\n");
    put!(text, "address sizes\t: 46 bits physical, 48 bits virtual\npower management:\n\n");
    Ok(())
}
