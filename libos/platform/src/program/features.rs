//! What the CPU can do, as CPUID tells. Each question is a way to the hypervisor, where there is one, so the common ones are asked
//! once.

use core::arch::x86_64::{__cpuid, __cpuid_count};
use core::sync::atomic::{AtomicU32, Ordering};

/// Leaf 1, edx and ecx; leaf 7, ebx. The first is never 0.
static KNOWN: [AtomicU32; 3] = [const { AtomicU32::new(0) }; 3];

/// Leaf 1's edx and ecx, and leaf 7's ebx.
pub fn known() -> [u32; 3] {
    if KNOWN[0].load(Ordering::Relaxed) == 0 {
        let (first, seventh) = (__cpuid(1), __cpuid_count(7, 0));
        KNOWN[0].store(first.edx, Ordering::Relaxed);
        KNOWN[1].store(first.ecx, Ordering::Relaxed);
        KNOWN[2].store(seventh.ebx, Ordering::Relaxed);
    }
    [0, 1, 2].map(|index: usize| KNOWN[index].load(Ordering::Relaxed))
}

/// What AT_HWCAP and AT_HWCAP2 tell (arch/x86/include/uapi/asm/hwcap2.h): the CPU's feature word, and whether a program may use
/// the instructions for FS and GS.
pub fn capabilities() -> [u64; 2] {
    let [features, _, more] = known();
    [features.into(), u64::from(more & 1) << 1]
}

/// What each level of the psABI (3.1.1, "x86-64-v2" and so on) needs beyond the one before: level, word, bit; and its name. Words:
/// leaf 1's ecx, leaf 7's ebx, leaf 80000001h's ecx, XCR0.
const NEEDS: [([u8; 3], [u8; 10]); 22] = [
    need(2, 0, 0, "SSE3"),
    need(2, 0, 9, "SSSE3"),
    need(2, 0, 13, "CMPXCHG16B"),
    need(2, 0, 19, "SSE4.1"),
    need(2, 0, 20, "SSE4.2"),
    need(2, 0, 23, "POPCNT"),
    need(2, 2, 0, "LAHF"),
    need(3, 0, 28, "AVX"),
    need(3, 3, 2, "AVX"),
    need(3, 0, 12, "FMA"),
    need(3, 0, 22, "MOVBE"),
    need(3, 0, 29, "F16C"),
    need(3, 1, 3, "BMI1"),
    need(3, 1, 5, "AVX2"),
    need(3, 1, 8, "BMI2"),
    need(3, 2, 5, "LZCNT"),
    need(4, 1, 16, "AVX512F"),
    need(4, 3, 7, "AVX512F"),
    need(4, 1, 17, "AVX512DQ"),
    need(4, 1, 28, "AVX512CD"),
    need(4, 1, 30, "AVX512BW"),
    need(4, 1, 31, "AVX512VL"),
];

/// Names lie in the table, so that it has no pointers.
const fn need(level: u8, word: u8, bit: u8, name: &str) -> ([u8; 3], [u8; 10]) {
    let (mut padded, mut at) = ([0; 10], 0);
    while at < name.len() {
        padded[at] = name.as_bytes()[at];
        at += 1;
    }
    ([level, word, bit], padded)
}

/// The first feature that a level (2 to 4) needs and that is not in these words; its name is filled up with 0.
fn missing(level: u8, words: [u32; 4]) -> Option<[u8; 10]> {
    let lacks = |[of, word, bit]: [u8; 3]| of <= level && words[usize::from(word & 3)] >> (bit & 31) & 1 == 0;
    NEEDS.iter().find(|(need, _)| lacks(*need)).map(|(_, name)| *name)
}

/// A feature that this CPU, or whoever shows it, has not, of those that programs for a level of x86-64 (2 to 4) use; its name is
/// filled up with 0.
pub fn lacks(level: u8) -> Option<[u8; 10]> {
    let [_, first, seventh] = known();
    let seventh = if __cpuid(0).eax >= 7 { seventh } else { 0 };
    missing(level, [first, seventh, __cpuid(0x8000_0001).ecx, super::extended_features() as u32])
}

/// What the CPU, or whoever shows it, calls it (CPUID 80000002h to 80000004h), filled up with 0.
pub fn model() -> [u8; 48] {
    let mut name = [0; 48];
    for (to, leaf) in name.as_chunks_mut::<16>().0.iter_mut().zip(0x8000_0002u32..) {
        let r = __cpuid(leaf);
        for (to, word) in to.as_chunks_mut::<4>().0.iter_mut().zip([r.eax, r.ebx, r.ecx, r.edx]) {
            *to = word.to_le_bytes();
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_need_is_missed_at_its_level_and_above() {
        let all = [u32::MAX; 4];
        for level in 1..=4 {
            assert_eq!(missing(level, all), None);
        }
        for ([level, word, bit], name) in NEEDS {
            let mut words = all;
            words[usize::from(word)] &= !(1 << bit);
            for of in 1..=4 {
                assert_eq!(missing(of, words), (of >= level).then_some(name));
            }
        }
        assert_eq!(NEEDS[2].1, *b"CMPXCHG16B");
    }

    #[test]
    fn this_cpu_has_what_the_compiler_takes_for_given() {
        for (level, has) in [(2, cfg!(target_feature = "sse4.2")), (3, cfg!(target_feature = "avx2"))] {
            assert!(!has || lacks(level).is_none());
        }
        // What the kernel says it has, CPUID says as well.
        let flags = std::fs::read_to_string("/proc/cpuinfo").unwrap();
        let flags: std::vec::Vec<_> =
            flags.lines().find(|l| l.starts_with("flags")).unwrap().split(' ').collect();
        let has = |names: &[&str]| names.iter().all(|name| flags.contains(name));
        let second = has(&["pni", "ssse3", "cx16", "sse4_1", "sse4_2", "popcnt", "lahf_lm"]);
        assert_eq!(lacks(2).is_none(), second);
        let model = model();
        let name = core::str::from_utf8(&model).unwrap().trim_matches(['\0', ' ']);
        assert!(std::fs::read_to_string("/proc/cpuinfo").unwrap().contains(name));
    }
}
