//! What an ELF file tells about its code: executable segments, where functions begin, what may be pointers.
//!
//! The file is not trusted: everything that does not fit is left out, which leaves system calls to trap.

use crate::layout::{Header, PAGE, ProgramHeader};
use gimli::{BaseAddresses, CieOrFde, EhFrame, EhFrameHdr, Pointer, UnwindSection as _};
use object::elf;
use object::endian::LittleEndian as LE;
use object::read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _, SectionHeader as _, Sym as _};
use std::ops::Range;

/// Programs lie below, where addresses have 47 bits.
const MEMORY_END: u64 = 1 << 47;
/// More than any linker makes, and few enough to compare each with each.
const MAX_SEGMENTS: usize = 64;

/// A function, or code that is like one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Function {
    /// Its address.
    pub start: u64,
    /// Its length, when that is known.
    pub len: Option<u64>,
    /// Whether it has an entry in the unwind tables.
    pub unwinds: bool,
}

/// A loadable segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment<'a> {
    /// The address of its first byte.
    pub address: u64,
    /// Its first byte's offset in the file.
    pub offset: u64,
    /// Its bytes in the file.
    pub bytes: &'a [u8],
}

impl Segment<'_> {
    /// Its addresses, as far as they are in the file.
    pub fn range(&self) -> Range<u64> {
        self.address..self.address + self.bytes.len() as u64
    }
}

/// A program or a library.
#[derive(Debug)]
pub(super) struct Program<'a> {
    /// The whole file.
    pub file: &'a [u8],
    /// The segments that are code and nothing else.
    pub code: Vec<Segment<'a>>,
    /// The other segments.
    pub data: Vec<Segment<'a>>,
    /// The end of the last segment in memory, on a page boundary.
    pub end: u64,
    headers: &'a [ProgramHeader],
    header: &'a Header,
}

impl<'a> Program<'a> {
    /// Takes an x86-64 ELF file that is a program or a library and has code that is mapped as it is.
    pub fn parse(file: &'a [u8]) -> Option<Self> {
        let header = Header::parse(file).ok()?;
        let kind = header.e_type(LE);
        if header.e_machine(LE) != elf::EM_X86_64 || !(kind == elf::ET_DYN || kind == elf::ET_EXEC) {
            return None;
        }
        let headers = header.program_headers(LE, file).ok()?;
        let (mut code, mut data, mut end) = (Vec::new(), Vec::new(), 0u64);
        for segment in headers.iter().filter(|header| header.p_type(LE) == elf::PT_LOAD) {
            let (address, offset) = (segment.p_vaddr(LE), segment.p_offset(LE));
            let memory_end = address.checked_add(segment.p_memsz(LE))?.checked_next_multiple_of(PAGE)?;
            let bytes = segment.data(LE, file).ok()?;
            address.checked_add(bytes.len() as u64)?;
            end = end.max(memory_end);
            let piece = Segment { address, offset, bytes };
            let flags = segment.p_flags(LE);
            let mapped = address % PAGE == offset % PAGE && segment.p_memsz(LE) == bytes.len() as u64;
            // What is writable may be changed after it is mapped; a zeroed end is not the file's, and what is longer in
            // the file than in memory is malformed.
            if flags.contains(elf::PF_X) && !flags.contains(elf::PF_W) && mapped && !bytes.is_empty() {
                code.push(piece);
            } else {
                data.push(piece);
            }
        }
        code.sort_by_key(|segment| segment.address);
        let apart = code.windows(2).all(|pair| pair[0].range().end <= pair[1].address / PAGE * PAGE);
        let program = Self { file, code, data, end, headers, header };
        // Pieces of the file that appear many times would take many times as long to decode.
        let code_len: usize = program.code.iter().map(|segment| segment.bytes.len()).sum();
        let sane = program.end <= MEMORY_END && code_len <= file.len();
        let usable = apart && sane && headers.len() <= MAX_SEGMENTS && !program.has_text_relocations();
        (usable && !program.code.is_empty()).then_some(program)
    }

    /// Whether the address is in code.
    pub fn is_code(&self, address: u64) -> bool {
        self.code.iter().any(|segment| segment.range().contains(&address))
    }

