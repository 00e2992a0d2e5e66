//! `#!` scripts, as the kernel's fs/binfmt_script.c reads them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// How much of a file the kernel looks at (`BINPRM_BUF_SIZE`).
pub(crate) const HEAD: usize = 256;
/// How often an interpreter may be a script itself (`BINPRM_MAX_RECURSION`, of which the last is no script).
pub(crate) const MAX_DEPTH: usize = 5;

/// The first line of a script.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shebang {
    pub interpreter: PathBuf,
    /// All that follows is one argument.
    pub argument: Option<OsString>,
}

impl Shebang {
    /// Reads it from the first bytes of a file; `None` when the file is no script, or one that no kernel runs.
    pub(crate) fn parse(head: &[u8]) -> Option<Self> {
        let rest = &head[..head.len().min(HEAD)];
        let rest = rest.strip_prefix(b"#!")?;
        let line = match rest.iter().position(|&byte| byte == b'\n') {
            Some(end) => &rest[..end],
            // A line that was cut off must not end within the interpreter's path.
            None if head.len() >= HEAD => {
                let start = rest.iter().position(|byte| !is_blank(*byte))?;
                rest[start..].iter().position(|&byte| is_blank(byte) || byte == 0)?;
                rest
            }
            None => rest,
        };
        let line = line.split(|&byte| byte == 0).next().unwrap_or_default();
        let line = trim(line);
        let end = line.iter().position(|&byte| is_blank(byte)).unwrap_or(line.len());
        let (interpreter, argument) = (&line[..end], trim(&line[end..]));
        if interpreter.is_empty() {
            return None;
        }
        Some(Self {
            interpreter: OsStr::from_bytes(interpreter).into(),
            argument: (!argument.is_empty()).then(|| OsStr::from_bytes(argument).into()),
        })
    }

    /// What `env` (of coreutils) does with its argument: the program's name, and what stands before the script. `None`
    /// when it would do more than start a program.
    pub(crate) fn through_env(&self) -> Option<(OsString, Vec<OsString>)> {
        if self.interpreter.file_name()? != "env" {
            return None;
        }
        let argument = self.argument.as_ref()?.as_bytes();
        // -S splits at blanks; without it the whole is one name.
        let split = [&b"-S"[..], b"--split-string="].iter().find_map(|option| argument.strip_prefix(*option));
        let words: Vec<&[u8]> = match split {
            Some(rest) if rest.iter().any(|byte| b"\\\"'$#".contains(byte)) => return None,
            Some(rest) => rest.split(|&byte| is_blank(byte)).filter(|word| !word.is_empty()).collect(),
            None => vec![argument],
        };
        let (program, rest) = words.split_first()?;
        if program.starts_with(b"-") || program.contains(&b'=') {
            return None;
        }
        let own = |word: &&[u8]| OsStr::from_bytes(word).to_owned();
        Some((own(program), rest.iter().map(own).collect()))
    }
}

const fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn trim(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_blank(*first)
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && is_blank(*last)
    {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(head: &str) -> Option<(String, Option<String>)> {
        let text = |text: OsString| text.into_string().unwrap();
        let line = Shebang::parse(head.as_bytes())?;
        Some((text(line.interpreter.into()), line.argument.map(text)))
    }

    #[test]
    fn the_rest_of_the_line_is_one_argument() {
        assert_eq!(parsed("#!/bin/sh\nx"), Some(("/bin/sh".into(), None)));
        assert_eq!(parsed("#! /usr/bin/awk -f  -v \n"), Some(("/usr/bin/awk".into(), Some("-f  -v".into()))));
        assert_eq!(parsed("#!/bin/sh"), Some(("/bin/sh".into(), None)));
        assert_eq!(parsed("#!/bin/sh\r\n"), Some(("/bin/sh\r".into(), None)));
        for none in ["", "#", "#!", "#!\n/bin/sh", "#!  \t\n", "\x7fELF", "# !/bin/sh"] {
            assert_eq!(parsed(none), None, "{none:?}");
        }
    }

    #[test]
    fn a_path_that_was_cut_off_is_no_path() {
        let long = format!("#!/{}", "x".repeat(300));
        assert_eq!(parsed(&long), None);
        let long = format!("#!/bin/sh {}", "x".repeat(300));
        assert_eq!(parsed(&long).unwrap().1.unwrap().len(), HEAD - "#!/bin/sh ".len());
    }

    #[test]
    fn env_starts_what_it_names() {
        let of = |head: &str| Shebang::parse(head.as_bytes()).unwrap().through_env();
        assert_eq!(of("#!/usr/bin/env python3\n"), Some(("python3".into(), vec![])));
        assert_eq!(of("#!/usr/bin/env -S python3 -u -X dev\n").unwrap().1, ["-u", "-X", "dev"]);
        assert_eq!(of("#!/usr/bin/env python3 -u\n"), Some(("python3 -u".into(), vec![])));
        for none in ["#!/usr/bin/env\n", "#!/usr/bin/env -i x\n", "#!/usr/bin/env -S A=1 x\n", "#!/bin/sh\n"]
        {
            assert_eq!(of(none), None, "{none:?}");
        }
    }
}
