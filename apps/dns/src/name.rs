//! Domain names: RFC 1035 sections 2.3 and 3.1, and their text form (section 5.1).
//!
//! Names are kept in wire form and in lower case: comparison is then a comparison of bytes, and the canonical
//! form of DNSSEC (RFC 4034 section 6.2) is what is stored. The case of a question survives in its answer all
//! the same, since an answer points back at the question.

use crate::zone::Problem;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

/// The longest name in wire form, with its root label.
pub(crate) const MAX_NAME: usize = 255;
/// The longest label.
pub(crate) const MAX_LABEL: usize = 63;
/// The most labels that a name can have, without the root.
pub(crate) const MAX_LABELS: usize = 127;

/// An absolute domain name in lower-case wire form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<[u8]>);

impl Name {
    /// The wire form: labels with their length octets, ending with the root's zero.
    pub fn wire(&self) -> &[u8] {
        &self.0
    }

    /// How many labels the name has, without the root.
    pub(crate) fn labels(&self) -> usize {
        Labels(&self.0).count()
    }

    pub(crate) fn from_wire(wire: &[u8]) -> Self {
        Self(wire.into())
    }
}

impl FromStr for Name {
    type Err = Problem;

    /// Reads the text form of a name; it is absolute, with or without a dot at its end.
    fn from_str(text: &str) -> Result<Self, Problem> {
        let mut buffer = NameBuffer::new();
        buffer.parse(text.as_bytes(), Case::Lower)?;
        buffer.end()?;
        Ok(Self(buffer.wire().into()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_name(f, &self.0)
    }
}

/// Writes the text form of a wire name.
pub(crate) fn write_name(f: &mut impl fmt::Write, wire: &[u8]) -> fmt::Result {
    let mut root = true;
    for label in Labels(wire) {
        root = false;
        for &byte in &label[1..] {
            match byte {
                b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$' => {
                    f.write_char('\\')?;
                    f.write_char(byte as char)?;
                }
                0x21..=0x7e => f.write_char(byte as char)?,
                _ => write!(f, "\\{byte:03}")?,
            }
        }
        f.write_char('.')?;
    }
    if root { f.write_char('.') } else { Ok(()) }
}

/// The labels of a wire name from left to right, each with its length octet, without the root.
#[derive(Clone)]
pub(crate) struct Labels<'a>(pub &'a [u8]);

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(*self.0.first()?);
        if length == 0 || length > MAX_LABEL || self.0.len() <= length {
            return None;
        }
        let (label, rest) = self.0.split_at(length + 1);
        self.0 = rest;
        Some(label)
    }
}

/// Whether letters are kept as written or folded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    Lower,
    Kept,
}

/// A name under construction: its labels, in wire form, without the root's octet.
pub(crate) struct NameBuffer {
    wire: [u8; MAX_NAME],
    length: usize,
}

impl NameBuffer {
    pub(crate) fn new() -> Self {
        Self { wire: [0; MAX_NAME], length: 0 }
    }

    pub(crate) fn wire(&self) -> &[u8] {
        &self.wire[..self.length]
    }

    pub(crate) fn clear(&mut self) {
        self.length = 0;
    }

    /// Appends octets that are known to be whole labels.
    pub(crate) fn append(&mut self, labels: &[u8]) -> Result<(), Problem> {
        let end = self.length + labels.len();
        self.wire.get_mut(self.length..end).ok_or(Problem::NameTooLong)?.copy_from_slice(labels);
        self.length = end;
        Ok(())
    }

    /// Appends the root's octet.
    pub(crate) fn end(&mut self) -> Result<(), Problem> {
        self.append(&[0])
    }

    /// Appends the labels of a name in text form; true if it ended with a dot, and so is absolute.
    pub(crate) fn parse(&mut self, text: &[u8], case: Case) -> Result<bool, Problem> {
        if text == b"." {
            return Ok(true);
        }
        if text.is_empty() {
            return Err(Problem::EmptyLabel);
        }
        let mut at = 0;
        loop {
            let start = self.length;
            self.append(&[0])?;
            while let Some(&byte) = text.get(at) {
                if byte == b'.' {
                    break;
                }
                let byte = if byte == b'\\' {
                    let (byte, used) = unescape(&text[at..])?;
                    at += used;
                    byte
                } else {
                    at += 1;
                    byte
                };
                self.append(&[if case == Case::Lower { byte.to_ascii_lowercase() } else { byte }])?;
            }
            let length = self.length - start - 1;
            match length {
                0 => return Err(Problem::EmptyLabel),
                1..=MAX_LABEL => self.wire[start] = length as u8,
                _ => return Err(Problem::LabelTooLong),
            }
            match text.len() - at {
                0 => return Ok(false),
                1 => return Ok(true),
                _ => at += 1,
            }
        }
    }
}

/// Reads one escape, `\DDD` or `\X`, at the start of `text`: the octet, and how many characters it took.
pub(crate) fn unescape(text: &[u8]) -> Result<(u8, usize), Problem> {
    match *text {
        [_, a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', ..] => {
            let value = u32::from(a - b'0') * 100 + u32::from(b - b'0') * 10 + u32::from(c - b'0');
            u8::try_from(value).map(|byte| (byte, 4)).map_err(|_| Problem::BadEscape)
        }
        [_, b'0'..=b'9', ..] | [_] | [] => Err(Problem::BadEscape),
        [_, byte, ..] => Ok((byte, 2)),
    }
}

/// Undoes all escapes of a string.
pub(crate) fn unescape_all(text: &[u8], into: &mut Vec<u8>) -> Result<(), Problem> {
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        if byte == b'\\' {
            let (byte, used) = unescape(&text[at..])?;
            into.push(byte);
            at += used;
        } else {
            into.push(byte);
            at += 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn names_are_lower_case_and_print_as_they_are_read() {
        let name: Name = "WWW.Example\\.com.a\\032b".parse().unwrap();
        assert_eq!(name.wire(), b"\x03www\x0bexample.com\x03a b\x00");
        assert_eq!(name.to_string(), "www.example\\.com.a\\032b.");
        assert_eq!(".".parse::<Name>().unwrap().to_string(), ".");
        assert_eq!(name.labels(), 3);
    }

    #[test]
    fn impossible_names_are_refused() {
        assert_eq!("a..b".parse::<Name>(), Err(Problem::EmptyLabel));
        assert_eq!("".parse::<Name>(), Err(Problem::EmptyLabel));
        assert_eq!(".a".parse::<Name>(), Err(Problem::EmptyLabel));
        assert_eq!("a".repeat(64).parse::<Name>(), Err(Problem::LabelTooLong));
        assert!("a".repeat(63).parse::<Name>().is_ok());
        assert!("a.".repeat(127).parse::<Name>().is_ok());
        assert_eq!("a.".repeat(128).parse::<Name>(), Err(Problem::NameTooLong));
        assert_eq!("\\256".parse::<Name>(), Err(Problem::BadEscape));
        assert_eq!("\\25".parse::<Name>(), Err(Problem::BadEscape));
        assert_eq!("a\\".parse::<Name>(), Err(Problem::BadEscape));
    }
}
