//! Reading a program's or a library's ELF file: what the kernel and the dynamic linker ask of it before it runs.
//!
//! The file is not trusted. Only its headers, its interpreter's path and its dynamic section with their strings are read,
//! each bounded; the checks are those of the kernel's fs/binfmt_elf.c and of elf(5).

use super::property;
use object::elf;
use object::endian::LittleEndian as LE;
use object::pod;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use thiserror::Error;

type Header = elf::FileHeader64<LE>;
type ProgramHeader = elf::ProgramHeader64<LE>;
type Dynamic = elf::Dyn64<LE>;

const PAGE: u64 = 4096;
/// `PATH_MAX`, the NUL at the end included.
const PATH_MAX: u64 = 4096;
/// The kernel reads no more than 64 KiB of program headers.
const MAX_HEADERS: usize = 65_536 / size_of::<ProgramHeader>();
/// Far more than any linker writes: Chromium's has 200 entries.
const MAX_PROPERTIES: u64 = 1 << 16;
/// More than any linker makes.
const MAX_DYNAMIC: u64 = 1 << 16;
/// The longest table of strings that is read: that of LLVM, with all its symbols, has 8 MiB.
const MAX_STRINGS: u64 = 64 << 20;
/// Where the lower half of the addresses ends (`TASK_SIZE_MAX`).
const USER_END: u64 = (1 << 47) - PAGE;

/// Why an ELF file cannot be a program or a library for it.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ElfError {
    /// Something else.
    #[error("it is no ELF file")]
    NotElf,
    /// For a machine of another width or byte order.
    #[error("it is a 32-bit program, and kernlet runs 64-bit ones")]
    Not64Bit,
    /// For another machine.
    #[error("it is a program for {0}, and kernlet runs those for x86-64")]
    Machine(String),
    /// An object file, a core dump.
    #[error("it is {0}, not a program")]
    Type(&'static str),
    /// It ends too early.
    #[error("it is cut off: it has {have} bytes, and {what} needs {need}")]
    Truncated {
        /// What lies beyond the end.
        what: &'static str,
        /// How long the file would have to be.
        need: u64,
        /// How long it is.
        have: u64,
    },
    /// It breaks a rule.
    #[error("its ELF file is malformed: {0}")]
    Malformed(&'static str),
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Read(io::ErrorKind),
}

impl ElfError {
    /// Whether it is for another kind of machine: dynamic linkers pass such libraries over.
    #[must_use]
    pub fn is_other_machine(&self) -> bool {
        matches!(self, Self::Not64Bit | Self::Machine(_))
    }
}

/// What an ELF file says of what it needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Elf {
    /// The dynamic linker's path (`PT_INTERP`).
    pub interpreter: Option<Vec<u8>>,
    /// Libraries by name, in order (`DT_NEEDED`).
    pub needed: Vec<Vec<u8>>,
    /// Its own name as a library (`DT_SONAME`).
    pub soname: Option<Vec<u8>>,
    /// Directories of the old kind, searched for what its libraries need, too (`DT_RPATH`).
    pub rpath: Option<Vec<u8>>,
    /// Directories of the new kind (`DT_RUNPATH`).
    pub runpath: Option<Vec<u8>>,
    /// The default directories are not searched (`DF_1_NODEFLIB`).
    pub no_default: bool,
    /// Whether the kernel finds where it begins.
    pub has_entry: bool,
    /// Fixed addresses (`ET_EXEC`).
    pub fixed: bool,
    /// The level of x86-64 (1 to 4) that it says it needs; 0: it does not say.
    pub level: u8,
}

/// Bytes that are read a piece at a time.
pub trait Bytes {
    /// How many there are.
    fn byte_len(&self) -> io::Result<u64>;
    /// Fills `buffer` from `offset` on.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

impl Bytes for File {
    fn byte_len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }
}

