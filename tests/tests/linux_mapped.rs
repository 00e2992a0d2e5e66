//! Code that is mapped from a volume: its system calls are replaced by jumps when it is mapped.

use kernlet_tests::User;
use kernlet_tests::programs::{DOORS, compile, native, run_as, same, seal, source};

/// Where calls are replaced, in the order of mapped.c: not where no number is known, where what would move is addressed from where
/// it stands, or where there is no call at all.
const REPLACED: &str = " parent parent_long write_to read_some again middle kept border";

#[test]
fn calls_of_a_library_on_a_volume_are_jumps_and_do_the_same() {
    let shared = ["-shared", "-nostartfiles"];
    let library = compile("gcc", "gcc", &shared, &source("by_hand/calls.S"), "calls.so");
    let program = compile("gcc", "gcc", &["-O2", "-w"], &source("by_hand/mapped.c"), "mapped");
    let user = User::ordinary();
    let folder = user.folder("library");
    std::fs::copy(&library, folder.join("calls.so")).expect("both are there");
    user.give(&folder.join("calls.so"));
    let expected = native(&program, &[library.to_str().expect("temporary paths are UTF-8")]);
    assert!(expected.status == 0 && expected.out.ends_with("few areas: 1\n"), "{expected:?}");
    let image = seal(&program, &[], "mapped");
    let volume = format!("{}:/library:ro", folder.display());
    for door in DOORS {
        let mut got = run_as(&user, door, &["-v", &volume], &image, &["/library/calls.so"]);
        let jumps: Vec<_> =
            got.out.lines().filter_map(|line| line.strip_prefix("jumps ")?.split_once(':')).collect();
        // The last lies across two pages, of which one is not made executable again.
        let after = REPLACED.trim_end_matches(" border");
        let right = [
            ("loaded", REPLACED),
            ("writable", ""),
            ("changed", after),
            ("mapped to read", ""),
            ("mapped by hand", REPLACED),
            ("loaded again", REPLACED),
        ];
        assert_eq!(jumps, right, "{door}: {got:?}");
        // Natively there are none.
        let without = |line: &str| match line.split_once(':').filter(|_| line.starts_with("jumps ")) {
            Some((when, _)) => format!("{when}:\n"),
            None => format!("{line}\n"),
        };
        got.out = got.out.lines().map(without).collect();
        same(&format!("mapped in door {door}"), &expected, &got);
    }
}
