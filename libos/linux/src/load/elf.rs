//! Executable files (elf(5), the x86-64 psABI).

use crate::{Errno, PAGE};
use alloc::vec::Vec;
use core::ops::Range;
use kernlet_platform::program::{self, Protection};

const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;
const EM_X86_64: u16 = 62;
const PT_LOAD: u32 = 1;
const PT_INTERP: u32 = 3;
const PT_PHDR: u32 = 6;
const PT_GNU_STACK: u32 = 0x6474_e551;

const PROGRAM_HEADER: usize = 56;
/// As Linux: the program headers fit into a page... of 64 KiB at most.
const HEADERS_MOST: usize = 65536 / PROGRAM_HEADER;

/// A part that is mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where it lies in the file.
    pub offset: u64,
    /// The address that it was linked for.
    pub address: usize,
    /// Bytes in the file.
    pub file_length: usize,
    /// Bytes in memory.
    pub memory_length: usize,
    /// What may be done with it.
    pub protection: Protection,
}

/// What is known of a file from its headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elf {
    /// It runs at any address.
    pub relocatable: bool,
    /// Where it begins, as linked.
    pub entry: usize,
    /// By ascending address; at least one.
    pub segments: Vec<Segment>,
    /// Where its interpreter's path lies in the file.
    pub interpreter: Option<Range<u64>>,
    /// Where the program headers are in memory, as linked, and how many.
    pub headers: (usize, usize),
    /// The stack may be executed.
    pub executable_stack: bool,
}

fn number(bytes: &[u8], at: usize, length: usize) -> Result<u64, Errno> {
    let bytes = bytes.get(at..at + length).ok_or(Errno::ENOEXEC)?;
    Ok(bytes.iter().rev().fold(0, |all, &b| all << 8 | u64::from(b)))
}

impl Elf {
    /// Where the program headers lie, by the first 64 bytes of a file.
    ///
    /// # Errors
    /// ENOEXEC for anything that is no executable for x86-64.
    pub fn headers_at(header: &[u8]) -> Result<Range<u64>, Errno> {
        let kind = number(header, 16, 2)? as u16;
        let machine = number(header, 18, 2)? as u16;
        if !header.starts_with(b"\x7fELF\x02\x01")
            || !matches!(kind, ET_EXEC | ET_DYN)
            || machine != EM_X86_64
        {
            return Err(Errno::ENOEXEC);
        }
        let count = number(header, 56, 2)? as usize;
        if number(header, 54, 2)? as usize != PROGRAM_HEADER || count == 0 || count > HEADERS_MOST {
            return Err(Errno::ENOEXEC);
        }
        let start = number(header, 32, 8)?;
        let end = start.checked_add((count * PROGRAM_HEADER) as u64).ok_or(Errno::ENOEXEC)?;
        Ok(start..end)
    }

    /// Reads the headers: the first 64 bytes of the file, and the program headers.
    ///
    /// # Errors
    /// ENOEXEC for what is malformed; ENOMEM and EINVAL where segments cannot lie.
    pub fn parse(header: &[u8], table: &[u8]) -> Result<Self, Errno> {
        let place = Self::headers_at(header)?;
        let relocatable = number(header, 16, 2)? as u16 == ET_DYN;
        let mut elf = Self {
            relocatable,
            entry: number(header, 24, 8)? as usize,
            segments: Vec::new(),
            interpreter: None,
            headers: (0, table.len() / PROGRAM_HEADER),
            executable_stack: false,
        };
        for raw in table.chunks_exact(PROGRAM_HEADER) {
            let flags = number(raw, 4, 4)?;
            let (offset, address) = (number(raw, 8, 8)?, number(raw, 16, 8)? as usize);
            let (file_length, memory_length) = (number(raw, 32, 8)?, number(raw, 40, 8)?);
            match number(raw, 0, 4)? as u32 {
                PT_LOAD if memory_length > 0 => {
                    elf.add(Segment {
                        offset,
                        address,
                        file_length: file_length as usize,
                        memory_length: memory_length as usize,
                        protection: Protection {
                            read: flags & 4 != 0,
                            write: flags & 2 != 0,
                            execute: flags & 1 != 0,
                        },
                    })?;
                    let within = place
                        .start
                        .checked_sub(offset)
                        .filter(|_| place.end <= offset.saturating_add(file_length));
                    if let (0, Some(within)) = (elf.headers.0, within) {
                        elf.headers.0 = address.wrapping_add(within as usize);
                    }
                }
                PT_INTERP => {
                    elf.interpreter = Some(offset..offset.checked_add(file_length).ok_or(Errno::ENOEXEC)?)
                }
                PT_PHDR => elf.headers.0 = address,
                PT_GNU_STACK => elf.executable_stack = flags & 1 != 0,
                _ => {}
            }
        }
        if elf.segments.is_empty() { Err(Errno::ENOEXEC) } else { Ok(elf) }
    }

    fn add(&mut self, segment: Segment) -> Result<(), Errno> {
        let aligned = segment.offset as usize % PAGE == segment.address % PAGE;
        let end = segment.address.checked_add(segment.memory_length).ok_or(Errno::ENOEXEC)?;
        let behind =
            self.segments.last().is_none_or(|last| last.address + last.memory_length <= segment.address);
        let file_end = segment.offset.checked_add(segment.file_length as u64);
        if !aligned || !behind || segment.file_length > segment.memory_length || file_end.is_none() {
            return Err(Errno::ENOEXEC);
        }
        if end > program::range().end {
            return Err(Errno::ENOMEM);
        }
        self.segments.push(segment);
        Ok(())
    }

    /// The pages from the first segment's to the last one's, as linked.
    pub fn span(&self) -> Range<usize> {
        let start = self.segments.first().map_or(0, |s| s.address) & !(PAGE - 1);
        let end = self.segments.last().map_or(0, |s| s.address + s.memory_length);
        start..end.next_multiple_of(PAGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(file: &[u8]) -> Result<Elf, Errno> {
        let place = Elf::headers_at(file)?;
        let table = file.get(place.start as usize..place.end as usize).ok_or(Errno::ENOEXEC)?;
        Elf::parse(file, table)
    }

    #[test]
    fn the_headers_of_this_test_program_are_read() {
        let file = std::fs::read("/proc/self/exe").unwrap();
        let elf = parse(&file).unwrap();
        assert!(elf.relocatable && elf.interpreter.is_some() && elf.span().start == 0);
        assert_eq!(elf.headers.0, 64);
        assert!(elf.segments.iter().any(|s| s.protection.execute && s.address <= elf.entry));
    }

    #[test]
    fn what_is_no_program_for_x86_64_is_refused() {
        assert_eq!(parse(b"#!/bin/sh\n"), Err(Errno::ENOEXEC));
        let mut file = std::fs::read("/proc/self/exe").unwrap();
        file[18] = 183;
        assert_eq!(parse(&file), Err(Errno::ENOEXEC));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(mut file in proptest::collection::vec(any::<u8>(), 64..400), fix in any::<bool>()) {
            if fix {
                file[..6].copy_from_slice(b"\x7fELF\x02\x01");
                file[16..20].copy_from_slice(&[3, 0, 62, 0]);
                file[32..40].copy_from_slice(&64u64.to_le_bytes());
                file[54..58].copy_from_slice(&[56, 0, 2, 0]);
            }
            let _ = parse(&file).map(|elf| elf.span());
        }
    }
}
