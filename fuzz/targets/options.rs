//! Values of options of the command line.
#![no_main]
#![forbid(unsafe_code)]

use kernlet_monitor::options;
use libfuzzer_sys::fuzz_target;
use std::fmt::{Debug, Display};
use std::str::FromStr;

/// Parses, and prints the error, which names the value.
fn parse<T: FromStr<Err: Display + Debug>>(text: &str) {
    if let Err(error) = text.parse::<T>() {
        assert!(!error.to_string().is_empty());
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&which, rest)) = bytes.split_first() else { return };
    if which % 16 == 15 {
        let lookup = |name: &[u8]| (name.len() % 2 == 0).then(|| name.to_vec());
        let variables = options::environment_file(rest, lookup);
        assert!(
            variables.is_err()
                || variables.is_ok_and(|all| all.iter().all(|v| v.contains(&b'=') && v[0] != b'='))
        );
        return;
    }
    let Ok(text) = std::str::from_utf8(rest) else { return };
    match which % 16 {
        0 => parse::<options::Publish>(text),
        1 => parse::<options::Net>(text),
        2 => parse::<options::Connect>(text),
        3 => parse::<options::Volume>(text),
        4 => parse::<options::Size>(text),
        5 => parse::<options::Restart>(text),
        6 => parse::<options::Backend>(text),
        7 => drop(options::workdir(text).map(|path| assert!(path.starts_with('/') && !path.contains('\0')))),
        8 => drop(options::identity(text)),
        9 => drop(options::hostname(text).map(|name| assert!(name.len() <= 253 && !name.is_empty()))),
        10 => drop(options::cpus(text)),
        _ => drop(kernlet_monitor::signals::number(text)),
    }
});
