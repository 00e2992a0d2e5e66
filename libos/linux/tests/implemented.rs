//! The list of calls in `kernlet_wire::calls`, which `kernlet inspect` goes by, is what this crate handles: an arm of a
//! `match` on the number that does something else than refusing. `KERNLET_BLESS=1 cargo test -p kernlet-linux --test
//! implemented` writes the list anew.

use kernlet_linux::call::number::subject;
use kernlet_wire::calls::{IMPLEMENTED, name};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const LIST: &str = "../../wire/src/calls/implemented.rs";

/// Names of constants, with the code of the arms in which they stand.
fn arms(source: &str, found: &mut impl FnMut(&str, &str)) {
    let source = source.split_whitespace().collect::<Vec<_>>().join(" ");
    // Modules with numbers of their own have these under the second name.
    let paths = ["number::", "calls::"];
    for (at, path) in paths.iter().flat_map(|path| source.match_indices(path)) {
        let rest = &source[at + path.len()..];
        let name = &rest
            [..rest.find(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit() && c != '_').unwrap_or(0)];
        let after = rest[name.len()..].trim_start();
        // Alternatives and a guard may stand before the arrow, and nothing that ends a pattern.
        let in_pattern = after.starts_with("=>") || after.starts_with("| ") || after.starts_with("if ");
        if let Some(arrow) = after.find("=>").filter(|_| !name.is_empty() && in_pattern) {
            found(name, after[arrow + 2..].trim_start());
        }
    }
}

fn each_source(folder: &Path, found: &mut impl FnMut(&str)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && name != "tests" {
            each_source(&path, found);
        } else if name.ends_with(".rs") && name != "tests.rs" {
            found(&fs::read_to_string(&path).unwrap());
        }
    }
}

fn handled() -> Vec<u16> {
    let numbers: BTreeMap<String, u16> =
        (0..600).filter_map(|number| Some((name(number)?.to_ascii_uppercase(), number as u16))).collect();
    let mut handled = Vec::new();
    each_source(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut |source| {
        arms(source, &mut |name, body| {
            // With an error whatever the arguments are, or by saying that it is not there.
            let refuses = ["Err(", "return Err(", "unknown(", "clone::no_processes("];
            if !refuses.iter().any(|refusal| body.starts_with(refusal)) {
                handled.push(*numbers.get(name).unwrap_or_else(|| panic!("{name} is no system call")));
            }
        });
    });
    handled.sort_unstable();
    handled.dedup();
    handled
}

#[test]
fn the_list_of_calls_is_what_is_handled() {
    let handled = handled();
    if std::env::var_os("KERNLET_BLESS").is_some() {
        let lines: String = handled
            .iter()
            .map(|&number| {
                format!("    {:<4} // {}\n", format!("{number},"), name(number.into()).unwrap_or_default())
            })
            .collect();
        let text = format!(
            "//! Written by a test of the crate that handles the calls (libos/linux/tests/implemented.rs).\n\n\
             /// The numbers of the system calls that the library OS has, rising.\n\
             pub const IMPLEMENTED: &[u16] = &[\n{lines}];\n"
        );
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(LIST), text).unwrap();
        return;
    }
    assert_eq!(
        handled, IMPLEMENTED,
        "the list is not what is handled: KERNLET_BLESS=1 cargo test -p kernlet-linux --test implemented"
    );
}

#[test]
fn arms_that_refuse_are_not_taken_for_calls() {
    let mut seen = Vec::new();
    let source = "match call.number {\n number::READ\n | number::WRITE if x => { y }\n number::RSEQ => Err(Errno::ENOSYS),\n \
                  _ if call.number == number::OPEN && z => 1 }";
    arms(source, &mut |name, body| seen.push((name.to_owned(), body.starts_with("Err"))));
    assert_eq!(seen, [("READ".into(), false), ("WRITE".into(), false), ("RSEQ".into(), true)]);
}

#[test]
fn both_tables_know_the_same_numbers() {
    for number in 0..1000 {
        assert_eq!(subject(number).is_some(), name(number).is_some(), "{number}");
    }
}