impl Bytes for &[u8] {
    fn byte_len(&self) -> io::Result<u64> {
        Ok((**self).len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let piece = from.checked_add(buffer.len()).and_then(|end| self.get(from..end));
        buffer.copy_from_slice(piece.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

impl Elf {
    /// Reads what is of interest.
    ///
    /// # Errors
    /// It is no ELF file for x86-64 Linux, or a damaged one.
    pub fn read(file: &impl Bytes) -> Result<Self, ElfError> {
        let reader = Reader { len: file.byte_len().map_err(|e| ElfError::Read(e.kind()))?, file };
        let header = reader.header()?;
        let headers = reader.program_headers(&header)?;
        let of_kind = |kind| headers.iter().filter(move |h: &&ProgramHeader| h.p_type.get(LE) == kind);
        let mut loads = 0;
        for load in of_kind(elf::PT_LOAD) {
            reader.check_load(load)?;
            loads += 1;
        }
        if loads == 0 {
            return Err(ElfError::Malformed("nothing of it is to be loaded"));
        }
        let mut elf = Self {
            has_entry: header.e_entry.get(LE) != 0,
            fixed: header.e_type.get(LE) == elf::ET_EXEC,
            ..Self::default()
        };
        if let Some(interpreter) = of_kind(elf::PT_INTERP).next() {
            elf.interpreter = Some(reader.interpreter(interpreter)?);
        }
        if let Some(note) = of_kind(elf::PT_GNU_PROPERTY).next() {
            let len = note.p_filesz.get(LE).min(MAX_PROPERTIES);
            elf.level = property::level(&reader.bytes("its note", note.p_offset.get(LE), len)?);
        }
        if let Some(dynamic) = of_kind(elf::PT_DYNAMIC).next() {
            reader.dynamic(dynamic, &headers, &mut elf)?;
        }
        Ok(elf)
    }
}

struct Reader<'a, B> {
    file: &'a B,
    len: u64,
}

impl<B: Bytes> Reader<'_, B> {
    fn bytes(&self, what: &'static str, offset: u64, len: u64) -> Result<Vec<u8>, ElfError> {
        self.within(what, offset, len)?;
        let mut bytes = vec![0; usize::try_from(len).map_err(|_| ElfError::Malformed("it is too large"))?];
        self.file.read_at(&mut bytes, offset).map_err(|error| ElfError::Read(error.kind()))?;
        Ok(bytes)
    }

    fn within(&self, what: &'static str, offset: u64, len: u64) -> Result<(), ElfError> {
        let need = offset.saturating_add(len);
        if need > self.len { Err(ElfError::Truncated { what, need, have: self.len }) } else { Ok(()) }
    }

    fn header(&self) -> Result<Header, ElfError> {
        const IDENT: u64 = 16;
        let ident = self.bytes("its header", 0, IDENT.min(self.len))?;
        if !ident.starts_with(&elf::ELFMAG) {
            return Err(ElfError::NotElf);
        }
        if ident.get(4).is_some_and(|&class| class != elf::ELFCLASS64.0) {
            return Err(ElfError::Not64Bit);
        }
        if ident.get(5).is_some_and(|&data| data != elf::ELFDATA2LSB.0) {
            return Err(ElfError::Machine("a big-endian machine".into()));
        }
        let bytes = self.bytes("its header", 0, size_of::<Header>() as u64)?;
        let (header, _) =
            pod::from_bytes::<Header>(&bytes).map_err(|()| ElfError::Malformed("its header"))?;
        let machine = header.e_machine.get(LE);
        if machine != elf::EM_X86_64 {
            return Err(ElfError::Machine(crate::layout::machine_name(machine)));
        }
        match header.e_type.get(LE) {
            elf::ET_EXEC | elf::ET_DYN => Ok(*header),
            elf::ET_REL => Err(ElfError::Type("an object file that was not linked")),
            elf::ET_CORE => Err(ElfError::Type("a core dump")),
            _ => Err(ElfError::Type("an ELF file of an unknown type")),
        }
    }

    fn program_headers(&self, header: &Header) -> Result<Vec<ProgramHeader>, ElfError> {
        let count = usize::from(header.e_phnum.get(LE));
        if usize::from(header.e_phentsize.get(LE)) != size_of::<ProgramHeader>() {
            return Err(ElfError::Malformed("its program headers have an unknown size"));
        }
        if count == 0 || count > MAX_HEADERS {
            return Err(ElfError::Malformed("it has no program headers, or too many"));
        }
        let len = (count * size_of::<ProgramHeader>()) as u64;
        let bytes = self.bytes("its table of program headers", header.e_phoff.get(LE), len)?;
        let (headers, _) = pod::slice_from_bytes::<ProgramHeader>(&bytes, count)
            .map_err(|()| ElfError::Malformed("its program headers"))?;
        Ok(headers.to_vec())
    }

    fn check_load(&self, load: &ProgramHeader) -> Result<(), ElfError> {
        let (offset, address) = (load.p_offset.get(LE), load.p_vaddr.get(LE));
        let (in_file, in_memory) = (load.p_filesz.get(LE), load.p_memsz.get(LE));
        if in_file > in_memory {
            return Err(ElfError::Malformed("a segment has more bytes in the file than in memory"));
        }
        if address.checked_add(in_memory).is_none_or(|end| end > USER_END) {
            return Err(ElfError::Malformed("a segment lies beyond the addresses of a program"));
        }
        if offset % PAGE != address % PAGE {
            return Err(ElfError::Malformed("a segment lies otherwise in its page than in the file"));
        }
        self.within("a segment", offset, in_file)
    }

    fn interpreter(&self, header: &ProgramHeader) -> Result<Vec<u8>, ElfError> {
        let len = header.p_filesz.get(LE);
        if !(2..=PATH_MAX).contains(&len) {
            return Err(ElfError::Malformed("its interpreter's path is empty or too long"));
        }
        let mut path = self.bytes("its interpreter's path", header.p_offset.get(LE), len)?;
        // The kernel, too, takes what stands before the first NUL, and wants one at the end.
        if path.pop() != Some(0) {
            return Err(ElfError::Malformed("its interpreter's path does not end"));
        }
        path.truncate(path.iter().position(|&byte| byte == 0).unwrap_or(path.len()));
        if path.is_empty() {
            return Err(ElfError::Malformed("its interpreter's path is empty or too long"));
        }
        Ok(path)
    }

    fn dynamic(
        &self,
        header: &ProgramHeader,
        headers: &[ProgramHeader],
        elf: &mut Elf,
    ) -> Result<(), ElfError> {
        let len = header.p_filesz.get(LE).min(MAX_DYNAMIC * size_of::<Dynamic>() as u64);
        let bytes = self.bytes("its dynamic section", header.p_offset.get(LE), len)?;
        let count = bytes.len() / size_of::<Dynamic>();
        let (entries, _) = pod::slice_from_bytes::<Dynamic>(&bytes, count)
            .map_err(|()| ElfError::Malformed("its dynamic section"))?;
        let entries: Vec<(elf::DynamicTag, u64)> = entries
            .iter()
            .map(|entry| (entry.d_tag.get(LE), entry.d_val.get(LE)))
            .take_while(|&(tag, _)| tag != elf::DT_NULL)
            .collect();
        let value = |tag| entries.iter().find(|(found, _)| *found == tag).map(|&(_, value)| value);
        elf.no_default = value(elf::DT_FLAGS_1).is_some_and(|flags| flags & elf::DF_1_NODEFLIB.0 != 0);
        let is_string = |tag: elf::DynamicTag| {
            [elf::DT_NEEDED, elf::DT_SONAME, elf::DT_RPATH, elf::DT_RUNPATH].contains(&tag)
        };
        if !entries.iter().any(|&(tag, _)| is_string(tag)) {
            return Ok(());
        }
        let strings = self.strings(value(elf::DT_STRTAB), value(elf::DT_STRSZ), headers)?;
        for &(tag, at) in entries.iter().filter(|&&(tag, _)| is_string(tag)) {
            let text = usize::try_from(at).ok().and_then(|at| strings.get(at..));
            let text = text.and_then(|text| text.split_inclusive(|&byte| byte == 0).next());
            let Some([text @ .., 0]) = text else {
                return Err(ElfError::Malformed("a name in its dynamic section lies outside of its strings"));
            };
            match tag {
                elf::DT_NEEDED if text.is_empty() => {
                    return Err(ElfError::Malformed("it needs a library without a name"));
                }
                elf::DT_NEEDED => elf.needed.push(text.to_vec()),
                elf::DT_SONAME => elf.soname = Some(text.to_vec()),
                elf::DT_RPATH => elf.rpath = Some(text.to_vec()),
                _ => elf.runpath = Some(text.to_vec()),
            }
        }
        Ok(())
    }

    /// The table of strings: the dynamic section tells its address in memory.
    fn strings(
        &self,
        address: Option<u64>,
        len: Option<u64>,
        headers: &[ProgramHeader],
    ) -> Result<Vec<u8>, ElfError> {
        let (Some(address), Some(len)) = (address, len) else {
            return Err(ElfError::Malformed("its dynamic section has no strings"));
        };
        let load = headers.iter().filter(|header| header.p_type.get(LE) == elf::PT_LOAD).find(|load| {
            let (from, in_file) = (load.p_vaddr.get(LE), load.p_filesz.get(LE));
            address.checked_sub(from).is_some_and(|into| into < in_file && len <= in_file - into)
        });
        let load = load.ok_or(ElfError::Malformed("its strings are in none of its segments"))?;
        let offset = load.p_offset.get(LE).saturating_add(address - load.p_vaddr.get(LE));
        if len > MAX_STRINGS {
            return Err(ElfError::Malformed("its strings are too long"));
        }
        self.bytes("its strings", offset, len)
    }
}
