//! Which system calls the programs of an image can make, and what becomes of them.

use crate::erofs::{self, ReadError};
use crate::image::Image;
use crate::rewrite;
use kernlet_wire::calls::{is_implemented, name};
use kernlet_wire::rewrite::{PATH, Rewrites};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};

/// What every program file begins with.
const ELF: &[u8] = b"\x7fELF";
/// How long the lines of a list of names are.
const WIDTH: usize = 100;

/// The system calls of the program files in an image, found by disassembly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SystemCalls {
    /// Those that can be made, by number.
    pub calls: Vec<SystemCall>,
    /// How many places in the code make a call by a jump into the library OS.
    pub rewritten: u32,
    /// How many make it by a trap.
    pub trapping: u32,
    /// The files that make calls, by path.
    pub files: Vec<Caller>,
}

/// A system call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SystemCall {
    /// Its number.
    pub number: u32,
    /// Its name; nothing when no call has that number.
    pub name: Option<&'static str>,
    /// Whether the library OS has it.
    pub implemented: bool,
}

/// A program file that makes calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Caller {
    /// Its path.
    pub path: String,
    /// How many places in it make a call by a jump.
    pub rewritten: u32,
    /// How many make it by a trap.
    pub trapping: u32,
    /// How many make a call whose number is known at run time only, as libc's syscall(2): any number is possible.
    pub at_run_time: u32,
}

impl SystemCalls {
    /// Looks at the program files in an image's root; `None` when none of them makes a call.
    ///
    /// # Errors
    /// The root file system cannot be read.
    pub fn of(image: &Image) -> Result<Option<Self>, ReadError> {
        let Some((offset, len)) = image.root() else { return Ok(None) };
        let mut found = BTreeMap::new();
        erofs::each_file(image.file(), offset, len, ELF, |path, bytes| {
            if let Some(calls) = rewrite::calls(bytes) {
                found.insert(path.to_vec(), calls);
            }
        })?;
        if found.is_empty() {
            return Ok(None);
        }
        let mut table = Vec::new();
        erofs::each_file(image.file(), offset, len, &kernlet_wire::rewrite::MAGIC, |path, bytes| {
            if path == PATH.as_bytes() {
                table = bytes.to_vec();
            }
        })?;
        let table = Rewrites::parse(&table).ok();
        let rewritten = |path: &[u8]| {
            let file = table.and_then(|table| table.find(path));
            file.map_or(0, |file| file.segments().fold(0, |sum: u32, it| sum.saturating_add(it.rewritten)))
        };
        let numbers: BTreeSet<u32> = found.values().flat_map(|calls| &calls.numbers).copied().collect();
        let files: Vec<Caller> = found
            .iter()
            .map(|(path, calls)| {
                let rewritten = rewritten(path).min(calls.places);
                Caller {
                    path: String::from_utf8_lossy(path).into_owned(),
                    rewritten,
                    trapping: calls.places - rewritten,
                    at_run_time: calls.at_run_time,
                }
            })
            .collect();
        Ok(Some(Self {
            calls: numbers
                .into_iter()
                .map(|number| SystemCall {
                    number,
                    name: name(number.into()),
                    implemented: is_implemented(number.into()),
                })
                .collect(),
            rewritten: files.iter().map(|file| file.rewritten).sum(),
            trapping: files.iter().map(|file| file.trapping).sum(),
            files,
        }))
    }
}

impl Display for SystemCalls {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (has, lacks): (Vec<_>, Vec<_>) = self.calls.iter().partition(|call| call.implemented);
        writeln!(
            f,
            "\nsystem calls ({} can be made, {} of them kernlet has; {} places rewritten, {} trap)",
            self.calls.len(),
            has.len(),
            self.rewritten,
            self.trapping
        )?;
        for (title, calls) in [("has", has), ("lacks", lacks)] {
            list(f, title, &calls)?;
        }
        for file in &self.files {
            write!(f, "  {}: {} rewritten", super::safe(&file.path), file.rewritten)?;
            if file.trapping > 0 {
                write!(f, ", {} trap", file.trapping)?;
            }
            if file.at_run_time > 0 {
                write!(f, ", {} by number at run time", file.at_run_time)?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// Names with numbers, in lines of [`WIDTH`].
fn list(f: &mut Formatter<'_>, title: &str, calls: &[&SystemCall]) -> fmt::Result {
    let mut line = format!("  {title:<7}");
    let indent = line.len();
    for call in calls {
        let item = match call.name {
            Some(name) => format!("{name} {}", call.number),
            None => format!("(none) {}", call.number),
        };
        if line.len() + item.len() + 2 > WIDTH && line.len() > indent {
            writeln!(f, "{}", line.trim_end())?;
            line = " ".repeat(indent);
        }
        line.push_str(&item);
        line.push_str(", ");
    }
    if calls.is_empty() {
        line.push_str("(none)");
    }
    writeln!(f, "{}", line.trim_end_matches([' ', ',']))
}