    /// The bytes of the file from an address on, to the end of its segment.
    pub fn at(&self, address: u64) -> Option<&'a [u8]> {
        let segment =
            self.code.iter().chain(&self.data).find(|segment| segment.range().contains(&address))?;
        segment.bytes.get(usize::try_from(address - segment.address).ok()?..)
    }

    /// Where functions begin, by unwind tables, symbols, sections and the entry; sorted, one for each address.
    pub fn functions(&self) -> Vec<Function> {
        let mut functions = self.unwind_functions();
        functions.push(Function { start: self.header.e_entry(LE), len: None, unwinds: false });
        self.symbols(|kind, start, len| {
            if kind == elf::STT_FUNC || kind == elf::STT_GNU_IFUNC {
                functions.push(Function { start, len: (len > 0).then_some(len), unwinds: false });
            }
        });
        for section in self.header.section_headers(LE, self.file).unwrap_or_default() {
            if section.sh_flags(LE).contains(elf::SHF_EXECINSTR) {
                functions.push(Function { start: section.sh_addr(LE), len: None, unwinds: false });
            }
        }
        functions.retain(|function| self.is_code(function.start));
        // Unwind tables know lengths best; a stable sort keeps them before others of the same address.
        functions.sort_by_key(|function| function.start);
        functions.dedup_by_key(|function| function.start);
        functions
    }

    /// Addresses of code that something may jump to: labels, and all that may be a pointer in data (jump tables,
    /// relocations' addends, tables of functions).
    pub fn pointers(&self, mut found: impl FnMut(u64)) {
        self.symbols(|_, address, _| found(address));
        let code = self.code.first().map_or(0, |segment| segment.address)
            ..self.code.last().map_or(0, |segment| segment.range().end);
        for segment in &self.data {
            // Pointers lie on multiples of their size, in memory.
            let skip = (segment.address.next_multiple_of(8) - segment.address) as usize;
            for word in segment.bytes.get(skip..).unwrap_or_default().as_chunks().0 {
                let word = u64::from_le_bytes(*word);
                if code.contains(&word) {
                    found(word);
                }
            }
        }
    }

    fn symbols(&self, mut found: impl FnMut(elf::SymbolType, u64, u64)) {
        let Ok(sections) = self.header.sections(LE, self.file) else { return };
        for table in [elf::SHT_SYMTAB, elf::SHT_DYNSYM] {
            let Ok(symbols) = sections.symbols(LE, self.file, table) else { continue };
            for symbol in symbols.iter().filter(|symbol| symbol.st_shndx(LE).0 != 0) {
                found(symbol.st_type(), symbol.st_value(LE), symbol.st_size(LE));
            }
        }
    }

    fn unwind_functions(&self) -> Vec<Function> {
        let mut functions = Vec::new();
        let (Some((address, bytes)), bases) = self.eh_frame() else { return functions };
        let bases = bases.set_eh_frame(address);
        let frames = EhFrame::new(bytes, gimli::LittleEndian);
        let mut entries = frames.entries(&bases);
        // A malformed entry ends the list: what comes before it is right all the same.
        while let Ok(Some(entry)) = entries.next() {
            let CieOrFde::Fde(partial) = entry else { continue };
            if let Ok(fde) = partial.parse(|section, bases, offset| section.cie_from_offset(bases, offset)) {
                // The entry of a signal's return begins one byte early, since unwinders look up the byte before
                // an address that a call returns to.
                let early = u64::from(fde.is_signal_trampoline());
                functions.push(Function {
                    start: fde.initial_address().saturating_add(early),
                    len: Some(fde.len().saturating_sub(early)),
                    unwinds: true,
                });
            }
        }
        functions
    }

    fn eh_frame(&self) -> (Option<(u64, &'a [u8])>, BaseAddresses) {
        let bases = BaseAddresses::default();
        let header = self.headers.iter().find(|header| header.p_type(LE) == elf::PT_GNU_EH_FRAME);
        if let Some(address) = header.map(|header| header.p_vaddr(LE))
            && let Some(bytes) = self.at(address)
        {
            let bases = bases.set_eh_frame_hdr(address);
            let parsed = EhFrameHdr::new(bytes, gimli::LittleEndian).parse(&bases, 8);
            if let Ok(Pointer::Direct(at)) = parsed.map(|parsed| parsed.eh_frame_ptr()) {
                return (self.at(at).map(|bytes| (at, bytes)), bases);
            }
        }
        let section = self.header.sections(LE, self.file).ok();
        let section = section.as_ref().and_then(|all| all.section_by_name(LE, b".eh_frame"));
        let found =
            section.and_then(|(_, section)| Some((section.sh_addr(LE), section.data(LE, self.file).ok()?)));
        (found, BaseAddresses::default())
    }

    /// Whether the dynamic linker changes code when it loads it: a copy of an instruction would miss that.
    fn has_text_relocations(&self) -> bool {
        self.headers.iter().any(|header| {
            let entries = header.dynamic(LE, self.file).ok().flatten().unwrap_or_default();
            entries.iter().any(|entry| {
                let flagged = || entry.d_val(LE) & elf::DF_TEXTREL.0 != 0;
                entry.d_tag(LE) == elf::DT_TEXTREL || (entry.d_tag(LE) == elf::DT_FLAGS && flagged())
            })
        })
    }
}
