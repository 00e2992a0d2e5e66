use super::*;
use crate::rewrite::sites::Patch;
use kernlet_wire::rewrite::{Rewrites, exercise};
use object::{Object as _, ObjectSymbol as _};
use proptest::prelude::*;
use std::process::Command;
use std::sync::OnceLock;

const PATH: &str = "/lib/forms.so";

/// A library of functions with one system call each, made by the assembler.
fn forms() -> &'static [u8] {
    static FORMS: OnceLock<Vec<u8>> = OnceLock::new();
    FORMS.get_or_init(|| {
        let scratch = tempfile::tempdir().unwrap();
        let out = scratch.path().join("forms.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rewriting/forms.S");
        let made =
            Command::new("gcc").args(["-shared", "-nostdlib", source, "-o"]).arg(&out).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        std::fs::read(out).unwrap()
    })
}

/// Looks at a function of the library.
fn with<T>(name: &str, look: impl FnOnce(&Function<'_>) -> T) -> T {
    let program = Program::parse(forms()).unwrap();
    let file = object::File::parse(forms()).unwrap();
    let start = file.symbols().find(|symbol| symbol.name() == Ok(name)).unwrap().address();
    let code = code::decode(&program).remove(0);
    let region = *code.regions.iter().find(|region| region.start == start).unwrap();
    look(&Function::new(&code, region))
}

/// How the calls of a function are rewritten: how many instructions move before and behind each, and whether the call
/// itself goes.
fn patches_of(name: &str) -> Vec<(usize, usize, bool)> {
    with(name, |function| {
        let shape = |patch: Patch| {
            let gone = patch.window.end > function.instructions[patch.site].ip();
            (patch.before.len(), patch.after.len(), gone)
        };
        function.patches().into_iter().map(shape).collect()
    })
}

/// The numbers of a function's only call, and whether there may be others.
fn numbers_of(name: &str) -> (Vec<u32>, bool) {
    with(name, |function| {
        let numbers = Flow::new(function).numbers(function.sites().next().unwrap());
        (numbers.known.into_iter().collect(), numbers.others)
    })
}

#[test]
fn a_call_is_rewritten_in_the_form_that_fits() {
    for (name, before, after, gone) in [
        ("form_number", 1, 0, false),
        ("form_long_number", 1, 0, false),
        ("form_preceding", 2, 0, false),
        ("form_preceding_with_call", 2, 0, true),
        ("form_following", 0, 1, true),
        ("form_following_jump", 0, 1, true),
        ("form_return", 0, 3, true),
        ("form_both", 2, 1, true),
        ("form_following_relative", 0, 1, true),
        ("form_after_stop", 1, 0, true),
        ("form_false", 1, 0, false),
        ("red_zone", 1, 0, false),
    ] {
        assert_eq!(patches_of(name), [(before, after, gone)], "{name}");
    }
}

#[test]
fn a_call_stays_when_no_five_bytes_can_give_way() {
    assert_eq!(patches_of("form_stays"), []);
}

#[test]
fn a_return_from_a_signal_is_rewritten_where_unwinders_do_not_go_by_its_bytes() {
    assert_eq!(patches_of("signal_return"), [(1, 0, false)]);
    assert_eq!(patches_of("bare_signal_return"), []);
}

#[test]
fn numbers_are_followed_back_to_constants() {
    for name in
        ["form_number", "form_long_number", "form_following", "form_following_relative", "form_return"]
    {
        assert_eq!(numbers_of(name), (vec![110], false), "{name}");
    }
    assert_eq!(numbers_of("many_numbers"), (vec![39, 102], false));
    assert_eq!(numbers_of("signal_return"), (vec![15], false));
}

#[test]
fn numbers_that_are_no_constants_are_known_at_run_time_only() {
    assert_eq!(numbers_of("any_number"), (vec![], true));
    assert_eq!(numbers_of("form_preceding"), (vec![], true));
}

#[test]
fn data_between_functions_is_no_call() {
    let program = Program::parse(forms()).unwrap();
    let file = object::File::parse(forms()).unwrap();
    let at = |name| file.symbols().find(|symbol| symbol.name() == Ok(name)).unwrap().address();
    let data = at("data_in_text")..at("data_in_text_end");
    let code = code::decode(&program).remove(0);
    for region in &code.regions {
        let function = Function::new(&code, *region);
        assert!(function.sites().all(|site| !data.contains(&function.instructions[site].ip())));
    }
}

#[test]
fn what_is_no_program_or_has_no_calls_gives_nothing() {
    let none: [(&str, &[u8]); 3] = [("/a", b""), ("/b", b"\x7fELF"), ("/c", b"#!/bin/sh\n\x0f\x05")];
    assert_eq!(rewrite(none), None);
    let mut other = forms().to_vec();
    other[18] = 183; // EM_AARCH64
    assert_eq!(rewrite([("/d", other)]), None);
}

#[test]
fn the_same_files_give_the_same_bytes_in_any_order() {
    let one = rewrite([("/a", forms()), ("/b", forms())]).unwrap();
    let other = rewrite([("/b", forms()), ("/a", forms())]).unwrap();
    assert_eq!(one, other);
    assert_eq!(Rewrites::parse(&one).unwrap().files().count(), 2);
}

#[test]
fn only_the_bytes_of_windows_change_in_replaced_pages() {
    let table = rewrite([(PATH, forms())]).unwrap();
    let file = Rewrites::parse(&table).unwrap().find(PATH.as_bytes()).unwrap();
    let segment = file.segments().next().unwrap();
    let mut jumps = 0;
    for run in segment.runs() {
        let len = u64::from(run.pages) * PAGE;
        let new = &table[run.place as usize..(run.place + len) as usize];
        let end = forms().len().min((run.offset + len) as usize);
        let old = &forms()[run.offset as usize..end];
        assert!(new[old.len()..].iter().all(|&byte| byte == 0), "behind the file's end");
        // Each difference begins with a jump, and is no longer than what may move for it.
        let mut at = 0;
        while let Some(next) = (at..old.len()).find(|&at| old[at] != new[at]) {
            assert_eq!(new[next], 0xe9, "at {next:#x}");
            at = next + 5;
            at += new[at..].iter().take_while(|&&byte| byte == INT3).count();
            jumps += 1;
        }
    }
    assert_eq!(jumps, segment.rewritten);
}

#[test]
fn a_segment_that_is_longer_in_the_file_than_in_memory_is_left_alone() {
    let mut bytes = forms().to_vec();
    let u64_at = |bytes: &[u8], at: usize| u64::from_le_bytes(*bytes[at..].first_chunk().unwrap());
    let (first, count) = (u64_at(&bytes, 32) as usize, usize::from(bytes[56]));
    let code =
        (0..count).map(|index| first + index * 56).find(|&at| bytes[at] == 1 && bytes[at + 4] & 1 != 0);
    let memory_len = code.unwrap() + 40;
    let len = u64_at(&bytes, memory_len);
    bytes[memory_len..memory_len + 8].copy_from_slice(&(len - 1).to_le_bytes());
    assert_eq!(rewrite([(PATH, bytes)]), None);
}

/// Files that are damaged in their first part (headers, tables) or in their code.
fn damaged(changes: &[(usize, u8)], len: usize) {
    let mut bytes = forms().to_vec();
    for &(at, with) in changes {
        let at = at % bytes.len();
        bytes[at] = with;
    }
    bytes.truncate(len.max(64));
    if let Some(table) = rewrite([(PATH, bytes)]) {
        assert!(Rewrites::parse(&table).is_ok());
        exercise(&table);
    }
}

proptest! {
    #[test]
    fn a_damaged_file_gives_a_sound_table_or_none(
        headers in proptest::collection::vec((0usize..1024, any::<u8>()), 0..4),
        anywhere in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..8),
        cut in prop_oneof![Just(usize::MAX), 0usize..20_000],
    ) {
        damaged(&[headers, anywhere].concat(), cut);
    }
}
