//! Names of instances.

use crate::options::Options;
use miette::Diagnostic;
use thiserror::Error;

const ADJECTIVES: [&str; 32] = [
    "amber", "bold", "brisk", "calm", "clear", "cosmic", "crisp", "deft", "eager", "fair", "fleet", "fond",
    "gentle", "glad", "keen", "light", "lively", "lucid", "merry", "mild", "neat", "nimble", "plain",
    "proud", "quick", "quiet", "sharp", "snug", "spry", "sunny", "swift", "witty",
];
const NOUNS: [&str; 32] = [
    "acorn", "badger", "beacon", "brook", "cedar", "comet", "crane", "dune", "ember", "falcon", "fern",
    "finch", "fjord", "grove", "harbor", "heron", "island", "kernel", "lark", "maple", "meadow", "otter",
    "pebble", "pine", "plover", "raven", "reef", "robin", "sparrow", "spruce", "thistle", "wren",
];
/// Longer ones would not fit into a table, and some file systems allow no more than 255 bytes.
const LONGEST: usize = 64;

/// A name that cannot be used.
#[derive(Debug, Error, Diagnostic, PartialEq, Eq)]
#[error("--name {0:?}: this is no name for an instance")]
#[diagnostic(help("letters, digits, `_`, `.` and `-`, beginning with a letter or digit, {LONGEST} at most"))]
pub struct BadName(String);

/// Checks a name that a user gave.
///
/// # Errors
/// It holds other characters than Docker allows, or too many.
pub fn check(name: &str) -> Result<(), BadName> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    let fits = name.len() <= LONGEST && name.bytes().all(good);
    if fits && name.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric) {
        return Ok(());
    }
    Err(BadName(name.into()))
}

/// A name out of random bytes: two words, and a number from the second try on.
pub(crate) fn random(seed: [u8; 8], attempt: u32) -> String {
    let [a, b, rest @ ..] = seed;
    let words =
        format!("{}-{}", ADJECTIVES[usize::from(a) % ADJECTIVES.len()], NOUNS[usize::from(b) % NOUNS.len()]);
    match attempt {
        0 => words,
        _ => format!("{words}-{}", u16::from_le_bytes([rest[0], rest[1]])),
    }
}

/// The name that a user gave.
pub(crate) fn given(options: &Options) -> Result<Option<&str>, BadName> {
    options.name.as_deref().map(|name| check(name).map(|()| name)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_docker() {
        for good in ["a", "web-1", "A_b.c", "0"] {
            assert_eq!(check(good), Ok(()));
        }
        for bad in ["", "-a", ".a", "..", "a/b", "a b", "ä", &"a".repeat(65)] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn random_names_are_good_names() {
        for byte in 0..=255 {
            check(&random([byte; 8], u32::from(byte % 2))).unwrap();
        }
    }
}
